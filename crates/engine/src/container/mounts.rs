//! Mounts: what a client writes in many ways becomes one list at create, and the runtime's list at start.

use std::path::{Path, PathBuf};

use api::container::MountPoint;
use api::host_config::{HostConfig, Mount as ApiMount};
use model::path::clean;
use runtime::{Mount, MountSource, Propagation, mounts};

use super::etc::Files;
use super::record::{Mounted, Record};
use crate::{Error, Result};

/// The volume driver that there is.
pub(crate) const LOCAL: &str = "local";

/// A mount as asked, before volumes are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) mounted: Mounted,
    /// Make a bind's source if it is missing.
    pub(crate) make_source: bool,
    /// Labels of a volume that is made for it.
    pub(crate) labels: Option<api::StringMap>,
}

/// Reads one entry of `Binds`: `source:destination[:options]` or `destination` alone.
pub(crate) fn parse_bind(spec: &str) -> Result<Wanted> {
    let invalid = || Error::invalid(format!("invalid volume specification: '{spec}'"));
    let parts: Vec<&str> = spec.split(':').collect();
    if parts.len() > 3 || parts.iter().any(|part| part.is_empty()) {
        return Err(invalid());
    }
    let (source, destination, mode) = match parts[..] {
        [destination] => ("", destination, ""),
        [_, mode] if Mode::parse(mode).is_ok() => return Err(invalid()),
        [source, destination] => (source, destination, ""),
        [source, destination, mode] => (source, destination, mode),
        _ => return Err(invalid()),
    };
    let parsed = Mode::parse(mode).map_err(|()| Error::invalid(format!("invalid mode: {mode}")))?;
    let destination = destination_path(destination)
        .map_err(|reason| Error::invalid(format!("invalid volume specification: '{spec}': {reason}")))?;
    let is_bind = source.starts_with('/');
    if !is_bind && !source.is_empty() {
        crate::volumes::check_name(source)?;
    }
    let point = MountPoint {
        r#type: if is_bind { "bind" } else { "volume" }.to_owned(),
        name: if is_bind { String::new() } else { source.to_owned() },
        source: if is_bind { clean(source) } else { String::new() },
        destination,
        driver: if is_bind { String::new() } else { LOCAL.to_owned() },
        mode: mode.to_owned(),
        rw: parsed.writable,
        propagation: if is_bind { parsed.propagation.unwrap_or("rprivate").to_owned() } else { String::new() },
    };
    let mounted = Mounted {
        point,
        tmpfs: Vec::new(),
        recursive: is_bind && parsed.recursive,
        anonymous: !is_bind && source.is_empty(),
        copy: !is_bind && parsed.copy,
        subpath: String::new(),
    };
    Ok(Wanted { mounted, make_source: true, labels: None })
}

/// Options of a bind: `ro,rslave`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mode {
    writable: bool,
    copy: bool,
    recursive: bool,
    propagation: Option<&'static str>,
}

/// How mounts below may be shared, in Docker's words.
const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "slave", "rslave", "shared", "rshared"];

impl Mode {
    fn parse(text: &str) -> Result<Self, ()> {
        let mut mode = Self { writable: true, copy: true, recursive: true, propagation: None };
        let mut access = 0;
        for word in text.split(',').filter(|_| !text.is_empty()) {
            match word {
                "rw" => access += 1,
                "ro" => (mode.writable, access) = (false, access + 1),
                "nocopy" => mode.copy = false,
                "bind" => mode.recursive = false,
                "rbind" => {}
                // Labels for SELinux and hints for other systems mean nothing here.
                "z" | "Z" | "cached" | "delegated" | "consistent" => {}
                other => match PROPAGATIONS.iter().find(|known| **known == other) {
                    Some(known) if mode.propagation.is_none() => mode.propagation = Some(known),
                    _ => return Err(()),
                },
            }
        }
        if access > 1 { Err(()) } else { Ok(mode) }
    }
}

/// Reads one entry of `Mounts`.
pub(crate) fn parse_mount(mount: &ApiMount) -> Result<Wanted> {
    let kind = mount.r#type.as_str();
    let invalid = |reason: String| Error::invalid(format!("invalid mount config for type \"{kind}\": {reason}"));
    if mount.target.is_empty() {
        return Err(invalid("field Target must not be empty".to_owned()));
    }
    let destination = destination_path(&mount.target).map_err(invalid)?;
    let mut mounted = Mounted {
        point: MountPoint { r#type: kind.to_owned(), destination, rw: !mount.read_only, ..MountPoint::default() },
        tmpfs: Vec::new(),
        recursive: false,
        anonymous: false,
        copy: false,
        subpath: String::new(),
    };
    let mut make_source = false;
    let mut labels = None;
    match kind {
        "bind" => make_source = bind(mount, &mut mounted).map_err(invalid)?,
        "volume" => labels = volume(mount, &mut mounted)?,
        "tmpfs" => tmpfs(mount, &mut mounted).map_err(invalid)?,
        "image" | "npipe" | "cluster" => {
            return Err(Error::not_implemented(format!("mounts of type {kind} are not supported yet")));
        }
        _ => return Err(Error::invalid(format!("invalid mount config for type \"{kind}\": mount type unknown"))),
    }
    Ok(Wanted { mounted, make_source, labels })
}

fn bind(mount: &ApiMount, mounted: &mut Mounted) -> Result<bool, String> {
    if mount.source.is_empty() {
        return Err("field Source must not be empty".to_owned());
    }
    if !mount.source.starts_with('/') {
        return Err(format!("invalid mount path: '{}' mount path must be absolute", mount.source));
    }
    if mount.volume_options.is_some() || mount.tmpfs_options.is_some() {
        return Err("field VolumeOptions must not be specified".to_owned());
    }
    let options = mount.bind_options.clone().unwrap_or_default();
    let propagation = match options.propagation.as_str() {
        "" => "rprivate",
        word if PROPAGATIONS.contains(&word) => word,
        other => return Err(format!("invalid propagation mode: {other}")),
    };
    mounted.point.source = clean(&mount.source);
    propagation.clone_into(&mut mounted.point.propagation);
    mounted.recursive = !options.non_recursive;
    if !options.create_mountpoint && !Path::new(&mount.source).exists() {
        return Err(format!("bind source path does not exist: {}", mount.source));
    }
    Ok(options.create_mountpoint)
}

fn volume(mount: &ApiMount, mounted: &mut Mounted) -> Result<Option<api::StringMap>> {
    let options = mount.volume_options.clone().unwrap_or_default();
    let driver = options.driver_config.as_ref().map_or("", |driver| driver.name.as_str());
    check_driver(driver)?;
    if options.driver_config.is_some_and(|driver| driver.options.is_some_and(|options| !options.is_empty())) {
        return Err(Error::not_implemented("options of the local volume driver are not supported yet"));
    }
    if !mount.source.is_empty() {
        crate::volumes::check_name(&mount.source)?;
    }
    if options.subpath.split('/').any(|part| part == "..") || options.subpath.starts_with('/') {
        return Err(Error::invalid(
            "invalid mount config for type \"volume\": subpath must be a relative path within the volume",
        ));
    }
    mounted.anonymous = mount.source.is_empty();
    mounted.point.name.clone_from(&mount.source);
    LOCAL.clone_into(&mut mounted.point.driver);
    mounted.point.mode = "z".to_owned();
    mounted.copy = !options.no_copy;
    mounted.subpath = options.subpath;
    Ok(options.labels)
}

fn tmpfs(mount: &ApiMount, mounted: &mut Mounted) -> Result<(), String> {
    if !mount.source.is_empty() {
        return Err("field Source must not be specified".to_owned());
    }
    let options = mount.tmpfs_options.clone().unwrap_or_default();
    let mut words = Vec::new();
    if options.size_bytes > 0 {
        words.push(format!("size={}", options.size_bytes));
    }
    if options.mode != 0 {
        words.push(format!("mode={:o}", options.mode));
    }
    words.extend(options.options.iter().flatten().map(|pair| pair.join("=")));
    mounted.tmpfs = words;
    Ok(())
}

/// A tmpfs of `HostConfig.Tmpfs`. It is shown nowhere in the mounts, as with Docker.
fn parse_tmpfs_entry(destination: &str, options: &str) -> Mount {
    let words: Vec<String> = options.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    tmpfs_mount(destination, &words)
}

fn tmpfs_mount(target: &str, options: &[String]) -> Mount {
    let has = |word: &str| options.iter().any(|have| have == word);
    let flag = |set: &str, clear: &str, default: bool| if has(clear) { false } else { default || has(set) };
    let flags = ["ro", "rw", "noexec", "exec", "nosuid", "suid", "nodev", "dev"];
    Mount {
        target: target.to_owned(),
        readonly: has("ro"),
        noexec: flag("noexec", "exec", true),
        nosuid: flag("nosuid", "suid", true),
        nodev: flag("nodev", "dev", true),
        source: MountSource::Tmpfs {
            options: options.iter().filter(|word| !flags.contains(&word.as_str())).cloned().collect(),
        },
        ..Mount::default()
    }
}

/// Refuses volume drivers that there are not.
pub(crate) fn check_driver(driver: &str) -> Result<()> {
    match driver {
        "" | LOCAL => Ok(()),
        other => Err(Error::not_found(format!("error looking up volume plugin {other}: plugin \"{other}\" not found"))),
    }
}

/// Checks and cleans a destination.
fn destination_path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err(format!("invalid mount path: '{text}' mount path must be absolute"));
    }
    match clean(text) {
        root if root == "/" => Err("invalid specification: destination can't be '/'".to_owned()),
        path => Ok(path),
    }
}

/// The paths of anonymous volumes (`Config.Volumes`), checked.
pub(crate) fn parse_anonymous(path: &str) -> Result<Wanted> {
    let destination = destination_path(path)
        .map_err(|reason| Error::invalid(format!("invalid volume specification: '{path}': {reason}")))?;
    parse_bind(&destination)
}

/// All mounts of a container that starts, in the order in which they are made.
pub(crate) fn plan(record: &Record, foreign_shm: Option<i32>) -> Result<Vec<Mount>> {
    let host = &record.host;
    let shm = u64::try_from(host.shm_size).ok().filter(|size| *size != 0).unwrap_or(mounts::DEFAULT_SHM_BYTES);
    let mut base = mounts::defaults(host.privileged, shm);
    share_shm(host, foreign_shm, &mut base);
    let mut own: Vec<Mount> = etc_mounts(&record.files);
    for mounted in record.mounts.iter() {
        let mount = planned(mounted);
        own.retain(|have| have.target != mount.target);
        own.push(mount);
    }
    for (destination, options) in host.tmpfs.iter().flatten() {
        own.push(parse_tmpfs_entry(&clean(destination), options));
    }
    base.retain(|mount| !own.iter().any(|mine| mine.target == mount.target));
    // A mount hides what lies beneath: parents first.
    own.sort_by_key(|mount| mount.target.matches('/').count());
    base.extend(own);
    Ok(base)
}

fn share_shm(host: &HostConfig, foreign: Option<i32>, mounts: &mut Vec<Mount>) {
    let Some(index) = mounts.iter().position(|mount| mount.target == "/dev/shm") else { return };
    match (host.ipc_mode.as_str(), foreign) {
        ("none", _) => {
            mounts.remove(index);
        }
        ("host", _) => {
            mounts[index].source = MountSource::Bind { path: PathBuf::from("/dev/shm"), recursive: false };
        }
        (_, Some(pid)) => mounts[index].source = MountSource::Foreign { pid, path: "/dev/shm".to_owned() },
        _ => {}
    }
}

fn etc_mounts(files: &Files) -> Vec<Mount> {
    [("/etc/hostname", &files.hostname), ("/etc/hosts", &files.hosts), ("/etc/resolv.conf", &files.resolv_conf)]
        .into_iter()
        .map(|(target, path)| Mount {
            target: target.to_owned(),
            source: MountSource::Bind { path: path.clone(), recursive: false },
            ..Mount::default()
        })
        .collect()
}

/// What is mounted, on the host.
pub(crate) fn source_of(mounted: &Mounted) -> PathBuf {
    match mounted.subpath.as_str() {
        // Joining nothing would add a slash, which a file must not have.
        "" => PathBuf::from(&mounted.point.source),
        subpath => Path::new(&mounted.point.source).join(subpath),
    }
}

fn planned(mounted: &Mounted) -> Mount {
    let point = &mounted.point;
    if point.r#type == "tmpfs" {
        let mut mount = tmpfs_mount(&point.destination, &mounted.tmpfs);
        mount.readonly |= !point.rw;
        return mount;
    }
    Mount {
        target: point.destination.clone(),
        source: MountSource::Bind { path: source_of(mounted), recursive: mounted.recursive },
        readonly: !point.rw,
        readonly_recursive: !point.rw,
        propagation: match point.propagation.trim_start_matches('r') {
            "slave" => Propagation::Slave,
            "shared" => Propagation::Shared,
            _ => Propagation::Private,
        },
        ..Mount::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(spec: &str) -> Result<MountPoint> {
        parse_bind(spec).map(|wanted| wanted.mounted.point)
    }

    #[test]
    fn binds_are_read() -> Result<()> {
        let bind = point("/src/../a:/dst/:ro,rslave")?;
        assert_eq!((bind.source.as_str(), bind.destination.as_str()), ("/a", "/dst"));
        assert_eq!((bind.r#type.as_str(), bind.rw, bind.propagation.as_str()), ("bind", false, "rslave"));
        let volume = point("data:/dst")?;
        assert_eq!((volume.r#type.as_str(), volume.name.as_str(), volume.rw), ("volume", "data", true));
        assert!(parse_bind("/dst")?.mounted.anonymous);
        Ok(())
    }

    #[test]
    fn malformed_binds_are_refused() {
        for spec in ["", ":", "a:", "/a:/b:sometimes", "/a:/", "/a:b", "/a:/b:ro,rw", "/a:ro", "/a:/b:ro:x", "-:/b"] {
            assert!(parse_bind(spec).is_err(), "{spec}");
        }
        let text = point("/a:/b:sometimes").map_err(|error| error.to_string());
        assert_eq!(text, Err("invalid mode: sometimes".into()));
    }

    #[test]
    fn long_form_mounts() -> Result<()> {
        let mount = ApiMount { r#type: "tmpfs".into(), target: "/t".into(), ..ApiMount::default() };
        assert_eq!(parse_mount(&mount)?.mounted.point.r#type, "tmpfs");
        let mount = ApiMount {
            r#type: "bind".into(),
            source: "/no/such/place".into(),
            target: "/t".into(),
            ..ApiMount::default()
        };
        let text = parse_mount(&mount).map_err(|error| error.to_string()).err();
        assert_eq!(
            text.as_deref(),
            Some("invalid mount config for type \"bind\": bind source path does not exist: /no/such/place")
        );
        Ok(())
    }

    #[test]
    fn tmpfs_options_split_into_flags_and_the_rest() {
        let mount = parse_tmpfs_entry("/run", "rw,exec,size=64k");
        assert!(!mount.noexec && mount.nosuid && !mount.readonly);
        assert_eq!(mount.source, MountSource::Tmpfs { options: vec!["size=64k".into()] });
    }
}
