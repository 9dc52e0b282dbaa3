//! The same with real containers: a memory root, this test program inside, the built-in runtime.

use std::io::{BufRead, Write};
use std::os::fd::{AsFd, OwnedFd};

use runtime::{
    Mount, MountSource, Namespaces, NetworkNamespace, Plan, Process, capabilities, devices, mounts, seccomp,
};
use rustix::fs::Mode;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use serde_json::value::{RawValue, to_raw_value};
use shim::protocol::{Attach, Command, Event, Exec, LogConfig, Start, Stdio, WindowSize};

use crate::harness::{Container, read_until};

/// What runs in the container: answers each line, ends with the number in the line "exit N".
pub(crate) fn probe() -> ! {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if let Some(code) = line.strip_prefix("exit ") {
            std::process::exit(code.parse().unwrap());
        }
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).map(|size| (size.ws_row, size.ws_col));
        println!("pid {} got {line} {size:?}", std::process::id());
        std::io::stdout().flush().unwrap();
    }
    std::process::exit(9)
}

fn root() -> OwnedFd {
    let fs = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    rustix::mount::fsconfig_create(fs.as_fd()).unwrap();
    let root = rustix::mount::fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap();
    for directory in ["proc", "sys", "dev", "bin", "etc", "tmp"] {
        rustix::fs::mkdirat(&root, directory, Mode::from_raw_mode(0o755)).unwrap();
    }
    root
}

fn process() -> Process {
    let set = capabilities::resolve(&[], &[], false).unwrap();
    Process {
        args: vec!["/bin/probe".to_owned(), "probe".to_owned()],
        capabilities: capabilities::Capabilities::for_user(set, 0),
        seccomp: Some(seccomp::default_profile(set)),
        ..Process::default()
    }
}

fn plan(terminal: bool) -> Box<RawValue> {
    let mut mounts = mounts::defaults(false, mounts::DEFAULT_SHM_BYTES);
    mounts.push(Mount {
        target: "/bin/probe".to_owned(),
        source: MountSource::Bind { path: std::env::current_exe().unwrap(), recursive: false },
        readonly: true,
        ..Mount::default()
    });
    let plan = Plan {
        id: "real".to_owned(),
        hostname: "real".to_owned(),
        mounts,
        devices: devices::default_nodes(),
        masked_paths: mounts::MASKED_PATHS.iter().map(|path| (*path).to_owned()).collect(),
        namespaces: Namespaces { network: NetworkNamespace::Host, ..Namespaces::default() },
        process: process(),
        terminal,
        ..Plan::default()
    };
    to_raw_value(&plan).unwrap()
}

fn start(terminal: bool) -> Container {
    let mut container = Container::with("real-launcher");
    let log = LogConfig { path: container.log_path(), ..LogConfig::default() };
    let stdio = Stdio { terminal, open_stdin: true, stdin_once: false };
    container.send(&Command::Start(Box::new(Start { plan: plan(terminal), stdio, log: Some(log) })), Some(root()));
    container.until(|event| match event {
        Event::Started { .. } => Some(()),
        Event::StartFailed(failure) => panic!("{failure:?}"),
        _ => None,
    });
    container
}

fn all() -> Attach {
    Attach { stdin: true, stdout: true, stderr: true, ..Attach::default() }
}

pub(crate) fn a_real_container_runs_with_execs_in_little_memory() {
    let mut container = start(false);
    let mut client = container.attach_as(all());
    client.write_all(b"hello\n").unwrap();
    read_until(&mut client, "pid 1 got hello");
    let (mut exec_client, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let exec = Exec {
        exec_id: "e".to_owned(),
        process: to_raw_value(&process()).unwrap(),
        stdio: Stdio { terminal: true, ..Stdio::default() },
        attach: Some(Attach { attach_id: 50, ..all() }),
    };
    container.send(&Command::Exec(Box::new(exec)), Some(theirs.into()));
    container.until(|event| match event {
        Event::ExecStarted { .. } => Some(()),
        Event::ExecFailed { failure, .. } => panic!("{failure:?}"),
        _ => None,
    });
    let size = WindowSize { rows: 12, columns: 34 };
    container.send(&Command::Resize { exec_id: Some("e".to_owned()), size }, None);
    std::thread::sleep(std::time::Duration::from_millis(50));
    exec_client.write_all(b"inside\r").unwrap();
    read_until(&mut exec_client, "got inside Ok((12, 34))");
    exec_client.write_all(b"exit 3\r").unwrap();
    let code = container.until(|event| match event {
        Event::ExecExited { exit, .. } => Some(exit.code),
        _ => None,
    });
    assert_eq!(code, 3);
    container.send(&Command::Hello { protocol: 1 }, None);
    let shim = container.until(|event| match event {
        Event::Hello(state) => Some(state.shim_pid),
        _ => None,
    });
    let rollup = std::fs::read_to_string(format!("/proc/{shim}/smaps_rollup")).unwrap();
    let dirty = rollup.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).unwrap();
    let dirty_kb: u64 = dirty.trim().trim_end_matches(" kB").parse().unwrap();
    println!("    private memory of a shim: {dirty_kb} kB");
    assert!(dirty_kb < 300);
    client.write_all(b"exit 7\n").unwrap();
    assert_eq!(container.exit().code, 7);
    assert!(container.logged("stdout").starts_with("pid 1 got hello"));
    container.release();
}

pub(crate) fn a_real_terminal_works_and_dies_with_its_shim() {
    let mut container = start(true);
    let mut client = container.attach_as(all());
    container.send(&Command::Resize { exec_id: None, size: WindowSize { rows: 40, columns: 132 } }, None);
    std::thread::sleep(std::time::Duration::from_millis(50));
    client.write_all(b"hi\r").unwrap();
    read_until(&mut client, "pid 1 got hi Ok((40, 132))");
    container.send(&Command::Hello { protocol: 1 }, None);
    let (shim, pid) = container.until(|event| match event {
        Event::Hello(state) => Some((state.shim_pid, state.pid.unwrap())),
        _ => None,
    });
    let watched = sys::process::open(pid).unwrap();
    sys::process::send_signal(sys::process::open(shim).unwrap(), 9).unwrap();
    let mut fds = [rustix::event::PollFd::new(&watched, rustix::event::PollFlags::IN)];
    let patience = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut fds, Some(&patience)).unwrap(), 1, "the container outlives its shim");
}
