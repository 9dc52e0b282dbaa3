//! Cases about control groups.

use std::path::Path;

use runtime::cgroup::{self, CgroupPlan, Hierarchy, Layout, Resources};
use runtime::devices::{self, Device};
use runtime::{Mount, MountSource, Plan, capabilities};
use sys::process::Exit;

use crate::container::{Running, exec, plan, process, run, start, unique};

/// Removes its groups, and the parent that was made for this test alone.
struct Groups {
    plan: CgroupPlan,
    parent: String,
}

impl Groups {
    fn new(layout: &Layout, resources: &Resources) -> Self {
        let parent = unique("test");
        let plan = layout.plan(&parent, "box", resources).unwrap();
        cgroup::create(&plan).unwrap();
        Self { plan, parent }
    }

    fn give_to(&self, mut plan: Plan) -> Plan {
        plan.cgroup = self.plan.clone();
        plan
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        cgroup::kill(&self.plan).unwrap();
        cgroup::remove(&self.plan).unwrap();
        for directory in &self.plan.directories {
            assert!(!directory.path.exists());
            std::fs::remove_dir(directory.mount_point.join(&self.parent)).unwrap();
        }
    }
}

fn limited() -> Resources {
    Resources {
        memory_bytes: Some(64 << 20),
        memory_swap_bytes: Some(64 << 20),
        cpu_shares: Some(512),
        cpu_quota_us: Some(200_000),
        pids_limit: Some(50),
        devices: devices::default_rules(),
        ..Resources::default()
    }
}

fn text(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

fn directory<'a>(plan: &'a CgroupPlan, controller: &str) -> &'a Path {
    let found =
        plan.directories.iter().find(|one| plan.unified || one.controllers.iter().any(|name| name == controller));
    &found.unwrap().path
}

pub(crate) fn limits_are_in_force() {
    let groups = Groups::new(&Layout::detect().unwrap(), &limited());
    let inside = run(&groups.give_to(plan(&["cat", "/proc/self/cgroup"]))).0;
    assert!(inside.lines().filter(|line| !line.starts_with("0::")).all(|line| line.ends_with(":/")), "{inside}");
    let (limit, shown) = match groups.plan.unified {
        true => ("memory.max", "/sys/fs/cgroup/memory.max"),
        false => ("memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    };
    assert_eq!(run(&groups.give_to(plan(&["cat", shown]))).0, "67108864\n");
    assert_eq!(run(&groups.give_to(plan(&["write", shown, "1"]))).0, "error 30\n");
    assert_eq!(run(&groups.give_to(plan(&["eat", "10"]))).1, Exit::Code(0));
    assert!(!cgroup::oom_killed(&groups.plan).unwrap());
    assert_eq!(run(&groups.give_to(plan(&["eat", "200"]))).1, Exit::Signal(libc::SIGKILL));
    assert!(cgroup::oom_killed(&groups.plan).unwrap());
    // Raising both needs another order than lowering both.
    for bytes in [128 << 20, 32 << 20] {
        let resources = Resources { memory_bytes: Some(bytes), memory_swap_bytes: Some(bytes), ..Resources::default() };
        let changed = Layout::detect().unwrap().plan(&groups.parent, "box", &resources).unwrap();
        cgroup::update(&changed).unwrap();
        assert_eq!(text(directory(&groups.plan, "memory").join(limit)), bytes.to_string());
    }
}

fn wait_for(running: &Running) {
    // The probe reads its input once it runs; until exec the comm is another.
    let comm = format!("/proc/{}/comm", running.spawned.pid);
    assert_eq!(text(comm), "probe");
}

pub(crate) fn usage_suspension_and_killing() {
    let groups = Groups::new(&Layout::detect().unwrap(), &limited());
    let container = start(&groups.give_to(plan(&["wait"]))).unwrap();
    wait_for(&container);
    let same = groups.give_to(plan(&[]));
    let second = exec(&container, &same, &process(&["forever"], capabilities::DEFAULT)).unwrap();
    let mut expected = vec![container.spawned.pid, second.spawned.pid];
    expected.sort_unstable();
    assert_eq!(cgroup::pids(&groups.plan).unwrap(), expected);
    let stats = cgroup::stats(&groups.plan).unwrap();
    assert_eq!((stats.pids_current, stats.pids_limit), (2, Some(50)));
    assert_eq!(stats.memory.limit_bytes, Some(64 << 20));
    assert!(stats.memory.usage_bytes > 0 && stats.cpu.total_ns > 0 && !stats.memory.details.is_empty());
    cgroup::freeze(&groups.plan).unwrap();
    cgroup::thaw(&groups.plan).unwrap();
    cgroup::freeze(&groups.plan).unwrap();
    cgroup::kill(&groups.plan).unwrap();
    assert_eq!(second.finish().1, Exit::Signal(libc::SIGKILL));
    assert_eq!(container.finish().1, Exit::Signal(libc::SIGKILL));
    assert!(cgroup::pids(&groups.plan).unwrap().is_empty());
}

fn opens(groups: &Groups, path: &str, node: Option<Device>) -> String {
    let mut plan = groups.give_to(plan(&["open", path]));
    plan.devices.extend(node);
    run(&plan).0
}

fn memory_device() -> Device {
    Device { path: "/dev/net/mem".to_owned(), major: 1, minor: 1, mode: 0o666, ..Device::default() }
}

pub(crate) fn devices_are_guarded() {
    let groups = Groups::new(&Layout::detect().unwrap(), &limited());
    assert_eq!(opens(&groups, "/dev/null", None), "");
    assert_eq!(opens(&groups, "/dev/net/mem", Some(memory_device())), "error 1\n");
}

/// The unified hierarchy of a hybrid machine has no controllers, but devices, birth inside, freezing and killing.
pub(crate) fn unified_hierarchy() {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let Some(line) = table.lines().find(|line| line.contains(" - cgroup2 ")) else {
        panic!("no cgroup2 hierarchy is mounted");
    };
    let mount_point = line.split(' ').nth(4).unwrap().into();
    let layout = Layout { hierarchies: vec![Hierarchy { controllers: Vec::new(), mount_point }], unified: true };
    let groups = Groups::new(&layout, &Resources { devices: devices::default_rules(), ..Resources::default() });
    assert_eq!(opens(&groups, "/dev/null", None), "");
    assert_eq!(opens(&groups, "/dev/net/mem", Some(memory_device())), "error 1\n");
    let shown = run(&groups.give_to(plan(&["cat", "/proc/self/cgroup"]))).0;
    assert!(shown.contains("0::/\n"), "{shown}");
    let container = start(&groups.give_to(plan(&["wait"]))).unwrap();
    assert_eq!(cgroup::pids(&groups.plan).unwrap(), [container.spawned.pid]);
    let inside = exec(&container, &groups.give_to(plan(&[])), &process(&["cat", "/sys/fs/cgroup/cgroup.procs"], 0));
    assert_eq!(inside.unwrap().finish().0.lines().count(), 2);
    cgroup::freeze(&groups.plan).unwrap();
    cgroup::kill(&groups.plan).unwrap();
    assert_eq!(container.finish().1, Exit::Signal(libc::SIGKILL));
}

/// A writable view lets a container make groups of its own; removal takes them along.
pub(crate) fn nested_groups_go_too() {
    let groups = Groups::new(&Layout::detect().unwrap(), &Resources::default());
    let nested = directory(&groups.plan, "freezer").join("inner/most");
    std::fs::create_dir_all(&nested).unwrap();
    let mut writable = groups.give_to(plan(&["ls", "/sys/fs/cgroup"]));
    for mount in &mut writable.mounts {
        mount.readonly &= mount.source != MountSource::Cgroup;
    }
    assert!(writable.mounts.iter().any(|mount: &Mount| mount.source == MountSource::Cgroup && !mount.readonly));
    assert!(!run(&writable).0.is_empty());
    let missing = CgroupPlan { directories: groups.plan.directories.clone(), ..CgroupPlan::default() };
    drop(groups);
    cgroup::remove(&missing).unwrap();
}
