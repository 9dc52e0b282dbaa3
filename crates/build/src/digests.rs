//! Digests of files' contents, remembered for as long as the files stay as they are.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sys::root::{Metadata, Time};

use crate::{Error, Result};

/// SHA-256 of a file's contents.
pub type ContentDigest = [u8; 32];

/// What a file of digests begins with.
const HEAD: &[u8; 8] = b"digests1";
/// Bytes of a digest in such a file, with what it depends on.
const RECORD_BYTES: usize = 72;
/// Two changes within a tick of the kernel's clock leave the same time behind: what was read sooner after a change may have
/// changed again since.
const SETTLED: Duration = Duration::from_millis(100);

/// The digests of files that lie in one file system, by their inodes.
#[derive(Debug, Default)]
pub struct Digests {
    known: Mutex<HashMap<u64, Known>>,
    has_changed: AtomicBool,
}

/// A digest, and the file as it was then. The time of its last change of any kind can be set by nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    size: u64,
    modified: Time,
    changed: Time,
    digest: ContentDigest,
}

impl Digests {
    /// Digests as they were saved; none if they cannot be read, for then they are computed again.
    pub(crate) fn load(path: &Path) -> Self {
        Self { known: Mutex::new(read(path).unwrap_or_default()), has_changed: AtomicBool::new(false) }
    }

    /// Saves them, if they have changed since they were loaded.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        if !self.has_changed.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let known = self.known();
        let mut bytes = Vec::with_capacity(HEAD.len() + known.len() * RECORD_BYTES);
        bytes.extend(HEAD);
        known.iter().for_each(|(inode, known)| known.write(*inode, &mut bytes));
        drop(known);
        let new = path.with_extension("new");
        let write = || {
            std::fs::File::create(&new)?.write_all(&bytes)?;
            std::fs::rename(&new, path)
        };
        write().map_err(Error::io("keeping the digests of a build context"))
    }

    /// The digest of a file that is still as it was.
    pub fn of(&self, metadata: &Metadata) -> Option<ContentDigest> {
        let known = *self.known().get(&metadata.identity().1)?;
        (known == Known::new(metadata, known.digest)).then_some(known.digest)
    }

    /// Remembers what a file was written with, by the only one who writes it.
    pub fn wrote(&self, metadata: &Metadata, digest: ContentDigest) {
        self.known().insert(metadata.identity().1, Known::new(metadata, digest));
        self.has_changed.store(true, Ordering::Relaxed);
    }

    /// Remembers what was read of a file that was like this before; not, if it changed a moment ago.
    pub(crate) fn read(&self, metadata: &Metadata, digest: ContentDigest) {
        let changed = metadata.changed();
        let settled = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(SETTLED);
        let settled = Time { seconds: settled.as_secs().cast_signed(), nanoseconds: settled.subsec_nanos() };
        if changed < settled {
            self.wrote(metadata, digest);
        }
    }

    /// Forgets a file that goes.
    pub fn forget(&self, inode: u64) {
        if self.known().remove(&inode).is_some() {
            self.has_changed.store(true, Ordering::Relaxed);
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u64, Known>> {
        // A map of plain values is whole after every statement.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn new(metadata: &Metadata, digest: ContentDigest) -> Self {
        Self { size: metadata.size(), modified: metadata.modified(), changed: metadata.changed(), digest }
    }

    fn write(&self, inode: u64, out: &mut Vec<u8>) {
        out.extend(inode.to_le_bytes());
        out.extend(self.size.to_le_bytes());
        for time in [self.modified, self.changed] {
            out.extend(time.seconds.to_le_bytes());
            out.extend(time.nanoseconds.to_le_bytes());
        }
        out.extend(self.digest);
    }

    fn parse(record: &[u8; RECORD_BYTES]) -> (u64, Self) {
        let mut rest = &record[..];
        let (inode, size) = (u64::from_le_bytes(take(&mut rest)), u64::from_le_bytes(take(&mut rest)));
        let mut time =
            || Time { seconds: i64::from_le_bytes(take(&mut rest)), nanoseconds: u32::from_le_bytes(take(&mut rest)) };
        let (modified, changed) = (time(), time());
        (inode, Self { size, modified, changed, digest: take(&mut rest) })
    }
}

/// The next bytes of a record, which has as many.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    let (head, tail) = rest.split_at(N);
    bytes.copy_from_slice(head);
    *rest = tail;
    bytes
}

fn read(path: &Path) -> io::Result<HashMap<u64, Known>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.read_to_end(&mut bytes)?;
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let (records, rest) = bytes.strip_prefix(HEAD).ok_or_else(broken)?.as_chunks::<RECORD_BYTES>();
    if rest.is_empty() { Ok(records.iter().map(Known::parse).collect()) } else { Err(broken()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::root::Root;

    #[test]
    fn a_digest_is_that_of_a_file_as_it_was() -> std::result::Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let (root, saved) = (Root::open(folder.path())?, folder.path().join("digests"));
        root.write("f", b"one", 0o600)?;
        let digests = Digests::load(&saved);
        let before = root.symlink_metadata("f")?;
        assert_eq!(digests.of(&before), None);
        digests.read(&before, [1; 32]);
        assert_eq!(digests.of(&before), None, "it changed a moment ago");
        digests.wrote(&before, [1; 32]);
        digests.save(&saved)?;
        let digests = Digests::load(&saved);
        assert_eq!(digests.of(&root.symlink_metadata("f")?), Some([1; 32]));
        // The same size and time; what cannot be set tells it.
        std::thread::sleep(SETTLED * 2);
        root.write("f", b"two", 0o600)?;
        root.set_modified("f", before.modified())?;
        let after = root.symlink_metadata("f")?;
        assert_eq!((after.size(), after.modified()), (before.size(), before.modified()));
        assert_eq!(digests.of(&after), None);
        std::thread::sleep(SETTLED * 2);
        digests.read(&after, [2; 32]);
        assert_eq!(digests.of(&after), Some([2; 32]));
        digests.forget(after.identity().1);
        assert_eq!(digests.of(&after), None);
        Ok(())
    }

    #[test]
    fn files_that_hold_no_digests() -> std::result::Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("digests");
        for bytes in [&b""[..], b"digests", b"digests1x", &[0; 8 + RECORD_BYTES], b"digests2"] {
            std::fs::write(&path, bytes)?;
            assert!(Digests::load(&path).known().is_empty(), "{bytes:?}");
        }
        Ok(())
    }
}
