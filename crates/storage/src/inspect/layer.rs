//! What a layer's folder should hold, told from its tar.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sys::root::{Metadata, Owner, Root};

use super::{LayerFault, same_kind};
use crate::apply::clean;
use crate::apply::whiteout::{INTERNAL, OPAQUE_NAME, PREFIX};
use crate::tar::{Entry, EntryKind, Reader};
use crate::{Result, tree};

/// The entries of a layer's tar at the places where they were unpacked.
#[derive(Debug, Default)]
pub(super) struct Listing {
    expected: BTreeMap<PathBuf, Expected>,
    /// Folders that entries are in; not all have an entry of their own.
    folders: BTreeSet<PathBuf>,
    /// The archive replaced a link, and nobody knows any more which entries went through it.
    unclear: bool,
}

#[derive(Debug)]
enum Expected {
    Entry {
        kind: EntryKind,
        mode: u32,
        owner: Owner,
        link: OsString,
    },
    /// Hides what lower layers have; gives way to what the layer itself has.
    Whiteout,
}

impl Listing {
    /// Reads a layer's tar to its end. Links on the way to an entry are followed in `layer`, as they were when it was unpacked.
    pub(super) fn read(tar: impl Read, layer: &Root, has_lower: bool) -> Result<Listing> {
        let mut input = BufReader::with_capacity(1 << 16, tar);
        let listing = Listing::gather(&mut input, layer, has_lower);
        // Whoever writes the tar shall not fail because nobody wants the rest.
        let _rest = io::copy(&mut input, &mut io::sink());
        listing
    }

    fn gather(input: &mut BufReader<impl Read>, layer: &Root, has_lower: bool) -> Result<Listing> {
        let diff = layer.open_dir("diff")?;
        let mut listing = Listing::default();
        let mut reader = Reader::new(input);
        let mut last = (PathBuf::new(), PathBuf::new());
        while let Some(entry) = reader.next_entry()? {
            let path = clean(&entry.path)?;
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { continue };
            let internal = path.iter().any(|part| part.as_bytes().starts_with(INTERNAL.as_bytes()));
            if internal && name != OPAQUE_NAME {
                continue;
            }
            if last.0 != folder {
                last = (folder.to_path_buf(), real(&diff, folder));
                listing.folders.extend(last.1.ancestors().map(Path::to_path_buf));
            }
            if !internal {
                listing.add(&last.1, name, entry, has_lower);
            }
        }
        Ok(listing)
    }

    fn add(&mut self, folder: &Path, name: &OsStr, entry: Entry, has_lower: bool) {
        if let Some(hidden) = name.as_bytes().strip_prefix(PREFIX.as_bytes()) {
            if has_lower {
                self.expected.entry(folder.join(OsStr::from_bytes(hidden))).or_insert(Expected::Whiteout);
            }
            return;
        }
        let Entry { kind, mode, owner, link, .. } = entry;
        let before = self.expected.insert(folder.join(name), Expected::Entry { kind, mode, owner, link });
        self.unclear |= matches!(before, Some(Expected::Entry { kind: EntryKind::Symlink, .. }));
    }

    /// What in the layer's folder is not as it should be.
    pub(super) fn compare(mut self, layer: &Root, path: &Path) -> Result<Vec<LayerFault>> {
        let path = path.join("diff");
        if self.unclear || self.wrote_through_a_lost_link() {
            return Ok(Vec::new());
        }
        let mut faults = Vec::new();
        tree::walk(&layer.open_dir("diff")?, OsStr::new(""), |dir, name, found, metadata| {
            let found = Path::new(found);
            let reason = match self.expected.remove(found) {
                Some(expected) => expected.differs(dir, name, metadata)?,
                None if self.folders.contains(found) && metadata.is_dir() => None,
                None => Some("the layer has no such file".to_owned()),
            };
            faults.extend(reason.map(|reason| LayerFault::new(path.join(found), reason)));
            Ok(())
        })?;
        let missing = |found: &PathBuf| LayerFault::new(path.join(found), "it is missing".to_owned());
        faults.extend(self.expected.keys().map(missing));
        Ok(faults)
    }
}

impl Listing {
    /// Whether an entry went through a link that is none any more: the archive itself may have replaced it on that way.
    fn wrote_through_a_lost_link(&self) -> bool {
        let mut above: Option<&Path> = None;
        // A folder comes before what is in it.
        self.expected.iter().any(|(path, expected)| {
            let is_beneath = above.is_some_and(|link| path.starts_with(link));
            if matches!(expected, Expected::Entry { kind: EntryKind::Symlink, .. }) {
                above = Some(path);
            }
            is_beneath
        })
    }
}

impl Expected {
    fn differs(&self, dir: &Root, name: &OsStr, metadata: &Metadata) -> Result<Option<String>> {
        let (kind, mode, owner, link) = match self {
            // A directory of the same layer keeps its place and is opaque; anything else stays as it is.
            Expected::Whiteout => return Ok(None),
            // It has the attributes of the file it is another name of.
            Expected::Entry { kind: EntryKind::HardLink, .. } => return Ok(None),
            Expected::Entry { kind, mode, owner, link } => (*kind, *mode, *owner, link),
        };
        if !same_kind(metadata.kind(), kind) {
            return Ok(Some(format!("it is a {:?}, and was a {kind:?}", metadata.kind())));
        }
        let differs = if kind == EntryKind::Symlink {
            let found = dir.read_link(name)?;
            (found.as_os_str() != link)
                .then(|| format!("it leads to {}, and led to {}", found.display(), link.display()))
        } else {
            (metadata.mode() != mode).then(|| format!("its mode is {:04o}, and was {mode:04o}", metadata.mode()))
        };
        let found = metadata.owner();
        let owned = || format!("its owner is {}:{}, and was {}:{}", found.uid, found.gid, owner.uid, owner.gid);
        Ok(differs.or_else(|| (found != owner).then(owned)))
    }
}

/// Where a folder named by an archive really is; where it was named if it is gone.
fn real(diff: &Root, folder: &Path) -> PathBuf {
    let found = diff.open_dir(folder).and_then(|folder| folder.location_in(diff));
    found.unwrap_or_else(|_| folder.to_path_buf())
}
