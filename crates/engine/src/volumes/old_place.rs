//! Where Docker up to 1.6 kept volumes: `<data root>/vfs/dir/<id>`.
//!
//! Clients of that time know volumes by their folder alone, and the ladder tells them the folder's old name. So that the
//! name is true, a link there leads to the volume's data. Volumes had no names then; only those that have an id for a name
//! have a link.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The old place of a volume; none if it was named by somebody.
fn place(root: &Path, name: &str) -> Option<PathBuf> {
    let id = name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    id.then(|| root.join("vfs/dir").join(name))
}

/// Makes the link of a new volume.
pub(super) fn link(root: &Path, name: &str) -> Result<()> {
    let Some(place) = place(root, name) else { return Ok(()) };
    let data = format!("../../volumes/{name}/_data");
    let linked = symlink(&data, &place).or_else(|error| match error.kind() {
        ErrorKind::NotFound => std::fs::create_dir_all(root.join("vfs/dir")).and_then(|()| symlink(&data, &place)),
        // Left by a daemon that died before it had written the volume down.
        ErrorKind::AlreadyExists => Ok(()),
        _ => Err(error),
    });
    linked.map_err(|error| Error::system(format!("cannot link {}: {error}", place.display())).caused_by(error))
}

/// Removes the link of a volume, if there is one.
pub(super) fn unlink(root: &Path, name: &str) -> Result<()> {
    let Some(place) = place(root, name) else { return Ok(()) };
    match std::fs::remove_file(&place) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::system(format!("cannot remove {}: {error}", place.display())).caused_by(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_the_data() -> std::result::Result<(), Box<dyn std::error::Error>> {
        let root = std::env::temp_dir().join(format!("longshore-old-place-{}", std::process::id()));
        let id = "0123456789abcdef".repeat(4);
        let data = root.join("volumes").join(&id).join("_data");
        std::fs::create_dir_all(&data)?;
        link(&root, &id)?;
        link(&root, &id)?;
        link(&root, "named")?;
        assert_eq!(root.join("vfs/dir").join(&id).canonicalize()?, data.canonicalize()?);
        unlink(&root, &id)?;
        unlink(&root, &id)?;
        assert_eq!(std::fs::read_dir(root.join("vfs/dir"))?.count(), 0);
        std::fs::remove_dir_all(&root)?;
        Ok(())
    }
}
