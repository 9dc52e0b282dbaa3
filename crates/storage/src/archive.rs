//! Files of a container as tar streams: export, copy out, copy in, path stat.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;
use sys::root::{Kind, Metadata, Owner, Root};

use crate::apply::{Applier, Flavour, PlainFlavour};
use crate::pipeline;
use crate::tar::Reader;
use crate::tree::{Form, TreeWriter};
use crate::{Error, Result};

/// What a path in a container is, for `X-Docker-Container-Path-Stat`.
#[derive(Clone, Debug)]
pub struct PathStat {
    /// The last name of the path.
    pub name: String,
    /// What `lstat` says.
    pub metadata: Metadata,
    /// For a symbolic link, the absolute path it leads to in the container; else empty.
    pub link_target: PathBuf,
}

/// How a tar is unpacked into a container.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unarchive {
    /// Refuse to replace a directory by something else and the other way round.
    pub no_overwrite_dir_non_dir: bool,
    /// Give everything to this owner instead of the one the tar says.
    pub owner: Option<Owner>,
}

/// Writes a whole root file system as tar: names without leading `/`, numeric owners, hard links and capabilities kept, sockets left
/// out.
pub fn export(root: &Root, out: impl Write) -> Result<()> {
    let mut writer = TreeWriter::new(out, Form::Plain);
    writer.contents(root, OsStr::new(""))?;
    writer.finish()
}

/// An existing entry a path of the API names.
struct Named {
    /// The directory it is in and its name there; `.` for the root itself.
    dir: Root,
    name: PathBuf,
    metadata: Metadata,
    /// The path ended in `/.`: its contents are meant.
    contents: bool,
}

fn find(root: &Root, path: &Path) -> Result<Named> {
    let bytes = path.as_os_str().as_bytes();
    let contents = bytes == b"." || bytes.ends_with(b"/.");
    let follow = contents || bytes.ends_with(b"/");
    let no_path = |error: sys::root::Error| match error.errno() {
        Errno::NOENT | Errno::NOTDIR => Error::NoPath(path.to_path_buf()),
        _ => error.into(),
    };
    let (dir, name) = if follow {
        (root.open_dir(path).map_err(no_path)?, PathBuf::from("."))
    } else {
        root.resolve_parent(path).map_err(no_path)?
    };
    let metadata = dir.symlink_metadata(&name).map_err(no_path)?;
    Ok(Named { dir, name, metadata, contents })
}

/// The last name of a path, `/` for the root and what `..` leads to.
fn base_name(path: &Path) -> OsString {
    match path.components().next_back() {
        Some(Component::Normal(name)) => name.to_os_string(),
        _ => OsString::from("/"),
    }
}

/// What is at a path of a container (the last name not followed unless the path ends in `/` or `/.`).
pub fn stat(root: &Root, path: &Path) -> Result<PathStat> {
    let named = find(root, path)?;
    let mut link_target = PathBuf::new();
    if named.metadata.kind() == Kind::Symlink {
        let text = named.dir.read_link(&named.name)?;
        // Where it leads if that exists, else where it says.
        link_target = match root.canonical(path) {
            Ok(target) => target,
            Err(_) => lexical(&Path::new("/").join(path.parent().unwrap_or(Path::new(""))).join(text)),
        };
    }
    let name = base_name(path).to_string_lossy().into_owned();
    Ok(PathStat { name, metadata: named.metadata, link_target })
}

fn lexical(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    clean
}

/// Writes a file, or a directory with all it holds, as tar; the names start with the path's last name, and with
/// `./` for a path that ends in `/.` (and for `/` itself).
pub fn archive(root: &Root, path: &Path, out: impl Write) -> Result<()> {
    let named = find(root, path)?;
    let base = base_name(path);
    let is_top = named.contents || base == "/";
    let mut writer = TreeWriter::new(out, Form::Plain);
    let own_path = if is_top { OsStr::new(".") } else { &base };
    writer.entry(&named.dir, named.name.as_os_str(), own_path, &named.metadata)?;
    if named.metadata.is_dir() {
        let prefix = if is_top { OsStr::new("") } else { &base };
        writer.contents(&named.dir.open_dir(&named.name)?, prefix)?;
    }
    writer.finish()
}

/// Unpacks a tar (plain or compressed) into an existing directory of a container. `.wh.` names mean nothing here.
pub fn unarchive(root: &Root, path: &Path, tar: impl Read, how: &Unarchive) -> Result<()> {
    let prefix = match root.open_dir(path).and_then(|_| root.canonical(path)) {
        Ok(prefix) => prefix.strip_prefix("/").map(Path::to_path_buf).unwrap_or_default(),
        Err(error) if error.errno() == Errno::NOTDIR => return Err(Error::NotADirectory),
        Err(error) if error.is_not_found() => return Err(Error::NoPath(path.to_path_buf())),
        Err(error) => return Err(error.into()),
    };
    let plain = PlainFlavour { no_overwrite_dir_non_dir: how.no_overwrite_dir_non_dir, owner: how.owner };
    pipeline::run(tar, |incoming| {
        let mut reader = Reader::new(incoming);
        let mut applier = Applier::new(root, prefix, Flavour::Plain(plain));
        while let Some(entry) = reader.next_entry()? {
            applier.apply(&entry, &mut reader)?;
        }
        applier.finish()
    })?;
    Ok(())
}
