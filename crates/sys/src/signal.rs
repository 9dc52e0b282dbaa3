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

/// Blocks every signal for this thread but those that a fault of its own raises, so that they wait for [`wait`].
pub fn block_all() -> io::Result<()> {
    const FAULTS: [i32; 7] =
        [libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT, libc::SIGTRAP, libc::SIGSYS];
    let mut set = full_set();
    for fault in FAULTS {
        // SAFETY: `set` is an initialised signal set.
        unsafe { libc::sigdelset(&raw mut set, fault) };
    }
    // SAFETY: `set` is an initialised signal set; no old one is asked for.
    match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Waits for the next signal that [`block_all`] holds back, and takes it: its number, real-time ones included.
pub fn wait() -> io::Result<i32> {
    let set = full_set();
    loop {
        // SAFETY: `set` is an initialised signal set; what else is known of the signal is not asked for.
        let number = unsafe { libc::sigwaitinfo(&raw const set, std::ptr::null_mut()) };
        if number > 0 {
            return Ok(number);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn full_set() -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the whole set, and cannot fail for a valid pointer.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        set.assume_init()
    }
}
