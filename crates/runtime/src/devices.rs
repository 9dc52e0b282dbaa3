//! Device nodes in a container's `/dev` and the rules for opening devices.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
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
///
/// Symbolic links of the host are followed for `host` itself only. Errors are worded for the client.
pub fn from_host(host: &Path, container: &str, access: &str) -> Result<(Vec<Device>, Vec<DeviceRule>)> {
    let access = if access.is_empty() { "rwm" } else { access };
    check_access(access).map_err(|()| Error::Invalid(format!("invalid device mode: {access}")))?;
    let gather = |error: std::io::Error| {
        Error::Invalid(format!(
            "error gathering device information while adding custom device {:?}: {}",
            host.display().to_string(),
            reason(&error)
        ))
    };
    let real = std::fs::canonicalize(host).map_err(gather)?;
    let mut nodes = Vec::new();
    match node_at(&real, container).map_err(gather)? {
        Some(node) => nodes.push(node),
        None if real.is_dir() => walk(&real, container, 0, &mut nodes)?,
        None => return Err(gather(std::io::Error::other("not a device node"))),
    }
    if nodes.is_empty() {
        return Err(gather(std::io::Error::other("not a device node")));
    }
    let rules = nodes.iter().filter(|node| node.kind != DeviceKind::Fifo).map(|node| DeviceRule {
        allow: true,
        kind: Some(node.kind),
        major: Some(node.major),
        minor: Some(node.minor),
        access: access.to_owned(),
    });
    let rules = rules.collect();
    Ok((nodes, rules))
}

/// All devices of this machine's `/dev`, for privileged containers: without terminals, shared memory and message
/// queues, which a
/// container has of its own.
pub fn host_nodes() -> Result<Vec<Device>> {
    let mut nodes = Vec::new();
    walk(Path::new("/dev"), "/dev", 0, &mut nodes)?;
    nodes.retain(|node| !["/dev/console", "/dev/ptmx"].contains(&node.path.as_str()));
    Ok(nodes)
}

/// Directories below `/dev` that belong to a container itself.
const OWN_DIRECTORIES: &[&str] = &["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"];
/// Deeper trees than any `/dev` has.
const MAX_DEPTH: u32 = 16;

fn walk(directory: &Path, container: &str, depth: u32, nodes: &mut Vec<Device>) -> Result<()> {
    let fail = |error| Error::io("reading", directory, error);
    let mut entries = std::fs::read_dir(directory).map_err(fail)?.collect::<Result<Vec<_>, _>>().map_err(fail)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let (Some(name), Ok(kind)) = (name.to_str(), entry.file_type()) else { continue };
        let inside = format!("{}/{name}", container.trim_end_matches('/'));
        if kind.is_dir() {
            if depth < MAX_DEPTH && !OWN_DIRECTORIES.contains(&name) {
                walk(&entry.path(), &inside, depth + 1, nodes)?;
            }
            continue;
        }
        match node_at(&entry.path(), &inside) {
            Ok(Some(node)) if node.kind != DeviceKind::Fifo => nodes.push(node),
            // Not a device, or gone since it was listed.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

/// The node at `path`, which is not followed if it is a link; `None` if it is something else.
fn node_at(path: &Path, container: &str) -> std::io::Result<Option<Device>> {
    let metadata = std::fs::symlink_metadata(path)?;
    let kind = metadata.file_type();
    let kind = match (kind.is_char_device(), kind.is_block_device(), kind.is_fifo()) {
        (true, _, _) => DeviceKind::Char,
        (_, true, _) => DeviceKind::Block,
        (_, _, true) => DeviceKind::Fifo,
        _ => return Ok(None),
    };
    Ok(Some(Device {
        path: container.to_owned(),
        kind,
        major: rustix::fs::major(metadata.rdev()),
        minor: rustix::fs::minor(metadata.rdev()),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
    }))
}

/// What went wrong, without the number.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// A rule in the API's notation: `c 42:* rwm`.
pub fn parse_rule(rule: &str) -> Result<DeviceRule> {
    let invalid = || Error::Invalid(format!("invalid device cgroup rule format: '{rule}'"));
    let words: Vec<&str> = rule.split(' ').collect();
    let [kind, numbers, access] = words.as_slice() else { return Err(invalid()) };
    let kind = match *kind {
        "a" => None,
        "c" => Some(DeviceKind::Char),
        "b" => Some(DeviceKind::Block),
        _ => return Err(invalid()),
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(invalid)?;
    let number = |text: &str| match text {
        "*" => Ok(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map(Some).map_err(|_| invalid()),
        _ => Err(invalid()),
    };
    check_access(access).map_err(|()| invalid())?;
    Ok(DeviceRule { allow: true, kind, major: number(major)?, minor: number(minor)?, access: (*access).to_owned() })
}

/// One to three of the letters `r`, `w`, `m`.
fn check_access(access: &str) -> Result<(), ()> {
    let sound = (1..=3).contains(&access.len()) && access.bytes().all(|byte| b"rwm".contains(&byte));
    if sound { Ok(()) } else { Err(()) }
}

impl DeviceRule {
    /// The line for v1's `devices.allow` and `devices.deny`.
    pub(crate) fn line(&self) -> String {
        let number = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
        let kind = match self.kind {
            // Only the whole of everything may be named at once.
            None if self.major.is_none() && self.minor.is_none() => return "a".to_owned(),
            None => 'a',
            Some(DeviceKind::Block) => 'b',
            Some(DeviceKind::Char | DeviceKind::Fifo) => 'c',
        };
        format!("{kind} {}:{} {}", number(self.major), number(self.minor), self.access)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rules_are_read_and_written() {
        for rule in ["c 42:* rwm", "b 8:0 r", "c *:* m", "a 1:2 rw"] {
            assert_eq!(parse_rule(rule).unwrap().line(), rule);
        }
        assert_eq!(parse_rule("a *:* rwm").unwrap().line(), "a");
        for rule in ["", "c 42 rwm", "x 1:1 r", "c 1:1 x", "c 1:1 ", "c 99999999999:1 r", "c  1:1 r", "c +1:1 r"] {
            let words = format!("invalid device cgroup rule format: '{rule}'");
            assert_eq!(parse_rule(rule).unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn host_devices_become_nodes_and_rules() {
        let (nodes, rules) = from_host(Path::new("/dev/null"), "/dev/nothing", "").unwrap();
        assert_eq!((nodes[0].path.as_str(), nodes[0].major, nodes[0].minor), ("/dev/nothing", 1, 3));
        assert_eq!(rules[0].line(), "c 1:3 rwm");
        let (nodes, rules) = from_host(Path::new("/dev"), "/dev/all", "r").unwrap();
        assert_eq!(nodes.len(), rules.len());
        assert!(nodes.iter().any(|node| node.path == "/dev/all/zero"));
        assert!(nodes.iter().all(|node| !node.path.contains("/pts/")));
        let missing = from_host(Path::new("/dev/longshore-none"), "/dev/x", "rwm").unwrap_err().to_string();
        assert_eq!(
            missing,
            "error gathering device information while adding custom device \"/dev/longshore-none\": no such file or directory"
        );
        assert!(from_host(Path::new("/etc/passwd"), "/dev/x", "rwm").is_err());
        assert!(from_host(Path::new("/dev/null"), "/dev/x", "rwx").is_err());
        assert!(host_nodes().unwrap().iter().any(|node| node.path == "/dev/null"));
    }

    proptest! {
        #[test]
        fn no_rule_makes_it_panic(rule in ".{0,40}") {
            let _ = parse_rule(&rule);
        }
    }
}
