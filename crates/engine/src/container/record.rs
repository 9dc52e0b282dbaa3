//! What is known about one container: the document that the database keeps and readers are shown.

use std::net::Ipv4Addr;
use std::sync::Arc;

use api::container::{ContainerConfig, MountPoint};
use api::host_config::HostConfig;
use api::network::EndpointSettings;
use model::{ContainerId, ImageId, Timestamp};
use network::Published;
use serde::{Deserialize, Serialize};

use super::etc::Files;

/// One container. Cloning is cheap: what never changes is shared.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: ContainerId,
    /// Without a leading slash.
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    pub(crate) image: ImageId,
    /// The program and its arguments.
    pub(crate) path: String,
    pub(crate) args: Vec<String>,
    pub(crate) config: Arc<ContainerConfig>,
    pub(crate) host: Arc<HostConfig>,
    pub(crate) mounts: Arc<Vec<Mounted>>,
    /// The host configuration came with the start: its mounts are still to be made.
    #[serde(default)]
    pub(crate) mounts_due: bool,
    /// The files bound into it, as the last start wrote them.
    #[serde(default)]
    pub(crate) files: Arc<Files>,
    /// What was asked of the default bridge: aliases, a certain address.
    #[serde(default)]
    pub(crate) endpoint: Arc<EndpointSettings>,
    /// Links: container and alias.
    #[serde(default)]
    pub(crate) links: Arc<Vec<Link>>,
    /// Its place on the network while it runs.
    pub(crate) address: Option<Address>,
    pub(crate) state: State,
    #[serde(default)]
    pub(crate) restart_count: i64,
    /// The user stopped it: `unless-stopped` leaves it alone.
    #[serde(default)]
    pub(crate) stopped_by_user: bool,
    /// It belongs to a build that has not ended: a daemon that finds it at its start removes it.
    #[serde(default)]
    pub(crate) of_build: bool,
    /// The next start copies the image's files into new volumes.
    #[serde(default)]
    pub(crate) volumes_filled: bool,
}

/// How a container is now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) status: Status,
    /// Process id on the host; 0 unless running.
    pub(crate) pid: i32,
    pub(crate) exit_code: i64,
    /// The exit code is a signal's, not the process's own.
    #[serde(default)]
    pub(crate) signalled: bool,
    pub(crate) oom_killed: bool,
    /// Why the last start failed.
    pub(crate) error: String,
    /// `None`: never.
    pub(crate) started: Option<Timestamp>,
    /// `None`: never.
    pub(crate) finished: Option<Timestamp>,
    /// What the health check found; `None` without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) health: Option<Arc<api::container::Health>>,
}

/// In one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Never started.
    #[default]
    Created,
    Running,
    Paused,
    /// Waits for its restart policy.
    Restarting,
    Exited,
    /// Is being removed; a daemon that finds it so at its start finishes the removal.
    Removing,
}

impl Status {
    /// The API's word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
            Self::Removing => "removing",
        }
    }

    /// Has a process, or will have one again (Docker's `Running`).
    pub(crate) const fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }

    /// Has a process now.
    pub(crate) const fn has_process(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// A mount that was decided at create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mounted {
    /// As inspect shows it.
    pub(crate) point: MountPoint,
    /// Options of a tmpfs, as given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tmpfs: Vec<String>,
    /// Mounts beneath a bind's source come along.
    #[serde(default)]
    pub(crate) recursive: bool,
    /// A volume that was made for this container alone, without a name: goes with it when volumes are removed.
    #[serde(default)]
    pub(crate) anonymous: bool,
    /// Fill an empty volume with what the image has at the path.
    #[serde(default)]
    pub(crate) copy: bool,
    /// Directory inside the volume that is mounted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) subpath: String,
}

/// A link to another container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) target: ContainerId,
    pub(crate) alias: String,
}

/// A container's place on the default bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix_len: u8,
    pub(crate) gateway: Ipv4Addr,
    pub(crate) mac: network::Mac,
    /// Random, 64 hexadecimal digits.
    pub(crate) endpoint_id: String,
    /// Random, 64 hexadecimal digits.
    pub(crate) sandbox_id: String,
    pub(crate) published: Vec<Published>,
}

impl Record {
    /// The host name that processes see: the configuration's, or the one that a client of old named at start.
    pub(crate) fn hostname(&self) -> &str {
        let noted = self.host.annotations.as_ref().and_then(|annotations| annotations.get(api::quirk::HOSTNAME));
        noted.filter(|name| !name.is_empty()).unwrap_or(&self.config.hostname)
    }

    /// How the container joins a network, read from its host configuration.
    pub(crate) fn network(&self) -> NetworkMode<'_> {
        NetworkMode::of(&self.host.network_mode, self.config.network_disabled)
    }
}

/// `HostConfig.NetworkMode`, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetworkMode<'a> {
    Bridge,
    None,
    Host,
    /// Another container's, by name or id.
    Container(&'a str),
    /// A network of the user's.
    Custom(&'a str),
}

impl<'a> NetworkMode<'a> {
    pub(crate) fn of(mode: &'a str, disabled: bool) -> Self {
        match mode {
            "none" => Self::None,
            _ if disabled => Self::None,
            "" | "default" | "bridge" => Self::Bridge,
            "host" => Self::Host,
            other => other.strip_prefix("container:").map_or(Self::Custom(other), Self::Container),
        }
    }
}
