//! Digests of files' contents, remembered for as long as the files stay as they are, and those of all that a step copies.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use sys::root::{Metadata, Time};

use crate::{Error, Result};

/// A SHA-256.
pub type ContentDigest = [u8; 32];

/// What a file of digests begins with; the number of files follows.
const HEAD: &[u8; 8] = b"digests1";
/// Bytes of a file's digest there, with what it depends on.
const RECORD_BYTES: usize = 72;
/// Bytes of a source's digest there, with its key.
const SUM_BYTES: usize = 64;
/// Two changes within a tick of the kernel's clock leave the same time behind: what was read sooner after a change may have
/// changed again since.
const SETTLED: Duration = Duration::from_millis(100);

/// The digests of files that lie in one file system, by their inodes. None of them has a capability.
#[derive(Debug, Default)]
pub struct Digests {
    /// Where they are saved, if they are.
    path: PathBuf,
    known: Mutex<HashMap<u64, Known>>,
    sums: Mutex<Sums>,
    has_changed: AtomicBool,
}

/// The digests of sources: of all files that steps copy. They follow from what the client tells of its files, if files of which
/// the same is told are the same files.
#[derive(Debug, Default)]
struct Sums {
    /// The digest of all that the client told.
    listing: Option<ContentDigest>,
    /// Of builds before, by a digest of source and listing.
    known: HashMap<ContentDigest, ContentDigest>,
    /// Of this one.
    used: HashMap<ContentDigest, ContentDigest>,
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
    pub(crate) fn load(path: PathBuf) -> Self {
        let (known, sums) = read(&path).unwrap_or_default();
        let sums = Sums { known: sums, ..Sums::default() };
        Self { path, known: Mutex::new(known), sums: Mutex::new(sums), has_changed: AtomicBool::new(false) }
    }

    /// Takes away what was saved, before files change: if that is broken off, nothing is remembered of what they were.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn begin_change(&self) -> io::Result<()> {
        self.sums().known.clear();
        self.has_changed.store(true, Ordering::Relaxed);
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Saves them, if they have changed since they were loaded.
    pub(crate) fn save(&self) -> Result<()> {
        if !self.has_changed.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let known = self.known();
        let mut bytes = Vec::with_capacity(known.len() * RECORD_BYTES + 4096);
        bytes.extend(HEAD);
        bytes.extend((known.len() as u64).to_le_bytes());
        known.iter().for_each(|(inode, known)| known.write(*inode, &mut bytes));
        drop(known);
        self.sums().used.iter().for_each(|(key, digest)| bytes.extend([*key, *digest].concat()));
        let new = self.path.with_extension("new");
        let write = || {
            std::fs::File::create(&new)?.write_all(&bytes)?;
            std::fs::rename(&new, &self.path)
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

    /// Notes the digest of all that the client tells of its files, which lie there now.
    pub fn listed(&self, listing: ContentDigest) {
        self.sums().listing = Some(listing);
    }

    /// The digest of a source, if an earlier build had the same files.
    pub(crate) fn sum(&self, source: &[u8]) -> Option<ContentDigest> {
        let mut sums = self.sums();
        let key = sums.key(source)?;
        let digest = *sums.known.get(&key)?;
        sums.used.insert(key, digest);
        Some(digest)
    }

    /// Remembers the digest of a source.
    pub(crate) fn summed(&self, source: &[u8], digest: ContentDigest) {
        let mut sums = self.sums();
        if let Some(key) = sums.key(source) {
            sums.used.insert(key, digest);
            self.has_changed.store(true, Ordering::Relaxed);
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u64, Known>> {
        lock(&self.known)
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        lock(&self.sums)
    }
}

impl Sums {
    fn key(&self, source: &[u8]) -> Option<ContentDigest> {
        Some(Sha256::new().chain_update(self.listing?).chain_update(source).finalize().into())
    }
}

/// Maps of plain values are whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

/// What a file of digests holds of files, and of sources.
type Saved = (HashMap<u64, Known>, HashMap<ContentDigest, ContentDigest>);

fn read(path: &Path) -> io::Result<Saved> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.read_to_end(&mut bytes)?;
    parse(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse(bytes: &[u8]) -> Option<Saved> {
    let (count, rest) = bytes.strip_prefix(HEAD)?.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*count)).ok()?.checked_mul(RECORD_BYTES)?;
    let (files, sums) = rest.split_at_checked(length)?;
    let (sums, rest) = sums.as_chunks::<SUM_BYTES>();
    let sum = |mut record: &[u8]| (take(&mut record), take(&mut record));
    let saved =
        || (files.as_chunks().0.iter().map(Known::parse).collect(), sums.iter().map(|record| sum(record)).collect());
    rest.is_empty().then(saved)
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
        let digests = Digests::load(saved.clone());
        let before = root.symlink_metadata("f")?;
        assert_eq!(digests.of(&before), None);
        digests.read(&before, [1; 32]);
        assert_eq!(digests.of(&before), None, "it changed a moment ago");
        digests.wrote(&before, [1; 32]);
        digests.save()?;
        let digests = Digests::load(saved);
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
    fn a_source_s_digest_is_that_of_the_same_files() -> std::result::Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("digests");
        let digests = Digests::load(path.clone());
        digests.summed(b"source", [1; 32]);
        assert_eq!(digests.sum(b"source"), None, "nobody knows of which files");
        digests.listed([7; 32]);
        digests.summed(b"source", [1; 32]);
        digests.summed(b"another", [2; 32]);
        digests.save()?;
        let again = |listing, source| {
            let digests = Digests::load(path.clone());
            digests.listed(listing);
            digests.sum(source)
        };
        assert_eq!(again([7; 32], b"source"), Some([1; 32]));
        assert_eq!(again([7; 32], b"another"), Some([2; 32]));
        assert_eq!(again([7; 32], b"a third"), None);
        assert_eq!(again([8; 32], b"source"), None, "other files");
        let digests = Digests::load(path.clone());
        digests.begin_change()?;
        digests.listed([7; 32]);
        assert_eq!(digests.sum(b"source"), None, "some were fetched");
        assert_eq!(again([7; 32], b"source"), None, "and then the engine died");
        Ok(())
    }

    #[test]
    fn files_that_hold_no_digests() -> std::result::Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("digests");
        let long = [&b"digests1"[..], &[0xff; 300]].concat();
        for bytes in [&b""[..], b"digests", b"digests1", b"digests10000000x", &[0; 8 + RECORD_BYTES], &long] {
            std::fs::write(&path, bytes)?;
            assert!(Digests::load(path.clone()).known().is_empty(), "{bytes:?}");
        }
        Ok(())
    }
}
