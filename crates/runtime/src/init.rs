//! The init of containers that ask for one: starts their program as its child, passes signals on to it, reaps every
//! process that nobody else waits for, and ends as the program ended.
//!
//! It is this very binary, executed by the descriptor of the launcher's read-only copy under a [name](NAME) of its own:
//! nothing is mounted into the container, and `/proc/1/exe` leads to nothing that can be written.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus};
use rustix::termios::tcsetpgrp;

/// The first word of its command line, by which the binary knows what it shall be: the path of Docker's.
pub const NAME: &str = "/sbin/docker-init";

/// The first signals' numbers are the same on all machines we run on.
const SIGCHLD: i32 = 17;
const SIGTTIN: i32 = 21;
const SIGTTOU: i32 = 22;
/// Exit code if anything but the program itself is in the way, as shells have it.
const BROKEN: i32 = 125;

/// Runs the program on our command line (`docker-init -- program arguments...`) as a container's init, and ends as it
/// ended: 128 and its number for a signal, 127 if there is no such program, 126 if it cannot be executed.
///
/// Must be called before any thread is started.
pub fn run() -> ! {
    let code = supervise().unwrap_or_else(|error| {
        eprintln!("docker-init: {error}");
        BROKEN
    });
    sys::process::exit_now(code)
}

fn supervise() -> io::Result<i32> {
    // It was executed by a descriptor's number, which would be its name.
    let _ = rustix::thread::set_name(c"docker-init");
    let args: Vec<OsString> = std::env::args_os().skip(2).collect();
    // Before the fork, so that no signal is lost.
    sys::signal::block_all()?;
    let Some(child) = sys::process::fork()? else { sys::process::exit_now(become_program(&args)) };
    let program = Pid::from_raw(child.pid);
    loop {
        match sys::signal::wait()? {
            SIGCHLD => {
                if let Some(code) = reap(program)? {
                    return Ok(code);
                }
            }
            // Of the terminal, to those who are in the background of the program that we put in front.
            SIGTTIN | SIGTTOU => {}
            // It may just have ended, or have taken on another user.
            signal => {
                let _ = sys::process::send_signal(&child.pidfd, signal);
            }
        }
    }
}

/// Reaps all that have ended; the exit code of `program`, if it is among them.
fn reap(program: Option<Pid>) -> io::Result<Option<i32>> {
    let mut code = None;
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if Some(pid) == program => code = exit_code(status),
            Ok(Some(_)) => {}
            Ok(None) | Err(Errno::CHILD) => return Ok(code),
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn exit_code(status: WaitStatus) -> Option<i32> {
    status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal))
}

/// The fork's way to the program; returns only with the exit code of a failure.
fn become_program(args: &[OsString]) -> i32 {
    // A group of its own, in front of the terminal if there is one: what is typed there reaches the program once, and
    // not a second time through us.
    let _ = rustix::process::setpgid(None, None);
    let _ = tcsetpgrp(rustix::stdio::stdin(), rustix::process::getpid());
    sys::process::reset_signals();
    let Some((program, rest)) = args.split_first() else { return BROKEN };
    let error = Command::new(program).args(rest).exec();
    eprintln!("docker-init: exec {}: {error}", program.display());
    if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
}
