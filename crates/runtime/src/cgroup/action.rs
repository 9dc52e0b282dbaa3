//! Carrying out plans: making, changing, suspending, killing, removing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::AsFd;

use super::file::{self, Files, put, text};
use super::v1::{MEMORY, SWAP};
use super::{CgroupPlan, Directory};
use crate::error::{Error, Result};

/// How often something that is about to happen is looked for, and how long between.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(2);
/// How long processes may take to end or to stand still. Each has to run for that, which takes its time where a limit or other
/// processes keep it from a processor.
const PATIENCE: Duration = Duration::from_secs(5);
/// Deeper nesting than the kernel is ever asked for by a sane container.
const MAX_DEPTH: u32 = 32;

/// Makes the directories of `plan` and writes its values. Directories that exist already are taken over.
/// If something fails, what was made is removed again.
pub fn create(plan: &CgroupPlan) -> Result<()> {
    let made = plan.directories.iter().try_for_each(make).and_then(|()| attach_devices(plan));
    if made.is_err() {
        // The first error is the one to tell.
        let _ = remove(plan);
    }
    made
}

fn make(directory: &Directory) -> Result<()> {
    let is_cpuset = directory.controllers.iter().any(|name| name == "cpuset");
    let is_unified = directory.controllers.is_empty();
    if is_unified || is_cpuset || !make_below_parent(&directory.path)? {
        for path in below(&directory.mount_point, &directory.path) {
            if is_unified && let Some(parent) = path.parent() {
                hand_down_controllers(parent)?;
            }
            let is_new = make_one(&path)?;
            if is_cpuset {
                inherit_cpuset(&path, is_new)?;
            }
        }
    }
    apply(directory)
}

/// Makes a directory whose parent is there, as it is for all containers but the first. Tells whether it is.
fn make_below_parent(path: &Path) -> Result<bool> {
    match make_one(path) {
        Ok(_) => Ok(true),
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes one directory, if it is not there. Tells whether it was not.
fn make_one(path: &Path) -> Result<bool> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(errno) => Err(Error::io("making", path, errno)),
    }
}

/// Every directory from right below `top` down to `path`.
fn below(top: &Path, path: &Path) -> Vec<PathBuf> {
    let mut list: Vec<PathBuf> = path.ancestors().take_while(|one| *one != top).map(Path::to_path_buf).collect();
    list.reverse();
    list
}

/// A v1 cpuset starts empty and takes no process until it is filled.
fn inherit_cpuset(path: &Path, is_new: bool) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if is_new || text(path, name)?.trim().is_empty() {
            let value = text(parent, name)?;
            put(path, name, value.trim()).map_err(|errno| Error::io("writing", path.join(name), errno))?;
        }
    }
    Ok(())
}

/// Enables in `parent` each controller its children may have.
fn hand_down_controllers(parent: &Path) -> Result<()> {
    let enabled = text(parent, "cgroup.subtree_control")?;
    let known = text(parent, "cgroup.controllers")?;
    for name in known.split_whitespace().filter(|name| !enabled.split_whitespace().any(|one| one == *name)) {
        // A controller that cannot be had is missed by the write that needs it.
        let _ = put(parent, "cgroup.subtree_control", &format!("+{name}"));
    }
    Ok(())
}

/// Writes values in order. v1 wants memory no higher than memory and swap together at any moment, so that raising both
/// needs the other order.
fn apply(directory: &Directory) -> Result<()> {
    let mut done_early = false;
    let mut files = Files::of(&directory.path);
    for write in &directory.writes {
        if write.file == SWAP && done_early {
            continue;
        }
        let swap = directory.writes.iter().find(|other| other.file == SWAP);
        match (files.put(&write.file, &write.value), swap) {
            (Ok(()), _) => {}
            (Err(Errno::INVAL), Some(swap)) if write.file == MEMORY => {
                file::write(&directory.path, swap)?;
                file::write(&directory.path, write)?;
                done_early = true;
            }
            (Err(_), _) if write.optional => {}
            // Kernels that do not count swap: Docker limits memory alone.
            (Err(Errno::NOENT), _) if write.file == SWAP => {}
            (Err(errno), _) => return Err(file::refused(&directory.path, write, errno)),
        }
    }
    Ok(())
}

fn attach_devices(plan: &CgroupPlan) -> Result<()> {
    let Some(directory) = plan.directories.first().filter(|_| !plan.device_program.is_empty()) else { return Ok(()) };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(&directory.path, flags, Mode::empty())
        .and_then(|group| sys::process::attach_device_program(&plan.device_program, group.as_fd()))
        .map_err(|errno| Error::io("attaching device rules to", &directory.path, errno))
}

/// Writes the values of `changed` (planned for the same container) to the existing directories.
pub fn update(changed: &CgroupPlan) -> Result<()> {
    changed.directories.iter().try_for_each(apply)
}

/// Removes the directories and all below them; retries for a short while if the last process is just leaving. Missing
/// ones are no error. All are tried, the first error is told.
pub fn remove(plan: &CgroupPlan) -> Result<()> {
    let results: Vec<Result<()>> = plan.directories.iter().map(|directory| remove_tree(&directory.path, 0)).collect();
    results.into_iter().collect()
}

fn remove_tree(path: &Path, depth: u32) -> Result<()> {
    for attempt in 0.. {
        match rustix::fs::rmdir(path) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY) if attempt < ATTEMPTS => {
                if depth < MAX_DEPTH {
                    for child in children(path)? {
                        remove_tree(&child, depth + 1)?;
                    }
                }
                if attempt > 0 {
                    std::thread::sleep(PAUSE);
                }
            }
            Err(errno) => return Err(Error::io("removing", path, errno)),
        }
    }
    Ok(())
}

/// Directories below `path`; none if it is gone.
fn children(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.map_err(|error| Error::io("reading", path, error))?,
    };
    let is_directory = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    Ok(entries.flatten().filter(is_directory).map(|entry| entry.path()).collect())
}

fn controller<'a>(plan: &'a CgroupPlan, name: &str) -> Option<&'a Directory> {
    plan.directories.iter().find(|directory| plan.unified || directory.controllers.iter().any(|one| one == name))
}

/// The directory of controller `name`, or an error that says what is missing.
pub(super) fn required<'a>(plan: &'a CgroupPlan, name: &str) -> Result<&'a Path> {
    controller(plan, name)
        .map(|directory| directory.path.as_path())
        .ok_or_else(|| Error::Unsupported(format!("this machine has no {name} control group")))
}

/// The directory of controller `name`, if this machine has it.
pub(super) fn available<'a>(plan: &'a CgroupPlan, name: &str) -> Option<&'a Path> {
    controller(plan, name).map(|directory| directory.path.as_path())
}

/// Suspends all processes; returns when they are. If they will not be within a while, they are resumed and an error
/// says so.
pub fn freeze(plan: &CgroupPlan) -> Result<()> {
    let path = required(plan, "freezer")?;
    let late = Instant::now() + PATIENCE;
    while Instant::now() < late {
        set_frozen(plan, path, true)?;
        let frozen = match plan.unified {
            true => file::value(&text(path, "cgroup.events")?, "frozen") == 1,
            false => text(path, "freezer.state")?.trim() == "FROZEN",
        };
        if frozen {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    thaw(plan)?;
    Err(Error::io("suspending", path, std::io::Error::from(std::io::ErrorKind::TimedOut)))
}

/// Resumes all processes.
pub fn thaw(plan: &CgroupPlan) -> Result<()> {
    set_frozen(plan, required(plan, "freezer")?, false)
}

fn set_frozen(plan: &CgroupPlan, path: &Path, frozen: bool) -> Result<()> {
    let (file, value) = match (plan.unified, frozen) {
        (true, true) => ("cgroup.freeze", "1"),
        (true, false) => ("cgroup.freeze", "0"),
        (false, true) => ("freezer.state", "FROZEN"),
        (false, false) => ("freezer.state", "THAWED"),
    };
    put(path, file, value).map_err(|errno| Error::io("writing", path.join(file), errno))
}

/// Ids of all processes, in the caller's pid namespace, those in groups the container made itself included.
pub fn pids(plan: &CgroupPlan) -> Result<Vec<i32>> {
    let mut list = Vec::new();
    let any = plan.directories.first().map(|directory| directory.path.as_path());
    if let Some(path) = available(plan, "freezer").or(any) {
        gather(path, 0, &mut list)?;
    }
    list.sort_unstable();
    list.dedup();
    Ok(list)
}

fn gather(path: &Path, depth: u32, list: &mut Vec<i32>) -> Result<()> {
    list.extend(file::text_if_there(path, "cgroup.procs")?.lines().filter_map(|line| line.parse::<i32>().ok()));
    if depth < MAX_DEPTH {
        for child in children(path)? {
            gather(&child, depth + 1, list)?;
        }
    }
    Ok(())
}

/// Kills all processes and waits a short while until none is left.
pub fn kill(plan: &CgroupPlan) -> Result<()> {
    let late = Instant::now() + PATIENCE;
    let mut pause = Duration::ZERO;
    while Instant::now() < late {
        let list = pids(plan)?;
        if list.is_empty() {
            return Ok(());
        }
        let at_once =
            plan.unified && plan.directories.first().is_some_and(|one| put(&one.path, "cgroup.kill", "1").is_ok());
        if !at_once {
            for pid in list.into_iter().filter_map(rustix::process::Pid::from_raw) {
                match rustix::process::kill_process(pid, rustix::process::Signal::KILL) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(errno) => return Err(Error::io("killing", pid.as_raw_nonzero().to_string(), errno)),
                }
            }
        }
        // A suspended process dies when it is resumed.
        if let Some(path) = available(plan, "freezer") {
            set_frozen(plan, path, false)?;
        }
        std::thread::sleep(std::mem::replace(&mut pause, PAUSE));
    }
    let path = plan.directories.first().map(|directory| directory.path.clone()).unwrap_or_default();
    Err(Error::io("killing the processes of", path, std::io::Error::from(std::io::ErrorKind::TimedOut)))
}

/// How many processes the kernel killed because memory ran out.
pub fn oom_kills(plan: &CgroupPlan) -> Result<u64> {
    let Some(path) = available(plan, "memory") else { return Ok(0) };
    let file = if plan.unified { "memory.events" } else { "memory.oom_control" };
    Ok(file::value(&file::text_if_there(path, file)?, "oom_kill"))
}

/// Whether the kernel killed a process because memory ran out.
pub fn oom_killed(plan: &CgroupPlan) -> Result<bool> {
    Ok(oom_kills(plan)? > 0)
}
