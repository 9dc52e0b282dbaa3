//! A build context that is small enough to stay in memory.
//!
//! Most builds that are wholly cached need nothing of their context but the Dockerfile. For those a folder, a file and their removal
//! would be half of the work.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dockerfile::Ignore;
use storage::tar::{Entry, EntryKind, Reader};

use super::Folder;
use super::inside;
use crate::{ContextFiles, ContextSource, Result};

/// Longest archive that stays in memory, in bytes as it was sent.
pub(super) const SMALL_BYTES: usize = 64 * 1024;
/// Longest that it may be when it is decompressed.
const PLAIN_BYTES: usize = 1024 * 1024;

/// By clean path the contents of each file; nothing for a folder.
type Entries = BTreeMap<String, Option<Vec<u8>>>;

/// An archive of nothing but files and folders, unpacked when its files are asked for.
#[derive(Debug)]
pub(super) struct Small {
    archive: Vec<u8>,
    entries: Entries,
    temporary: PathBuf,
    folder: OnceLock<Folder>,
}

impl Small {
    /// Looks through an archive. One that is long, damaged or has links and other things than files in folders is given back: only
    /// unpacking tells what its paths lead to, or what is wrong with it.
    pub(super) fn read(archive: Vec<u8>, temporary: &Path) -> Result<Self, Vec<u8>> {
        match plain_entries(&archive) {
            Some(entries) => Ok(Self { archive, entries, temporary: temporary.to_owned(), folder: OnceLock::new() }),
            None => Err(archive),
        }
    }

    fn folder(&self) -> Result<&Folder> {
        if let Some(folder) = self.folder.get() {
            return Ok(folder);
        }
        let unpacked = Folder::unpack(self.archive.as_slice(), &self.temporary)?;
        Ok(self.folder.get_or_init(|| unpacked))
    }
}

impl ContextSource for Small {
    fn read(&self, path: &str, limit_bytes: usize) -> Result<Option<Vec<u8>>> {
        match self.entries.get(path) {
            Some(Some(contents)) if contents.len() <= limit_bytes => Ok(Some(contents.clone())),
            None if !parents(path).any(|parent| matches!(self.entries.get(parent), Some(Some(_)))) => Ok(None),
            // What is wrong with it is for the folder to say.
            _ => self.folder()?.read(path, limit_bytes),
        }
    }

    fn files(&self, ignore: &Ignore) -> Result<ContextFiles> {
        self.folder()?.files(ignore)
    }
}

/// What an archive holds; `None` unless it is short and whole, and has nothing but files in folders that replace each other only by
/// their like.
fn plain_entries(archive: &[u8]) -> Option<Entries> {
    if archive.len() > SMALL_BYTES {
        return None;
    }
    let mut plain = Vec::with_capacity(archive.len());
    storage::compression::decompress(archive).ok()?.take(PLAIN_BYTES as u64 + 1).read_to_end(&mut plain).ok()?;
    if plain.len() > PLAIN_BYTES {
        return None;
    }
    let mut reader = Reader::new(plain.as_slice());
    let mut entries = Entries::new();
    while let Some(entry) = reader.next_entry().ok()? {
        let (path, is_file) = place(&entry)?;
        for parent in parents(&path) {
            if entries.entry(parent.to_owned()).or_default().is_some() {
                return None;
            }
        }
        let contents = if is_file { Some(contents(&mut reader)?) } else { None };
        let replaced = entries.insert(path, contents);
        if replaced.is_some_and(|replaced| replaced.is_some() != is_file) {
            return None;
        }
    }
    Some(entries)
}

/// The clean path of a file or folder, and whether it is a file; `None` for anything else and for paths that go up.
fn place(entry: &Entry) -> Option<(String, bool)> {
    let is_file = match entry.kind {
        EntryKind::File if entry.sparse.is_none() => true,
        EntryKind::Directory => false,
        _ => return None,
    };
    let path = entry.path.to_str().filter(|path| path.split('/').all(|part| part != ".."))?;
    let path = inside(path)?;
    (!path.is_empty() || !is_file).then_some((path, is_file))
}

fn contents(reader: &mut Reader<impl BufRead>) -> Option<Vec<u8>> {
    let mut contents = Vec::new();
    loop {
        let chunk = reader.chunk().ok()?;
        if chunk.is_empty() {
            return Some(contents);
        }
        contents.extend_from_slice(chunk);
        let length = chunk.len();
        reader.consume(length);
    }
}

/// The folders that a path lies in, without the topmost.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use storage::tar::Writer;

    use super::*;

    const FILE: EntryKind = EntryKind::File;
    const FOLDER: EntryKind = EntryKind::Directory;

    fn archive(entries: &[(&str, EntryKind, &str)]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        for (path, kind, text) in entries {
            let (link, contents) = if *kind == FILE { ("", *text) } else { (*text, "") };
            let entry = Entry { link: link.into(), size: contents.len() as u64, ..Entry::new(*path, *kind) };
            writer.append(&entry, contents.as_bytes()).unwrap();
        }
        writer.finish().unwrap()
    }

    fn small(temporary: &Path, entries: &[(&str, EntryKind, &str)]) -> Option<Small> {
        Small::read(archive(entries), temporary).ok()
    }

    #[test]
    fn reads_as_an_unpacked_folder_does() {
        let temporary = tempfile::tempdir().unwrap();
        let entries =
            [("./", FOLDER, ""), ("./Dockerfile", FILE, "old"), ("a//b/c", FILE, "c"), ("Dockerfile", FILE, "FROM x")];
        let small = small(temporary.path(), &entries).unwrap();
        assert_eq!(small.read("Dockerfile", 6).unwrap().unwrap(), b"FROM x");
        assert_eq!(small.read("a/b/c", 6).unwrap().unwrap(), b"c");
        assert_eq!(small.read("a/b/d", 6).unwrap(), None);
        assert_eq!(small.read(".dockerignore", 6).unwrap(), None);
        assert!(small.folder.get().is_none(), "nothing needed the disk yet");

        let folder = Folder::unpack(archive(&entries).as_slice(), temporary.path()).unwrap();
        for (path, limit) in [("Dockerfile", 5), ("a/b", 100), ("a", 100), ("a/b/c/d", 100)] {
            let told = small.read(path, limit).unwrap_err().to_string();
            assert_eq!(told, folder.read(path, limit).unwrap_err().to_string(), "{path}");
        }
        let files = small.files(&Ignore::parse("a/b").unwrap()).unwrap();
        assert_eq!(files.root.read("Dockerfile", 100).unwrap(), b"FROM x");
        assert!(files.root.read("a/b/c", 100).is_err());
        drop((small, folder));
        assert_eq!(temporary.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn what_is_not_plain_is_unpacked() {
        let temporary = tempfile::tempdir().unwrap();
        let long = "x".repeat(PLAIN_BYTES);
        for entries in [
            &[("Dockerfile", EntryKind::Symlink, "x")][..],
            &[("a", FILE, ""), ("b", EntryKind::HardLink, "a")],
            &[("a", FILE, ""), ("a/b", FILE, "")],
            &[("a/b", FILE, ""), ("a", FILE, "")],
            &[("a", FILE, ""), ("a", FOLDER, "")],
            &[("a/../b", FILE, "")],
            &[("pipe", EntryKind::Fifo, "")],
            &[("long", FILE, &long)],
        ] {
            assert!(small(temporary.path(), entries).is_none(), "{entries:?}");
        }
        let whole = archive(&[("a", FILE, "text")]);
        assert_eq!(Small::read(whole[..514].to_vec(), temporary.path()).unwrap_err().len(), 514);
    }

    #[test]
    fn memory_is_bounded_whatever_an_archive_becomes() {
        let temporary = tempfile::tempdir().unwrap();
        let packed = |bytes: usize| {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&archive(&[("zeros", FILE, &"0".repeat(bytes))])).unwrap();
            gzip.finish().unwrap()
        };
        assert!(Small::read(packed(PLAIN_BYTES / 2), temporary.path()).is_ok());
        assert!(Small::read(packed(PLAIN_BYTES * 2), temporary.path()).is_err());
    }
}
