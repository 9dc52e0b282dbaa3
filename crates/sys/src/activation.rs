//! Sockets that systemd opened for this process (socket activation).

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Number of the first file that systemd hands over.
const FIRST: RawFd = 3;
/// More than any unit hands over; a larger number is a mistake.
const MOST: RawFd = 1024;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes the sockets that were handed over, in order; none if there are none, or if they were taken before.
///
/// # Errors
/// The environment promises files that are not open.
pub fn take_sockets() -> io::Result<Vec<OwnedFd>> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<RawFd>().ok());
    let ours = number("LISTEN_PID").is_some_and(|pid| u32::try_from(pid) == Ok(std::process::id()));
    let count = number("LISTEN_FDS").filter(|count| ours && (1..=MOST).contains(count)).unwrap_or(0);
    if count == 0 || TAKEN.swap(true, Ordering::SeqCst) {
        return Ok(Vec::new());
    }
    (FIRST..FIRST + count).map(take).collect()
}

fn take(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: only borrowed for the calls below, which fail cleanly if the file is not open.
    let file = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = fcntl_getfd(file)?;
    fcntl_setfd(file, flags | FdFlags::CLOEXEC)?;
    // SAFETY: the file is open, the protocol says that it is ours, and `TAKEN` lets us claim it only once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
