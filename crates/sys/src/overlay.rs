//! Overlay file systems as detached mounts: a descriptor, and nothing in anybody's mount table.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen,
};

/// Why an overlay could not be mounted.
#[derive(Debug, thiserror::Error)]
#[error("cannot mount an overlay of {layers} layers ({step}): {source}")]
pub struct Error {
    /// What was being done.
    pub step: &'static str,
    /// How many lower layers were asked for.
    pub layers: usize,
    /// The kernel's answer.
    #[source]
    pub source: Errno,
}

/// The writable part of an overlay; both directories must be on one file system.
#[derive(Clone, Copy, Debug)]
pub struct Writable<'a> {
    /// Takes what is changed.
    pub upper: BorrowedFd<'a>,
    /// Scratch of the kernel's own.
    pub work: BorrowedFd<'a>,
}

/// Options every overlay gets, whatever the kernel's defaults: layers must stay plain directories that can be read,
/// copied and turned into tar files without the overlay.
const OPTIONS: [(&str, &str); 3] = [("redirect_dir", "off"), ("index", "off"), ("metacopy", "off")];

/// Mounts `lower` (topmost first; at least one, at least two without a writable part) as a detached overlay.
/// The descriptor returned is the root of the mount; it can be used with `Root` or moved into a mount namespace, and
/// unmounts itself when closed if it was never moved.
pub fn mount(lower: &[BorrowedFd<'_>], writable: Option<Writable<'_>>) -> Result<OwnedFd, Error> {
    match mount_by_layer(lower, writable) {
        // Linux before 6.5 does not know `lowerdir+`.
        Err(Error { step: "lowerdir+", source: Errno::INVAL, .. }) => mount_by_option(lower, writable),
        other => other,
    }
}

/// The name of a descriptor: short enough for `fsconfig`'s 256 bytes wherever the layers lie.
fn descriptor(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn mount_by_layer(lower: &[BorrowedFd<'_>], writable: Option<Writable<'_>>) -> Result<OwnedFd, Error> {
    let layers = lower.len();
    let fail = |step| move |source| Error { step, layers, source };
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(fail("fsopen"))?;
    let context = context.as_fd();
    fsconfig_set_string(context, "source", "overlay").map_err(fail("source"))?;
    for fd in lower {
        fsconfig_set_string(context, "lowerdir+", descriptor(*fd)).map_err(fail("lowerdir+"))?;
    }
    if let Some(writable) = writable {
        fsconfig_set_string(context, "upperdir", descriptor(writable.upper)).map_err(fail("upperdir"))?;
        fsconfig_set_string(context, "workdir", descriptor(writable.work)).map_err(fail("workdir"))?;
    }
    for (key, value) in OPTIONS {
        fsconfig_set_string(context, key, value).map_err(fail(key))?;
    }
    fsconfig_create(context).map_err(fail("create"))?;
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).map_err(fail("fsmount"))
}

/// The old way: one option string of at most a page. A thread of its own leaves for a mount namespace of its own, so
/// that nothing shows on the host, and works in `/proc/thread-self/fd`, where a layer's name is a bare number: more than
/// 600 layers fit.
fn mount_by_option(lower: &[BorrowedFd<'_>], writable: Option<Writable<'_>>) -> Result<OwnedFd, Error> {
    let layers = lower.len();
    let thread = std::thread::Builder::new().name("overlay".into());
    std::thread::scope(|scope| {
        let worker = thread.spawn_scoped(scope, move || mount_in_private(lower, writable));
        let worker = worker.map_err(|_| Error { step: "thread", layers, source: Errno::AGAIN })?;
        let outcome = worker.join().map_err(|_| Error { step: "thread", layers, source: Errno::IO })?;
        outcome.map_err(|(step, source)| Error { step, layers, source })
    })
}

fn mount_in_private(
    lower: &[BorrowedFd<'_>],
    writable: Option<Writable<'_>>,
) -> Result<OwnedFd, (&'static str, Errno)> {
    let fail = |step| move |source| (step, source);
    leave_mount_namespace().map_err(fail("unshare"))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).map_err(fail("make private"))?;
    // The kernel takes layers only from the mount namespace it mounts in: open them again in this one.
    let lower = lower.iter().map(|fd| reopen(*fd)).collect::<Result<Vec<_>, _>>();
    let lower = lower.map_err(fail("open layers"))?;
    let writable = writable.map(|held| Ok((reopen(held.upper)?, reopen(held.work)?)));
    let writable = writable.transpose().map_err(fail("open layers"))?;

    let options = option_string(&lower, writable.as_ref()).map_err(fail("options"))?;
    rustix::process::chdir("/proc/thread-self/fd").map_err(fail("enter descriptors"))?;
    // Any directory will do as the place: only this thread sees it covered.
    let flags = MountFlags::empty();
    rustix::mount::mount("overlay", "/proc", "overlay", flags, Some(options.as_c_str())).map_err(fail("mount"))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(rustix::fs::CWD, "/proc", flags);
    let tree = tree.map_err(fail("open_tree"))?;
    rustix::mount::unmount("/proc", UnmountFlags::DETACH).map_err(fail("unmount"))?;
    Ok(tree)
}

fn reopen(fd: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let path = rustix::fs::readlink(descriptor(fd), Vec::new())?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

fn option_string(lower: &[OwnedFd], writable: Option<&(OwnedFd, OwnedFd)>) -> rustix::io::Result<CString> {
    let numbers: Vec<String> = lower.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
    let mut options = format!("lowerdir={}", numbers.join(":"));
    if let Some((upper, work)) = writable {
        options += &format!(",upperdir={},workdir={}", upper.as_raw_fd(), work.as_raw_fd());
    }
    for (key, value) in OPTIONS {
        options += &format!(",{key}={value}");
    }
    CString::new(options).map_err(|_| Errno::INVAL)
}

#[allow(unsafe_code)]
fn leave_mount_namespace() -> rustix::io::Result<()> {
    // SAFETY: the flags leave the descriptor table shared, so no descriptor of this process changes its meaning; the
    // mount namespace and working directory that do change belong to this thread alone, which ends right after.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS | rustix::thread::UnshareFlags::FS) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;

    #[test]
    fn both_ways_give_the_same_detached_mount() {
        let base = std::path::PathBuf::from(format!("/dev/shm/longshore-overlay-{}", std::process::id()));
        for name in ["upper", "work"] {
            std::fs::create_dir_all(base.join(name)).unwrap();
        }
        let mut lower = Vec::new();
        for number in 0..200 {
            let path = base.join(format!("layers/{number}"));
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join(format!("f{number}")), "x").unwrap();
            lower.push(Root::open(&path).unwrap());
        }
        let lower: Vec<_> = lower.iter().map(|root| root.as_fd()).collect();
        let (upper, work) = (Root::open(base.join("upper")).unwrap(), Root::open(base.join("work")).unwrap());
        let writable = Writable { upper: upper.as_fd(), work: work.as_fd() };
        for way in [mount_by_layer, mount_by_option] {
            let mounted = Root::from(way(&lower, Some(writable)).unwrap());
            assert!(mounted.read_dir("/").unwrap().len() >= 200);
            mounted.write("new", b"1", 0o644).unwrap();
            drop(mounted);
            assert!(base.join("upper/new").exists());
            let read_only = Root::from(way(&lower, None).unwrap());
            assert!(read_only.create("other", 0o644).is_err());
        }
        std::fs::remove_dir_all(&base).unwrap();
    }
}
