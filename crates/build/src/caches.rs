//! Folders that outlive builds: `RUN --mount=type=cache`.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockerfile::Sharing;
use model::{Timestamp, to_hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

const FILES: &str = "files";
const DESCRIPTION: &str = "cache.json";
/// How often one that waits for a cache looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// All caches of an engine: `<folder>/<name>/files` each, described by `cache.json` beside it.
#[derive(Debug)]
pub struct Caches {
    folder: PathBuf,
    /// How each cache that is in use is used.
    used: Mutex<HashMap<String, Use>>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// By so many at once.
    Together(usize),
    /// By one, who wants no other.
    Alone,
}

/// What is known of a cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheFolder {
    /// Its folder's name: 64 hexadecimal digits, and a number if several builds had one each.
    pub name: String,
    /// How Dockerfiles call it.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// When a step last began to use it.
    pub last_used: Timestamp,
    /// How many steps have used it.
    pub uses: u64,
}

/// The right to use a cache, until it is dropped.
#[derive(Debug)]
pub(crate) struct CacheLease<'a> {
    caches: &'a Caches,
    name: String,
    /// It is empty, and nobody has used it.
    pub(crate) is_new: bool,
}

impl Caches {
    /// The caches beneath a folder, which is made if it is missing; what was being made or removed when an engine died
    /// is removed.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(folder: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&folder).map_err(Error::io("making the folder of build caches"))?;
        let caches = Self { folder, used: Mutex::default(), changed: Condvar::new() };
        for path in caches.paths()? {
            if describe(&path).is_none() {
                std::fs::remove_dir_all(&path).map_err(Error::io("removing half a build cache"))?;
            }
        }
        Ok(caches)
    }

    fn paths(&self) -> Result<Vec<PathBuf>> {
        let reading = "reading the folder of build caches";
        let entries = std::fs::read_dir(&self.folder).map_err(Error::io(reading))?;
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>().map_err(Error::io(reading))
    }

    /// All of them.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<CacheFolder>> {
        // One that has no description is being made or removed.
        let mut caches: Vec<CacheFolder> = self.paths()?.iter().filter_map(|path| describe(path)).collect();
        caches.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(caches)
    }

    /// Whether a step uses it now.
    pub fn is_used(&self, name: &str) -> bool {
        self.used().contains_key(name)
    }

    /// Bytes that its files take on the disk.
    ///
    /// # Errors
    /// They cannot be looked at.
    pub fn size_bytes(&self, name: &str) -> Result<u64> {
        let measuring = "measuring a build cache";
        let (mut folders, mut seen, mut size) = (vec![self.files(name)], HashSet::new(), 0);
        while let Some(folder) = folders.pop() {
            let entries = match std::fs::read_dir(&folder) {
                // A step that uses the cache may remove what was just listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.map_err(Error::io(measuring))?,
            };
            for entry in entries {
                let entry = entry.map_err(Error::io(measuring))?;
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if metadata.nlink() < 2 || seen.insert(metadata.ino()) {
                    size += metadata.blocks() * 512;
                }
            }
        }
        Ok(size)
    }

    /// Where its files are.
    fn files(&self, name: &str) -> PathBuf {
        self.folder.join(name).join(FILES)
    }

    /// Removes a cache that nobody uses; false if somebody does, or there is none.
    ///
    /// # Errors
    /// Its files cannot be removed.
    pub fn remove(&self, name: &str) -> Result<bool> {
        let used = self.used();
        let known = self.list()?.iter().any(|cache| cache.name == name);
        if !known || used.contains_key(name) {
            return Ok(false);
        }
        // Without its description it is none any more, whatever happens to the files.
        let folder = self.folder.join(name);
        std::fs::remove_file(folder.join(DESCRIPTION))
            .and_then(|()| std::fs::remove_dir_all(&folder))
            .map_err(Error::io("removing a build cache"))?;
        Ok(true)
    }

    /// Takes a cache for a step. `go_on` is asked, while it waits for others, whether somebody still waits for it.
    pub(crate) fn take(&self, id: &str, sharing: Sharing, go_on: &dyn Fn() -> Result<()>) -> Result<CacheLease<'_>> {
        let hash = to_hex(&Sha256::digest(id.as_bytes()));
        let mut used = self.used();
        let name = loop {
            let next = match sharing {
                Sharing::Private => {
                    Some((0..).map(|number| numbered(&hash, number)).find(|name| !used.contains_key(name)))
                        .flatten()
                        .map(|name| (name, Use::Alone))
                }
                Sharing::Locked => Some((hash.clone(), Use::Alone)).filter(|_| !used.contains_key(&hash)),
                Sharing::Shared => match used.get(&hash) {
                    Some(Use::Alone) => None,
                    Some(Use::Together(others)) => Some((hash.clone(), Use::Together(others + 1))),
                    None => Some((hash.clone(), Use::Together(1))),
                },
            };
            if let Some((name, usage)) = next {
                used.insert(name.clone(), usage);
                break name;
            }
            used = self.changed.wait_timeout(used, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
            go_on()?;
        };
        let mut lease = CacheLease { caches: self, name, is_new: false };
        lease.is_new = self.note(&lease.name, id).map_err(Error::io("making a build cache"))?;
        Ok(lease)
    }

    /// Notes a use; whether the cache is new.
    fn note(&self, name: &str, id: &str) -> io::Result<bool> {
        let folder = self.folder.join(name);
        let now = Timestamp::now();
        let known = describe(&folder);
        let is_new = known.is_none();
        let mut cache = known.unwrap_or_else(|| CacheFolder {
            name: name.to_owned(),
            id: id.to_owned(),
            created: now,
            last_used: now,
            uses: 0,
        });
        (cache.last_used, cache.uses) = (now, cache.uses + 1);
        if is_new && folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(folder.join(FILES))?;
        let new = folder.join("new");
        std::fs::write(&new, serde_json::to_vec(&cache)?)?;
        std::fs::rename(new, folder.join(DESCRIPTION))?;
        Ok(is_new)
    }

    fn used(&self) -> MutexGuard<'_, HashMap<String, Use>> {
        // A map of plain values is whole after every statement.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn numbered(hash: &str, number: usize) -> String {
    if number == 0 { hash.to_owned() } else { format!("{hash}-{number}") }
}

fn describe(folder: &Path) -> Option<CacheFolder> {
    serde_json::from_slice(&std::fs::read(folder.join(DESCRIPTION)).ok()?).ok()
}

impl CacheLease<'_> {
    /// Where the files are.
    pub(crate) fn path(&self) -> PathBuf {
        self.caches.files(&self.name)
    }
}

impl Drop for CacheLease<'_> {
    fn drop(&mut self) {
        let mut used = self.caches.used();
        match used.get_mut(&self.name) {
            Some(Use::Together(others)) if *others > 1 => *others -= 1,
            _ => drop(used.remove(&self.name)),
        }
        self.caches.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharing() -> Result<()> {
        let folder = tempfile::tempdir().map_err(Error::io("making a folder"))?;
        let caches = Caches::open(folder.path().join("caches"))?;
        let take = |sharing| caches.take("a", sharing, &|| Err(Error::Cancelled));
        let (one, two) = (take(Sharing::Shared)?, take(Sharing::Shared)?);
        assert!(one.is_new && !two.is_new && one.path() == two.path());
        assert!(take(Sharing::Locked).is_err());
        let private = take(Sharing::Private)?;
        assert!(private.path() != one.path() && private.is_new);
        let name = one.name.clone();
        drop(one);
        assert!(caches.is_used(&name) && !caches.remove(&name)?);
        drop(two);
        let locked = take(Sharing::Locked)?;
        assert!(!locked.is_new && take(Sharing::Shared).is_err());
        drop((locked, private));
        assert_eq!(caches.list()?.iter().map(|cache| (cache.id.as_str(), cache.uses)).max(), Some(("a", 3)));
        assert!(caches.remove(&name)? && !caches.remove(&name)? && !caches.remove("..")?);
        assert_eq!(caches.list()?.len(), 1);
        Ok(())
    }
}
