//! Paths in an image: where a name really leads once the image's links are followed.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;
use sys::root::{Kind, Metadata, Root};

use crate::{Error, Result};

/// As many links as the kernel follows in one path.
const MAX_LINKS: usize = 40;

/// The file system that a layer will lie on, and what the layer puts there.
pub(crate) struct Place<'a> {
    lower: &'a Root,
    written: HashSet<PathBuf>,
}

impl<'a> Place<'a> {
    pub(crate) fn new(lower: &'a Root) -> Self {
        Self { lower, written: HashSet::new() }
    }

    /// The path with all links in it followed, the last name's too; relative. What does not exist stays as it is.
    pub(crate) fn resolve(&self, path: &Path) -> Result<PathBuf> {
        let mut pending: Vec<OsString> = names(path);
        let mut real = PathBuf::new();
        let mut links = 0;
        while let Some(name) = pending.pop() {
            if name == ".." {
                real.pop();
                continue;
            }
            let next = real.join(&name);
            if self.written.contains(&next) {
                real = next;
                continue;
            }
            match self.lookup(&next)?.filter(|metadata| metadata.kind() == Kind::Symlink) {
                None => real = next,
                Some(_) if links == MAX_LINKS => {
                    return Err(Error::Step(format!("too many links in {}", path.display())));
                }
                Some(_) => {
                    links += 1;
                    let target = self.lower.read_link(&next)?;
                    if target.is_absolute() {
                        real = PathBuf::new();
                    }
                    pending.extend(names(&target));
                }
            }
        }
        Ok(real)
    }

    /// The path with the links of its folders followed, its last name kept.
    pub(crate) fn resolve_folder(&self, path: &Path) -> Result<PathBuf> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(self.resolve(parent)?.join(name)),
            _ => Ok(PathBuf::new()),
        }
    }

    /// What the image has at a resolved path.
    pub(crate) fn lookup(&self, path: &Path) -> Result<Option<Metadata>> {
        if path.as_os_str().is_empty() {
            return Ok(Some(self.lower.symlink_metadata(".")?));
        }
        match self.lower.lookup(path) {
            Err(error) if matches!(error.errno(), Errno::NOTDIR | Errno::LOOP) => Ok(None),
            other => Ok(other?),
        }
    }

    /// Whether a resolved path is a folder, in the image or by this layer.
    pub(crate) fn is_folder(&self, path: &Path) -> Result<bool> {
        Ok(self.written.contains(path) || self.lookup(path)?.is_some_and(|metadata| metadata.is_dir()))
    }

    /// Folders on the way to a resolved path that are not there yet, outermost first. They count as written.
    pub(crate) fn missing_folders(&mut self, path: &Path) -> Result<Vec<PathBuf>> {
        let mut missing = Vec::new();
        for folder in path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
            if self.is_folder(folder)? {
                break;
            }
            if self.lookup(folder)?.is_some() {
                return Err(Error::Step(format!("/{}: not a directory", folder.display())));
            }
            missing.push(folder.to_path_buf());
        }
        missing.reverse();
        self.written.extend(missing.iter().cloned());
        Ok(missing)
    }

    /// Notes what this layer puts at a path.
    pub(crate) fn wrote(&mut self, path: &Path) {
        self.written.insert(path.to_path_buf());
    }
}

/// The names of a path, last first.
fn names(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_os_string()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_inside() -> Result<()> {
        let folder = tempfile::tempdir().map_err(Error::io("making a folder"))?;
        let root = Root::open(folder.path())?;
        root.mkdir_all("usr/lib", 0o755, None)?;
        root.symlink("usr/lib", "lib")?;
        root.symlink("/../../usr", "out")?;
        root.symlink("round", "round")?;
        let mut place = Place::new(&root);
        assert_eq!(place.resolve(Path::new("/lib/x/y"))?, Path::new("usr/lib/x/y"));
        assert_eq!(place.resolve(Path::new("/out/z"))?, Path::new("usr/z"));
        assert_eq!(place.resolve_folder(Path::new("/lib"))?, Path::new("lib"));
        assert!(place.resolve(Path::new("round")).is_err());
        assert_eq!(place.missing_folders(Path::new("usr/a/b/c"))?, [Path::new("usr/a"), Path::new("usr/a/b")]);
        assert!(place.is_folder(Path::new("usr/a"))?);
        root.write("file", b"", 0o644)?;
        assert!(place.missing_folders(Path::new("file/x")).is_err());
        place.wrote(Path::new("lib"));
        assert_eq!(place.resolve(Path::new("/lib/x"))?, Path::new("lib/x"));
        Ok(())
    }
}
