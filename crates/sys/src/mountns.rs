//! Mount namespaces: a thread that moves into another's, or into one of its own.
//!
//! Neither changes what the other threads of this process see.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::mount::{self, Propagation};

/// Runs `work` on a thread of its own in a new mount namespace: a copy of the caller's into which and out of which
/// nothing spreads. Whatever `work` mounts lasts as long as the returned descriptor of the namespace.
pub fn within_new<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<(T, OwnedFd)> {
    on_a_thread(|| {
        separate(UnshareFlags::NEWNS)?;
        let top = rustix::fs::openat(CWD, c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        mount::set_attributes(top.as_fd(), 0, 0, Propagation::Private, true)?;
        let namespace = open(c"/proc/thread-self/ns/mnt")?;
        Ok((work(), namespace))
    })
}

/// Runs `work` on a thread of its own in the mount namespace of a descriptor; its root is that namespace's.
pub fn within<T: Send>(namespace: impl AsFd + Send, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    on_a_thread(move || {
        separate(UnshareFlags::empty())?;
        rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount))?;
        Ok(work())
    })
}

/// The kernel moves only a thread that shares its root and working directory with no other.
fn separate(more: UnshareFlags) -> io::Result<()> {
    // SAFETY: of the flags of unshare(2) only CLONE_FILES changes what other code of this process may rely on (open
    // descriptors); the root, working directory and mounts of a thread of our own are its own affair.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS | more)? };
    Ok(())
}

fn open(path: &CStr) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new().name("mountns".into()).spawn_scoped(scope, work)?;
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_stay_inside_and_last_as_long_as_the_namespace() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let (inside, namespace) = within_new(|| {
            let target = std::ffi::CString::new(folder.path().as_os_str().as_encoded_bytes()).expect("no zero");
            rustix::mount::mount(c"none", &target, c"tmpfs", rustix::mount::MountFlags::empty(), None).expect("tmpfs");
            std::fs::write(&path, "inside").expect("a file");
            rustix::fs::open(&*target, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).expect("the mount")
        })
        .expect("a namespace");
        assert!(!path.exists());
        assert!(rustix::fs::statat(&inside, "file", rustix::fs::AtFlags::empty()).is_ok());
        assert_eq!(within(&namespace, || std::fs::read_to_string(&path).ok()).expect("back in"), Some("inside".into()));
    }
}
