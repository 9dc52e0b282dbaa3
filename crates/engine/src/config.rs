//! What the daemon's flags and file tell the engine.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use api::StringMap;

/// Everything the engine must know to open.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Where what must last is kept (`--data-root`).
    pub data_root: PathBuf,
    /// Where sockets and other things of one boot are kept (`--exec-root`).
    pub exec_root: PathBuf,
    /// The default bridge; `None`: containers have no bridge (`--bridge none`).
    pub bridge: Option<network::BridgeConfig>,
    /// Cgroup under which containers' cgroups are made; empty: `longshore`, with a part of the data root's own beneath.
    pub cgroup_parent: String,
    /// Name servers for containers that name none (`--dns`).
    pub dns: Vec<IpAddr>,
    /// Search domains likewise (`--dns-search`).
    pub dns_search: Vec<String>,
    /// Resolver options likewise (`--dns-opt`).
    pub dns_options: Vec<String>,
    /// Logging driver of containers that name none (`--log-driver`): `json-file`, `local` or `none`.
    pub log_driver: String,
    /// Its options (`--log-opt`).
    pub log_options: StringMap,
    /// `--init`: run an init that reaps in every container that does not say.
    pub init: bool,
    /// Resource limits that containers start with (`--default-ulimit`).
    pub default_ulimits: Vec<api::host_config::Ulimit>,
    /// Bytes of `/dev/shm` of containers that do not say (`--default-shm-size`); 0: 64 MiB.
    pub default_shm_size_bytes: i64,
    /// What may change while the engine runs.
    pub changeable: Changeable,
    /// The Docker release that we say we are (`ServerVersion`), for example `28.5.2`.
    pub version: String,
    /// Commit that the binary was built from.
    pub git_commit: String,
    /// When the binary was built, RFC 3339, or empty.
    pub build_time: String,
    /// Lowest API version served, for version.
    pub min_api_version: String,
    /// Highest API version served, for version.
    pub api_version: String,
}

/// What a running engine can be told anew by [`crate::Engine::reload`].
#[derive(Debug, Clone, Default)]
pub struct Changeable {
    /// The daemon's own labels (`--label`), shown by info.
    pub labels: Vec<String>,
    /// Run by `--debug`; shown by info.
    pub debug: bool,
    /// Containers outlive the daemon (`--live-restore`).
    pub live_restore: bool,
    /// How long the end of a daemon without that waits for containers that were asked to stop (`--shutdown-timeout`);
    /// `None`: as long as they take.
    pub shutdown_timeout: Option<Duration>,
    /// Mirrors, registries without trusted TLS, transfers at a time (`--registry-mirror`, `--insecure-registry`,
    /// `--max-concurrent-downloads`, `--max-concurrent-uploads`), and which blobs are kept (`--keep-blobs`).
    pub registries: ::registry::Settings,
    /// Features of the file, which are shown and decide nothing.
    pub features: BTreeMap<String, bool>,
}
