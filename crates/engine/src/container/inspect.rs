//! All there is to know about one container.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::container::{ContainerInspect, ContainerState, GraphDriver, MountPoint};
use api::network::{EndpointSettings, NetworkSettings};
use model::Timestamp;

use super::ports::{mac_text, port_map};
use super::record::{NetworkMode, Record, State, Status};
use crate::Result;
use crate::engine::Engine;
use crate::options::SignalCode;

impl Engine {
    /// See [`Engine::inspect`].
    pub(crate) async fn inspect_container(
        self: &Arc<Self>,
        name: &str,
        size: bool,
        signal_code: SignalCode,
    ) -> Result<ContainerInspect> {
        let record = self.containers.find(name)?.record();
        let mut shown = self.show_container(&record);
        shown.state.exit_code = signal_code.tell(record.state.exit_code, record.state.signalled);
        if size {
            let (rw, root) = self.sizes(&record).await?;
            (shown.size_rw, shown.size_root_fs) = (Some(rw), Some(root));
        }
        Ok(shown)
    }

    /// Bytes that the container wrote, and bytes with its image.
    pub(crate) async fn sizes(self: &Arc<Self>, record: &Record) -> Result<(i64, i64)> {
        let engine = Arc::clone(self);
        let id = record.id.hex();
        let written = self.blocking(move || Ok(engine.storage.usage(&id)?)).await?;
        let image = self.images.snapshot().get(&record.image).map_or(0, |image| image.size_bytes);
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        Ok((bytes(written), bytes(written.saturating_add(image))))
    }

    fn show_container(&self, record: &Record) -> ContainerInspect {
        let files = &record.files;
        let path = |path: &std::path::Path| path.display().to_string();
        // The log of a container that never started is not there yet.
        let begun = record.state.started.is_some() || !record.state.error.is_empty();
        let execs = self.execs.running(record.id);
        let folder = self.container_folder(&record.id.hex());
        ContainerInspect {
            id: record.id.hex(),
            created: record.created.to_string(),
            path: record.path.clone(),
            args: record.args.clone(),
            state: show_state(&record.state),
            image: record.image.to_string(),
            resolv_conf_path: path(&files.resolv_conf),
            hostname_path: path(&files.hostname),
            hosts_path: path(&files.hosts),
            log_path: super::logs::path(self, record).filter(|_| begun).map(|log| path(&log)).unwrap_or_default(),
            name: format!("/{}", record.name),
            restart_count: record.restart_count,
            driver: "overlay2".to_owned(),
            platform: "linux".to_owned(),
            exec_ids: (!execs.is_empty()).then_some(execs),
            host_config: self.show_host_config(record),
            graph_driver: GraphDriver {
                data: Some(
                    [
                        ("UpperDir".to_owned(), path(&folder.join("upper"))),
                        ("WorkDir".to_owned(), path(&folder.join("work"))),
                    ]
                    .into(),
                ),
                name: "overlay2".to_owned(),
            },
            mounts: show_mounts(record),
            config: record.config.as_ref().clone(),
            network_settings: self.show_network(record),
            ..ContainerInspect::default()
        }
    }

    fn show_host_config(&self, record: &Record) -> api::host_config::HostConfig {
        let mut host = record.host.as_ref().clone();
        if !record.links.is_empty() {
            let link = |link: &super::record::Link| {
                let name = self.containers.get(link.target).map(|target| target.record().name.clone());
                name.map(|name| format!("/{name}:/{}/{}", record.name, link.alias))
            };
            host.links = Some(record.links.iter().filter_map(link).collect());
        }
        host
    }

    fn show_network(&self, record: &Record) -> NetworkSettings {
        let mut settings = NetworkSettings { ports: Some(port_map(record)), ..NetworkSettings::default() };
        settings.networks = self.show_endpoints(record);
        if let Some(address) = &record.address {
            settings.sandbox_id.clone_from(&address.sandbox_id);
            settings.sandbox_key = format!("/proc/{}/ns/net", record.state.pid);
            settings.endpoint_id.clone_from(&address.endpoint_id);
            settings.gateway = address.gateway.to_string();
            settings.ip_address = address.address.to_string();
            settings.ip_prefix_len = address.prefix_len;
            settings.mac_address = mac_text(address.mac);
        }
        settings
    }

    /// `NetworkSettings.Networks` of inspect and list.
    pub(crate) fn show_endpoints(&self, record: &Record) -> BTreeMap<String, EndpointSettings> {
        let (name, id) = match record.network() {
            NetworkMode::Bridge => ("bridge", &self.networks.bridge),
            NetworkMode::Host => ("host", &self.networks.host),
            NetworkMode::None => ("none", &self.networks.none),
            NetworkMode::Container(_) | NetworkMode::Custom(_) => return BTreeMap::new(),
        };
        let mut endpoint = record.endpoint.as_ref().clone();
        if record.state.status.has_process() || record.address.is_some() {
            endpoint.network_id.clone_from(id);
        }
        if let Some(address) = &record.address {
            endpoint.endpoint_id.clone_from(&address.endpoint_id);
            endpoint.gateway = address.gateway.to_string();
            endpoint.ip_address = address.address.to_string();
            endpoint.ip_prefix_len = address.prefix_len;
            endpoint.mac_address = mac_text(address.mac);
        }
        [(name.to_owned(), endpoint)].into()
    }
}

fn show_state(state: &State) -> ContainerState {
    let time = |time: Option<Timestamp>| time.unwrap_or(Timestamp::ZERO).to_string();
    ContainerState {
        status: state.status.as_str().to_owned(),
        running: state.status.is_up(),
        paused: state.status == Status::Paused,
        restarting: state.status == Status::Restarting,
        oom_killed: state.oom_killed,
        dead: false,
        pid: i64::from(state.pid),
        exit_code: state.exit_code,
        error: state.error.clone(),
        started_at: time(state.started),
        finished_at: time(state.finished),
        health: state.health.as_deref().cloned(),
    }
}

/// Mounts, ordered by their place in the container.
pub(crate) fn show_mounts(record: &Record) -> Vec<MountPoint> {
    let mut points: Vec<_> = record.mounts.iter().map(|mounted| mounted.point.clone()).collect();
    points.sort_by(|one, other| one.destination.cmp(&other.destination));
    points
}
