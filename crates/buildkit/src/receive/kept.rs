//! What lies in a folder before a transfer, and how much of it is what the client has.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use build::Digests;
use sys::root::{Kind, Metadata, Root, Time};

use super::{Error, mode, time};
use crate::message::Stat;

/// A folder's entries by path. What the client tells of leaves them; what is left at the end is nothing of the client's.
#[derive(Debug, Default)]
pub(super) struct Kept {
    entries: BTreeMap<String, Entry>,
    /// Files of several names whose first name the client told: by that, and all of them.
    first_names: HashMap<String, u64>,
    named: HashSet<u64>,
}

/// Something that lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    kind: Kind,
    mode: u32,
    size: u64,
    modified: Time,
    inode: u64,
    /// A file has other names.
    shared: bool,
    /// Where a symbolic link leads.
    target: Option<PathBuf>,
}

impl Kept {
    /// Looks at everything in a folder. What a client cannot have sent is removed.
    pub(super) fn survey(root: &Root) -> Result<Self, Error> {
        let mut kept = Self::default();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let inside = root.open_dir(&folder)?;
            for found in inside.read_dir("")? {
                let Some(name) = found.name.to_str() else {
                    inside.remove(&found.name)?;
                    continue;
                };
                let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
                let entry = Entry::of(&inside, name, &inside.symlink_metadata(name)?)?;
                if entry.kind == Kind::Directory {
                    folders.push(path.clone());
                }
                kept.entries.insert(path, entry);
            }
        }
        Ok(kept)
    }

    /// Whether what the client tells of lies there just so. If not, nothing lies there any more.
    pub(super) fn has(&mut self, stat: &Stat, root: &Root, digests: Option<&Digests>) -> Result<bool, Error> {
        let Some(entry) = self.entries.remove(&stat.path) else { return Ok(false) };
        if entry.is(stat) && self.is_name_of_its_own(&entry, stat) {
            return Ok(true);
        }
        self.discard(&stat.path, &entry, root, digests)?;
        Ok(false)
    }

    /// Names of one file belong together there as they do here.
    fn is_name_of_its_own(&mut self, entry: &Entry, stat: &Stat) -> bool {
        match (entry.kind, stat.link.is_empty()) {
            (Kind::File, false) => self.first_names.get(&stat.link) == Some(&entry.inode),
            (Kind::File, true) if entry.shared => {
                self.first_names.insert(stat.path.clone(), entry.inode);
                self.named.insert(entry.inode)
            }
            _ => true,
        }
    }

    /// Removes what the client has told nothing of.
    pub(super) fn remove_rest(&mut self, root: &Root, digests: Option<&Digests>) -> Result<(), Error> {
        while let Some((path, entry)) = self.entries.pop_first() {
            self.discard(&path, &entry, root, digests)?;
        }
        Ok(())
    }

    fn discard(&mut self, path: &str, entry: &Entry, root: &Root, digests: Option<&Digests>) -> Result<(), Error> {
        if entry.kind != Kind::Directory {
            root.unlink(path)?;
            // A file of other names stays, and is another one to those who know it by its times.
            digests.inspect(|digests| digests.forget(entry.inode));
            return Ok(());
        }
        // Behind "a/" comes all that is in "a", and then "a0".
        let (first, behind) = (format!("{path}/"), format!("{path}0"));
        let within: Vec<String> = self.entries.range(first..behind).map(|(path, _)| path.clone()).collect();
        for gone in within.iter().filter_map(|path| self.entries.remove(path)) {
            digests.inspect(|digests| digests.forget(gone.inode));
        }
        root.remove(path)?;
        Ok(())
    }
}

impl Entry {
    fn of(folder: &Root, name: &str, metadata: &Metadata) -> Result<Self, Error> {
        let kind = metadata.kind();
        Ok(Self {
            kind,
            mode: metadata.mode(),
            size: metadata.size(),
            modified: metadata.modified(),
            inode: metadata.identity().1,
            shared: kind == Kind::File && metadata.links() > 1,
            target: if kind == Kind::Symlink { Some(folder.read_link(name)?) } else { None },
        })
    }

    /// Whether it is what the client tells of, as BuildKit sees it: a file with the same size and time has the same contents.
    fn is(&self, stat: &Stat) -> bool {
        let kind = match stat.mode & mode::TYPE {
            0 => Kind::File,
            mode::DIRECTORY => Kind::Directory,
            mode::SYMLINK => Kind::Symlink,
            mode::FIFO => Kind::Fifo,
            _ => return false,
        };
        if kind == Kind::File && !stat.link.is_empty() {
            // Another name tells nothing but that.
            return self.kind == kind;
        }
        let same_mode = self.mode == mode::permissions(stat.mode);
        let same_time = self.modified == time(stat.modified);
        self.kind == kind
            && match kind {
                Kind::File => same_mode && same_time && i64::try_from(self.size) == Ok(stat.size),
                Kind::Symlink => same_time && self.target.as_deref() == Some(Path::new(&stat.link)),
                Kind::Fifo => same_mode,
                // Mode and time of folders are set when all that is in them is there.
                _ => true,
            }
    }
}
