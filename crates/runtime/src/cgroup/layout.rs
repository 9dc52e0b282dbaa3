//! Finding the hierarchies, and planning a container's directories in them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use super::{CgroupPlan, Directory, Hierarchy, Layout, Resources, program, v1, v2};
use crate::error::{Error, Result};

/// Every controller v1 ever had; other words among a mount's options are none.
const CONTROLLERS: &[&str] = &[
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "devices",
    "freezer",
    "blkio",
    "pids",
    "net_cls",
    "net_prio",
    "perf_event",
    "hugetlb",
    "rdma",
    "misc",
    "debug",
];

impl Layout {
    /// Reads this machine's layout from `/proc/self/mountinfo`. Fails if no hierarchy is mounted.
    pub fn detect() -> Result<Self> {
        let path = "/proc/self/mountinfo";
        let text = std::fs::read(path).map_err(|error| Error::io("reading", path, error))?;
        let layout = Self::parse(&text);
        if layout.hierarchies.is_empty() {
            return Err(Error::Unsupported("no control group hierarchy is mounted on this machine".to_owned()));
        }
        Ok(layout)
    }

    /// The layout a mount table shows.
    pub fn parse(mountinfo: &[u8]) -> Self {
        let mut hierarchies: Vec<Hierarchy> = Vec::new();
        let mut unified = None;
        for line in mountinfo.split(|byte| *byte == b'\n') {
            match hierarchy(line) {
                Some(found) if found.controllers.is_empty() => unified = unified.or(Some(found)),
                Some(found) if hierarchies.iter().all(|known| known.controllers != found.controllers) => {
                    hierarchies.push(found);
                }
                Some(_) | None => {}
            }
        }
        let has_controllers =
            hierarchies.iter().any(|hierarchy| hierarchy.controllers.iter().any(|name| !name.starts_with("name=")));
        match unified {
            Some(unified) if !has_controllers => Self { hierarchies: vec![unified], unified: true },
            _ => Self { hierarchies, unified: false },
        }
    }

    /// Directories and writes for container `id` below `parent` (relative to each hierarchy's mount point).
    ///
    /// Only what `resources` sets is written. Docker's own defaults (swap is twice the memory if only memory is given)
    /// are the caller's.
    pub fn plan(&self, parent: &str, id: &str, resources: &Resources) -> Result<CgroupPlan> {
        let relative = relative(parent, id)?;
        let directory = |hierarchy: &Hierarchy, writes| Directory {
            controllers: hierarchy.controllers.clone(),
            mount_point: hierarchy.mount_point.clone(),
            path: hierarchy.mount_point.join(&relative),
            writes,
        };
        let directories = self
            .hierarchies
            .iter()
            .map(|hierarchy| match self.unified {
                true => directory(hierarchy, v2::writes(resources)),
                false => directory(hierarchy, v1::writes(&hierarchy.controllers, resources)),
            })
            .collect();
        let device_program = if self.unified && !resources.devices.is_empty() {
            program::compile(&resources.devices)
        } else {
            Vec::new()
        };
        Ok(CgroupPlan { unified: self.unified, directories, device_program })
    }
}

/// A path of plain names, so that nothing outside of the hierarchy is ever touched.
fn relative(parent: &str, id: &str) -> Result<PathBuf> {
    let invalid = || Error::Invalid(format!("invalid cgroup parent {parent:?} or name {id:?}"));
    let path = Path::new(parent.trim_start_matches('/')).join(id);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if id.is_empty() || id.contains('/') || !plain || path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(invalid());
    }
    Ok(path)
}

/// The hierarchy a line of a mount table is about; without controllers for v2.
fn hierarchy(line: &[u8]) -> Option<Hierarchy> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mount_point = fields.nth(4)?;
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    let kind = rest.next()?;
    let options = rest.nth(1)?;
    let controllers = match kind {
        b"cgroup2" => Vec::new(),
        b"cgroup" => {
            let words = options.split(|byte| *byte == b',').filter_map(|word| std::str::from_utf8(word).ok());
            let known: Vec<String> = words
                .filter(|word| CONTROLLERS.contains(word) || word.starts_with("name="))
                .map(str::to_owned)
                .collect();
            Some(known).filter(|known| !known.is_empty())?
        }
        _ => return None,
    };
    Some(Hierarchy { controllers, mount_point: unescape(mount_point) })
}

/// A mount table writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HYBRID: &[u8] = b"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
42 31 0:32 / /other\\040place rw,relatime - cgroup cgroup rw,memory
";

    #[test]
    fn hybrid_uses_the_old_hierarchies() {
        let layout = Layout::parse(HYBRID);
        assert!(!layout.unified);
        let names: Vec<String> = layout.hierarchies.iter().map(|one| one.controllers.join("+")).collect();
        assert_eq!(names, ["cpu+cpuacct", "memory", "name=systemd"]);
    }

    #[test]
    fn pure_v2_is_unified() {
        let layout = Layout::parse(b"30 23 0:26 / /sys/fs/c\\040g rw shared:4 - cgroup2 cgroup2 rw\n");
        assert!(layout.unified);
        let plan = layout.plan("longshore", "abc", &Resources::default()).unwrap();
        assert_eq!(plan.directories[0].path, Path::new("/sys/fs/c g/longshore/abc"));
        assert!(plan.device_program.is_empty());
    }

    #[test]
    fn plans_stay_inside() {
        let layout = Layout::parse(HYBRID);
        for (parent, id) in [("..", "x"), ("a/../b", "x"), ("a", ""), ("a", "x/y"), ("a", ".."), ("a\0", "x")] {
            assert!(layout.plan(parent, id, &Resources::default()).is_err(), "{parent:?} {id:?}");
        }
        let plan = layout.plan("/longshore", "abc", &Resources::default()).unwrap();
        assert_eq!(plan.directories[1].path, Path::new("/sys/fs/cgroup/memory/longshore/abc"));
    }

    proptest! {
        #[test]
        fn no_mount_table_makes_it_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            Layout::parse(&text);
            unescape(&text);
        }
    }
}
