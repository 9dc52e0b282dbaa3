//! The daemon itself: version, info, disk usage.

use crate::container::ContainerSummary;
use crate::image::ImageSummary;
use crate::volume::Volume;
use crate::{StringMap, is_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /version`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Version {
    /// Product.
    pub platform: PlatformName,
    /// Parts and their versions.
    pub components: Vec<Component>,
    /// Version of the engine.
    pub version: String,
    /// Newest API version.
    pub api_version: String,
    /// Oldest API version.
    #[serde(rename = "MinAPIVersion")]
    pub min_api_version: String,
    /// Revision of the source.
    pub git_commit: String,
    /// Compiler; clients print it.
    pub go_version: String,
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`.
    pub arch: String,
    /// Running kernel.
    pub kernel_version: String,
    /// Offers what is not settled yet.
    #[serde(skip_serializing_if = "is_default")]
    pub experimental: bool,
    /// RFC 3339.
    #[serde(skip_serializing_if = "is_default")]
    pub build_time: String,
}

/// Product's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PlatformName {
    /// The name.
    pub name: String,
}

/// One part of the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Component {
    /// `Engine`, …
    pub name: String,
    /// Its version.
    pub version: String,
    /// More, as text.
    pub details: Option<StringMap>,
}

/// `GET /info`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Info {
    /// This daemon's own id, kept for ever.
    #[serde(rename = "ID")]
    pub id: String,
    /// All of them.
    pub containers: i64,
    /// Of those.
    pub containers_running: i64,
    /// Of those.
    pub containers_paused: i64,
    /// Of those.
    pub containers_stopped: i64,
    /// All of them.
    pub images: i64,
    /// Storage driver.
    pub driver: String,
    /// Its own words.
    pub driver_status: Vec<[String; 2]>,
    /// What can be chosen for volumes, networks and logs.
    pub plugins: Plugins,
    /// The kernel can limit memory.
    pub memory_limit: bool,
    /// The kernel can limit swap.
    pub swap_limit: bool,
    /// The kernel knows CFS periods.
    pub cpu_cfs_period: bool,
    /// The kernel knows CFS quotas.
    pub cpu_cfs_quota: bool,
    /// The kernel knows CPU shares.
    #[serde(rename = "CPUShares")]
    pub cpu_shares: bool,
    /// The kernel knows CPU sets.
    #[serde(rename = "CPUSet")]
    pub cpu_set: bool,
    /// The kernel can limit processes.
    pub pids_limit: bool,
    /// The host forwards packets.
    #[serde(rename = "IPv4Forwarding")]
    pub ipv4_forwarding: bool,
    /// Logs everything.
    pub debug: bool,
    /// Open files of the daemon.
    pub n_fd: i64,
    /// The kernel can spare a container when memory runs out.
    pub oom_kill_disable: bool,
    /// Tasks of the daemon.
    pub n_goroutines: i64,
    /// RFC 3339 with nanoseconds.
    pub system_time: String,
    /// Of containers that choose none.
    pub logging_driver: String,
    /// `cgroupfs` or `systemd`.
    pub cgroup_driver: String,
    /// `1` or `2`.
    #[serde(skip_serializing_if = "is_default")]
    pub cgroup_version: String,
    /// Clients that read events.
    pub n_events_listener: i64,
    /// Running kernel.
    pub kernel_version: String,
    /// Distribution.
    pub operating_system: String,
    /// Its version.
    #[serde(rename = "OSVersion")]
    pub os_version: String,
    /// `linux`.
    #[serde(rename = "OSType")]
    pub os_type: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// Registry of names without a host.
    pub index_server_address: String,
    /// Registries.
    pub registry_config: RegistryConfig,
    /// Processors.
    #[serde(rename = "NCPU")]
    pub ncpu: i64,
    /// Bytes.
    pub mem_total: i64,
    /// Swarm only.
    pub generic_resources: Option<Vec<serde_json::Value>>,
    /// Data root.
    pub docker_root_dir: String,
    /// Proxy, without its password.
    pub http_proxy: String,
    /// Proxy, without its password.
    pub https_proxy: String,
    /// Hosts reached directly.
    pub no_proxy: String,
    /// Host's name.
    pub name: String,
    /// Labels of the daemon.
    pub labels: Vec<String>,
    /// Offers what is not settled yet.
    pub experimental_build: bool,
    /// Version of the engine.
    pub server_version: String,
    /// OCI runtimes by name.
    pub runtimes: BTreeMap<String, Runtime>,
    /// Of containers that choose none.
    pub default_runtime: String,
    /// Swarm's state.
    pub swarm: SwarmInfo,
    /// Containers outlive the daemon.
    pub live_restore_enabled: bool,
    /// Windows only.
    pub isolation: String,
    /// Program of `--init`.
    pub init_binary: String,
    /// Versions of the parts.
    pub containerd_commit: Commit,
    /// Versions of the parts.
    pub runc_commit: Commit,
    /// Versions of the parts.
    pub init_commit: Commit,
    /// `name=seccomp,profile=builtin`, …
    pub security_options: Vec<String>,
    /// Pools of networks without a subnet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub default_address_pools: Vec<AddressPool>,
    /// What filters packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall_backend: Option<FirewallBackend>,
    /// Directories of CDI devices.
    #[serde(rename = "CDISpecDirs")]
    pub cdi_spec_dirs: Vec<String>,
    /// What the user should know; `null` if nothing.
    pub warnings: Option<Vec<String>>,
}

/// What can be chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Plugins {
    /// Volume drivers.
    pub volume: Vec<String>,
    /// Network drivers.
    pub network: Vec<String>,
    /// Authorization plugins.
    pub authorization: Option<Vec<String>>,
    /// Logging drivers.
    pub log: Vec<String>,
}

/// Registries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RegistryConfig {
    /// Networks whose registries may speak plain HTTP.
    #[serde(rename = "InsecureRegistryCIDRs")]
    pub insecure_registry_cidrs: Vec<String>,
    /// Registries by name.
    pub index_configs: BTreeMap<String, IndexConfig>,
    /// Mirrors of the default registry.
    pub mirrors: Vec<String>,
}

/// One registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct IndexConfig {
    /// Its host.
    pub name: String,
    /// Its mirrors.
    pub mirrors: Vec<String>,
    /// TLS with a certificate that is checked.
    pub secure: bool,
    /// The default one.
    pub official: bool,
}

/// An OCI runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Runtime {
    /// Program.
    #[serde(skip_serializing_if = "is_default")]
    pub path: String,
    /// Arguments before the command.
    #[serde(rename = "runtimeArgs", skip_serializing_if = "Vec::is_empty")]
    pub runtime_args: Vec<String>,
    /// Its features.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StringMap>,
}

/// Swarm's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SwarmInfo {
    /// This node.
    #[serde(rename = "NodeID")]
    pub node_id: String,
    /// Its address.
    pub node_addr: String,
    /// `inactive`.
    pub local_node_state: String,
    /// Is a manager.
    pub control_available: bool,
    /// What went wrong.
    pub error: String,
    /// The managers; `null` if none.
    pub remote_managers: Option<Vec<serde_json::Value>>,
}

/// Version of a part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Commit {
    /// Revision.
    #[serde(rename = "ID")]
    pub id: String,
}

/// A pool of networks without a subnet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AddressPool {
    /// `172.17.0.0/12`.
    pub base: String,
    /// Prefix length of one network.
    pub size: u8,
}

/// What filters packets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FirewallBackend {
    /// `nftables`.
    pub driver: String,
    /// Its own words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub info: Vec<[String; 2]>,
}

/// `GET /system/df`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DiskUsage {
    /// Bytes of all layers.
    pub layers_size: i64,
    /// The images.
    pub images: Vec<ImageSummary>,
    /// The containers, with sizes.
    pub containers: Vec<ContainerSummary>,
    /// The volumes, with sizes.
    pub volumes: Vec<Volume>,
    /// The build cache.
    pub build_cache: Vec<BuildCache>,
}

/// Something that a build left for the next one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BuildCache {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// `exec.cachemount`: a folder of `RUN --mount=type=cache`.
    pub r#type: String,
    /// What it is, for people.
    pub description: String,
    /// A build uses it now.
    pub in_use: bool,
    /// It is part of something else that stays.
    pub shared: bool,
    /// Bytes.
    pub size: i64,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it was last used, RFC 3339.
    pub last_used_at: String,
    /// How many steps have used it.
    pub usage_count: u64,
}

/// `POST /auth` and, encoded, the header `X-Registry-Auth`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthConfig {
    /// Who.
    #[serde(skip_serializing_if = "is_default")]
    pub username: String,
    /// Secret.
    #[serde(skip_serializing_if = "is_default")]
    pub password: String,
    /// `base64(username:password)`.
    #[serde(skip_serializing_if = "is_default")]
    pub auth: String,
    /// Historic.
    #[serde(skip_serializing_if = "is_default")]
    pub email: String,
    /// Registry.
    #[serde(skip_serializing_if = "is_default")]
    pub serveraddress: String,
    /// Token to get tokens with.
    #[serde(skip_serializing_if = "is_default")]
    pub identitytoken: String,
    /// Token to send.
    #[serde(skip_serializing_if = "is_default")]
    pub registrytoken: String,
}

/// Answer to `POST /auth`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AuthResponse {
    /// `Login Succeeded`.
    pub status: String,
    /// Token to keep instead of the password.
    pub identity_token: String,
}
