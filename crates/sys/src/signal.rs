//! What a process does when a signal arrives.

#![allow(unsafe_code)]

use std::io;

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
