//! The launcher's own side.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use sys::signal::{Disposition, set_disposition};

use crate::channel::{Channel, Incoming};
use crate::error::Error;
use crate::protocol::{Reply, Request};
use crate::runtime::{Embedded, Runtime};
use crate::supervisor;

/// The first signals' numbers are the same on all machines we run on.
const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGCHLD: i32 = 17;

/// Asks the kernel to end shims last when memory runs out.
const SHIM_OOM_SCORE: i32 = -999;

/// Serves launch requests on `control` until the daemon closes it, then ends the process.
///
/// Must be called before any thread is started; the binary passes the socket it was given as standard input.
pub fn run(control: OwnedFd) -> ! {
    // Shims begin with the launcher's.
    let score = oom_score().ok();
    run_with(control, move || Box::new(Embedded::new(score)))
}

/// As [`run`], with the control socket that [`super::Launcher`] passes as standard input.
pub fn run_on_stdin() -> ! {
    match std::io::stdin().as_fd().try_clone_to_owned() {
        Ok(control) => run(control),
        Err(error) => {
            eprintln!("longshore launcher: no control socket: {error}");
            sys::process::exit_now(1)
        }
    }
}

/// As [`run`], with another runtime.
pub fn run_with(control: OwnedFd, runtime: impl Fn() -> Box<dyn Runtime>) -> ! {
    let code = match serve(control, &runtime) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("longshore launcher: {error}");
            1
        }
    };
    sys::process::exit_now(code)
}

fn serve(control: OwnedFd, runtime: &dyn Fn() -> Box<dyn Runtime>) -> crate::Result<()> {
    // Already a session of our own only if the daemon arranged it.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"longshore-lnch");
    // The kernel reaps shims; interrupts typed at the daemon's terminal are the daemon's business.
    for signal in [SIGCHLD, SIGHUP, SIGINT] {
        set_disposition(signal, Disposition::Ignore).map_err(Error::system("ignore a signal"))?;
    }
    // Once for all shims.
    ::runtime::capabilities::granted();
    let control = Channel::new(control);
    loop {
        let (request, descriptors) = match control.receive()? {
            Incoming::Message(request, descriptors) => (request, descriptors),
            Incoming::Nothing | Incoming::Closed => return Ok(()),
        };
        let Request::Launch { container_id, socket } = request;
        let reply = match descriptors.into_iter().next() {
            None => Reply::Failed { detail: "the control connection's descriptor is missing".to_owned() },
            Some(connection) => match sys::process::fork() {
                Ok(Some(child)) => Reply::Launched { pid: child.pid },
                Ok(None) => {
                    drop(control);
                    become_shim(connection, &container_id, &socket, runtime)
                }
                Err(errno) => Reply::Failed { detail: format!("fork: {errno}") },
            },
        };
        match control.send(&reply, &[]) {
            Err(Error::Closed) => return Ok(()),
            sent => sent?,
        }
    }
}

/// The fork's life as a shim.
fn become_shim(control: OwnedFd, container_id: &str, socket: &Path, runtime: &dyn Fn() -> Box<dyn Runtime>) -> ! {
    let mut runtime = runtime();
    // None of these matters enough to give up a container: a shim without them works.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"longshore-shim");
    drop(std::fs::write("/proc/self/oom_score_adj", SHIM_OOM_SCORE.to_string()));
    drop(leave_standard_streams());
    // Children are reaped one by one, for their status.
    let code = match set_disposition(SIGCHLD, Disposition::Default)
        .map_err(Error::system("reset a signal"))
        .and_then(|()| supervisor::run(control, container_id, socket, runtime.as_mut()))
    {
        Ok(()) => 0,
        Err(_) => 1,
    };
    sys::process::exit_now(code)
}

/// A shim holds nothing open of the daemon's: no terminal, no pipe into a journal, no folder.
fn leave_standard_streams() -> io::Result<()> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(null.as_fd())?;
    rustix::stdio::dup2_stdout(null.as_fd())?;
    rustix::stdio::dup2_stderr(null.as_fd())?;
    rustix::process::chdir(c"/")?;
    Ok(())
}

fn oom_score() -> io::Result<i32> {
    let text = std::fs::read_to_string("/proc/self/oom_score_adj")?;
    text.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
