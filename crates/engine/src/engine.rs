//! The engine: opened once, shared by all connections.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::registry::Registries;
use arc_swap::ArcSwap;
use image::Images;
use network::{Bridge, LoopbackPool};
use runtime::cgroup::{self, CgroupPlan, Layout, Resources};
use shim::Launcher;
use storage::Storage;
use store::Store;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::container::record::Record;
use crate::events::Journal;
use crate::exec::Execs;
use crate::networks::Predefined;
use crate::registry::Registry;
use crate::volumes::Volumes;
use crate::{Changeable, EngineConfig, Error, Result, reconcile};

/// Network namespaces without a network that are kept ready.
const LOOPBACKS: usize = 4;
/// How long the end of a daemon waits for what is being cleared away.
const CLEARED_WITHIN: Duration = Duration::from_secs(5);
/// Where the engine's id is kept.
const META_ID: &str = "engine-id";

/// The engine. All its calls may be made from any task at the same time.
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: EngineConfig,
    /// Of the configuration, what was changed since.
    pub(crate) changeable: ArcSwap<Changeable>,
    /// Made with the data root.
    pub(crate) id: String,
    pub(crate) store: Arc<Store>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) images: Arc<Images>,
    pub(crate) registries: Arc<Registries>,
    pub(crate) build_folders: crate::build::Folders,
    pub(crate) bridge: Option<Bridge>,
    pub(crate) loopbacks: LoopbackPool,
    pub(crate) launcher: Launcher,
    pub(crate) cgroups: Layout,
    cgroup_parent: String,
    pub(crate) networks: Predefined,
    pub(crate) containers: Registry,
    pub(crate) volumes: Volumes,
    pub(crate) execs: Execs,
    pub(crate) events: Journal,
    pub(crate) closing: CancellationToken,
    /// What is being cleared away in the background.
    clearing: TaskTracker,
    /// Added to the numbers of attached clients and of runs, so that those of different daemons differ.
    pub(crate) attach_base: u64,
    /// Shims launched so far.
    runs: AtomicU64,
    pub(crate) pruning: tokio::sync::Mutex<()>,
}

impl Engine {
    /// Opens the engine on its data root: reads all records, connects to the shims of containers that run, finishes
    /// what a daemon before left half done, and honours restart policies.
    ///
    /// `launcher` are the arguments with which this program, executed again, becomes the launcher.
    ///
    /// # Errors
    /// The machine lacks something (overlayfs, cgroups, privileges), or another engine has the data root open.
    pub async fn open(config: EngineConfig, launcher: Vec<String>) -> Result<Arc<Self>> {
        let engine = tokio::task::spawn_blocking(move || Self::assemble(config, launcher))
            .await
            .map_err(|error| Error::system("opening the engine broke down").caused_by(error))??;
        let engine = Arc::new(engine);
        reconcile::reconcile(&engine).await?;
        for warning in engine.warnings().await {
            tracing::warn!("{}", warning.trim_start_matches("WARNING: "));
        }
        Ok(engine)
    }

    fn assemble(config: EngineConfig, launcher: Vec<String>) -> Result<Self> {
        // First, for it must be forked from a small process.
        let launcher = Launcher::start(launcher)
            .map_err(|error| Error::system(format!("cannot start the launcher: {error}")).caused_by(error))?;
        for folder in [&config.data_root, &config.exec_root] {
            make_folder(folder, 0o711)?;
        }
        make_folder(&config.exec_root.join("shims"), 0o700)?;
        let store = Arc::new(Store::open(&config.data_root.join("longshore.db"))?);
        let storage = Arc::new(Storage::open(&config.data_root)?);
        let (images, warnings) =
            Images::open(Arc::clone(&store), Arc::clone(&storage), &config.data_root.join("tmp/images"))?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let images = Arc::new(images);
        let spool = config.data_root.join("tmp/registry");
        let registries = Registries::open(Arc::clone(&images), config.changeable.registries.clone(), &spool)?;
        let build_folders = crate::build::Folders::open(&config)?;
        let cgroups = Layout::detect().map_err(|error| Error::system(error.to_string()).caused_by(error))?;
        let (id, networks, volumes) = (engine_id(&store)?, Predefined::load(&store)?, Volumes::load(&store, &storage)?);
        let (events, loopbacks) = (Journal::open(&store)?, LoopbackPool::open(LOOPBACKS)?);
        // Last, so that a start that fails leaves no bridge.
        let bridge = config.bridge.clone().map(Bridge::open).transpose()?;
        Ok(Self {
            changeable: ArcSwap::from_pointee(config.changeable.clone()),
            id,
            networks,
            containers: Registry::default(),
            volumes,
            execs: Execs::default(),
            events,
            closing: CancellationToken::new(),
            clearing: TaskTracker::new(),
            attach_base: attach_base(),
            runs: AtomicU64::new(0),
            pruning: tokio::sync::Mutex::new(()),
            loopbacks,
            cgroup_parent: cgroup_parent(&config),
            registries,
            build_folders,
            images,
            config,
            store,
            storage,
            bridge,
            launcher,
            cgroups,
        })
    }

    /// Ends the engine in order: no more restarts, events end, the database is closed. Containers go on.
    pub async fn close(&self) {
        self.closing.cancel();
        self.clearing.close();
        if tokio::time::timeout(CLEARED_WITHIN, self.clearing.wait()).await.is_err() {
            tracing::warn!("not all is cleared away; the next daemon goes on with it");
        }
        self.drop_cgroup_parent();
    }

    /// Removes our own parent of control groups where it is empty: with the last container nothing of us is left.
    fn drop_cgroup_parent(&self) {
        let Ok(sample) = self.plan_cgroup(&self.cgroup_parent, "0", &Resources::default()) else { return };
        let depth = Path::new(&self.cgroup_parent).components().count();
        for directory in &sample.directories {
            for parent in directory.path.ancestors().skip(1).take(depth) {
                // Refused by the kernel as long as a container, or another daemon of ours, is beneath.
                if std::fs::remove_dir(parent).is_err() {
                    break;
                }
            }
        }
    }

    /// Clears something away in the background: nobody waits for it but the end of the daemon.
    pub(crate) fn clear_away(&self, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        self.clearing.spawn_blocking(work)
    }

    /// Runs blocking work on its own thread.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::system("the operation broke down; please report it").caused_by(error))?
    }

    /// Runs short blocking work that a client waits for where it stands: a worker's other tasks move to another thread,
    /// and the work is spared two waits for a processor.
    pub(crate) async fn at_once<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        if let RuntimeFlavor::MultiThread = Handle::current().runtime_flavor() {
            return Ok(tokio::task::block_in_place(work));
        }
        self.blocking(move || Ok(work())).await
    }

    /// Folder of a container: its files of the engine, its log, its writable layer.
    pub(crate) fn container_folder(&self, id: &str) -> PathBuf {
        self.config.data_root.join("containers").join(id)
    }

    /// Where the shim of a container's next run shall listen. Each run has a place of its own, for the shim of the run
    /// before may still be about to leave.
    pub(crate) fn new_shim_socket(&self, id: &str) -> PathBuf {
        let run = self.attach_base.wrapping_add(self.runs.fetch_add(1, Ordering::Relaxed));
        self.config.exec_root.join("shims").join(format!("{id}.{run:x}.sock"))
    }

    /// A container's control groups with these limits.
    pub(crate) fn cgroup_plan(&self, record: &Record, resources: &Resources) -> Result<CgroupPlan> {
        let parent = match record.host.cgroup_parent.trim_start_matches('/') {
            "" => self.cgroup_parent.as_str(),
            own => own,
        };
        self.plan_cgroup(parent, &record.id.hex(), resources)
    }

    fn plan_cgroup(&self, parent: &str, id: &str, resources: &Resources) -> Result<CgroupPlan> {
        self.cgroups.plan(parent, id, resources).map_err(|error| Error::invalid(error.to_string()).caused_by(error))
    }

    /// Removes the control groups of a container that has ended, in the background. What shared its processes with
    /// others, or was suspended when its shim died, did not end with the first process: it is killed.
    pub(crate) fn clean_cgroup(&self, record: &Record) -> Option<JoinHandle<()>> {
        let plan = match self.cgroup_plan(record, &Resources::default()) {
            Ok(plan) => plan,
            Err(error) => {
                tracing::warn!(%error, "cannot name a container's control groups");
                return None;
            }
        };
        let shared = !matches!(record.host.pid_mode.as_str(), "" | "private");
        Some(self.clear_away(move || {
            let end = || cgroup::kill(&plan).and_then(|()| cgroup::remove(&plan));
            let ended = if shared { end() } else { cgroup::remove(&plan).or_else(|_| end()) };
            if let Err(error) = ended {
                tracing::warn!(%error, "cannot remove a container's control groups");
            }
        }))
    }

    /// Removes control groups beneath our own parent that belong to no container.
    pub(crate) fn sweep_cgroups(&self, lives: &dyn Fn(&str) -> bool) -> Result<()> {
        let sample = self.plan_cgroup(&self.cgroup_parent, "0", &Resources::default())?;
        let mut found = std::collections::BTreeSet::new();
        for directory in &sample.directories {
            let Some(parent) = directory.path.parent() else { continue };
            let Ok(entries) = std::fs::read_dir(parent) else { continue };
            for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
                if name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) && !lives(&name) {
                    found.insert(name);
                }
            }
        }
        for id in found {
            let plan = self.plan_cgroup(&self.cgroup_parent, &id, &Resources::default())?;
            if let Err(error) = cgroup::kill(&plan).and_then(|()| cgroup::remove(&plan)) {
                tracing::warn!(%error, id, "cannot remove a left-over control group");
            }
        }
        Ok(())
    }

    /// Gives a container's address and ports back.
    pub(crate) fn release_network(&self, record: &mut Record) {
        let (Some(address), Some(bridge)) = (record.address.take(), &self.bridge) else { return };
        if !address.published.is_empty()
            && let Err(error) = bridge.unpublish(&record.id.hex())
        {
            tracing::warn!(%error, container = %record.id, "cannot withdraw a container's ports");
        }
        if let Err(error) = bridge.unlink_all(address.address) {
            tracing::warn!(%error, container = %record.id, "cannot withdraw a container's links");
        }
        bridge.release(address.address);
    }

    /// Removes all files of a container; what is large goes in the background.
    pub(crate) fn drop_files(&self, id: &str) {
        if let Err(error) = self.storage.remove_snapshot(id) {
            tracing::warn!(%error, id, "cannot remove a container's files; the next start of the daemon tries again");
        }
    }
}

pub(crate) fn make_folder(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|error| Error::system(format!("cannot make the folder {}: {error}", path.display())).caused_by(error))
}

fn engine_id(store: &Store) -> Result<String> {
    if let Some(id) = store.read(|reader| reader.meta(META_ID))? {
        return Ok(id);
    }
    let random = model::ContainerId::random()
        .map_err(|error| Error::system("no random numbers for an id").caused_by(error))?
        .hex();
    // The form of a UUID, as Docker's.
    let id = format!("{}-{}-{}-{}-{}", &random[..8], &random[8..12], &random[12..16], &random[16..20], &random[20..32]);
    store.write_durable(|tx| tx.put_meta(META_ID, &id))?;
    Ok(id)
}

fn cgroup_parent(config: &EngineConfig) -> String {
    if !config.cgroup_parent.is_empty() {
        return config.cgroup_parent.trim_matches('/').to_owned();
    }
    let root = std::fs::canonicalize(&config.data_root).unwrap_or_else(|_| config.data_root.clone());
    format!("longshore/{}", &image::digest(root.as_os_str().as_encoded_bytes()).hex()[..12])
}

fn attach_base() -> u64 {
    // Milliseconds leave room for a thousand clients a second between two daemons.
    u64::try_from(model::Timestamp::now().unix_nanoseconds() / 1_000).unwrap_or(0)
}
