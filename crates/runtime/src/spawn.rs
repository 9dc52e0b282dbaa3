//! Starting processes: a container's first one, and further ones inside a running container.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use sys::process::NamespaceFlags;

use crate::cgroup::CgroupPlan;
use crate::error::{Stage, StartError};
use crate::plan::{Namespace, NetworkNamespace, Plan, Process};
use crate::prepare::{Steps, above_stdio, birth_cgroup, duplicate, open_process};
use crate::prepare_mounts::build_root;
use crate::step::{Action, Child};
use crate::terminal::{self, Message};

const NEW_MOUNT: NamespaceFlags = libc::CLONE_NEWNS as u64;
const NEW_PID: NamespaceFlags = libc::CLONE_NEWPID as u64;
const NEW_IPC: NamespaceFlags = libc::CLONE_NEWIPC as u64;
const NEW_UTS: NamespaceFlags = libc::CLONE_NEWUTS as u64;
const NEW_NETWORK: NamespaceFlags = libc::CLONE_NEWNET as u64;
const NEW_CGROUP: NamespaceFlags = libc::CLONE_NEWCGROUP as u64;

/// Descriptors a plan refers to.
#[derive(Debug)]
pub struct PlanFds {
    /// Detached mount of the root file system; the child attaches it in its own mount namespace.
    pub rootfs: OwnedFd,
    /// Prepared network namespace, for [`crate::NetworkNamespace::Fd`].
    pub netns: Option<OwnedFd>,
}

/// Standard streams of a process.
#[derive(Debug)]
pub enum Stdio {
    /// Three descriptors.
    Pipes {
        /// Read by the process.
        stdin: OwnedFd,
        /// Written by the process.
        stdout: OwnedFd,
        /// Written by the process.
        stderr: OwnedFd,
    },
    /// A terminal allocated in the container's own devpts; its controlling side comes back in [`Spawned::terminal`].
    Terminal,
}

/// A started process, a child of the caller.
#[derive(Debug)]
pub struct Spawned {
    /// Process id in the caller's pid namespace.
    pub pid: i32,
    /// Descriptor of the process.
    pub pidfd: OwnedFd,
    /// Controlling side of the terminal, if one was asked for.
    pub terminal: Option<OwnedFd>,
    /// The container's mount namespace (first processes only). While somebody holds it, the kernel need not take down
    /// the mounts before
    /// the end of the process is seen, which is then 0.3 to 0.5 ms sooner: let go of it after the exit was reported.
    pub mount_namespace: Option<OwnedFd>,
    /// The container's root file system (first processes only). While somebody holds it, it is mounted; all that was mounted
    /// on it goes with the namespace.
    pub rootfs: Option<OwnedFd>,
}

/// Starts the first process of a container. Returns once the program is executing, or with the step that failed.
///
/// The process is killed by the kernel when the *thread* that called this ends.
pub fn spawn(plan: &Plan, fds: PlanFds, stdio: Stdio) -> Result<Spawned, StartError> {
    if plan.terminal != matches!(stdio, Stdio::Terminal) {
        return Err(StartError::new(Stage::Plan, libc::EINVAL, "terminal and standard streams disagree"));
    }
    let rootfs = duplicate(fds.rootfs.as_fd())?;
    let mut steps = Steps::default();
    let joins_pid = matches!(plan.namespaces.pid, Namespace::Join(_));
    steps.begin(&plan.process, &plan.cgroup, joins_pid)?;
    let flags = enter_namespaces(&mut steps, plan, fds.netns)?;
    let terminal = build_root(&mut steps, plan, fds.rootfs)?;
    // Names of a namespace that is shared are not the container's to change.
    let own_names = matches!(plan.namespaces.uts, Namespace::New);
    if own_names && !plan.hostname.is_empty() {
        steps.push(Stage::Hostname, Action::Hostname(plan.hostname.clone().into_bytes()));
    }
    if own_names && !plan.domainname.is_empty() {
        steps.push(Stage::Hostname, Action::Domainname(plan.domainname.clone().into_bytes()));
    }
    steps.finish(&plan.process, stdio, terminal)?;
    let joined = match plan.namespaces.pid {
        Namespace::Join(pid) => Some(open_process(pid)?),
        Namespace::New | Namespace::Host => None,
    };
    let spawned = start(steps, flags, &plan.cgroup, joined.as_ref().map(AsFd::as_fd))?;
    Ok(Spawned { rootfs: Some(rootfs), ..spawned })
}

/// Starts a further process in the container of the process behind `container`: in all its namespaces and in the
/// control groups of `cgroup`. Returns once the program is executing, or with the step that failed.
///
/// While it runs, children of the calling thread are born in the container's pid namespace: call it from the shim's
/// only
/// thread. The process is killed by the kernel when that thread ends.
pub fn exec(
    container: BorrowedFd<'_>,
    cgroup: &CgroupPlan,
    process: &Process,
    stdio: Stdio,
) -> Result<Spawned, StartError> {
    let mut steps = Steps::default();
    steps.begin(process, cgroup, true)?;
    let flags = NEW_MOUNT | NEW_IPC | NEW_UTS | NEW_NETWORK | NEW_CGROUP;
    steps.push(Stage::Namespace, Action::SetNamespaces { fd: duplicate(container)?, flags });
    let terminal = match stdio {
        Stdio::Terminal => Some(steps.terminal(None, process.terminal_size)),
        Stdio::Pipes { .. } => None,
    };
    steps.finish(process, stdio, terminal)?;
    start(steps, 0, cgroup, Some(container))
}

/// Adds the steps that join namespaces, and returns the ones to be new at the clone.
fn enter_namespaces(steps: &mut Steps, plan: &Plan, netns: Option<OwnedFd>) -> Result<NamespaceFlags, StartError> {
    let wanted = &plan.namespaces;
    let mut flags = NEW_MOUNT;
    match (wanted.network, netns) {
        (NetworkNamespace::Fd, Some(fd)) => {
            steps.push(Stage::Namespace, Action::SetNamespaces { fd, flags: NEW_NETWORK });
        }
        (NetworkNamespace::Fd, None) => flags |= NEW_NETWORK,
        (NetworkNamespace::Host, _) => {}
        (NetworkNamespace::Join(pid), _) => {
            steps.push(Stage::Namespace, Action::SetNamespaces { fd: open_process(pid)?, flags: NEW_NETWORK });
        }
    }
    for (namespace, flag) in [(wanted.pid, NEW_PID), (wanted.ipc, NEW_IPC), (wanted.uts, NEW_UTS)] {
        match namespace {
            Namespace::New => flags |= flag,
            Namespace::Join(pid) if flag != NEW_PID => {
                steps.push(Stage::Namespace, Action::SetNamespaces { fd: open_process(pid)?, flags: flag });
            }
            Namespace::Join(_) | Namespace::Host => {}
        }
    }
    match wanted.cgroup {
        // Only now: the namespace's root is the group the process is in when it is made.
        Namespace::New => steps.push(Stage::Namespace, Action::Unshare(NEW_CGROUP)),
        Namespace::Join(pid) => {
            steps.push(Stage::Namespace, Action::SetNamespaces { fd: open_process(pid)?, flags: NEW_CGROUP });
        }
        Namespace::Host => {}
    }
    Ok(flags)
}

/// Clones, and waits until the program executes.
fn start(
    steps: Steps,
    flags: NamespaceFlags,
    cgroup: &CgroupPlan,
    pid_namespace: Option<BorrowedFd<'_>>,
) -> Result<Spawned, StartError> {
    let broken = |errno| StartError::at(Stage::Internal, errno, "channel to the child");
    let (ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(broken)?;
    let group = birth_cgroup(cgroup)?;
    let mut state = Child::new(steps.slots, above_stdio(theirs)?);
    let child = in_pid_namespace(pid_namespace, || {
        sys::process::clone_process(flags, group.as_ref().map(AsFd::as_fd), || state.run(&steps.list))
            .map_err(|errno| StartError::at(Stage::Clone, errno, "new process"))
    })?;
    drop(state);
    let mount_namespace = if flags & NEW_MOUNT != 0 { hold_mounts(child.pid) } else { None };
    let mut spawned = Spawned { pid: child.pid, pidfd: child.pidfd, terminal: None, mount_namespace, rootfs: None };
    loop {
        match terminal::receive(ours.as_fd()) {
            Ok(Message::Terminal(terminal)) => spawned.terminal = Some(terminal),
            Ok(Message::End) => return Ok(spawned),
            Ok(Message::Failure { step, errno }) => {
                reap(&spawned);
                return Err(match steps.list.get(step) {
                    Some(step) => StartError::new(step.stage, errno, step.action.detail()),
                    None => broken(Errno::PROTO),
                });
            }
            Err(errno) => {
                // What became of the child is unknown; it must not live on unseen. It may be gone already.
                let _ = sys::process::send_signal(&spawned.pidfd, libc::SIGKILL);
                reap(&spawned);
                return Err(broken(errno));
            }
        }
    }
}

/// A descriptor of the child's mount namespace. Without it all works, but slower.
fn hold_mounts(pid: i32) -> Option<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    rustix::fs::open(format!("/proc/{pid}/ns/mnt"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// Reaps a child that failed. A caller that ignores SIGCHLD has it reaped by the kernel.
fn reap(spawned: &Spawned) {
    let _ = sys::process::wait(&spawned.pidfd);
}

/// Runs `birth` so that its child is born in the pid namespace of the process behind `target`.
fn in_pid_namespace<T>(
    target: Option<BorrowedFd<'_>>,
    birth: impl FnOnce() -> Result<T, StartError>,
) -> Result<T, StartError> {
    let Some(target) = target else { return birth() };
    let fail = |errno| StartError::at(Stage::Namespace, errno, "pid namespace");
    let own = sys::process::open(rustix::process::getpid().as_raw_nonzero().get()).map_err(fail)?;
    sys::process::set_namespaces(target, NEW_PID).map_err(fail)?;
    let born = birth();
    sys::process::set_namespaces(own.as_fd(), NEW_PID).map_err(fail)?;
    born
}
