//! The cases.

use std::collections::BTreeMap;
use std::io::Read;

use runtime::{Mount, MountSource, Namespace, Plan, PlanFds, Rlimit, Stage, Stdio, TerminalSize, capabilities};
use sys::process::Exit;

use crate::container::{exec, output, plan, process, put, rootfs, run, start, start_in};
use crate::groups;

type Case = (&'static str, fn());

/// Every case by name.
pub(crate) const ALL: &[Case] = &[
    ("exit_code_comes_back", exit_code_comes_back),
    ("namespaces_are_its_own", namespaces_are_its_own),
    ("identity_and_capabilities", identity_and_capabilities),
    ("privileged_and_everything_just_work", privileged_and_everything_just_work),
    ("mounts_masks_and_devices", mounts_masks_and_devices),
    ("binds_tmpfs_and_readonly", binds_tmpfs_and_readonly),
    ("terminal", terminal),
    ("limits_and_sysctls", limits_and_sysctls),
    ("programs_not_found", programs_not_found),
    ("exec_joins", exec_joins),
    ("foreign_mounts_and_joined_namespaces", foreign_mounts_and_joined_namespaces),
    ("planted_links_lead_nowhere", planted_links_lead_nowhere),
    ("dies_with_its_parent", dies_with_its_parent),
    ("all_devices_of_a_privileged_container", all_devices_of_a_privileged_container),
    ("limits_are_in_force", groups::limits_are_in_force),
    ("usage_suspension_and_killing", groups::usage_suspension_and_killing),
    ("devices_are_guarded", groups::devices_are_guarded),
    ("unified_hierarchy", groups::unified_hierarchy),
    ("nested_groups_go_too", groups::nested_groups_go_too),
];

fn exit_code_comes_back() {
    assert_eq!(run(&plan(&["exit", "0"])).1, Exit::Code(0));
    assert_eq!(run(&plan(&["exit", "42"])).1, Exit::Code(42));
    let running = start(&plan(&["forever"])).unwrap();
    sys::process::send_signal(&running.spawned.pidfd, libc::SIGKILL).unwrap();
    assert_eq!(running.finish().1, Exit::Signal(libc::SIGKILL));
}

fn namespaces_are_its_own() {
    assert_eq!(output(&["pid"]), "1\n");
    assert_eq!(output(&["hostname"]), "boxed\n");
    assert_eq!(output(&["ls", "/sys/class/net"]), "lo\n");
    assert_eq!(output(&["fds"]), "[0, 1, 2]\n");
    let mut shared = plan(&["link", "/proc/self/ns/uts"]);
    shared.hostname.clear();
    shared.namespaces.uts = Namespace::Host;
    let own = std::fs::read_link("/proc/self/ns/uts").unwrap();
    assert_eq!(run(&shared).0.trim(), own.to_str().unwrap());
}

fn field(status: &str, name: &str) -> String {
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
}

fn identity_and_capabilities() {
    let status = output(&["cat", "/proc/self/status"]);
    assert_eq!(field(&status, "CapEff:"), "00000000a80425fb");
    assert_eq!(field(&status, "CapBnd:"), "00000000a80425fb");
    assert_eq!(field(&status, "CapInh:"), "0000000000000000");
    assert_eq!(field(&status, "Seccomp:"), "2");
    assert_eq!(field(&status, "NoNewPrivs:"), "0");
    assert_eq!(field(&status, "SigIgn:"), "0000000000001000", "the probe's own language ignores SIGPIPE");
    let mut user = plan(&["cat", "/proc/self/status"]);
    user.process.uid = 1000;
    user.process.gid = 100;
    user.process.groups = vec![7, 8];
    user.process.no_new_privileges = true;
    user.process.umask = Some(0o27);
    user.process.capabilities = capabilities::Capabilities::for_user(capabilities::DEFAULT, 1000);
    let status = run(&user).0;
    assert_eq!(field(&status, "Uid:"), "1000 1000 1000 1000");
    assert_eq!(field(&status, "Gid:"), "100 100 100 100");
    assert_eq!(field(&status, "Groups:"), "7 8");
    assert_eq!(field(&status, "CapEff:"), "0000000000000000");
    assert_eq!(field(&status, "CapBnd:"), "00000000a80425fb");
    assert_eq!(field(&status, "Seccomp:"), "2");
    assert_eq!(field(&status, "NoNewPrivs:"), "1");
    assert_eq!(field(&status, "Umask:"), "0027");
    user.process.args = ["probe", "write", "/dev/stdout", "reopened"].map(str::to_owned).to_vec();
    assert_eq!(run(&user).0, "reopened");
}

fn privileged_and_everything_just_work() {
    let mut all = plan(&["cat", "/proc/self/status"]);
    let set = capabilities::resolve(&[], &[], true).unwrap();
    all.process.capabilities = capabilities::Capabilities::for_user(set, 0);
    all.process.seccomp = None;
    all.masked_paths.clear();
    all.readonly_paths.clear();
    all.mounts[3].readonly = false;
    let status = run(&all).0;
    assert_eq!(field(&status, "CapEff:"), format!("{:016x}", capabilities::granted()));
    assert_eq!(field(&status, "Seccomp:"), "0");
}

fn mounts_masks_and_devices() {
    let dev = output(&["ls", "/dev"]);
    for name in ["null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "mqueue", "fd", "ptmx", "stdout"] {
        assert!(dev.lines().any(|line| line == name), "{name} in {dev}");
    }
    assert_eq!(output(&["open", "/dev/null"]), "");
    assert_eq!(output(&["cat", "/proc/keys"]), "");
    assert_eq!(output(&["ls", "/sys/firmware"]), "");
    assert_eq!(output(&["write", "/proc/sys/kernel/hostname", "x"]), "error 30\n");
    assert_eq!(output(&["write", "/sys/kernel/mm/ksm/run", "0"]), "error 30\n");
    assert_eq!(output(&["write", "/dev/shm/x", "y"]), "");
    assert_eq!(output(&["ls", "/"]), "bin\ndev\netc\nproc\nsys\ntmp\nwork\n");
    let table = output(&["cat", "/proc/self/mounts"]);
    assert!(table.contains("devpts /dev/pts devpts rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=666"), "{table}");
    assert!(table.contains("sysfs /sys sysfs ro,nosuid,nodev,noexec"), "{table}");
    assert!(table.contains("proc /proc/sys proc ro,nosuid,nodev,noexec"), "{table}");
}

fn bind(target: &str, path: &str) -> Mount {
    Mount {
        target: target.to_owned(),
        source: MountSource::Bind { path: path.into(), recursive: true },
        ..Mount::default()
    }
}

fn binds_tmpfs_and_readonly() {
    let host = format!("/dev/shm/{}", crate::container::unique("bind"));
    std::fs::create_dir(&host).unwrap();
    std::fs::write(format!("{host}/file"), "from the host").unwrap();
    let with = |args: &[&str], mounts: Vec<Mount>| {
        let mut plan = plan(args);
        plan.mounts.extend(mounts);
        plan
    };
    let file = format!("{host}/file");
    assert_eq!(run(&with(&["cat", "/new/place/file"], vec![bind("/new/place", &host)])).0, "from the host");
    assert_eq!(run(&with(&["cat", "/etc/one"], vec![bind("/etc/one", &file)])).0, "from the host");
    let readonly = Mount { readonly: true, readonly_recursive: true, ..bind("/work", &host) };
    assert_eq!(run(&with(&["write", "/work/file", "no"], vec![readonly])).0, "error 30\n");
    assert_eq!(run(&with(&["write", "/work/file", "yes"], vec![bind("/work", &host)])).0, "");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "yes");
    let tmpfs = MountSource::Tmpfs { options: vec!["size=64k".to_owned(), "mode=1770".to_owned()] };
    let tmpfs = Mount { target: "/run/scratch".to_owned(), source: tmpfs, noexec: true, ..Mount::default() };
    let table = run(&with(&["cat", "/proc/self/mounts"], vec![tmpfs])).0;
    assert!(table.contains("/run/scratch tmpfs rw,noexec,relatime,size=64k,mode=1770"), "{table}");
    let mut readonly = plan(&["write", "/tmp/x", "y"]);
    readonly.mounts.retain(|mount| mount.target != "/bin/probe");
    readonly.mounts.push(bind("/bin/probe", std::env::current_exe().unwrap().to_str().unwrap()));
    readonly.root_readonly = true;
    assert_eq!(run(&readonly).0, "error 30\n");
    let missing = start(&with(&["exit", "0"], vec![bind("/x", "/does/not/exist")])).err().unwrap();
    assert_eq!((missing.stage, missing.errno), (Stage::BindSource, libc::ENOENT));
    assert_eq!(missing.detail, "/does/not/exist");
    std::fs::remove_dir_all(&host).unwrap();
}

fn terminal() {
    let mut plan = plan(&["tty"]);
    plan.terminal = true;
    plan.terminal_size = Some(TerminalSize { rows: 33, columns: 101 });
    plan.process.uid = 1000;
    let spawned = runtime::spawn(&plan, PlanFds { rootfs: rootfs(), netns: None }, Stdio::Terminal).unwrap();
    let mut text = Vec::new();
    let mut controlling = std::fs::File::from(spawned.terminal.unwrap());
    // The end of a terminal is an error of its own.
    let _ = controlling.read_to_end(&mut text);
    assert_eq!(String::from_utf8_lossy(&text), "/dev/pts/0 33x101\r\ncontrolling\r\nconsole\r\n");
    assert_eq!(sys::process::wait(&spawned.pidfd).unwrap(), Exit::Code(0));
}

fn limits_and_sysctls() {
    let mut limited = plan(&["nofile"]);
    limited.process.rlimits = vec![
        Rlimit { name: "nofile".to_owned(), soft: 512, hard: 1024 },
        Rlimit { name: "core".to_owned(), soft: u64::MAX, hard: u64::MAX },
        Rlimit { name: "nproc".to_owned(), soft: u64::MAX, hard: u64::MAX },
    ];
    assert_eq!(run(&limited).0, "Some(512)\n");
    limited.process.rlimits[0] = Rlimit { name: "nofile".to_owned(), soft: 1 << 40, hard: 1 << 40 };
    let clamped = run(&limited);
    assert_eq!(clamped.1, Exit::Code(0), "{clamped:?}");
    let mut tuned = plan(&["cat", "/proc/sys/net/ipv4/ip_forward"]);
    tuned.sysctls = BTreeMap::from([("net.ipv4.ip_forward".to_owned(), "1".to_owned())]);
    assert_eq!(run(&tuned).0, "1\n");
    tuned.sysctls = BTreeMap::from([("kernel.nonsense".to_owned(), "1".to_owned())]);
    let error = start(&tuned).err().unwrap();
    assert_eq!((error.stage, error.detail.as_str()), (Stage::Sysctl, "kernel.nonsense"));
    let mut score = plan(&["cat", "/proc/self/oom_score_adj"]);
    score.process.oom_score_adj = Some(321);
    assert_eq!(run(&score).0, "321\n");
}

fn start_error(change: impl FnOnce(&mut Plan)) -> (Stage, i32, String) {
    let mut plan = plan(&["exit", "0"]);
    change(&mut plan);
    let error = start(&plan).err().expect("the start should have failed");
    (error.stage, error.errno, error.detail)
}

fn programs_not_found() {
    let program = |name: &'static str| move |plan: &mut Plan| plan.process.args[0] = name.to_owned();
    assert_eq!(start_error(program("foo")), (Stage::Lookup, libc::ENOENT, "foo".to_owned()));
    assert_eq!(start_error(program("/bin/foo")), (Stage::Lookup, libc::ENOENT, "/bin/foo".to_owned()));
    assert_eq!(start_error(program("/etc")), (Stage::Lookup, libc::EISDIR, "/etc".to_owned()));
    assert_eq!(start_error(program("/etc/plain")), (Stage::Lookup, libc::EACCES, "/etc/plain".to_owned()));
    assert_eq!(start_error(program("/etc/noformat")), (Stage::Exec, libc::ENOEXEC, "/etc/noformat".to_owned()));
    assert_eq!(start_error(program("")), (Stage::Lookup, libc::ENOENT, String::new()));
    let cwd = start_error(|plan| plan.process.cwd = "/missing".to_owned());
    assert_eq!(cwd, (Stage::WorkingDirectory, libc::ENOENT, "/missing".to_owned()));
    let nul = start_error(|plan| plan.process.env.push("A=\0".to_owned()));
    assert_eq!(nul.0, Stage::Plan);
    let limit = start_error(|plan| plan.process.rlimits.push(Rlimit { name: "nofun".to_owned(), soft: 1, hard: 1 }));
    assert_eq!(limit.2, "invalid ulimit type: nofun");
    let mut here = plan(&["pwd"]);
    here.process.cwd = "/work".to_owned();
    assert_eq!(run(&here).0, "/work\n");
}

fn exec_joins() {
    let plan = plan(&["wait"]);
    let container = start(&plan).unwrap();
    let in_it = |args: &[&str]| exec(&container, &plan, &process(args, capabilities::DEFAULT)).unwrap().finish();
    assert_eq!(in_it(&["hostname"]).0, "boxed\n");
    assert_eq!(in_it(&["exit", "3"]).1, Exit::Code(3));
    assert_eq!(in_it(&["fds"]).0, "[0, 1, 2]\n");
    assert_eq!(in_it(&["cat", "/proc/1/comm"]).0, "probe\n");
    assert_eq!(in_it(&["ls", "/"]).0, "bin\ndev\netc\nproc\nsys\ntmp\nwork\n");
    let status = in_it(&["cat", "/proc/self/status"]).0;
    assert_eq!(field(&status, "CapEff:"), "00000000a80425fb");
    assert_eq!(field(&status, "Seccomp:"), "2");
    assert_eq!(field(&status, "NSpid:"), field(&status, "Pid:"), "seen through the container's own /proc");
    let missing = exec(
        &container,
        &plan,
        &runtime::Process { args: vec!["nothing".to_owned()], ..process(&[], capabilities::DEFAULT) },
    );
    assert_eq!(missing.err().unwrap().stage, Stage::Lookup);
    let mut with_terminal = process(&["tty"], capabilities::DEFAULT);
    with_terminal.terminal_size = Some(TerminalSize { rows: 5, columns: 6 });
    with_terminal.args = ["probe", "open", "/dev/tty"].map(str::to_owned).to_vec();
    let pidfd = std::os::fd::AsFd::as_fd(&container.spawned.pidfd);
    let spawned = runtime::exec(pidfd, &plan.cgroup, &with_terminal, Stdio::Terminal).unwrap();
    assert!(spawned.terminal.is_some());
    assert_eq!(sys::process::wait(&spawned.pidfd).unwrap(), Exit::Code(0));
    assert_eq!(container.finish().1, Exit::Code(0));
    // Children are born in the caller's own pid namespace again.
    let child = sys::process::clone_process(0, None, || 0).unwrap();
    assert!(std::path::Path::new(&format!("/proc/{}", child.pid)).exists());
    sys::process::wait(&child.pidfd).unwrap();
}

fn foreign_mounts_and_joined_namespaces() {
    let first = start(&plan(&["wait"])).unwrap();
    let pid = first.spawned.pid;
    let mut second = plan(&["write", "/dev/shm/shared", "hello"]);
    second.mounts.retain(|mount| mount.target != "/dev/shm");
    second.mounts.push(Mount {
        target: "/dev/shm".to_owned(),
        source: MountSource::Foreign { pid, path: "/dev/shm".to_owned() },
        ..Mount::default()
    });
    second.namespaces.ipc = Namespace::Join(pid);
    second.namespaces.pid = Namespace::Join(pid);
    second.namespaces.network = runtime::NetworkNamespace::Join(pid);
    assert_eq!(run(&second), (String::new(), Exit::Code(0)));
    second.process.args = ["probe", "cat", "/proc/1/comm"].map(str::to_owned).to_vec();
    assert_eq!(run(&second).0, "probe\n");
    let plan = plan(&[]);
    let seen = exec(&first, &plan, &process(&["cat", "/dev/shm/shared"], capabilities::DEFAULT)).unwrap().finish();
    assert_eq!(seen.0, "hello");
    first.finish();
}

fn planted_links_lead_nowhere() {
    // An image whose /dev, /etc/dir and /work lead elsewhere: everything stays inside the root.
    let root = rootfs();
    rustix::fs::symlinkat("/tmp/../../../../tmp", &root, "etc/dir").unwrap();
    rustix::fs::symlinkat("/proc/self/fd/4", &root, "etc/magic").unwrap();
    put(&root, "tmp/inside", 0o644, b"");
    let mut followed = plan(&["ls", "/tmp/made"]);
    followed.mounts.push(bind("/etc/dir/made", "/proc/self/ns"));
    assert!(start_in(&followed, root.try_clone().unwrap()).unwrap().finish().0.contains("mnt\n"));
    let mut magic = plan(&["exit", "0"]);
    magic.mounts.push(bind("/etc/magic/x", "/proc/self/ns"));
    let error = start_in(&magic, rootfs_with_magic()).err().unwrap();
    assert_eq!((error.stage, error.errno), (Stage::Mount, libc::ELOOP));
    let mut outside = plan(&["pwd"]);
    outside.process.cwd = "/proc/self/fd/3".to_owned();
    let error = start(&outside).err().unwrap();
    assert_eq!(error.stage, Stage::WorkingDirectory);
}

fn rootfs_with_magic() -> std::os::fd::OwnedFd {
    let root = rootfs();
    rustix::fs::symlinkat("/proc/self/fd/4", &root, "etc/magic").unwrap();
    root
}

fn dies_with_its_parent() {
    let user = |plan: &mut Plan| {
        plan.process.uid = 1000;
        plan.process.capabilities = capabilities::Capabilities::for_user(capabilities::DEFAULT, 1000);
    };
    for change in [user, |_: &mut Plan| {}] {
        let mut plan = plan(&["forever"]);
        change(&mut plan);
        let running = std::thread::spawn(move || start(&plan).unwrap()).join().unwrap();
        assert_eq!(running.finish().1, Exit::Signal(libc::SIGKILL));
    }
}

fn all_devices_of_a_privileged_container() {
    let mut privileged = plan(&["ls", "/dev"]);
    privileged.devices = runtime::devices::default_nodes();
    privileged.devices.extend(runtime::devices::host_nodes().unwrap());
    privileged.terminal = false;
    let names = run(&privileged).0;
    assert!(names.lines().any(|name| name == "kmsg") && names.lines().any(|name| name == "ptmx"), "{names}");
}
