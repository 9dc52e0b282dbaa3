//! `ADD` and `COPY`: which files, where to, and the layer that they become. No container is needed: the files are written
//! into a tar stream, with the paths that they have once the image's links are followed.

mod archive;
mod layer;
mod mode;
mod place;
mod source;

pub(crate) use layer::{Layered, write};
pub(crate) use mode::Mode;
pub(crate) use place::Place;
pub(crate) use source::{Source, Sources, find, named, one};

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dockerfile::Ignore;
use model::{path, to_hex};
use sha2::{Digest, Sha256};
use sys::root::{Owner, Root};

use crate::{Error, Result};

/// Largest passwd or group file that is read.
const ACCOUNTS_BYTES: usize = 16 << 20;

/// Where files go and whose they shall be.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    /// As the image has it: absolute, with a slash at its end if a folder is meant.
    pub(crate) path: String,
    pub(crate) owner: Owner,
    /// What becomes of permission bits.
    pub(crate) mode: Mode,
    /// Archives become what they hold.
    pub(crate) unpack: bool,
    /// What of the sources stays behind.
    pub(crate) left_out: Ignore,
}

/// What folders are like that are made on the way to what is copied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    pub(crate) owner: Owner,
    pub(crate) mode: u32,
}

impl Default for Made {
    fn default() -> Self {
        Self { owner: Owner { uid: 0, gid: 0 }, mode: 0o755 }
    }
}

impl Destination {
    /// Folders on the way to it: a `--chmod` by number is theirs too, one by letters is not (so BuildKit 0.23 does it).
    pub(crate) fn made(&self) -> Made {
        let mode = if let Mode::Bits(bits) = self.mode { bits } else { Made::default().mode };
        Made { owner: self.owner, mode }
    }
}

/// The digest of all that is copied, as Docker writes it into the history: `file:…`, `dir:…`, `multi:…`. By name, as in
/// 2014: what a source is called is part of it.
pub(crate) fn digest(
    sources: &[Source],
    left_out: &Ignore,
    by_name: bool,
    unchanged: &dyn Fn() -> Result<()>,
) -> Result<String> {
    let mut digests = Vec::new();
    for source in sources {
        unchanged()?;
        let kind = if source.is_directory() { "dir" } else { "file" };
        let mut digest = source.digest(left_out)?;
        if by_name {
            digest = to_hex(&Sha256::digest([source.name().as_bytes(), b"\0", digest.as_bytes()].concat()));
        }
        digests.push(format!("{kind}:{digest}"));
    }
    match <[String; 1]>::try_from(digests) {
        Ok([one]) => Ok(one),
        Err(many) => Ok(format!("multi:{}", to_hex(&Sha256::digest(many.join(",").as_bytes())))),
    }
}

/// The destination as an absolute path: relative ones begin at `base`. A final slash stays.
pub(crate) fn destination(base: &str, wanted: &str) -> String {
    let joined = if wanted.starts_with('/') { wanted.to_owned() } else { format!("{base}/{wanted}") };
    let folder = joined.ends_with('/') || joined.ends_with("/.") || joined.ends_with("/..");
    let clean = path::clean(&joined);
    if folder && clean != "/" { format!("{clean}/") } else { clean }
}

/// `user[:group]` as numbers, names looked up in the image. A user without a group has the group of the same name or number.
///
/// # Errors
/// A name is in none of the image's files.
pub(crate) fn owner(image: &Root, wanted: &str) -> Result<Owner> {
    if wanted.is_empty() {
        return Ok(Owner { uid: 0, gid: 0 });
    }
    let (user, group) = wanted.split_once(':').unwrap_or((wanted, wanted));
    let group = if group.is_empty() { user } else { group };
    let wrong =
        |reason: String| Error::Step(format!("unable to convert uid/gid chown string to host mapping: {reason}"));
    let uid = account(image, "etc/passwd", user)?
        .ok_or_else(|| wrong(format!("can't find uid for user {user}: no such user: {user}")))?;
    let gid = account(image, "etc/group", group)?
        .ok_or_else(|| wrong(format!("can't find gid for group {group}: no such group: {group}")))?;
    Ok(Owner { uid, gid })
}

/// The number of a name in a file whose lines are `name:password:number:…`.
fn account(image: &Root, file: &str, name: &str) -> Result<Option<u32>> {
    if let Ok(number) = name.parse::<u32>() {
        return Ok(Some(number));
    }
    let bytes = match image.read(file, ACCOUNTS_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let text = String::from_utf8_lossy(&bytes);
    let number = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.trim().parse().ok()).flatten()
    });
    Ok(number)
}

/// A path beneath a root, without the slash before it.
pub(crate) fn relative(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations() {
        for (base, wanted, expected) in [
            ("/w", "a", "/w/a"),
            ("/w", "a/", "/w/a/"),
            ("/w", ".", "/w/"),
            ("/w", "./", "/w/"),
            ("/w", "/a/../b", "/b"),
            ("", "/", "/"),
            ("/", "..", "/"),
            ("/w/x", "..", "/w/"),
        ] {
            assert_eq!(destination(base, wanted), expected, "{base} {wanted}");
        }
    }
}
