//! Containers: configuration, create, inspect, list, changes, top, wait, update.

use crate::host_config::{HostConfig, RestartPolicy, Ulimit};
use crate::network::{EndpointSettings, NetworkSettings, NetworkingConfig};
use crate::{Descriptor, KeySet, StringMap, is_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a container runs: the portable half of its configuration, also what an image's configuration holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    /// Host name inside the container.
    pub hostname: String,
    /// Domain name inside the container.
    pub domainname: String,
    /// `user[:group]`, names or numbers, resolved in the container's own files.
    pub user: String,
    /// The client that creates wants to attach to standard input.
    pub attach_stdin: bool,
    /// The client that creates wants to attach to standard output.
    pub attach_stdout: bool,
    /// The client that creates wants to attach to standard error.
    pub attach_stderr: bool,
    /// `port/protocol` the container listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<KeySet>,
    /// Runs in a terminal.
    pub tty: bool,
    /// Keeps standard input open without a client.
    pub open_stdin: bool,
    /// Closes standard input after the first attached client left.
    pub stdin_once: bool,
    /// `NAME=value`; a name alone removes the variable.
    pub env: Option<Vec<String>>,
    /// Command, or arguments of the entry point.
    #[serde(deserialize_with = "crate::decode::words")]
    pub cmd: Option<Vec<String>>,
    /// How to tell that the container is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthConfig>,
    /// Windows only; kept for the round trip.
    #[serde(skip_serializing_if = "is_default")]
    pub args_escaped: bool,
    /// The image as the client named it.
    pub image: String,
    /// Paths that get an anonymous volume.
    pub volumes: Option<KeySet>,
    /// Directory in which the command starts.
    pub working_dir: String,
    /// Program that the command is handed to.
    #[serde(deserialize_with = "crate::decode::words")]
    pub entrypoint: Option<Vec<String>>,
    /// No network but loopback.
    #[serde(skip_serializing_if = "is_default")]
    pub network_disabled: bool,
    /// Wanted hardware address, colon-separated.
    #[serde(skip_serializing_if = "is_default")]
    pub mac_address: String,
    /// Instructions for builds that start from the image.
    pub on_build: Option<Vec<String>>,
    /// Notes of the user.
    pub labels: Option<StringMap>,
    /// Signal that `stop` sends first.
    #[serde(skip_serializing_if = "is_default")]
    pub stop_signal: String,
    /// Seconds that `stop` waits before it kills.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// Shell for the shell form of commands.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "crate::decode::words")]
    pub shell: Option<Vec<String>>,
}

/// A health check; durations in nanoseconds, zero means "inherit".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthConfig {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", line]`; empty inherits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Vec<String>>,
    /// Nanoseconds between two probes.
    #[serde(skip_serializing_if = "is_default")]
    pub interval: i64,
    /// Nanoseconds a probe may take.
    #[serde(skip_serializing_if = "is_default")]
    pub timeout: i64,
    /// Nanoseconds after the start in which failures do not count.
    #[serde(skip_serializing_if = "is_default")]
    pub start_period: i64,
    /// Nanoseconds between two probes while starting.
    #[serde(skip_serializing_if = "is_default")]
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy.
    #[serde(skip_serializing_if = "is_default")]
    pub retries: i64,
}

/// `POST /containers/create`: a [`ContainerConfig`] with two more keys beside its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateRequest {
    /// What it runs.
    #[serde(flatten)]
    pub config: ContainerConfig,
    /// How it runs on this host; `None` if the client sent none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_config: Option<HostConfig>,
    /// Networks to join; `None` if the client sent none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networking_config: Option<NetworkingConfig>,
}

/// The keys that a create request has beside the configuration's.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Beside {
    host_config: Option<HostConfig>,
    networking_config: Option<NetworkingConfig>,
}

impl CreateRequest {
    /// Reads a create request with the leniency of [`crate::decode`] (a flattened struct would lose it).
    pub fn decode(body: &serde_json::Value) -> Result<Self, crate::DecodeError> {
        let config = crate::decode(body)?;
        let Beside { host_config, networking_config } = crate::decode(body)?;
        Ok(Self { config, host_config, networking_config })
    }
}

/// Answer to a create.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateResponse {
    /// The new container.
    pub id: String,
    /// What was asked and will not be so.
    pub warnings: Vec<String>,
}

/// `GET /containers/{name}/json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerInspect {
    /// 64 hexadecimal digits.
    pub id: String,
    /// RFC 3339 with nanoseconds.
    pub created: String,
    /// The program.
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// How it is now.
    pub state: ContainerState,
    /// Image id, `sha256:…`.
    pub image: String,
    /// File on the host bound over `/etc/resolv.conf`.
    pub resolv_conf_path: String,
    /// File on the host bound over `/etc/hostname`.
    pub hostname_path: String,
    /// File on the host bound over `/etc/hosts`.
    pub hosts_path: String,
    /// The log file, empty if the logging driver keeps none.
    pub log_path: String,
    /// Name with its leading slash.
    pub name: String,
    /// Restarts made by the restart policy.
    pub restart_count: i64,
    /// Storage driver.
    pub driver: String,
    /// `linux`.
    pub platform: String,
    /// SELinux label of mounts.
    pub mount_label: String,
    /// SELinux label of processes.
    pub process_label: String,
    /// AppArmor profile.
    pub app_armor_profile: String,
    /// Execs that are running; `null` if none.
    #[serde(rename = "ExecIDs")]
    pub exec_ids: Option<Vec<String>>,
    /// How it runs on this host.
    pub host_config: HostConfig,
    /// Where the storage driver keeps it.
    pub graph_driver: GraphDriver,
    /// Bytes written beside the image; only if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_rw: Option<i64>,
    /// Bytes of the whole root file system; only if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_root_fs: Option<i64>,
    /// Volumes, binds and tmpfs mounts.
    pub mounts: Vec<MountPoint>,
    /// What it runs.
    pub config: ContainerConfig,
    /// Its place on the networks.
    pub network_settings: NetworkSettings,
    /// Manifest of the image, with a store that keeps manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_manifest_descriptor: Option<Descriptor>,
}

/// Storage driver and its paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GraphDriver {
    /// Paths, or `null`.
    pub data: Option<StringMap>,
    /// `overlay2`.
    pub name: String,
}

/// How a container is at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerState {
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    pub status: String,
    /// Has processes (also while paused or restarting).
    pub running: bool,
    /// Frozen.
    pub paused: bool,
    /// Waits for its restart policy.
    pub restarting: bool,
    /// The kernel killed it for memory.
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    /// Could not be removed.
    pub dead: bool,
    /// Its first process as the host sees it, 0 if not running.
    pub pid: i64,
    /// Status of the last run.
    pub exit_code: i64,
    /// Why the last start failed.
    pub error: String,
    /// RFC 3339; the year 1 if never.
    pub started_at: String,
    /// RFC 3339; the year 1 if never.
    pub finished_at: String,
    /// Only with a health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

/// Results of the health check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Health {
    /// `starting`, `healthy`, `unhealthy` or `none`.
    pub status: String,
    /// Failures in a row.
    pub failing_streak: i64,
    /// The last five probes.
    pub log: Vec<HealthcheckResult>,
}

/// One probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthcheckResult {
    /// RFC 3339.
    pub start: String,
    /// RFC 3339.
    pub end: String,
    /// 0 is well.
    pub exit_code: i64,
    /// What the probe printed, cut at 4096 bytes.
    pub output: String,
}

/// A mount as inspect and list show it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountPoint {
    /// `bind`, `volume`, `tmpfs`, …
    #[serde(skip_serializing_if = "is_default")]
    pub r#type: String,
    /// Volume's name.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// Path on the host.
    pub source: String,
    /// Path in the container.
    pub destination: String,
    /// Volume's driver.
    #[serde(skip_serializing_if = "is_default")]
    pub driver: String,
    /// Options as the client wrote them.
    pub mode: String,
    /// Writable.
    #[serde(rename = "RW")]
    pub rw: bool,
    /// `rprivate`, `rslave`, …; empty for volumes.
    pub propagation: String,
}

/// One line of `GET /containers/json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerSummary {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Names with their leading slash; links add `/other/alias`.
    pub names: Vec<String>,
    /// The image as named at create, or its id when the name moved on.
    pub image: String,
    /// `sha256:…`.
    #[serde(rename = "ImageID")]
    pub image_id: String,
    /// Manifest of the image, with a store that keeps manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_manifest_descriptor: Option<Descriptor>,
    /// Program and arguments in one line.
    pub command: String,
    /// Unix seconds.
    pub created: i64,
    /// Exposed and published ports.
    pub ports: Vec<PortSummary>,
    /// Bytes written; only if asked for, and if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_rw: Option<i64>,
    /// Bytes of everything; only if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_root_fs: Option<i64>,
    /// Notes of the user.
    pub labels: StringMap,
    /// As [`ContainerState::status`].
    pub state: String,
    /// In words: `Up 3 minutes`.
    pub status: String,
    /// The part of it that a list shows.
    pub host_config: HostConfigSummary,
    /// The part of it that a list shows.
    pub network_settings: NetworkSettingsSummary,
    /// Mounts.
    pub mounts: Vec<MountPoint>,
}

/// What a list shows of the host configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfigSummary {
    /// As asked.
    #[serde(skip_serializing_if = "is_default")]
    pub network_mode: String,
    /// As asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<StringMap>,
}

/// What a list shows of the networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkSettingsSummary {
    /// By network's name.
    pub networks: BTreeMap<String, EndpointSettings>,
}

/// One port of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortSummary {
    /// Host address.
    #[serde(rename = "IP", skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Port in the container.
    pub private_port: u16,
    /// Port on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_port: Option<u16>,
    /// `tcp`, `udp` or `sctp`.
    pub r#type: String,
}

/// A changed path (`GET /containers/{name}/changes`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Change {
    /// Absolute path in the container.
    pub path: String,
    /// 0 modified, 1 added, 2 deleted.
    pub kind: u8,
}

/// `GET /containers/{name}/top`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TopResponse {
    /// One row a process, as many cells as titles.
    pub processes: Vec<Vec<String>>,
    /// Column heads.
    pub titles: Vec<String>,
}

/// `POST /containers/{name}/wait`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WaitResponse {
    /// Exit status.
    pub status_code: i64,
    /// Why waiting failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<WaitError>,
}

/// Why waiting failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WaitError {
    /// In words.
    pub message: String,
}

/// `POST /containers/{name}/update`: the limits that may change while a container lives; zero or `null` keeps one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "each is HostConfig's field of that name")]
pub struct UpdateRequest {
    pub cpu_shares: i64,
    pub memory: i64,
    pub nano_cpus: i64,
    pub blkio_weight: u16,
    pub cpu_period: i64,
    pub cpu_quota: i64,
    pub cpu_realtime_period: i64,
    pub cpu_realtime_runtime: i64,
    pub cpuset_cpus: String,
    pub cpuset_mems: String,
    pub memory_reservation: i64,
    pub memory_swap: i64,
    pub memory_swappiness: Option<i64>,
    pub oom_kill_disable: Option<bool>,
    pub pids_limit: Option<i64>,
    pub ulimits: Option<Vec<Ulimit>>,
    pub restart_policy: RestartPolicy,
}

/// Answer to an update.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UpdateResponse {
    /// What was asked and is not so; `null` if nothing.
    pub warnings: Option<Vec<String>>,
}

/// `POST /containers/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainersPruned {
    /// Ids; `null` if none.
    pub containers_deleted: Option<Vec<String>>,
    /// Bytes.
    pub space_reclaimed: u64,
}

/// What a path of a container is: header `X-Docker-Container-Path-Stat`, base64 of this.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PathStat {
    /// Last component.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Go's `FileMode` bits (directory `1<<31`, symbolic link `1<<27`, …).
    pub mode: u32,
    /// RFC 3339.
    pub mtime: String,
    /// Where a symbolic link points, inside the container.
    #[serde(rename = "linkTarget")]
    pub link_target: String,
}
