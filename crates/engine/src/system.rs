//! The machine and the engine as a whole: info, version, disk usage.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::system::{
    Commit, Component, DiskUsage, FirewallBackend, IndexConfig, Info, PlatformName, Plugins, RegistryConfig, Runtime,
    SwarmInfo, Version,
};
use api::volume::VolumeUsage;
use model::Timestamp;

use crate::container::record::Status;
use crate::engine::Engine;
use crate::options::{Filters, ImageListOptions};
use crate::{Error, Result};

/// The host's name.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Memory of the machine.
pub(crate) fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

fn kernel_version() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// `PRETTY_NAME` and `VERSION_ID` of the host's distribution.
fn distribution() -> (String, String) {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned()).unwrap_or_default()
    };
    let name = value("PRETTY_NAME");
    (if name.is_empty() { "Linux".to_owned() } else { name }, value("VERSION_ID"))
}

/// Number of open files of this process.
fn open_files() -> i64 {
    let count = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Engine {
    /// What of the machine keeps containers from working as they should, a sentence each.
    pub(crate) async fn warnings(self: &Arc<Self>) -> Vec<String> {
        let engine = Arc::clone(self);
        let look = move || engine.bridge.as_ref().map_or(Ok(Vec::new()), network::Bridge::obstacles);
        match self.at_once(look).await {
            Ok(Ok(obstacles)) => obstacles.into_iter().map(|obstacle| format!("WARNING: {obstacle}")).collect(),
            Ok(Err(error)) => {
                tracing::debug!(%error, "cannot look at the firewall");
                Vec::new()
            }
            Err(error) => vec![format!("WARNING: cannot look at the firewall: {error}")],
        }
    }

    pub(crate) async fn show_info(self: &Arc<Self>) -> Result<Info> {
        let count = |wanted: &dyn Fn(Status) -> bool| {
            let all = self.containers.all();
            let matching = all.iter().filter(|container| wanted(container.record().state.status)).count();
            i64::try_from(matching).unwrap_or(i64::MAX)
        };
        let (operating_system, os_version) = distribution();
        let has = |controller: &str| self.has_controller(controller);
        let version = if self.cgroups.unified { "2" } else { "1" };
        let (config, changeable) = (&self.config, self.changeable());
        let proxies = registry::ProxyVariables::from_env().masked();
        let list = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        Ok(Info {
            id: self.id.clone(),
            containers: count(&|_| true),
            containers_running: count(&|status| matches!(status, Status::Running | Status::Restarting)),
            containers_paused: count(&|status| status == Status::Paused),
            containers_stopped: count(&|status| !status.is_up()),
            images: i64::try_from(self.images.snapshot().images().count()).unwrap_or(i64::MAX),
            driver: "overlay2".to_owned(),
            driver_status: vec![
                ["Backing Filesystem".to_owned(), self.backing_filesystem()],
                ["Supports d_type".to_owned(), "true".to_owned()],
            ],
            plugins: Plugins {
                volume: list(&["local"]),
                network: list(&["bridge", "host", "null"]),
                authorization: None,
                log: list(&["json-file", "local", "none"]),
            },
            memory_limit: has("memory"),
            swap_limit: self.has_swap_limit(),
            cpu_cfs_period: has("cpu"),
            cpu_cfs_quota: has("cpu"),
            cpu_shares: has("cpu"),
            cpu_set: has("cpuset"),
            pids_limit: has("pids"),
            ipv4_forwarding: std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward")
                .is_ok_and(|text| text.trim() == "1"),
            debug: changeable.debug,
            n_fd: open_files(),
            oom_kill_disable: has("memory") && !self.cgroups.unified,
            n_goroutines: std::fs::read_dir("/proc/self/task").map_or(1, |tasks| tasks.count() as i64),
            system_time: Timestamp::now().to_string(),
            logging_driver: config.log_driver.clone(),
            cgroup_driver: "cgroupfs".to_owned(),
            cgroup_version: version.to_owned(),
            n_events_listener: i64::try_from(self.events.listeners()).unwrap_or(i64::MAX),
            kernel_version: kernel_version(),
            operating_system,
            os_version,
            os_type: "linux".to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            index_server_address: format!(
                "https://{}/v1/",
                changeable.registries.default_registry().unwrap_or("index.docker.io")
            ),
            registry_config: registries(&changeable.registries),
            ncpu: std::thread::available_parallelism().map_or(1, |count| count.get() as i64),
            mem_total: i64::try_from(memory_bytes()).unwrap_or(i64::MAX),
            docker_root_dir: config.data_root.display().to_string(),
            http_proxy: proxies.http,
            https_proxy: proxies.https,
            no_proxy: proxies.no,
            name: host_name(),
            labels: changeable.labels.clone(),
            server_version: config.version.clone(),
            runtimes: [("runc".to_owned(), Runtime { path: "longshore".to_owned(), ..Runtime::default() })].into(),
            default_runtime: "runc".to_owned(),
            swarm: SwarmInfo { local_node_state: "inactive".to_owned(), ..SwarmInfo::default() },
            live_restore_enabled: changeable.live_restore,
            init_binary: "docker-init".to_owned(),
            containerd_commit: Commit::default(),
            runc_commit: Commit { id: config.git_commit.clone() },
            init_commit: Commit { id: config.git_commit.clone() },
            security_options: list(&["name=seccomp,profile=builtin"]),
            firewall_backend: Some(FirewallBackend { driver: "nftables".to_owned(), info: Vec::new() })
                .filter(|_| self.bridge.as_ref().is_some_and(|bridge| bridge.config().firewall)),
            warnings: Some(self.warnings().await).filter(|list| !list.is_empty()),
            ..Info::default()
        })
    }

    fn has_controller(&self, controller: &str) -> bool {
        if self.cgroups.unified {
            let root =
                self.cgroups.hierarchies.first().map(|hierarchy| hierarchy.mount_point.join("cgroup.controllers"));
            let text = root.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
            return text.split_whitespace().any(|word| word == controller);
        }
        self.cgroups.hierarchies.iter().any(|hierarchy| hierarchy.controllers.iter().any(|word| word == controller))
    }

    fn has_swap_limit(&self) -> bool {
        if self.cgroups.unified {
            return self.has_controller("memory");
        }
        let memory =
            self.cgroups.hierarchies.iter().find(|hierarchy| hierarchy.controllers.iter().any(|word| word == "memory"));
        memory.is_some_and(|hierarchy| hierarchy.mount_point.join("memory.memsw.limit_in_bytes").exists())
    }

    fn backing_filesystem(&self) -> String {
        const NAMES: [(i64, &str); 4] =
            [(0xEF53, "extfs"), (0x5846_5342, "xfs"), (0x0102_1994, "tmpfs"), (0x9123_683E, "btrfs")];
        let kind = rustix::fs::statfs(&self.config.data_root).map_or(0, |stat| stat.f_type);
        NAMES.iter().find(|(number, _)| *number == kind).map_or("<unknown>", |(_, name)| name).to_owned()
    }

    pub(crate) fn show_version(&self) -> Version {
        let config = &self.config;
        let details: BTreeMap<String, String> = [
            ("ApiVersion", config.api_version.clone()),
            ("Arch", model::native_architecture().to_owned()),
            ("BuildTime", config.build_time.clone()),
            ("Experimental", "false".to_owned()),
            ("GitCommit", config.git_commit.clone()),
            ("GoVersion", String::new()),
            ("KernelVersion", kernel_version()),
            ("MinAPIVersion", config.min_api_version.clone()),
            ("Os", "linux".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        Version {
            platform: PlatformName { name: "longshore".to_owned() },
            components: vec![Component {
                name: "Engine".to_owned(),
                version: config.version.clone(),
                details: Some(details),
            }],
            version: config.version.clone(),
            api_version: config.api_version.clone(),
            min_api_version: config.min_api_version.clone(),
            git_commit: config.git_commit.clone(),
            go_version: String::new(),
            os: "linux".to_owned(),
            arch: model::native_architecture().to_owned(),
            kernel_version: kernel_version(),
            experimental: false,
            build_time: config.build_time.clone(),
        }
    }

    pub(crate) async fn show_disk_usage(self: &Arc<Self>, types: &[String]) -> Result<DiskUsage> {
        for kind in types {
            if !matches!(kind.as_str(), "container" | "image" | "volume" | "build-cache") {
                return Err(Error::invalid(format!("unknown object type: {kind}")));
            }
        }
        let wants = |kind: &str| types.is_empty() || types.iter().any(|wanted| wanted == kind);
        let mut usage = DiskUsage::default();
        if wants("image") {
            usage.layers_size = i64::try_from(self.images.snapshot().layers_size()).unwrap_or(i64::MAX);
            usage.images = self.list_images(&ImageListOptions { shared_size: true, ..ImageListOptions::default() })?;
        }
        if wants("container") {
            usage.containers = self.all_summaries().await?;
        }
        if wants("volume") {
            let engine = Arc::clone(self);
            let sizes: BTreeMap<String, u64> =
                self.blocking(move || Ok(engine.storage.disk_usage()?)).await?.volumes.into_iter().collect();
            usage.volumes = self.list_volumes(&Filters::default())?.volumes;
            for volume in &mut usage.volumes {
                let size = sizes.get(&volume.name).and_then(|size| i64::try_from(*size).ok()).unwrap_or(-1);
                let ref_count = i64::try_from(self.volume_users(&volume.name).len()).unwrap_or(i64::MAX);
                volume.usage_data = Some(VolumeUsage { ref_count, size });
            }
        }
        if wants("build-cache") {
            let engine = Arc::clone(self);
            usage.build_cache = self.blocking(move || engine.list_build_cache()).await?;
        }
        Ok(usage)
    }
}

/// What info tells of registries: the one that short names lead to, and those that need no trusted TLS.
fn registries(settings: &::registry::Settings) -> RegistryConfig {
    let mirrors = settings.mirrors();
    let hub = IndexConfig { name: "docker.io".to_owned(), mirrors: mirrors.clone(), secure: true, official: true };
    let insecure = |name: String| IndexConfig { name, ..IndexConfig::default() };
    let named = settings.insecure_hosts().into_iter().map(insecure).chain([hub]);
    RegistryConfig {
        insecure_registry_cidrs: settings.insecure_networks(),
        index_configs: named.map(|one| (one.name.clone(), one)).collect(),
        mirrors,
    }
}
