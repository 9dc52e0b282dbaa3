//! An archive's members in one nameless temporary file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use model::Digest;
use sha2::{Digest as _, Sha256};
use storage::compression::decompress;
use storage::tar::{EntryKind, Reader};

use crate::{Error, Result};

/// Most members an archive may have: the largest honest ones have a few thousand.
const MAX_MEMBERS: usize = 100_000;
/// Longest path that is kept; honest ones have a hundred bytes.
const MAX_PATH_BYTES: usize = 512;
/// Largest JSON document that is read into memory.
const MAX_DOCUMENT_BYTES: u64 = 16 << 20;
/// Longest chain of links that is followed.
const MAX_LINKS: usize = 8;

/// The files of an archive.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    members: HashMap<String, Member>,
}

#[derive(Debug, Clone)]
enum Member {
    File { offset: u64, size_bytes: u64 },
    Link(String),
}

impl Spool {
    /// Reads a whole archive, plain or compressed, into a file beneath `folder` that vanishes with this value.
    pub(super) fn fill(archive: impl Read, folder: &Path) -> Result<Self> {
        let failed = |source| Error::File { path: folder.to_owned(), source };
        let file = nameless(folder).map_err(failed)?;
        let mut out = BufWriter::with_capacity(1 << 17, &file);
        let mut members = HashMap::new();
        let mut offset = 0;
        let mut tar = Reader::new(BufReader::with_capacity(1 << 17, decompress(archive)?));
        while let Some(entry) = tar.next_entry()? {
            let Some(path) = normal(&[], entry.path.as_bytes()) else { continue };
            let member = match entry.kind {
                EntryKind::File if entry.sparse.is_none() => {
                    let size_bytes = copy(&mut tar, &mut out).map_err(|error| error.at(folder))?;
                    offset += size_bytes;
                    Some(Member::File { offset: offset - size_bytes, size_bytes })
                }
                EntryKind::HardLink => normal(&[], entry.link.as_bytes()).map(Member::Link),
                EntryKind::Symlink => {
                    let folder: Vec<&str> =
                        path.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev().collect();
                    normal(&folder, entry.link.as_bytes()).map(Member::Link)
                }
                _ => None,
            };
            if members.len() >= MAX_MEMBERS {
                return Err(Error::Limit { what: "the number of members".to_owned(), limit: MAX_MEMBERS as u64 });
            }
            members.extend(member.map(|member| (path, member)));
        }
        out.flush().map_err(failed)?;
        drop(out);
        Ok(Self { file, members })
    }

    /// Whether there is a file of this name.
    pub(super) fn contains(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// Size of a file in bytes.
    pub(super) fn size(&self, path: &str) -> Result<u64> {
        self.find(path).map(|(_, size_bytes)| size_bytes).ok_or_else(|| Error::Member(path.to_owned()))
    }

    /// Names of all files, in no order.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// A whole small file.
    pub(super) fn document(&self, path: &str) -> Result<Vec<u8>> {
        let (offset, size_bytes) = self.find(path).ok_or_else(|| Error::Member(path.to_owned()))?;
        if size_bytes > MAX_DOCUMENT_BYTES {
            return Err(Error::Limit { what: path.to_owned(), limit: MAX_DOCUMENT_BYTES });
        }
        let mut bytes = Vec::new();
        let mut contents = Contents::new(&self.file, offset, size_bytes, path, None);
        contents.read_to_end(&mut bytes).map_err(|source| Error::Stream { what: "reading the archive", source })?;
        Ok(bytes)
    }

    /// A file's contents; [`Contents::verify`] at their end compares them with the digest, if one is given.
    pub(super) fn verified(&self, path: &str, digest: Option<Digest>) -> Result<Contents<'_>> {
        let (offset, size_bytes) = self.find(path).ok_or_else(|| Error::Member(path.to_owned()))?;
        Ok(Contents::new(&self.file, offset, size_bytes, path, digest))
    }

    /// Offset and size of a file, links followed.
    fn find(&self, path: &str) -> Option<(u64, u64)> {
        let mut path = normal(&[], path.as_bytes())?;
        for _ in 0..=MAX_LINKS {
            match self.members.get(&path)? {
                Member::File { offset, size_bytes } => return Some((*offset, *size_bytes)),
                Member::Link(target) => path = target.clone(),
            }
        }
        None
    }
}

/// What failed while a member was copied.
enum Copying {
    Archive(storage::Error),
    Spool(io::Error),
}

impl Copying {
    fn at(self, folder: &Path) -> Error {
        match self {
            Self::Archive(error) => error.into(),
            Self::Spool(source) => Error::File { path: folder.to_owned(), source },
        }
    }
}

fn copy<R: io::BufRead>(tar: &mut Reader<R>, out: &mut impl Write) -> Result<u64, Copying> {
    let mut copied = 0;
    loop {
        let chunk = tar.chunk().map_err(Copying::Archive)?;
        if chunk.is_empty() {
            return Ok(copied);
        }
        out.write_all(chunk).map_err(Copying::Spool)?;
        let bytes = chunk.len();
        copied += bytes as u64;
        tar.consume(bytes);
    }
}

/// A file that has no name: whatever happens, the kernel frees it.
fn nameless(folder: &Path) -> io::Result<File> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let path = folder.join(format!("load-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// A path in its only form, seen from `folder`: no empty parts, no `.`, and `..` resolved; `None` if it leads out of the
/// archive, is too long or no text.
fn normal(folder: &[&str], path: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(path).ok().filter(|path| path.len() <= MAX_PATH_BYTES)?;
    let mut parts: Vec<&str> = if path.starts_with('/') { Vec::new() } else { folder.to_vec() };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// Contents of a member, read from its place in the file.
pub(super) struct Contents<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
    path: String,
    check: Option<(Digest, Sha256)>,
}

impl<'a> Contents<'a> {
    fn new(file: &'a File, offset: u64, size_bytes: u64, path: &str, digest: Option<Digest>) -> Self {
        let check = digest.map(|digest| (digest, Sha256::new()));
        Self { file, offset, left: size_bytes, path: path.to_owned(), check }
    }

    /// Reads what is left and compares the digest.
    pub(super) fn verify(mut self) -> Result<()> {
        if self.check.is_some() {
            io::copy(&mut self, &mut io::sink())
                .map_err(|source| Error::Stream { what: "reading the archive", source })?;
        }
        let Some((expected, hash)) = self.check else { return Ok(()) };
        let bytes: [u8; 32] = hash.finalize().into();
        let found = Digest::new(bytes);
        if found == expected { Ok(()) } else { Err(Error::Digest { what: self.path, expected, found }) }
    }
}

impl Read for Contents<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..most], self.offset)?;
        if read == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += read as u64;
        self.left -= read as u64;
        if let Some((_, hash)) = &mut self.check {
            hash.update(&buffer[..read]);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn paths() {
        assert_eq!(normal(&[], b"./a//b/").as_deref(), Some("a/b"));
        assert_eq!(normal(&["x", "y"], b"../z").as_deref(), Some("x/z"));
        assert_eq!(normal(&["x"], b"/z").as_deref(), Some("z"));
        for bad in [&b"../a"[..], b"", b".", b"a/../../b", b"\xff"] {
            assert_eq!(normal(&[], bad), None);
        }
        assert_eq!(normal(&[], "a".repeat(513).as_bytes()), None);
    }
}
