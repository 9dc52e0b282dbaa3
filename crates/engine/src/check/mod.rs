//! `longshore store check`: whether every file beneath a data root belongs to something listed, everything listed has its files,
//! and every layer is still what its digest says.
//!
//! Nothing is changed and no lock is kept, so it may be done beside a daemon. What such a daemon is just making or
//! removing may look like a fault: a fault counts only if it is still there after several looks, and layers without an image
//! only if no operation runs that may be about to register them.

mod disk;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::{ChainId, ImageId};
use serde::Serialize;
use store::Store;

use crate::{Error, Result};

/// The database's file beneath the data root.
pub(crate) const DATABASE: &str = "longshore.db";
/// What lies beneath the data root beside the storage: the database's files, and build caches.
const OTHERS: [&str; 5] = [DATABASE, "longshore.db-wal", "longshore.db-shm", "longshore.lock", crate::build::CACHES];
/// How often what a running daemon may just be changing is looked at again, and after how long.
const LOOKS: usize = 3;
const PAUSE: Duration = Duration::from_millis(400);

/// What a check found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What was checked.
    pub data_root: PathBuf,
    /// Whether a daemon had it open.
    pub daemon_running: bool,
    /// That daemon's process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daemon: Option<u32>,
    /// How much there was.
    pub checked: Checked,
    /// What is wrong; empty if all is well.
    pub problems: Vec<Problem>,
    /// What operations that run, or were cut short, have left for the moment. It goes with their end, or at the next start.
    pub unfinished: Vec<PathBuf>,
}

/// How much was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Rows of all tables.
    pub rows: usize,
    /// Images in the database.
    pub images: usize,
    /// Layers, each by its digest.
    pub layers: usize,
    /// Bytes of the layers' tars.
    pub layer_bytes: u64,
    /// Blobs that were kept of layers, each by its digest.
    pub blobs: usize,
    /// Bytes of these.
    pub blob_bytes: u64,
    /// Containers in the database.
    pub containers: usize,
    /// Volumes in the database.
    pub volumes: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// What it is about: `layer sha256:… of busybox:latest`, `volume data`, `database`.
    pub subject: String,
    /// The file, beneath the data root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub repair: String,
    /// Table and key of the row that [`repair`] removes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<(&'static str, String)>,
}

/// One look at disk and database.
struct Look {
    disk: storage::Inspection,
    problems: BTreeSet<Problem>,
    unfinished: Vec<PathBuf>,
    checked: Checked,
    /// What stands on each layer, in words.
    users: BTreeMap<ChainId, Vec<String>>,
}

/// Checks the data root of a daemon that may run.
///
/// # Errors
/// It is none, or cannot be read at all.
pub fn check(data_root: &Path) -> Result<Report> {
    let database = data_root.join(DATABASE);
    if !database.is_file() {
        return Err(Error::not_found(format!("{} is no data root: it has no {DATABASE}", data_root.display())));
    }
    let before = Store::holder(&database)?;
    let mut look = Look::take(data_root, before.is_some())?;
    for _ in 1..LOOKS {
        if look.problems.is_empty() || Store::holder(&database)?.is_none() {
            break;
        }
        std::thread::sleep(PAUSE);
        let next = Look::take(data_root, true)?;
        look = Look { problems: look.problems.intersection(&next.problems).cloned().collect(), ..next };
    }
    let damaged = look.damaged_layers()?;
    let after = Store::holder(&database)?;
    Ok(Report {
        data_root: data_root.to_owned(),
        daemon_running: before.or(after).is_some(),
        daemon: before.or(after).flatten(),
        checked: look.checked,
        problems: look.problems.into_iter().chain(damaged).collect(),
        unfinished: look.unfinished,
    })
}

/// Removes the rows that a check found unreadable; says how many. Everything else is repaired by the daemon's start, or as the
/// report says.
///
/// # Errors
/// A daemon runs, or the database cannot be written.
pub fn repair(report: &Report) -> Result<usize> {
    let rows: Vec<_> = report.problems.iter().filter_map(|problem| problem.row.clone()).collect();
    Store::remove_rows(&report.data_root.join(DATABASE), &rows)?;
    Ok(rows.len())
}

impl Problem {
    fn new(subject: impl Into<String>, reason: impl Into<String>, repair: impl Into<String>) -> Self {
        Self { subject: subject.into(), path: None, reason: reason.into(), repair: repair.into(), row: None }
    }

    fn at(self, path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), ..self }
    }
}

impl Look {
    /// Compares disk and database. The disk comes first: what is made after the look at it is in no row's way.
    fn take(data_root: &Path, daemon_runs: bool) -> Result<Self> {
        let disk = storage::Inspection::read(data_root, &OTHERS)?;
        let database = store::Inspection::read(&data_root.join(DATABASE))?;
        let rows = rows::Rows::read(&database);
        let caches = build::Caches::unfinished(&data_root.join(crate::build::CACHES))?;
        let beneath = |path: PathBuf| path.strip_prefix(data_root).map(Path::to_path_buf).unwrap_or(path);
        let mut look = Self {
            problems: rows.problems.iter().cloned().collect(),
            unfinished: disk.unfinished.iter().cloned().chain(caches.into_iter().map(beneath)).collect(),
            checked: rows.checked(&database, &disk)?,
            users: BTreeMap::new(),
            disk,
        };
        look.note_users(&rows);
        look.compare(&rows, daemon_runs);
        Ok(look)
    }

    /// Who stands on which layer.
    fn note_users(&mut self, rows: &rows::Rows) {
        for (id, layers) in &rows.images {
            let name = rows.name_of(id);
            for chain in layers {
                self.users.entry(*chain).or_default().push(format!("image {name}"));
            }
        }
        // One whose row is damaged still has its files.
        let known = self.disk.containers.iter().filter(|(id, _)| rows.known_containers.contains(id));
        for (id, top) in known {
            let (name, Some(top)) = (rows.containers.get(id).unwrap_or(id), *top) else { continue };
            for chain in self.disk.line(top) {
                self.users.entry(chain).or_default().push(format!("container {name}"));
            }
        }
    }

    /// Verifies every layer, as many at once as there are processors.
    fn damaged_layers(&self) -> Result<Vec<Problem>> {
        let chains: Vec<ChainId> = self.disk.layers().map(|layer| layer.chain_id).collect();
        let (next, found) = (AtomicUsize::new(0), Mutex::new(Ok(Vec::new())));
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(chains.len());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(chain) = chains.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let faults = self.disk.verify(chain);
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        match (&mut *found, faults) {
                            (Ok(found), Ok(faults)) => found.extend(faults.into_iter().map(|fault| (*chain, fault))),
                            (found @ Ok(_), Err(error)) => *found = Err(error),
                            (Err(_), _) => {}
                        }
                    }
                });
            }
        });
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        found.sort_by(|a, b| a.1.path.cmp(&b.1.path));
        Ok(found.into_iter().map(|(chain, fault)| self.damaged(chain, fault)).collect())
    }

    fn damaged(&self, chain: ChainId, fault: storage::LayerFault) -> Problem {
        let users = self.users.get(&chain).map(Vec::as_slice).unwrap_or_default();
        let of = if users.is_empty() { String::new() } else { format!(" of {}", users.join(", ")) };
        let repair = if fault.of_blob {
            "the layer's next push drops the blob and makes another, with another digest; to keep its digest remove what stands on \
             the layer and pull it again"
                .to_owned()
        } else if users.is_empty() {
            "nothing needs this layer: the daemon's next start removes it".to_owned()
        } else {
            "remove what stands on the layer (docker rm, docker rmi -f), then pull, load or build it again".to_owned()
        };
        Problem::new(format!("layer {chain}{of}"), fault.reason, repair).at(fault.path)
    }
}

/// An image in a repair's words.
fn short(id: &ImageId) -> String {
    id.short()
}

/// Writes the metadata of a data root as JSON, a row a line; a running daemon is not disturbed.
///
/// # Errors
/// It is none, or cannot be read; `out` fails.
pub fn dump(data_root: &Path, out: impl std::io::Write) -> Result<()> {
    Ok(store::dump(&data_root.join(DATABASE), out)?)
}
