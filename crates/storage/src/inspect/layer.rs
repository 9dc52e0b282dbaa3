//! What a layer's folder should hold, told from its tar.
//!
//! Links on the way to an entry are followed among the entries that came before it, as when the tar was unpacked. The folder
//! itself cannot be asked: a later entry may have replaced a link, by way of that link even.

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
}

/// Links that one path may lead through, as in the kernel (path_resolution(7)).
const MAX_LINKS: usize = 40;

#[derive(Clone, Debug)]
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
    /// Reads a layer's tar to its end.
    pub(super) fn read(tar: impl Read, has_lower: bool) -> Result<Listing> {
        let mut input = BufReader::with_capacity(1 << 16, tar);
        let listing = Listing::gather(&mut input, has_lower);
        // Whoever writes the tar shall not fail because nobody wants the rest.
        let _rest = io::copy(&mut input, &mut io::sink());
        listing
    }

    fn gather(input: &mut BufReader<impl Read>, has_lower: bool) -> Result<Listing> {
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
                last = (folder.to_path_buf(), listing.real(folder));
                listing.folders.extend(last.1.ancestors().map(Path::to_path_buf));
            }
            if !internal && listing.add(&last.1, name, entry, has_lower)? {
                last = Default::default();
            }
        }
        Ok(listing)
    }

    /// Whether the way to the entry's folder may lead elsewhere from now on.
    fn add(&mut self, folder: &Path, name: &OsStr, entry: Entry, has_lower: bool) -> Result<bool> {
        if let Some(hidden) = name.as_bytes().strip_prefix(PREFIX.as_bytes()) {
            if has_lower {
                self.expected.entry(folder.join(OsStr::from_bytes(hidden))).or_insert(Expected::Whiteout);
            }
            return Ok(false);
        }
        let Entry { kind, mode, owner, link, .. } = entry;
        let twin = if kind == EntryKind::HardLink { self.link_at(&clean(&link)?).cloned() } else { None };
        let expected = twin.unwrap_or(Expected::Entry { kind, mode, owner, link });
        Ok(self.expected.insert(folder.join(name), expected).is_some_and(|before| before.target().is_some()))
    }

    /// The symbolic link at this path of an archive, if it is one; a hard link may name it too.
    fn link_at(&self, path: &Path) -> Option<&Expected> {
        let place = self.real(path.parent()?).join(path.file_name()?);
        self.expected.get(&place).filter(|expected| expected.target().is_some())
    }

    /// Where a folder named by an archive really is, links followed beneath the root. Nowhere one could tell if they lead in
    /// circles, which no layer that was ever unpacked does.
    fn real(&self, folder: &Path) -> PathBuf {
        let mut real = PathBuf::new();
        let mut parts: Vec<OsString> = folder.iter().rev().map(OsStr::to_owned).collect();
        let mut links = 0;
        while let Some(part) = parts.pop() {
            match part.as_bytes() {
                b"." => continue,
                b"/" => real = PathBuf::new(),
                b".." => drop(real.pop()),
                _ => real.push(&part),
            }
            if let Some(target) = self.expected.get(&real).and_then(Expected::target)
                && links < MAX_LINKS
            {
                links += 1;
                real.pop();
                parts.extend(Path::new(target).iter().rev().map(OsStr::to_owned));
            }
        }
        real
    }

    /// What in the layer's folder is not as it should be.
    pub(super) fn compare(mut self, layer: &Root, path: &Path) -> Result<Vec<LayerFault>> {
        let path = path.join("diff");
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

impl Expected {
    /// Where a symbolic link leads.
    fn target(&self) -> Option<&OsStr> {
        match self {
            Expected::Entry { kind: EntryKind::Symlink, link, .. } => Some(link),
            _ => None,
        }
    }

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
