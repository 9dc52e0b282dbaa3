//! The part of a plan that builds the root file system, as steps.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::FileType;
use sys::mount::{Attributes, NO_DEV, NO_EXEC, NO_SUID, READ_ONLY};

use crate::cgroup::Directory;
use crate::devices::{Device, DeviceKind};
use crate::error::{Stage, StartError};
use crate::files::{MountPoint, Parent};
use crate::plan::{Mount, MountSource, Plan, Propagation};
use crate::prepare::{Steps, c_string, open_process};
use crate::step::{Action, Entry, FsOption, Slot, Source};

/// Symbolic links in `/dev`: name and target.
const DEV_LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
    ("core", "/proc/kcore"),
];

/// Slots of the file systems that later steps need.
#[derive(Debug, Default)]
struct Special {
    proc: Option<Slot>,
    dev: Option<Slot>,
    devpts: Option<Slot>,
}

/// Adds the steps that build the root, and returns the slot of the terminal, if the plan asks for one.
pub(crate) fn build_root(steps: &mut Steps, plan: &Plan, rootfs: OwnedFd) -> Result<Option<Slot>, StartError> {
    steps.push(Stage::Root, Action::PrivateMounts);
    let foreign = plan.mounts.iter().map(|mount| copy_foreign(steps, mount)).collect::<Result<Vec<_>, _>>()?;
    steps.push(Stage::Root, Action::EnterRoot(rootfs));
    let mut special = Special::default();
    for (mount, foreign) in plan.mounts.iter().zip(foreign) {
        add_mount(steps, plan, mount, foreign, &mut special)?;
    }
    let terminal = match plan.terminal {
        true => Some(add_terminal(steps, plan, &special)?),
        false => None,
    };
    add_sysctls(steps, plan, &special)?;
    for path in &plan.masked_paths {
        steps.push(Stage::Mount, Action::MaskPath(c_string(path)?));
    }
    for path in &plan.readonly_paths {
        steps.push(Stage::Mount, Action::ReadOnlyPath(c_string(path)?));
    }
    if plan.root_readonly {
        steps.push(Stage::Root, Action::ReadOnlyRoot);
    }
    Ok(terminal)
}

/// Mounts of other containers are copied while the host's `/proc` is still there.
fn copy_foreign(steps: &mut Steps, mount: &Mount) -> Result<Option<Slot>, StartError> {
    let MountSource::Foreign { pid, path } = &mount.source else { return Ok(None) };
    let slot = steps.new_slot();
    let action = Action::CloneForeign {
        process: open_process(*pid)?,
        path: c_string(path)?,
        attributes: attributes(mount),
        slot,
    };
    steps.push(Stage::BindSource, action);
    Ok(Some(slot))
}

fn add_mount(
    steps: &mut Steps,
    plan: &Plan,
    mount: &Mount,
    foreign: Option<Slot>,
    special: &mut Special,
) -> Result<(), StartError> {
    match &mount.source {
        MountSource::Proc => special.proc = Some(add_fs(steps, mount, c"proc", Vec::new())?),
        MountSource::Sysfs => drop(add_fs(steps, mount, c"sysfs", Vec::new())?),
        MountSource::Mqueue => drop(add_fs(steps, mount, c"mqueue", Vec::new())?),
        MountSource::Devpts => {
            let options = ["newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];
            special.devpts = Some(add_fs(steps, mount, c"devpts", fs_options(&options)?)?);
        }
        MountSource::Tmpfs { options } => drop(add_fs(steps, mount, c"tmpfs", fs_options(options)?)?),
        MountSource::Dev => special.dev = Some(add_dev(steps, plan, mount)?),
        MountSource::Cgroup => add_cgroup(steps, plan, mount)?,
        MountSource::Bind { path, recursive } => {
            let (source, file) = open_bind(mount, path, *recursive)?;
            let target = mount_point(&mount.target, file)?;
            steps.push(Stage::Mount, Action::Attach { mount: Source::Owned(source), target });
        }
        MountSource::Foreign { .. } => {
            let target = mount_point(&mount.target, false)?;
            let slot = foreign.ok_or_else(|| StartError::new(Stage::Internal, libc::EINVAL, &mount.target))?;
            steps.push(Stage::Mount, Action::Attach { mount: Source::Slot(slot), target });
        }
    }
    Ok(())
}

fn add_fs(
    steps: &mut Steps,
    mount: &Mount,
    kind: &'static std::ffi::CStr,
    options: Vec<FsOption>,
) -> Result<Slot, StartError> {
    let slot = steps.new_slot();
    steps.push(Stage::Mount, Action::MakeFs { kind, options, attributes: attributes(mount), slot });
    let target = mount_point(&mount.target, false)?;
    steps.push(Stage::Mount, Action::Attach { mount: Source::Slot(slot), target });
    Ok(slot)
}

/// `/dev` is filled before it is attached, so that no link of the image is ever in the way.
fn add_dev(steps: &mut Steps, plan: &Plan, mount: &Mount) -> Result<Slot, StartError> {
    let slot = steps.new_slot();
    let options = fs_options(&["mode=755", "size=65536k"])?;
    let fill = attributes(mount) & !READ_ONLY;
    steps.push(Stage::Mount, Action::MakeFs { kind: c"tmpfs", options, attributes: fill, slot });
    let mut made = Vec::new();
    for device in &plan.devices {
        add_device(steps, slot, device, &mut made)?;
    }
    for directory in ["pts", "shm", "mqueue"] {
        steps.push(Stage::Device, entry(slot, directory, Entry::Directory(0o755))?);
    }
    for (name, target) in DEV_LINKS {
        steps.push(Stage::Device, entry(slot, name, Entry::Link(c_string(target)?))?);
    }
    if plan.terminal {
        steps.push(Stage::Device, entry(slot, "console", Entry::File)?);
    }
    let target = mount_point(&mount.target, false)?;
    steps.push(Stage::Mount, Action::Attach { mount: Source::Slot(slot), target });
    for device in plan.devices.iter().filter(|device| below_dev(device).is_none()) {
        let parent = Parent::of(&normalise(&device.path)?)
            .ok_or_else(|| StartError::new(Stage::Plan, libc::EINVAL, &device.path))?;
        steps.push(Stage::Device, Action::MakeEntryAt { parent, entry: node(device) });
    }
    if mount.readonly {
        steps.push(Stage::Mount, Action::SetAttributes { slot, attributes: READ_ONLY });
    }
    Ok(slot)
}

fn below_dev(device: &Device) -> Option<&str> {
    device.path.strip_prefix("/dev/")
}

fn add_device(steps: &mut Steps, dev: Slot, device: &Device, made: &mut Vec<String>) -> Result<(), StartError> {
    let Some(name) = below_dev(device) else { return Ok(()) };
    let name = &normalise(&format!("/{name}"))?[1..];
    for (end, _) in name.match_indices('/') {
        let directory = &name[..end];
        if !made.iter().any(|known| known == directory) {
            steps.push(Stage::Device, entry(dev, directory, Entry::Directory(0o755))?);
            made.push(directory.to_owned());
        }
    }
    // A later device of the same path wins.
    let path = c_string(name)?;
    steps.list.retain(|step| match &step.action {
        Action::MakeEntry { directory, name, entry: Entry::Node { .. } } => *directory != dev || *name != path,
        _ => true,
    });
    steps.push(Stage::Device, Action::MakeEntry { directory: dev, name: path, entry: node(device) });
    Ok(())
}

fn node(device: &Device) -> Entry {
    let file_type = match device.kind {
        DeviceKind::Char => FileType::CharacterDevice,
        DeviceKind::Block => FileType::BlockDevice,
        DeviceKind::Fifo => FileType::Fifo,
    };
    Entry::Node {
        file_type,
        mode: device.mode & 0o7777,
        device: rustix::fs::makedev(device.major, device.minor),
        uid: device.uid,
        gid: device.gid,
    }
}

fn entry(directory: Slot, name: &str, entry: Entry) -> Result<Action, StartError> {
    Ok(Action::MakeEntry { directory, name: c_string(name)?, entry })
}

/// The container's own control groups: on v2 its directory, on v1 one directory a hierarchy on a small tmpfs.
fn add_cgroup(steps: &mut Steps, plan: &Plan, mount: &Mount) -> Result<(), StartError> {
    let target = mount_point(&mount.target, false)?;
    let directories = &plan.cgroup.directories;
    if let Some(only) = directories.first().filter(|_| plan.cgroup.unified) {
        let (source, _) = open_bind(mount, &only.path, false)?;
        steps.push(Stage::Mount, Action::Attach { mount: Source::Owned(source), target });
        return Ok(());
    }
    let slot = steps.new_slot();
    let fill = attributes(mount) & !READ_ONLY;
    let options = fs_options(&["mode=755"])?;
    steps.push(Stage::Mount, Action::MakeFs { kind: c"tmpfs", options, attributes: fill, slot });
    for directory in directories {
        let name = hierarchy_name(directory);
        steps.push(Stage::Mount, entry(slot, &name, Entry::Directory(0o755))?);
        for controller in directory.controllers.iter().filter(|_| directory.controllers.len() > 1) {
            steps.push(Stage::Mount, entry(slot, controller, Entry::Link(c_string(&name)?))?);
        }
    }
    steps.push(Stage::Mount, Action::Attach { mount: Source::Slot(slot), target });
    for directory in directories {
        let (source, _) = open_bind(mount, &directory.path, false)?;
        let name = c_string(&hierarchy_name(directory))?;
        steps.push(Stage::Mount, Action::AttachIn { mount: Source::Owned(source), directory: slot, name });
    }
    if mount.readonly {
        steps.push(Stage::Mount, Action::SetAttributes { slot, attributes: READ_ONLY });
    }
    Ok(())
}

fn hierarchy_name(directory: &Directory) -> String {
    let joined = directory.controllers.join(",");
    joined.strip_prefix("name=").unwrap_or(&joined).to_owned()
}

/// A detached copy of a host path with the mount's attributes, and whether it is a file.
fn open_bind(mount: &Mount, path: &Path, recursive: bool) -> Result<(OwnedFd, bool), StartError> {
    let fail = |errno| StartError::at(Stage::BindSource, errno, path.display().to_string());
    let text = path.to_str().ok_or_else(|| fail(rustix::io::Errno::ILSEQ))?;
    let source = sys::mount::clone_tree_at(&c_string(text)?, recursive).map_err(fail)?;
    let stat = rustix::fs::fstat(&source).map_err(fail)?;
    let propagation = match mount.propagation {
        Propagation::Private => sys::mount::Propagation::Private,
        Propagation::Slave => sys::mount::Propagation::Slave,
        Propagation::Shared => sys::mount::Propagation::Shared,
    };
    sys::mount::set_attributes(source.as_fd(), 0, 0, propagation, true).map_err(fail)?;
    let wanted = attributes(mount);
    if wanted != 0 {
        let deep = mount.readonly && mount.readonly_recursive;
        sys::mount::set_attributes(source.as_fd(), wanted, 0, sys::mount::Propagation::Keep, deep).map_err(fail)?;
    }
    Ok((source, !FileType::from_raw_mode(stat.st_mode).is_dir()))
}

fn add_terminal(steps: &mut Steps, plan: &Plan, special: &Special) -> Result<Slot, StartError> {
    let Some(devpts) = special.devpts else {
        return Err(StartError::new(Stage::Plan, libc::EINVAL, "terminal without a devpts"));
    };
    let terminal = steps.terminal(Some(devpts), plan.terminal_size);
    if let Some(dev) = special.dev {
        steps.push(Stage::Terminal, Action::AttachConsole { terminal, dev });
    }
    Ok(terminal)
}

fn add_sysctls(steps: &mut Steps, plan: &Plan, special: &Special) -> Result<(), StartError> {
    if plan.sysctls.is_empty() {
        return Ok(());
    }
    let proc = special.proc.ok_or_else(|| StartError::new(Stage::Plan, libc::EINVAL, "sysctl without a proc"))?;
    for (name, value) in &plan.sysctls {
        let path = sysctl_path(name).ok_or_else(|| StartError::new(Stage::Sysctl, libc::EINVAL, name))?;
        let action = Action::Sysctl { proc, path: c_string(&path)?, value: value.clone().into_bytes() };
        steps.push(Stage::Sysctl, action);
    }
    Ok(())
}

/// Path of a kernel parameter below `/proc`. If a slash comes first, slashes separate and dots belong to names.
fn sysctl_path(name: &str) -> Option<String> {
    let slashes = name.find('/').is_some_and(|slash| name.find('.').is_none_or(|dot| slash < dot));
    let path = if slashes { name.to_owned() } else { name.replace('/', "\0").replace('.', "/").replace('\0', ".") };
    let sound = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    sound.then(|| format!("sys/{path}"))
}

fn attributes(mount: &Mount) -> Attributes {
    [(mount.readonly, READ_ONLY), (mount.nosuid, NO_SUID), (mount.nodev, NO_DEV), (mount.noexec, NO_EXEC)]
        .into_iter()
        .filter(|(wanted, _)| *wanted)
        .fold(0, |all, (_, bit)| all | bit)
}

fn fs_options<T: AsRef<str>>(options: &[T]) -> Result<Vec<FsOption>, StartError> {
    let one = |option: &T| match option.as_ref().split_once('=') {
        Some((name, value)) => Ok(FsOption::Value(c_string(name)?, c_string(value)?)),
        None => Ok(FsOption::Flag(c_string(option.as_ref())?)),
    };
    options.iter().map(one).collect()
}

fn mount_point(target: &str, file: bool) -> Result<MountPoint, StartError> {
    let path = normalise(target)?;
    MountPoint::new(&path, file).ok_or_else(|| StartError::new(Stage::Plan, libc::EINVAL, target))
}

/// An absolute path without empty, `.` and `..` parts.
fn normalise(path: &str) -> Result<String, StartError> {
    if !path.starts_with('/') {
        return Err(StartError::new(Stage::Plan, libc::EINVAL, format!("not an absolute path: {path:?}")));
    }
    Ok(model::path::clean(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_their_detours() {
        assert_eq!(normalise("/a/./b//../c/").unwrap(), "/a/c");
        assert_eq!(normalise("/../..").unwrap(), "/");
        assert_eq!(normalise("a").unwrap_err().stage, Stage::Plan);
    }

    #[test]
    fn sysctl_names_become_paths() {
        assert_eq!(sysctl_path("net.ipv4.ip_forward").unwrap(), "sys/net/ipv4/ip_forward");
        assert_eq!(sysctl_path("net/ipv4/conf/eth0.1/forwarding").unwrap(), "sys/net/ipv4/conf/eth0.1/forwarding");
        assert_eq!(sysctl_path("net.ipv4.conf.eth0/1.forwarding").unwrap(), "sys/net/ipv4/conf/eth0.1/forwarding");
        assert_eq!(sysctl_path("net/../../etc"), None);
        assert_eq!(sysctl_path(""), None);
    }
}
