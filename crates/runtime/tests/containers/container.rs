//! A container for a test: a memory root with this binary in it.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use runtime::{
    Mount, MountSource, Namespaces, NetworkNamespace, Plan, PlanFds, Process, Spawned, StartError, Stdio, capabilities,
    devices, mounts, seccomp,
};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use sys::process::Exit;

/// A name no other test run uses at the same time.
pub(crate) fn unique(what: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    format!("longshore-{what}-{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// A detached memory file system with the directories of a root and some files.
pub(crate) fn rootfs() -> OwnedFd {
    let fs = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).expect("fsopen");
    rustix::mount::fsconfig_create(fs.as_fd()).expect("fsconfig");
    let root =
        rustix::mount::fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).expect("fsmount");
    for directory in ["proc", "sys", "dev", "bin", "etc", "tmp", "work"] {
        rustix::fs::mkdirat(&root, directory, Mode::from_raw_mode(0o755)).expect("mkdir");
    }
    put(&root, "etc/plain", 0o644, b"just text\n");
    put(&root, "etc/noformat", 0o755, b"\x7fnothing\n");
    root
}

/// Writes a file into a detached root.
pub(crate) fn put(root: &OwnedFd, path: &str, mode: u32, content: &[u8]) {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(root, path, flags, Mode::from_raw_mode(mode)).expect("create");
    rustix::io::write(&file, content).expect("write");
}

/// The plan of a default container that runs the probe with `args`.
pub(crate) fn plan(args: &[&str]) -> Plan {
    let set = capabilities::resolve(&[], &[], false).expect("default capabilities");
    let mut list = mounts::defaults(false, mounts::DEFAULT_SHM_BYTES);
    let exe = std::env::current_exe().expect("own path");
    list.push(Mount {
        target: "/bin/probe".to_owned(),
        source: MountSource::Bind { path: exe, recursive: false },
        readonly: true,
        ..Mount::default()
    });
    let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    Plan {
        id: unique("plan"),
        hostname: "boxed".to_owned(),
        mounts: list,
        devices: devices::default_nodes(),
        masked_paths: strings(mounts::MASKED_PATHS),
        readonly_paths: strings(mounts::READONLY_PATHS),
        namespaces: Namespaces { network: NetworkNamespace::Fd, ..Namespaces::default() },
        process: process(args, set),
        ..Plan::default()
    }
}

/// A process that runs the probe with `args`.
pub(crate) fn process(args: &[&str], set: u64) -> Process {
    Process {
        args: ["probe"].iter().chain(args).map(|text| (*text).to_owned()).collect(),
        env: vec!["PATH=/nowhere:/bin".to_owned(), "HOME=/root".to_owned()],
        capabilities: capabilities::Capabilities::for_user(set, 0),
        seccomp: Some(seccomp::default_profile(set)),
        ..Process::default()
    }
}

/// A running process and the reading end of its output.
pub(crate) struct Running {
    pub(crate) spawned: Spawned,
    output: File,
    /// Closing it ends the process's input.
    pub(crate) input: Option<OwnedFd>,
}

impl Running {
    /// Ends input, reads all output, reaps.
    pub(crate) fn finish(mut self) -> (String, Exit) {
        drop(self.input.take());
        let mut text = String::new();
        self.output.read_to_string(&mut text).expect("output");
        (text, sys::process::wait(&self.spawned.pidfd).expect("wait"))
    }
}

fn pipes() -> (Stdio, OwnedFd, File) {
    let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("pipe");
    let ((stdin, input), (output, stdout)) = (pipe(), pipe());
    let stderr = stdout.try_clone().expect("dup");
    (Stdio::Pipes { stdin, stdout, stderr }, input, File::from(output))
}

/// Starts `plan` in `root`.
pub(crate) fn start_in(plan: &Plan, root: OwnedFd) -> Result<Running, StartError> {
    let (stdio, input, output) = pipes();
    let spawned = runtime::spawn(plan, PlanFds { rootfs: root, netns: None }, stdio)?;
    Ok(Running { spawned, output, input: Some(input) })
}

/// Starts `plan` in a fresh root.
pub(crate) fn start(plan: &Plan) -> Result<Running, StartError> {
    start_in(plan, rootfs())
}

/// Runs `plan` to its end: output and exit.
pub(crate) fn run(plan: &Plan) -> (String, Exit) {
    start(plan).expect("start").finish()
}

/// Output of a default container that runs the probe with `args`.
pub(crate) fn output(args: &[&str]) -> String {
    run(&plan(args)).0
}

/// Executes a further process in a running container.
pub(crate) fn exec(container: &Running, plan: &Plan, process: &Process) -> Result<Running, StartError> {
    let (stdio, input, output) = pipes();
    let spawned = runtime::exec(container.spawned.pidfd.as_fd(), &plan.cgroup, process, stdio)?;
    Ok(Running { spawned, output, input: Some(input) })
}
