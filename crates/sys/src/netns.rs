//! Network namespaces: making one, naming the one a thread is in, moving a thread.
//!
//! A network namespace lives as long as a process is in it or a descriptor (or socket) of it is open. Nothing
//! here binds one to a path, so nothing can be left behind.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

/// A descriptor of the network namespace that the calling thread is in; close-on-exec.
pub fn current() -> io::Result<OwnedFd> {
    let fd = rustix::fs::open("/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(fd)
}

/// Moves the calling thread, and no other one, into a new network namespace.
///
/// The namespace starts with `lo`, down. Needs `CAP_SYS_ADMIN`. Threads that the calling thread starts
/// afterwards begin in the new namespace as well.
pub fn unshare() -> io::Result<()> {
    // SAFETY: of the flags of unshare(2) only CLONE_FILES changes what other code of this process may rely
    // on (open descriptors); CLONE_NEWNET changes which interfaces this thread's *new* sockets see.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET)? };
    Ok(())
}

/// Moves the calling thread, and no other one, into the network namespace of a descriptor.
pub fn enter(netns: impl AsFd) -> io::Result<()> {
    rustix::thread::move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))?;
    Ok(())
}

/// Runs `work` on a thread of its own inside the network namespace of a descriptor and waits for its end.
///
/// Files under `/proc/sys/net` and sockets opened by `work` belong to that namespace.
pub fn within<T: Send>(netns: impl AsFd + Send, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new().name("netns".into()).spawn_scoped(scope, move || {
            enter(netns)?;
            Ok(work())
        })?;
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::fstat;

    fn inode(netns: &OwnedFd) -> u64 {
        fstat(netns).expect("stat of a namespace").st_ino
    }

    #[test]
    fn a_thread_moves_alone_and_back() {
        let home = current().expect("own namespace");
        let made = std::thread::spawn(move || {
            unshare().expect("new namespace");
            let made = current().expect("new namespace's descriptor");
            enter(&home).expect("back home");
            assert_eq!(inode(&current().expect("own namespace")), inode(&home));
            made
        })
        .join()
        .expect("thread");
        assert_ne!(inode(&current().expect("own namespace")), inode(&made));
        let seen = within(&made, current).expect("within").expect("own namespace");
        assert_eq!(inode(&seen), inode(&made));
    }
}
