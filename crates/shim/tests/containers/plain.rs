//! A runtime without containers: it starts the programs of this machine as they are.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};

use runtime::Spawned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shim::protocol::Failure;
use shim::runtime::Runtime;

/// What the tests send as plan and as process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Program {
    pub(crate) args: Vec<String>,
}

impl Program {
    /// What is sent to run `args`.
    pub(crate) fn json<const N: usize>(args: [&str; N]) -> Box<RawValue> {
        serde_json::value::to_raw_value(&Program { args: args.map(str::to_owned).to_vec() }).unwrap()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Plain;

impl Runtime for Plain {
    fn spawn(&mut self, plan: &RawValue, _: Vec<OwnedFd>, stdio: runtime::Stdio) -> Result<Spawned, Failure> {
        start(plan, stdio)
    }

    fn exec(&mut self, _: BorrowedFd<'_>, process: &RawValue, stdio: runtime::Stdio) -> Result<Spawned, Failure> {
        start(process, stdio)
    }
}

fn start(program: &RawValue, stdio: runtime::Stdio) -> Result<Spawned, Failure> {
    let program: Program = serde_json::from_str(program.get()).unwrap();
    let mut command = Command::new(&program.args[0]);
    command.args(&program.args[1..]);
    let mut master = None;
    match stdio {
        runtime::Stdio::Pipes { stdin, stdout, stderr } => {
            command.stdin(stdin).stdout(stdout).stderr(stderr);
        }
        runtime::Stdio::Terminal => {
            let (ours, theirs) = terminal();
            // A session of its own whose terminal this is, as the real runtime makes it.
            let mut wrapped = Command::new("/usr/bin/setsid");
            wrapped.arg("--ctty").args(&program.args);
            wrapped.stdin(copy(&theirs)).stdout(copy(&theirs)).stderr(copy(&theirs));
            command = wrapped;
            master = Some(ours);
        }
    }
    let child = command.spawn().map_err(|error| Failure {
        stage: "exec".to_owned(),
        errno: error.raw_os_error().unwrap_or_default(),
        detail: program.args[0].clone(),
    })?;
    let pid = child.id() as i32;
    Ok(Spawned { pid, pidfd: sys::process::open(pid).unwrap(), terminal: master, mount_namespace: None, rootfs: None })
}

fn copy(descriptor: &OwnedFd) -> Stdio {
    Stdio::from(descriptor.as_fd().try_clone_to_owned().unwrap())
}

fn terminal() -> (OwnedFd, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (ours, theirs.into())
}
