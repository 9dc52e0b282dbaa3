//! What a client sends with a build: an archive of files, or a Dockerfile alone.

mod folder;
mod small;

use std::ffi::OsStr;
use std::io::{Cursor, Read};
use std::path::Path;

use dockerfile::{Ignore, MAX_BYTES};

pub(crate) use self::folder::Folder;
use self::small::{SMALL_BYTES, Small};
use crate::{ContextFiles, ContextSource, Error, Repository, Result, Secrets};

/// Bytes at the beginning of a body that tell what it is.
const MAGIC_BYTES: usize = 1024;
/// What most archives that hold little more than a Dockerfile take.
const HEAD_BYTES: usize = 16 * 1024;

/// A build context that is here as a whole. What of it is on the disk is removed with it.
#[derive(Debug)]
pub struct Context(Box<dyn ContextSource>);

impl Context {
    /// Longest archive that stays in memory, in bytes as it was sent.
    pub const SMALL_BYTES: usize = SMALL_BYTES;

    /// Takes an archive (plain, gzip, bzip2, xz, zstd); its files are unpacked in a new folder in `temporary`, those of a small
    /// and plain one only when a step needs them.
    ///
    /// # Errors
    /// The body is empty or no archive.
    pub fn unpack(mut body: impl Read, temporary: &Path) -> Result<Self> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        let small = (&mut body).take(SMALL_BYTES as u64 + 1).read_to_end(&mut head);
        small.map_err(Error::io("reading the build context"))?;
        if head.is_empty() {
            return Err(Error::Io {
                action: "reading the build context",
                source: std::io::ErrorKind::UnexpectedEof.into(),
            });
        }
        Ok(match Small::read(head, temporary) {
            Ok(small) => Self(Box::new(small)),
            Err(head) => Folder::unpack(Cursor::new(head).chain(body), temporary)?.into(),
        })
    }

    /// The same of an archive that needs nothing but memory: small and plain, of files and folders. `None` for any other.
    pub fn in_memory(body: &[u8], temporary: &Path) -> Option<Self> {
        if !is_plain_archive(body) {
            return None;
        }
        Some(Self(Box::new(Small::read(body.to_vec(), temporary).ok()?)))
    }

    /// A context with nothing but a Dockerfile of this name.
    ///
    /// # Errors
    /// The folder cannot be made, or the body is too long.
    fn dockerfile_alone(body: impl Read, name: &str, temporary: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        body.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(Error::io("reading the Dockerfile"))?;
        if bytes.len() > MAX_BYTES {
            return Err(too_long(name, MAX_BYTES));
        }
        Ok(Folder::of_file(OsStr::new(name), bytes.as_slice(), temporary)?.into())
    }

    /// The files of a git repository. `go_on` is asked all the while whether somebody still waits.
    ///
    /// # Errors
    /// The repository cannot be had, or does not have what is wanted of it.
    pub fn of_repository(
        repository: &Repository,
        temporary: &Path,
        secrets: &dyn Secrets,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        let whole = Folder::checkout(repository, temporary, secrets, go_on)?;
        Ok(whole.narrowed(&repository.folder, &repository.url)?.into())
    }

    /// What came from an address: an archive, or a Dockerfile alone.
    ///
    /// # Errors
    /// It is neither.
    pub fn of_body(body: impl Read, name: &str, temporary: &Path) -> Result<Self> {
        match is_archive(body)? {
            (true, body) => Self::unpack(body, temporary),
            (false, body) => Self::dockerfile_alone(body, name, temporary),
        }
    }
}

impl From<Folder> for Context {
    fn from(folder: Folder) -> Self {
        Self(Box::new(folder))
    }
}

impl ContextSource for Context {
    fn read(&self, path: &str, limit_bytes: usize) -> Result<Option<Vec<u8>>> {
        self.0.read(path, limit_bytes)
    }

    fn files(&self, ignore: &Ignore) -> Result<ContextFiles> {
        self.0.files(ignore)
    }
}

/// Whether a body that came from an address is an archive rather than a Dockerfile; the body is whole in the second value.
///
/// # Errors
/// The body cannot be read.
fn is_archive<R: Read>(mut body: R) -> Result<(bool, impl Read + use<R>)> {
    let mut head = Vec::new();
    (&mut body).take(MAGIC_BYTES as u64).read_to_end(&mut head).map_err(Error::io("reading the build context"))?;
    let packed = head.starts_with(&[0x1f, 0x8b])
        || head.starts_with(b"BZh")
        || head.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0])
        || head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    Ok((packed || is_plain_archive(&head), Cursor::new(head).chain(body)))
}

/// Whether a body begins as a tar archive that is not compressed.
fn is_plain_archive(body: &[u8]) -> bool {
    body.get(257..262) == Some(b"ustar")
}

fn too_long(name: &str, limit_bytes: usize) -> Error {
    Error::Invalid(format!("failed to parse {name}: it is longer than {limit_bytes} bytes"))
}

/// A path of the context, relative and clean; `None` if it leads out.
pub(crate) fn inside(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
