//! How long starts take: median and 95th percentile over many containers that run `true`, with all default mounts, all
//! control groups, the default seccomp profile, an overlay root and a network namespace made ahead.
//!
//! Needs root. `cargo run --release -p runtime --example start [count]`

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runtime::cgroup::{self, CgroupPlan, Layout, Resources};
use runtime::{Mount, MountSource, Plan, PlanFds, Process, Stdio, capabilities, devices, mounts, seccomp};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut args = std::env::args();
    let name = args.next().unwrap_or_default();
    if name.ends_with("true") {
        return Ok(());
    }
    if name.ends_with("wait") {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
        return Ok(());
    }
    let count: usize = args.next().map_or(Ok(200), |text| text.parse())?;
    let base = PathBuf::from(format!("/dev/shm/longshore-start-{}", std::process::id()));
    let lower = base.join("lower");
    for directory in ["proc", "sys", "dev", "bin", "etc"] {
        std::fs::create_dir_all(lower.join(directory))?;
    }
    for name in ["true", "wait"] {
        std::fs::copy(std::env::current_exe()?, lower.join("bin").join(name))?;
    }
    std::fs::write(base.join("hosts"), "127.0.0.1 localhost\n")?;
    let outcome = measure(&base, count);
    std::fs::remove_dir_all(&base)?;
    outcome
}

fn measure(base: &Path, count: usize) -> Outcome {
    let layout = Layout::detect()?;
    let parent = format!("longshore-start-{}", std::process::id());
    let resources = Resources { devices: devices::default_rules(), ..Resources::default() };
    let mut series: Vec<(&str, Vec<Duration>)> = Vec::new();
    let mut add = |name: &'static str, time: Duration| match series.iter_mut().find(|(known, _)| *known == name) {
        Some((_, times)) => times.push(time),
        None => series.push((name, vec![time])),
    };
    for index in 0..count {
        let clock = Instant::now();
        let groups = layout.plan(&parent, &format!("box{index}"), &resources)?;
        cgroup::create(&groups)?;
        add("control groups made", clock.elapsed());
        let netns = std::thread::spawn(fresh_netns).join().map_err(|_| "thread")??;
        let clock = Instant::now();
        let rootfs = overlay(base, index)?;
        add("overlay made", clock.elapsed());
        let clock = Instant::now();
        let plan = plan(base, &groups, "true");
        add("plan computed", clock.elapsed());
        let (stdio, _input) = pipes()?;
        let clock = Instant::now();
        let spawned = runtime::spawn(&plan, PlanFds { rootfs, netns: Some(netns) }, stdio)?;
        add("spawn, until the program executes", clock.elapsed());
        sys::process::wait(&spawned.pidfd)?;
        add("spawn, until the exit is seen", clock.elapsed());
        drop(spawned);
        add("filter installed", filter_time()?);
        let clock = Instant::now();
        cgroup::remove(&groups)?;
        add("control groups removed", clock.elapsed());
        std::thread::sleep(Duration::from_millis(10));
    }
    execs(base, &layout, &parent, count, &mut add)?;
    for hierarchy in &layout.hierarchies {
        std::fs::remove_dir(hierarchy.mount_point.join(&parent))?;
    }
    for (name, mut times) in series {
        times.sort_unstable();
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
        println!("{name:40} median {:7.3} ms  p95 {:7.3} ms  least {:7.3} ms", at(0.5), at(0.95), at(0.0));
    }
    Ok(())
}

fn execs(
    base: &Path,
    layout: &Layout,
    parent: &str,
    count: usize,
    add: &mut impl FnMut(&'static str, Duration),
) -> Outcome {
    let groups = layout.plan(parent, "resident", &Resources::default())?;
    cgroup::create(&groups)?;
    let (stdio, input) = pipes()?;
    let fds = PlanFds { rootfs: overlay(base, count)?, netns: None };
    let resident = runtime::spawn(&plan(base, &groups, "wait"), fds, stdio)?;
    for _ in 0..count {
        let (stdio, _input) = pipes()?;
        let clock = Instant::now();
        let spawned = runtime::exec(resident.pidfd.as_fd(), &groups, &process("true"), stdio)?;
        add("exec, until the program executes", clock.elapsed());
        sys::process::wait(&spawned.pidfd)?;
        add("exec, until the exit is seen", clock.elapsed());
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(input);
    sys::process::wait(&resident.pidfd)?;
    cgroup::remove(&groups)?;
    Ok(())
}

/// Installs the default filter in a child, which ends with the microseconds it took as its exit code.
fn filter_time() -> Outcome<Duration> {
    let filter = seccomp::default_profile(capabilities::DEFAULT);
    let child = sys::process::clone_process(0, None, || {
        let clock = Instant::now();
        match sys::process::install_filter(filter.as_bytes()) {
            Ok(()) => clock.elapsed().as_micros().min(255) as i32,
            Err(_) => 255,
        }
    })?;
    match sys::process::wait(&child.pidfd)? {
        sys::process::Exit::Code(microseconds) => Ok(Duration::from_micros(microseconds.unsigned_abs().into())),
        sys::process::Exit::Signal(signal) => Err(format!("signal {signal}").into()),
    }
}

fn process(program: &str) -> Process {
    Process {
        args: vec![program.to_owned()],
        env: vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()],
        capabilities: capabilities::Capabilities::for_user(capabilities::DEFAULT, 0),
        seccomp: Some(seccomp::default_profile(capabilities::DEFAULT)),
        ..Process::default()
    }
}

fn plan(base: &Path, groups: &CgroupPlan, program: &str) -> Plan {
    let bind = |target: &str| Mount {
        target: target.to_owned(),
        source: MountSource::Bind { path: base.join("hosts"), recursive: false },
        ..Mount::default()
    };
    let mut list = mounts::defaults(false, mounts::DEFAULT_SHM_BYTES);
    list.extend(["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"].map(bind));
    Plan {
        hostname: "box".to_owned(),
        mounts: list,
        devices: devices::default_nodes(),
        masked_paths: mounts::MASKED_PATHS.iter().map(|path| (*path).to_owned()).collect(),
        readonly_paths: mounts::READONLY_PATHS.iter().map(|path| (*path).to_owned()).collect(),
        cgroup: groups.clone(),
        process: process(program),
        ..Plan::default()
    }
}

fn overlay(base: &Path, index: usize) -> Outcome<OwnedFd> {
    let fs = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(fs.as_fd(), "lowerdir+", base.join("lower"))?;
    for (name, directory) in [("upperdir", "upper"), ("workdir", "work")] {
        let path = base.join(format!("{directory}{index}"));
        std::fs::create_dir(&path)?;
        rustix::mount::fsconfig_set_string(fs.as_fd(), name, &path)?;
    }
    rustix::mount::fsconfig_create(fs.as_fd())?;
    Ok(rustix::mount::fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
}

fn fresh_netns() -> std::io::Result<OwnedFd> {
    sys::process::unshare(libc::CLONE_NEWNET as u64)?;
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}

fn pipes() -> Outcome<(Stdio, OwnedFd)> {
    let (stdin, input) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let null = File::options().write(true).open("/dev/null")?;
    Ok((Stdio::Pipes { stdin, stdout: null.try_clone()?.into(), stderr: null.into() }, input))
}
