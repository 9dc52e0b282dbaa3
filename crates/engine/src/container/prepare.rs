//! Everything that a start needs before there is a process: one trip to the blocking pool.
//!
//! The order matters for what a crash leaves: the record with the address and ports is written before the shim exists,
//! so that the next daemon knows whose they are.

use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::container::ContainerConfig;
use api::quirk::Quirk;
use runtime::cgroup::{self, CgroupPlan};
use runtime::{Namespace, Namespaces, NetworkNamespace, Plan, StartError, TerminalSize};
use shim::Connection;
use shim::protocol::{Door, Start, Stdio, WindowSize};
use sys::root::Root;

use super::create::resolve_mounts;
use super::record::{Address, Mounted, NetworkMode, Record, Status};
use super::validate::at_start;
use super::{env, etc, links, ports, resources, security, user};
use crate::engine::Engine;
use crate::{Error, Result};

/// A container that is ready to be started by its shim.
pub(crate) struct Prepared {
    pub(crate) connection: Connection,
    /// Where the shim listens.
    pub(crate) socket: PathBuf,
    /// With its address.
    pub(crate) record: Record,
    pub(crate) cgroup: CgroupPlan,
    pub(crate) rootfs: OwnedFd,
    pub(crate) netns: Option<OwnedFd>,
    /// Published ports that the shim serves, and their sockets.
    pub(crate) doors: Vec<(Door, OwnedFd)>,
    pub(crate) start: Box<Start>,
}

/// A start that failed, and the exit code that the container is given for it.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) exit_code: i64,
    /// The record as far as the preparation came, without an address.
    pub(crate) reached: Option<Box<Record>>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, exit_code: 128, reached: None }
    }
}

impl Failed {
    /// What the shim reported, in the words and with the code that clients know from Docker.
    pub(crate) fn start(failure: &shim::protocol::Failure) -> Self {
        let (text, exit_code) = start_error_text(failure);
        let message = format!(
            "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: {text}"
        );
        let error = if exit_code == 128 { Error::system(message) } else { Error::invalid(message) };
        Self { error, exit_code, reached: None }
    }
}

/// The sentence and exit code for a program that could not be executed.
pub(crate) fn start_error_text(failure: &shim::protocol::Failure) -> (String, i64) {
    let stage = serde_json::from_value(serde_json::Value::String(failure.stage.clone()));
    // A shim of a newer version may name a stage that we do not know.
    let stage = stage.unwrap_or(runtime::Stage::Unknown);
    security::start_error_text(&StartError::new(stage, failure.errno, &failure.detail))
}

/// Prepares a start. What was taken is given back if it fails.
pub(crate) fn prepare(engine: &Engine, mut record: Record) -> Result<Prepared, Failed> {
    match try_prepare(engine, &mut record) {
        Ok((connection, socket, cgroup, rootfs, netns, doors, start)) => {
            Ok(Prepared { connection, socket, record, cgroup, rootfs, netns, doors, start })
        }
        Err(failed) => {
            engine.release_network(&mut record);
            Err(Failed { reached: Some(Box::new(record)), ..failed })
        }
    }
}

type Parts = (Connection, PathBuf, CgroupPlan, OwnedFd, Option<OwnedFd>, Vec<(Door, OwnedFd)>, Box<Start>);

fn try_prepare(engine: &Engine, record: &mut Record) -> Result<Parts, Failed> {
    let id = record.id.hex();
    let rootfs = engine.storage.mount(&id, false).map_err(Error::from)?;
    let root = Root::from(rootfs);
    etc::write_resolver(engine, record)?;
    let (netns, network) = join_network(engine, record)?;
    etc::write_names(engine, record)?;
    make_mounts(engine, record)?;
    fill_volumes(engine, record, &root)?;
    at_start(record)?;
    let user = user::resolve(&root, &record.config.user, record.host.group_add.as_deref().unwrap_or_default())?;
    let cwd = working_directory(&root, &record.config.working_dir)?;
    let env = environment(engine, record, &user.home)?;
    links::establish(engine, record)?;
    let hostname = match Quirk::OldHosts.is_in(record.host.annotations.as_ref()) {
        true => env::lookup(&env, "HOSTNAME").unwrap_or_default().to_owned(),
        false => record.hostname().to_owned(),
    };
    let process = security::process(engine, record, user, env, cwd)?;
    let resources = resources::resources(record)?;
    let cgroup = engine.cgroup_plan(record, &resources)?;
    let (namespaces, foreign) = namespaces(engine, record, network)?;
    let plan = Plan {
        id: id.clone(),
        hostname,
        domainname: record.config.domainname.clone(),
        root_readonly: record.host.readonly_rootfs,
        mounts: super::mounts::plan(record, foreign)?,
        devices: resources::device_nodes(record)?,
        masked_paths: security::masked_paths(record),
        readonly_paths: security::readonly_paths(record),
        sysctls: record.host.sysctls.clone().unwrap_or_default(),
        namespaces,
        cgroup: cgroup.clone(),
        process,
        terminal: record.config.tty,
        terminal_size: terminal_size(record).map(|size| TerminalSize { rows: size.rows, columns: size.columns }),
    };
    cgroup::create(&cgroup).map_err(|error| Error::system(error.to_string()).caused_by(error))?;
    let doors = doors(engine, record)?;
    let start = start_command(engine, record, &plan)?;
    record.state.status = Status::Running;
    engine.store.write(|tx| tx.update_container(&record.id, &*record)).map_err(Error::from)?;
    let socket = engine.new_shim_socket(&id);
    let connection = engine
        .launcher
        .launch(&id, &socket)
        .map_err(|error| Error::system(format!("cannot start a shim for the container: {error}")).caused_by(error))?;
    Ok((connection, socket, cgroup, OwnedFd::from(root), netns, doors, start))
}

fn start_command(engine: &Engine, record: &Record, plan: &Plan) -> Result<Box<Start>> {
    let plan = serde_json::value::to_raw_value(plan)
        .map_err(|error| Error::system("cannot encode the container's plan").caused_by(error))?;
    let stdio = Stdio {
        terminal: record.config.tty,
        open_stdin: record.config.open_stdin,
        stdin_once: record.config.stdin_once,
    };
    Ok(Box::new(Start { plan, stdio, log: super::logs::shim_config(engine, record)? }))
}

fn terminal_size(record: &Record) -> Option<WindowSize> {
    let [rows, columns] = record.host.console_size;
    let size = WindowSize { rows: rows.try_into().ok()?, columns: columns.try_into().ok()? };
    (size.rows > 0 && size.columns > 0).then_some(size)
}

/// Takes what the container needs of the network; its address and ports end up in the record.
fn join_network(engine: &Engine, record: &mut Record) -> Result<(Option<OwnedFd>, NetworkNamespace)> {
    let mode = record.host.network_mode.clone();
    match NetworkMode::of(&mode, record.config.network_disabled) {
        NetworkMode::Host => Ok((None, NetworkNamespace::Host)),
        NetworkMode::Container(name) => {
            let other = running(engine, name, "join network of")?;
            Ok((None, NetworkNamespace::Join(other.state.pid)))
        }
        NetworkMode::Bridge => match &engine.bridge {
            Some(bridge) => Ok((Some(join_bridge(engine, bridge, record)?), NetworkNamespace::Fd)),
            None => Ok((Some(engine.loopbacks.take()?), NetworkNamespace::Fd)),
        },
        NetworkMode::None => Ok((Some(engine.loopbacks.take()?), NetworkNamespace::Fd)),
        // Refused by the check that follows.
        NetworkMode::Custom(_) => Ok((Some(engine.loopbacks.take()?), NetworkNamespace::Fd)),
    }
}

fn join_bridge(engine: &Engine, bridge: &network::Bridge, record: &mut Record) -> Result<OwnedFd> {
    let sandbox = bridge.take(ports::wanted(record)?)?;
    let random =
        |what| model::ContainerId::random().map(|id| id.hex()).map_err(|error| Error::system(what).caused_by(error));
    record.address = Some(Address {
        address: sandbox.address,
        prefix_len: sandbox.prefix_len,
        gateway: sandbox.gateway,
        mac: sandbox.mac,
        endpoint_id: random("no random numbers for an endpoint")?,
        sandbox_id: random("no random numbers for a sandbox")?,
        published: Vec::new(),
    });
    let requests = ports::requests(record)?;
    if !requests.is_empty() {
        let published = bridge.publish(&record.id.hex(), sandbox.address, &requests).map_err(|error| {
            let endpoint = record.address.as_ref().map_or("", |address| address.endpoint_id.as_str());
            Error::system(format!(
                "failed to set up container networking: driver failed programming external connectivity on endpoint {} ({endpoint}): {}",
                record.name,
                ports::taken_text(engine, &error)
            ))
            .caused_by(error)
        })?;
        if let Some(address) = &mut record.address {
            address.published = published;
        }
    }
    Ok(sandbox.netns)
}

/// The published ports to which the firewall does not lead.
fn doors(engine: &Engine, record: &Record) -> Result<Vec<(Door, OwnedFd)>> {
    let (Some(bridge), Some(address)) = (&engine.bridge, &record.address) else { return Ok(Vec::new()) };
    let door = |published: network::Published| Door {
        datagrams: published.protocol == network::Protocol::Udp,
        target: SocketAddrV4::new(address.address, published.port),
    };
    let doors = bridge.doors(&record.id.hex())?;
    Ok(doors.into_iter().map(|(published, socket)| (door(published), socket)).collect())
}

/// Another container that must run.
fn running(engine: &Engine, name: &str, purpose: &str) -> Result<Arc<Record>> {
    let other = engine.containers.find(name)?.record();
    match other.state.status {
        Status::Running | Status::Paused => Ok(other),
        _ => Err(Error::conflict(format!("cannot {purpose} a non running container: {}", other.id))),
    }
}

/// Makes the mounts of a host configuration that came with the start; volumes of an earlier one stay.
fn make_mounts(engine: &Engine, record: &mut Record) -> Result<()> {
    if record.mounts_due {
        let made = resolve_mounts(engine, &ContainerConfig::default(), &record.host)?;
        let mounts = Arc::make_mut(&mut record.mounts);
        for mounted in made {
            mounts.retain(|have| have.point.destination != mounted.point.destination);
            mounts.push(mounted);
        }
        (record.mounts_due, record.volumes_filled) = (false, false);
    }
    Ok(())
}

/// Copies what the image has at the paths of new volumes into them, before the first use.
pub(super) fn fill_volumes(engine: &Engine, record: &Record, root: &Root) -> Result<()> {
    if record.volumes_filled {
        return Ok(());
    }
    for mounted in record.mounts.iter().filter(|mounted| mounted.copy && mounted.subpath.is_empty()) {
        let Mounted { point, .. } = mounted;
        engine.storage.populate_volume(&point.name, root, Path::new(&point.destination))?;
    }
    Ok(())
}

/// The directory in which the process starts, made if it is missing.
fn working_directory(root: &Root, wanted: &str) -> Result<String> {
    if wanted.is_empty() || wanted == "/" {
        return Ok("/".to_owned());
    }
    match root.lookup(wanted) {
        Ok(Some(metadata)) if metadata.is_dir() => {}
        _ => {
            let made = root.mkdir_all(wanted, 0o755, Some(sys::root::Owner { uid: 0, gid: 0 }));
            made.map_err(|error| {
                Error::invalid(format!("cannot make the working directory {wanted}: {error}")).caused_by(error)
            })?;
        }
    }
    Ok(wanted.to_owned())
}

fn environment(engine: &Engine, record: &Record, home: &str) -> Result<Vec<String>> {
    let mut linked = Vec::new();
    for link in record.links.iter() {
        let child = engine.containers.get(link.target).map(|container| container.record());
        let Some(child) = child else { continue };
        let variables = links::variables(record, link, &child).ok_or_else(|| {
            Error::invalid(format!(
                "Cannot link to a non running container: /{} AS /{}/{}",
                child.name, record.name, link.alias
            ))
        })?;
        linked.extend(variables);
    }
    let config = record.config.env.as_deref().unwrap_or_default();
    if Quirk::StrictEnvironment.is_in(record.host.annotations.as_ref())
        && let Some(lone) = config.iter().find(|entry| !entry.contains('=') || entry.starts_with('='))
    {
        return Err(Error::invalid(format!("invalid environment variable: {lone}")));
    }
    Ok(env::environment(record.hostname(), record.config.tty, linked, config, home))
}

/// The namespaces, and the process whose `/dev/shm` is shared.
fn namespaces(engine: &Engine, record: &Record, network: NetworkNamespace) -> Result<(Namespaces, Option<i32>)> {
    let joined = |mode: &str, purpose| -> Result<Namespace> {
        match (mode, mode.strip_prefix("container:")) {
            ("host", _) => Ok(Namespace::Host),
            (_, Some(name)) => Ok(Namespace::Join(running(engine, name, purpose)?.state.pid)),
            _ => Ok(Namespace::New),
        }
    };
    let ipc = joined(&record.host.ipc_mode, "join IPC of")?;
    if let Some(name) = record.host.ipc_mode.strip_prefix("container:") {
        shares_ipc(&*running(engine, name, "join IPC of")?)?;
    }
    let shm = if let Namespace::Join(pid) = ipc { Some(pid) } else { None };
    let cgroup = match record.host.cgroupns_mode.as_str() {
        "host" => Namespace::Host,
        "" if !engine.cgroups.unified => Namespace::Host,
        _ => Namespace::New,
    };
    let namespaces = Namespaces {
        network,
        pid: joined(&record.host.pid_mode, "join PID of")?,
        ipc,
        uts: joined(&record.host.uts_mode, "join UTS of")?,
        cgroup,
    };
    Ok((namespaces, shm))
}

/// A container keeps its IPC to itself unless it was made to share it.
fn shares_ipc(donor: &Record) -> Result<()> {
    match donor.host.ipc_mode.as_str() {
        "private" | "none" | "" => Err(Error::invalid(format!(
            "can not join IPC of container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
            donor.id
        ))),
        _ => Ok(()),
    }
}
