//! Docker's default mounts, masked and read-only paths.

use crate::plan::{Mount, MountSource};

/// Size of `/dev/shm` when nothing else is asked for: 64 MiB.
pub const DEFAULT_SHM_BYTES: u64 = 64 << 20;

/// Paths hidden in a container that is not privileged (Docker 28).
pub const MASKED_PATHS: &[&str] = &[
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Paths a container that is not privileged may read but not write (Docker 28).
pub const READONLY_PATHS: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The mounts each container gets, in order: proc, dev, devpts, sysfs, cgroup, mqueue and shm.
///
/// Privileged containers get sysfs and cgroup writable. The caller replaces or drops entries (an own `/dev/shm`
/// for a joined IPC namespace, for example) by their target.
pub fn defaults(privileged: bool, shm_bytes: u64) -> Vec<Mount> {
    let mount = |target: &str, source, readonly, noexec, nodev| Mount {
        target: target.to_owned(),
        source,
        readonly,
        nosuid: true,
        nodev,
        noexec,
        ..Mount::default()
    };
    let shm = MountSource::Tmpfs { options: vec!["mode=1777".to_owned(), format!("size={shm_bytes}")] };
    vec![
        mount("/proc", MountSource::Proc, false, true, true),
        mount("/dev", MountSource::Dev, false, false, false),
        mount("/dev/pts", MountSource::Devpts, false, true, false),
        mount("/sys", MountSource::Sysfs, !privileged, true, true),
        mount("/sys/fs/cgroup", MountSource::Cgroup, !privileged, true, true),
        mount("/dev/mqueue", MountSource::Mqueue, false, true, true),
        mount("/dev/shm", shm, false, true, true),
    ]
}
