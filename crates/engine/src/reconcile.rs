//! The start of a daemon: what the records say is compared with what there is, and both are put right.
//!
//! Nothing that somebody else made is touched: only what lies beneath our own folders, sockets, control group and bridge.

use std::collections::{BTreeMap, HashSet};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use model::{ContainerId, Timestamp};
use network::Live;
use runtime::cgroup::Resources;
use shim::Connection;
use shim::protocol::{Command, Event, State as ShimState};
use tokio::task::{JoinHandle, JoinSet};

use crate::container::life::{Actor, Shim};
use crate::container::record::{Record, Status};
use crate::container::{Container, links};
use crate::engine::Engine;
use crate::options::RemoveOptions;
use crate::restart::Policy;
use crate::{Error, Result};

/// How long a shim may take to greet; it must first notice that the daemon before has died. One that is stuck is a defect, one that a
/// busy machine keeps from a processor for seconds is not, and its container must not die of it.
const GREETING: Duration = Duration::from_secs(10);
/// Exit code of a container whose end nobody saw.
const UNSEEN_END: i64 = 137;

/// A shim that answered, and what it said.
struct Greeted {
    shim: Shim,
    state: ShimState,
    pidfd: Option<OwnedFd>,
}

/// Takes over what is there.
pub(crate) async fn reconcile(engine: &Arc<Engine>) -> Result<()> {
    let records = load(engine)?;
    let mut greeted = greet(engine, &records).await;
    let mut to_start = Vec::new();
    let mut live = Vec::new();
    let mut of_builds = Vec::new();
    for mut record in records {
        let shim = greeted.remove(&record.id.hex());
        if record.state.status == Status::Removing {
            finish_removal(engine, &record);
            continue;
        }
        let unseen = shim.is_none() && record.state.status.has_process();
        let restart = settle(engine, &mut record, shim.is_some());
        let ended = shim.as_ref().is_some_and(|shim| shim.state.exit.is_some());
        if let Some(address) = record.address.as_ref().filter(|_| !ended) {
            live.push((record.clone(), address.address, address.published.clone()));
        }
        // Before a restart, which waits for it.
        let cleaning = if unseen { engine.clean_cgroup(&record) } else { None };
        let of_build = record.of_build;
        let container = register(engine, record, shim, cleaning)?;
        if of_build {
            of_builds.push(container.id);
            continue;
        }
        if restart {
            to_start.push(container);
        }
    }
    release_strangers(greeted);
    restore_network(engine, live)?;
    let engine = Arc::clone(engine);
    tokio::spawn(async move {
        for id in of_builds {
            let options = RemoveOptions { force: true, volumes: true, link: false };
            if let Err(error) = engine.remove(&id.hex(), options).await {
                tracing::warn!(container = %id, %error, "cannot remove the container of a build that was cut off");
            }
        }
        for container in to_start {
            if let Err(error) = container.step(|actor| Box::pin(actor.start())).await {
                tracing::warn!(container = %container.id, %error, "cannot start a container by its restart policy");
            }
        }
        let sweeping = Arc::clone(&engine);
        if let Err(error) = engine.blocking(move || sweep(&sweeping)).await {
            tracing::warn!(%error, "cannot remove what a daemon before left behind");
        }
    });
    Ok(())
}

fn load(engine: &Engine) -> Result<Vec<Record>> {
    let stored = engine.store.read(|reader| reader.containers::<Record>())?;
    let records: Vec<_> = stored
        .into_iter()
        .map(|row| {
            let mut record = row.document;
            record.name = row.name;
            record
        })
        .collect();
    for record in &records {
        engine.containers.claim(&record.name, record.id)?;
    }
    Ok(records)
}

/// Connects to every shim that listens, all at once.
async fn greet(engine: &Engine, records: &[Record]) -> BTreeMap<String, Greeted> {
    let by_id: BTreeMap<String, &Record> = records.iter().map(|record| (record.id.hex(), record)).collect();
    let mut greetings = JoinSet::new();
    for (id, path) in sockets(engine) {
        let connection = match Connection::open(&path) {
            Ok(connection) => connection,
            Err(error) => {
                tracing::debug!(%error, "a left-over socket");
                // A socket of ours that nobody listens on.
                drop(std::fs::remove_file(&path));
                continue;
            }
        };
        let record = by_id.get(&id);
        let cgroup = record.and_then(|record| engine.cgroup_plan(record, &Resources::default()).ok());
        let (cgroup, ours) = (cgroup.unwrap_or_default(), record.is_some());
        let Ok(shim) = Shim::new(connection, path, cgroup) else { continue };
        greetings.spawn(async move {
            match tokio::time::timeout(GREETING, greeting(&shim)).await {
                Ok(Some((state, pidfd))) => Some((id, Greeted { shim, state, pidfd })),
                _ => {
                    tracing::warn!(id, ours, "a shim does not greet");
                    // One that says nothing must not go on beside a container that counts as ended. A stranger's may
                    // serve another daemon.
                    if ours && tokio::task::spawn_blocking(move || shim.kill()).await.is_err() {
                        tracing::error!(id, "killing a shim broke down");
                    }
                    None
                }
            }
        });
    }
    let mut greeted: BTreeMap<String, Greeted> = BTreeMap::new();
    while let Some(outcome) = greetings.join_next().await {
        let Some((id, shim)) = outcome.ok().flatten() else { continue };
        // A shim that is about to leave may still listen beside the one of the next run.
        if shim.state.exit.is_none() || !greeted.contains_key(&id) {
            greeted.insert(id, shim);
        }
    }
    greeted
}

/// Waits for a shim's greeting. It may tell of an exec or a client first that ended just when we connected: what the
/// greeting says includes that.
async fn greeting(shim: &Shim) -> Option<(ShimState, Option<OwnedFd>)> {
    loop {
        if let (Event::Hello(state), mut descriptors) = shim.next().await? {
            return Some((*state, descriptors.pop()));
        }
    }
}

fn sockets(engine: &Engine) -> Vec<(String, std::path::PathBuf)> {
    let folder = engine.config.exec_root.join("shims");
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            // See `Engine::new_shim_socket`.
            let (id, _run) = name.strip_suffix(".sock")?.split_once('.')?;
            Some((id.to_owned(), entry.path()))
        })
        .collect()
}

/// Makes a record agree with what there is; returns whether the container is to be started.
fn settle(engine: &Engine, record: &mut Record, has_shim: bool) -> bool {
    let was_up = record.state.status.is_up();
    if !has_shim && record.state.status.has_process() {
        tracing::warn!(container = %record.id, "the container's end was seen by nobody");
        record.state.status = Status::Exited;
        (record.state.exit_code, record.state.signalled) = (UNSEEN_END, false);
        record.state.error = "the container ended while no daemon and no shim watched it".to_owned();
        record.state.finished = Some(Timestamp::now());
    }
    if !has_shim {
        record.state.pid = 0;
        // Its network namespace is gone; the bridge is told of living ones only.
        record.address = None;
    }
    let waiting = record.state.status == Status::Restarting;
    if waiting {
        record.state.status = Status::Exited;
    }
    let policy = Policy::parse(&record.host.restart_policy).unwrap_or(Policy::No);
    let begun = record.state.started.is_some();
    let due = begun && policy.at_boot(record.stopped_by_user, was_up, record.state.exit_code);
    if was_up && !has_shim {
        let saved = engine.store.write(|tx| tx.update_container(&record.id, &*record));
        if let Err(error) = saved {
            tracing::error!(%error, container = %record.id, "cannot write a container's record");
        }
    }
    !has_shim && (due || waiting)
}

/// Puts a container into the registry and starts its actor.
fn register(
    engine: &Arc<Engine>,
    record: Record,
    greeted: Option<Greeted>,
    cleaning: Option<JoinHandle<()>>,
) -> Result<Arc<Container>> {
    let auto_remove = record.host.auto_remove && greeted.is_none() && record.state.status == Status::Exited;
    let (container, steps) = Container::new(record);
    engine.containers.add(Arc::clone(&container));
    // The actor takes what the shim said as its first step, so that nothing is shown before it is so.
    let (exit, adopted) = match &greeted {
        Some(greeted) => (greeted.state.exit, greeted.state.pid.filter(|_| greeted.state.exit.is_none())),
        None => (None, None),
    };
    let started_at = greeted.as_ref().and_then(|greeted| greeted.state.started_at_ns);
    let execs = greeted.as_ref().map(|greeted| greeted.state.execs.clone()).unwrap_or_default();
    Actor::spawn(engine, Arc::clone(&container), steps, move |actor| {
        actor.cleaning = cleaning;
        if let Some(greeted) = greeted {
            let mut shim = greeted.shim;
            shim.pidfd = greeted.pidfd;
            actor.shim = Some(shim);
        }
        match (adopted, exit) {
            (Some(pid), _) => {
                actor.engine.adopt_execs(&actor.record, &execs);
                actor.adopt(pid, started_at);
            }
            (None, Some(exit)) => actor.on_exit(exit),
            // A shim that never started its container ends by itself.
            (None, None) => actor.shim = None,
        }
        if auto_remove {
            actor.remove_after_exit();
        }
    });
    Ok(container)
}

fn finish_removal(engine: &Engine, record: &Record) {
    engine.containers.unclaim(&record.name, record.id);
    if let Err(error) = engine.store.write(|tx| tx.remove_container(&record.id)) {
        tracing::warn!(%error, container = %record.id, "cannot finish a container's removal");
    }
    engine.drop_files(&record.id.hex());
}

/// Shims of containers that are in no record: their creation was never answered.
fn release_strangers(greeted: BTreeMap<String, Greeted>) {
    for (id, greeted) in greeted {
        tracing::warn!(id, "ending a container that is in no record");
        let kill = Command::Signal { exec_id: None, signal: model::Signal::KILL.number() };
        for command in [kill, Command::Release] {
            if let Err(error) = greeted.shim.send(&command, &[]) {
                tracing::debug!(%error, id, "a shim of nobody left by itself");
            }
        }
    }
}

fn restore_network(engine: &Engine, live: Vec<(Record, std::net::Ipv4Addr, Vec<network::Published>)>) -> Result<()> {
    let Some(bridge) = &engine.bridge else { return Ok(()) };
    let live: Vec<Live> = live
        .into_iter()
        .map(|(record, address, published)| Live {
            container: record.id.hex(),
            address,
            published,
            links: links::openings(engine, &record),
        })
        .collect();
    bridge
        .reconcile(&live)
        .map_err(|error| Error::system(format!("cannot restore the network: {error}")).caused_by(error))
}

/// Removes what belongs to nobody.
fn sweep(engine: &Engine) -> Result<()> {
    let known = |id: &str| id.parse::<ContainerId>().is_ok_and(|id| engine.containers.get(id).is_some());
    let up: HashSet<String> = engine
        .containers
        .all()
        .iter()
        .filter(|container| container.record().state.status.is_up())
        .map(|container| container.id.hex())
        .collect();
    engine.sweep_cgroups(&|id| up.contains(id) || known(id))?;
    for id in engine.storage.snapshots()? {
        // One that a create has just made is in the registry only a moment later: its row comes first.
        let rows = |reader: &store::Reader<'_>| reader.containers::<serde::de::IgnoredAny>();
        let in_store = !known(&id) && engine.store.read(rows)?.iter().any(|row| row.id.hex() == id);
        if !known(&id) && !in_store && engine.is_old_snapshot(&id) {
            engine.drop_files(&id);
        }
    }
    // Layers that only such a container needed, its image being gone.
    engine.images.sweep_layers()?;
    Ok(())
}

impl Engine {
    /// Whether a snapshot's folder was made before this engine opened (a create that is going on is younger).
    fn is_old_snapshot(&self, id: &str) -> bool {
        let opened_us = u128::from(self.attach_base);
        let made = std::fs::metadata(self.container_folder(id)).and_then(|metadata| metadata.modified());
        made.ok()
            .and_then(|made| made.duration_since(std::time::UNIX_EPOCH).ok())
            .is_some_and(|made| made.as_micros() < opened_us)
    }
}
