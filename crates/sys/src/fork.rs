//! Plain `fork(2)` for single-threaded processes, and the signal dispositions that go with it.

#![allow(unsafe_code)]

use std::io;

/// Which side of a fork the caller is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The process that called; `pid` is the new child's.
    Parent {
        /// Process id of the child, in the caller's pid namespace.
        pid: i32,
    },
    /// The new process.
    Child,
}

/// Forks the calling process, which must have exactly one thread: with more, locks held by the others would
/// stay locked in the child for ever, so that is refused with `InvalidInput`.
pub fn fork() -> io::Result<Side> {
    // The folder of tasks has one link per thread beside its own two.
    let tasks = rustix::fs::stat("/proc/self/task")?;
    if tasks.st_nlink != 3 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "fork needs a process with a single thread"));
    }
    // SAFETY: there is one thread (checked above), so the child inherits no lock that somebody else holds.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        pid => Ok(Side::Parent { pid }),
    }
}

/// What a process does when a signal arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The kernel's default action.
    Default,
    /// Nothing. Ignoring `SIGCHLD` also lets the kernel reap children at once.
    Ignore,
}

/// Sets the disposition of signal number `signal` for the whole process.
pub fn set_disposition(signal: i32, disposition: Disposition) -> io::Result<()> {
    let action = match disposition {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignore => libc::SIG_IGN,
    };
    // SAFETY: neither value is a function pointer, so no code of ours runs in signal context.
    if unsafe { libc::signal(signal, action) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Gives unused heap pages back to the kernel; only a hint.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` takes the allocator's own locks and has no other requirement.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forking_is_refused_while_other_threads_run() {
        // The test harness itself runs this on a second thread.
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || receiver.recv());
        assert_eq!(fork().unwrap_err().kind(), io::ErrorKind::InvalidInput);
        drop(sender);
        assert!(other.join().unwrap().is_err());
    }
}
