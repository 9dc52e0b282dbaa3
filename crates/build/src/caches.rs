//! Folders that outlive builds: those of `RUN --mount=type=cache`, and contexts as their clients' last builds left them.

use std::collections::{HashMap, HashSet};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockerfile::Sharing;
use model::{Timestamp, to_hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

const FILES: &str = "files";
const DESCRIPTION: &str = "cache.json";
/// Another at every start of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// How often one that waits for a cache looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// All caches of an engine: `<folder>/<name>/files` each, described by `cache.json` beside it.
#[derive(Debug)]
pub struct Caches {
    folder: PathBuf,
    /// How each cache that is in use is used.
    used: Mutex<HashMap<String, Use>>,
    changed: Condvar,
    /// One may take more of the disk than when this was last asked.
    has_grown: AtomicBool,
    /// The machine's start; empty if it has no name.
    boot: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// By so many at once.
    Together(usize),
    /// By one, who wants no other.
    Alone,
}

/// What a cache holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CacheKind {
    /// What steps left at a `RUN --mount=type=cache`.
    #[default]
    Mount,
    /// The files of a client.
    Context,
}

/// What is known of a cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheFolder {
    /// Its folder's name: 64 hexadecimal digits, and a number if several builds had one each.
    pub name: String,
    /// What it holds.
    #[serde(default)]
    pub kind: CacheKind,
    /// How Dockerfiles call it, or the client calls its folder.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// When a step last began to use it.
    pub last_used: Timestamp,
    /// How many steps have used it.
    pub uses: u64,
    /// Bytes that its files take on the disk, if that is known without looking at them.
    #[serde(default)]
    size_bytes: Option<u64>,
    /// The start of the machine in which it was last used.
    #[serde(default)]
    boot: String,
}

/// Which cache somebody wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CacheKey<'a> {
    pub(crate) kind: CacheKind,
    /// See [`CacheFolder::id`].
    pub(crate) id: &'a str,
    /// Whose it is; caches of one id that belong to different owners are different ones.
    pub(crate) owner: &'a str,
}

/// The right to use a cache, until it is dropped.
#[derive(Debug)]
pub(crate) struct CacheLease {
    caches: Arc<Caches>,
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
        // Clients' files may be for nobody else's eyes.
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::set_permissions(&folder, Permissions::from_mode(0o700)))
            .map_err(Error::io("making the folder of build caches"))?;
        for path in Self::unfinished(&folder)? {
            let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.map_err(Error::io("removing half a build cache"))?;
        }
        // Without a name no start is the same as another: contexts are fetched whole then.
        let boot = std::fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned();
        Ok(Self { folder, used: Mutex::default(), changed: Condvar::new(), has_grown: AtomicBool::new(false), boot })
    }

    /// What of a folder of caches is none, or was being made or removed when an engine died.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn unfinished(folder: &Path) -> Result<Vec<PathBuf>> {
        Ok(paths(folder)?.into_iter().filter(|path| describe(path).is_none()).collect())
    }

    /// All of them.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<CacheFolder>> {
        // One that has no description is being made or removed.
        let mut caches: Vec<CacheFolder> = paths(&self.folder)?.iter().filter_map(|path| describe(path)).collect();
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
    pub fn size_bytes(&self, cache: &CacheFolder) -> Result<u64> {
        if let Some(known) = cache.size_bytes {
            return Ok(known);
        }
        let measuring = "measuring a build cache";
        let (mut folders, mut seen, mut size) = (vec![self.files(&cache.name)], HashSet::new(), 0);
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

    /// Whether a cache may have grown since this was last asked.
    pub fn take_growth(&self) -> bool {
        self.has_grown.swap(false, Ordering::Relaxed)
    }

    /// Removes a cache that nobody uses; false if somebody does, or there is none.
    ///
    /// # Errors
    /// Its files cannot be removed.
    pub fn remove(self: &Arc<Self>, name: &str) -> Result<bool> {
        let known = self.list()?.iter().any(|cache| cache.name == name);
        let mut used = self.used();
        if !known || used.contains_key(name) {
            return Ok(false);
        }
        // Removing many files takes its time: others go on meanwhile.
        used.insert(name.to_owned(), Use::Alone);
        drop(used);
        let lease = CacheLease { caches: Arc::clone(self), name: name.to_owned(), is_new: false };
        // Without its description it is none any more, whatever happens to the files.
        match std::fs::remove_file(lease.folder().join(DESCRIPTION)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            removed => removed.and_then(|()| std::fs::remove_dir_all(lease.folder())),
        }
        .map_err(Error::io("removing a build cache"))?;
        Ok(true)
    }

    /// Takes a cache. `go_on` is asked, while it waits for others, whether somebody still waits for it.
    pub(crate) fn take(
        self: &Arc<Self>,
        key: CacheKey<'_>,
        sharing: Sharing,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<CacheLease> {
        let hash = key.hash();
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
        let noted = self.note(&name, key);
        drop(used);
        let mut lease = CacheLease { caches: Arc::clone(self), name, is_new: false };
        lease.is_new = noted.map_err(Error::io("making a build cache"))?;
        Ok(lease)
    }

    /// Notes a use; whether the cache is new.
    fn note(&self, name: &str, key: CacheKey<'_>) -> io::Result<bool> {
        let folder = self.folder.join(name);
        let now = Timestamp::now();
        // Nobody waited until the files of a context were on the disk: where the machine has started again since, they may not
        // be what they seem.
        let believed =
            |cache: &CacheFolder| key.kind == CacheKind::Mount || !self.boot.is_empty() && cache.boot == self.boot;
        let known = describe(&folder).filter(believed);
        let is_new = known.is_none();
        let mut cache = known.unwrap_or_else(|| CacheFolder {
            name: name.to_owned(),
            kind: key.kind,
            id: key.id.to_owned(),
            created: now,
            last_used: now,
            uses: 0,
            size_bytes: None,
            boot: String::new(),
        });
        (cache.last_used, cache.uses) = (now, cache.uses + 1);
        cache.boot.clone_from(&self.boot);
        self.has_grown.fetch_or(key.kind == CacheKind::Mount, Ordering::Relaxed);
        if is_new && folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(folder.join(FILES))?;
        cache.write(&folder)?;
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

impl CacheFolder {
    fn write(&self, folder: &Path) -> io::Result<()> {
        let new = folder.join("new");
        std::fs::write(&new, serde_json::to_vec(self)?)?;
        std::fs::rename(new, folder.join(DESCRIPTION))
    }
}

fn paths(folder: &Path) -> Result<Vec<PathBuf>> {
    let reading = "reading the folder of build caches";
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io(reading)(error)),
        Ok(entries) => {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>().map_err(Error::io(reading))
        }
    }
}

impl CacheKey<'_> {
    fn hash(&self) -> String {
        let text = match self.kind {
            CacheKind::Mount => self.id.to_owned(),
            CacheKind::Context => format!("context\0{}\0{}", self.id, self.owner),
        };
        to_hex(&Sha256::digest(text.as_bytes()))
    }
}

impl CacheLease {
    /// Where the files are.
    pub(crate) fn path(&self) -> PathBuf {
        self.caches.files(&self.name)
    }

    /// Where what belongs to the cache is beside its files.
    pub(crate) fn folder(&self) -> PathBuf {
        self.caches.folder.join(&self.name)
    }

    /// Notes what the files take of the disk from now on; `None` if only a look at all of them can tell.
    pub(crate) fn measured(&self, size_bytes: Option<u64>) -> Result<()> {
        let folder = self.folder();
        let Some(mut cache) = describe(&folder).filter(|cache| size_bytes.is_none() || cache.size_bytes != size_bytes)
        else {
            return Ok(());
        };
        self.caches.has_grown.store(true, Ordering::Relaxed);
        cache.size_bytes = size_bytes;
        cache.write(&folder).map_err(Error::io("describing a build cache"))
    }
}

impl Drop for CacheLease {
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
        let caches = Arc::new(Caches::open(folder.path().join("caches"))?);
        let key = CacheKey { kind: CacheKind::Mount, id: "a", owner: "" };
        let take = |sharing| caches.take(key, sharing, &|| Err(Error::Cancelled));
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
