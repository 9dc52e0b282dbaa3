//! What a client sends with a build: an archive of files, or a Dockerfile alone.

use std::io::{Cursor, Read};
use std::path::Path;

use rustix::io::Errno;
use sys::root::{Kind, Root};
use tempfile::TempDir;

use crate::dockerfile::MAX_BYTES;
use crate::ignore::Ignore;
use crate::{Dialect, Error, Result};

/// Docker's name where the client gives none.
pub(crate) const DOCKERFILE: &str = "Dockerfile";
const IGNORE: &str = ".dockerignore";
/// Largest `.dockerignore`.
const IGNORE_BYTES: usize = 1024 * 1024;
/// Bytes at the beginning of a body that tell what it is.
const HEAD_BYTES: usize = 1024;

/// A build context, unpacked in a folder of its own that is removed with it.
#[derive(Debug)]
pub struct Context {
    root: Root,
    dockerfile: String,
    name: String,
    _folder: TempDir,
}

impl Context {
    /// Unpacks an archive (plain, gzip, bzip2, xz, zstd) in a new folder in `temporary` and finds the Dockerfile in it:
    /// `dockerfile`, or `Dockerfile` if that is empty. By today's rules what `.dockerignore` names is left out.
    ///
    /// # Errors
    /// The body is no archive, or has no Dockerfile.
    pub fn unpack(body: impl Read, dockerfile: &str, dialect: Dialect, temporary: &Path) -> Result<Self> {
        let (folder, root) = new_folder(temporary)?;
        let (head, body) = peek(body)?;
        if head.is_empty() {
            return Err(Error::Io {
                action: "reading the build context",
                source: std::io::ErrorKind::UnexpectedEof.into(),
            });
        }
        storage::archive::unarchive(&root, Path::new("/"), body, &storage::Unarchive::default())?;
        let name = if dockerfile.is_empty() { DOCKERFILE } else { dockerfile };
        let (name, text) = read_dockerfile(&root, name)?;
        if !dialect.is_old() {
            drop_ignored(&root, &name)?;
        }
        Ok(Self { root, dockerfile: text, name, _folder: folder })
    }

    /// A context with nothing but a Dockerfile.
    ///
    /// # Errors
    /// The folder cannot be made, or the body is too long or no text.
    pub fn dockerfile_alone(body: impl Read, temporary: &Path) -> Result<Self> {
        let (folder, root) = new_folder(temporary)?;
        let mut bytes = Vec::new();
        body.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(Error::io("reading the Dockerfile"))?;
        if bytes.len() > MAX_BYTES {
            return Err(too_long(DOCKERFILE));
        }
        root.write(DOCKERFILE, &bytes, 0o600)?;
        let dockerfile = text(DOCKERFILE, bytes)?;
        Ok(Self { root, dockerfile, name: DOCKERFILE.to_owned(), _folder: folder })
    }

    /// Whether a body that came from an address is an archive rather than a Dockerfile; the body is whole in the second
    /// value.
    ///
    /// # Errors
    /// The body cannot be read.
    pub fn is_archive(body: impl Read) -> Result<(bool, impl Read)> {
        let (head, body) = peek(body)?;
        let plain = head.get(257..262) == Some(b"ustar");
        let packed = head.starts_with(&[0x1f, 0x8b])
            || head.starts_with(b"BZh")
            || head.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0])
            || head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
        Ok((plain || packed, body))
    }

    /// The text of the Dockerfile.
    pub fn dockerfile(&self) -> &str {
        &self.dockerfile
    }

    /// The Dockerfile's path in the context.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The files.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }
}

fn new_folder(temporary: &Path) -> Result<(TempDir, Root)> {
    let folder = tempfile::Builder::new()
        .prefix("build-")
        .tempdir_in(temporary)
        .map_err(Error::io("making a folder for the build context"))?;
    let root = Root::open(folder.path())?;
    Ok((folder, root))
}

/// The beginning of a body, and the whole of it.
fn peek<R: Read>(mut body: R) -> Result<(Vec<u8>, impl Read + use<R>)> {
    let mut head = Vec::new();
    (&mut body).take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(Error::io("reading the build context"))?;
    Ok((head.clone(), Cursor::new(head).chain(body)))
}

fn read_dockerfile(root: &Root, wanted: &str) -> Result<(String, String)> {
    let path = inside(wanted)
        .ok_or_else(|| Error::Invalid(format!("Forbidden path outside the build context: {wanted} ({wanted})")))?;
    let missing = || Error::Step(format!("Cannot locate specified Dockerfile: {wanted}"));
    let mut name = path.clone();
    let read = match root.read(&path, MAX_BYTES) {
        Err(error) if error.is_not_found() && path == DOCKERFILE => {
            name = path.to_ascii_lowercase();
            root.read(&name, MAX_BYTES)
        }
        other => other,
    };
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Err(missing()),
        Err(error) if error.errno() == Errno::FBIG => return Err(too_long(wanted)),
        Err(error) => return Err(error.into()),
    };
    if bytes.is_empty() {
        return Err(Error::Invalid(format!("the Dockerfile ({wanted}) cannot be empty")));
    }
    Ok((name, text(wanted, bytes)?))
}

fn text(name: &str, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| Error::Invalid(format!("failed to parse {name}: it is not UTF-8 text")))
}

fn too_long(name: &str) -> Error {
    Error::Invalid(format!("failed to parse {name}: it is longer than {MAX_BYTES} bytes"))
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

/// Removes what the ignore file names, which the Dockerfile's own goes before.
fn drop_ignored(root: &Root, dockerfile: &str) -> Result<()> {
    let mut text = None;
    for name in [format!("{dockerfile}{IGNORE}"), IGNORE.to_owned()] {
        match root.read(&name, IGNORE_BYTES) {
            Ok(bytes) => {
                text = Some(String::from_utf8_lossy(&bytes).into_owned());
                break;
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let Some(text) = text else { return Ok(()) };
    let ignore =
        Ignore::parse(&text).map_err(|error| Error::Invalid(format!("error from daemon reading {IGNORE}: {error}")))?;
    if ignore.is_empty() {
        return Ok(());
    }
    let mut folders = vec![String::new()];
    let mut excluded_folders = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in root.read_dir(Path::new(&folder))? {
            // A name that is no text fits no pattern.
            let Some(name) = entry.name.to_str() else { continue };
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            let excluded = ignore.excludes(&path);
            if entry.kind == Kind::Directory && (!excluded || ignore.has_exceptions()) {
                excluded_folders.extend(excluded.then(|| path.clone()));
                folders.push(path);
            } else if excluded {
                root.remove(Path::new(&path))?;
            }
        }
    }
    // Inner folders come after those that they are in.
    for folder in excluded_folders.iter().rev() {
        match root.rmdir(Path::new(folder)) {
            Err(error) if error.errno() == Errno::NOTEMPTY => {}
            other => other?,
        }
    }
    Ok(())
}
