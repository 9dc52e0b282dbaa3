//! What an ended daemon without containers must not leave behind: processes, mounts, cgroups, files.
//!
//! Interfaces, firewall entries and network namespaces lie in the test's own network namespace; tests of the network
//! look at them from inside.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Clean-up goes on after the answer; this long at most.
const GONE_WITHIN: Duration = Duration::from_secs(60);

/// Where to look.
pub(crate) struct Leftovers {
    folder: PathBuf,
    cgroup_parent: String,
}

impl Leftovers {
    /// Of the daemon beneath `folder`, whose containers' cgroups have `cgroup_parent` in each hierarchy.
    pub(crate) fn of(folder: &Path, cgroup_parent: &str) -> Self {
        Self { folder: folder.to_owned(), cgroup_parent: cgroup_parent.trim_start_matches('/').to_owned() }
    }

    /// Fails if something is still there after a grace.
    #[track_caller]
    pub(crate) fn expect_none(&self) {
        let started = Instant::now();
        loop {
            let found = self.found();
            if found.is_empty() {
                return;
            }
            assert!(started.elapsed() < GONE_WITHIN, "left behind:\n  {}", found.join("\n  "));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn found(&self) -> Vec<String> {
        let mut found: Vec<String> = Self::processes(&self.folder.join("exec"))
            .iter()
            .map(|pid| format!("process {pid}: {}", command(*pid)))
            .collect();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let ours = self.folder.display().to_string();
        found.extend(mounts.lines().filter(|line| line.contains(&ours)).map(|line| format!("mount {line}")));
        for folder in ["data/containers", "exec/shims"] {
            let entries = std::fs::read_dir(self.folder.join(folder)).into_iter().flatten().flatten();
            found.extend(entries.map(|entry| format!("file {}", entry.path().display())));
        }
        found.extend(self.cgroups().iter().map(|group| format!("cgroup {}", group.display())));
        found
    }

    /// Processes that run our binary with this exec root on their command line.
    pub(crate) fn processes(exec_root: &Path) -> Vec<u32> {
        let wanted = exec_root.display().to_string();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let words = command(pid);
            if words.contains("longshore") && words.contains(&wanted) {
                found.push(pid);
            }
        }
        found
    }

    /// The daemon's parent of the containers' cgroups, in any hierarchy.
    fn cgroups(&self) -> Vec<PathBuf> {
        let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        let parents = hierarchies.map(|hierarchy| hierarchy.path().join(&self.cgroup_parent));
        parents.chain([Path::new("/sys/fs/cgroup").join(&self.cgroup_parent)]).filter(|path| path.is_dir()).collect()
    }
}

fn command(pid: u32) -> String {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ")
}
