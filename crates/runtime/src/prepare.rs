//! From a plan to steps: everything that can fail or allocate happens here, in the parent.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};
use sys::process::CStringArray;

use crate::capabilities;
use crate::cgroup::CgroupPlan;
use crate::error::{Stage, StartError};
use crate::init;
use crate::plan::{self, Process, TerminalSize};
use crate::spawn::Stdio;
use crate::step::{Action, Slot, Source, Step};

/// Steps under construction.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    pub(crate) list: Vec<Step>,
    pub(crate) slots: usize,
}

impl Steps {
    pub(crate) fn push(&mut self, stage: Stage, action: Action) {
        self.list.push(Step { stage, action });
    }

    pub(crate) fn new_slot(&mut self) -> Slot {
        self.slots += 1;
        self.slots - 1
    }

    /// What every child does first: be mortal, be in the right control groups.
    pub(crate) fn begin(&mut self, process: &Process, cgroup: &CgroupPlan, hide: bool) -> Result<(), StartError> {
        let parent = sys::process::open(rustix::process::getpid().as_raw_nonzero().get())
            .map_err(|errno| StartError::at(Stage::Internal, errno, "own process descriptor"))?;
        if hide {
            self.push(Stage::Internal, Action::Hide);
        }
        self.push(Stage::Internal, Action::DieWithParent(parent));
        self.push(Stage::Internal, Action::ResetSignals);
        self.push(Stage::Internal, Action::SetUmask(0));
        if let Some(score) = process.oom_score_adj {
            self.push(Stage::Rlimit, Action::OomScore(score.to_string().into_bytes()));
        }
        if cgroup.unified {
            return Ok(());
        }
        for directory in &cgroup.directories {
            let path = directory.path.join("tasks");
            let tasks = rustix::fs::open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|errno| StartError::at(Stage::Cgroup, errno, path.display().to_string()))?;
            let path = directory.path.display().to_string();
            self.push(Stage::Cgroup, Action::JoinCgroup { tasks, path });
        }
        Ok(())
    }

    /// What every child does last: streams, limits, identity, and the program.
    pub(crate) fn finish(&mut self, process: &Process, stdio: Stdio, terminal: Option<Slot>) -> Result<(), StartError> {
        self.push(Stage::Internal, Action::NewSession);
        self.push(Stage::Internal, Action::NewKeyring);
        let sources = match (stdio, terminal) {
            (Stdio::Pipes { stdin, stdout, stderr }, _) => {
                [above_stdio(stdin)?, above_stdio(stdout)?, above_stdio(stderr)?].map(Source::Owned)
            }
            (Stdio::Terminal, Some(slot)) => [slot; 3].map(Source::Slot),
            (Stdio::Terminal, None) => {
                return Err(StartError::new(Stage::Plan, libc::EINVAL, "terminal without a devpts"));
            }
        };
        let has_terminal = terminal.is_some();
        self.push(Stage::Terminal, Action::Stdio { sources, uid: process.uid, terminal: has_terminal });
        for limit in &process.rlimits {
            let action = rlimit(limit)?;
            self.push(Stage::Rlimit, action);
        }
        let cwd = if process.cwd.is_empty() { "/" } else { &process.cwd };
        self.push(Stage::WorkingDirectory, Action::ChangeDirectory(c_string(cwd)?));
        self.push(Stage::Internal, Action::SetUmask(process.umask.unwrap_or(0o022) & 0o777));
        self.confine(process)
    }

    /// Identity, capabilities, filter and program. Without `no_new_privileges` the filter needs CAP_SYS_ADMIN to be
    /// installed and so comes before the last change of capabilities; with it, last of all.
    fn confine(&mut self, process: &Process) -> Result<(), StartError> {
        let granted = capabilities::granted();
        let sets = process.capabilities.clamp(granted);
        self.push(Stage::Capabilities, Action::BoundCapabilities(sets.bounding));
        let Process { uid, gid, .. } = *process;
        self.push(Stage::User, Action::SetIdentity { uid, gid, groups: process.groups.clone() });
        self.push(Stage::Internal, Action::RenewDeathSignal);
        let filter = process.seccomp.as_ref().map(|filter| Action::Filter(filter.program.clone()));
        let (early, late) = if process.no_new_privileges { (None, filter) } else { (filter, None) };
        if let Some(filter) = early {
            let (effective, permitted) = (granted, granted);
            let all = Action::SetCapabilities { effective, permitted, inheritable: 0, ambient: 0 };
            self.push(Stage::Capabilities, all);
            self.push(Stage::Seccomp, filter);
        }
        let capabilities::Capabilities { effective, permitted, inheritable, ambient, .. } = sets;
        let last = Action::SetCapabilities { effective, permitted, inheritable, ambient };
        self.push(Stage::Capabilities, last);
        if process.no_new_privileges {
            self.push(Stage::Capabilities, Action::NoNewPrivileges);
        }
        self.execute(process, late)
    }

    fn execute(&mut self, process: &Process, filter: Option<Action>) -> Result<(), StartError> {
        let program = Program::of(process)?;
        let args = CStringArray::new(program.args);
        let env = CStringArray::new(c_strings(&process.env)?);
        let (name, candidates, searched) = (process.args[0].clone(), program.candidates, program.searched);
        let lookup = Action::Lookup { name: name.clone(), candidates: candidates.clone(), searched };
        self.push(Stage::Lookup, lookup);
        if let Some(filter) = filter {
            self.push(Stage::Seccomp, filter);
        }
        self.push(Stage::Exec, Action::Execute { name, candidates, args, env, _held: program.held });
        Ok(())
    }

    /// Opens a terminal in `devpts`, or in the container's own `/dev/pts`.
    pub(crate) fn terminal(&mut self, devpts: Option<Slot>, size: Option<TerminalSize>) -> Slot {
        let slot = self.new_slot();
        let TerminalSize { rows, columns } = size.unwrap_or_default();
        self.push(Stage::Terminal, Action::OpenTerminal { devpts, rows, columns, slot });
        slot
    }
}

/// Moves a descriptor out of the way of the standard streams.
pub(crate) fn above_stdio(fd: OwnedFd) -> Result<OwnedFd, StartError> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    rustix::io::fcntl_dupfd_cloexec(&fd, 3).map_err(|errno| StartError::at(Stage::Internal, errno, "standard streams"))
}

/// The control group to be born in, on a v2 machine.
pub(crate) fn birth_cgroup(cgroup: &CgroupPlan) -> Result<Option<OwnedFd>, StartError> {
    let Some(directory) = cgroup.directories.first().filter(|_| cgroup.unified) else { return Ok(None) };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(&directory.path, flags, Mode::empty())
        .map(Some)
        .map_err(|errno| StartError::at(Stage::Cgroup, errno, directory.path.display().to_string()))
}

/// What is executed.
#[derive(Debug)]
struct Program {
    /// Where it may be, in the order of search.
    candidates: Vec<CString>,
    /// Whether it is a search at all.
    searched: bool,
    args: Vec<CString>,
    /// What a candidate leads through.
    held: Option<OwnedFd>,
}

impl Program {
    fn of(process: &Process) -> Result<Program, StartError> {
        let Some(name) = process.args.first().filter(|name| !name.is_empty()) else {
            return Err(StartError::new(Stage::Lookup, libc::ENOENT, ""));
        };
        let args = c_strings(&process.args)?;
        if process.init {
            return Program::init(args);
        }
        let searched = !name.contains('/');
        let candidates = match searched {
            false => vec![c_string(name)?],
            true => search(name, &process.env)?,
        };
        Ok(Program { candidates, searched, args, held: None })
    }

    /// Our own program, which is a read-only copy (see the crate's documentation): nothing in the container can write
    /// to it.
    fn init(program: Vec<CString>) -> Result<Program, StartError> {
        let ourselves = rustix::fs::open(c"/proc/self/exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let fail = |errno| StartError::at(Stage::Lookup, errno, "the container's init");
        let ourselves = above_stdio(ourselves.map_err(fail)?)?;
        let candidates = vec![c_string(&format!("/proc/self/fd/{}", ourselves.as_raw_fd()))?];
        let mut args = vec![c_string(init::NAME)?, c"--".to_owned()];
        args.extend(program);
        Ok(Program { candidates, searched: false, args, held: Some(ourselves) })
    }
}

/// Where a program without a slash may be.
fn search(name: &str, env: &[String]) -> Result<Vec<CString>, StartError> {
    // The last one counts, as for a shell.
    let path = env.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or("");
    let directories = path.split(':').filter(|directory| directory.starts_with('/'));
    directories.map(|directory| c_string(&format!("{}/{name}", directory.trim_end_matches('/')))).collect()
}

fn rlimit(limit: &plan::Rlimit) -> Result<Action, StartError> {
    let resource = match limit.name.as_str() {
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "locks" => Resource::Locks,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nice" => Resource::Nice,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "rss" => Resource::Rss,
        "rtprio" => Resource::Rtprio,
        "rttime" => Resource::Rttime,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        "as" => Resource::As,
        _ => return Err(StartError::new(Stage::Plan, libc::EINVAL, format!("invalid ulimit type: {}", limit.name))),
    };
    let value = |number: u64| (number != u64::MAX).then_some(number);
    let pair = Rlimit { current: value(limit.soft), maximum: value(limit.hard) };
    Ok(Action::SetRlimit { resource, name: limit.name.clone(), limit: pair })
}

/// A C string, or an error naming the text with the NUL byte.
pub(crate) fn c_string(text: &str) -> Result<CString, StartError> {
    CString::new(text).map_err(|_| StartError::new(Stage::Plan, libc::EINVAL, format!("NUL byte in {text:?}")))
}

fn c_strings(list: &[String]) -> Result<Vec<CString>, StartError> {
    list.iter().map(|text| c_string(text)).collect()
}

/// A descriptor of the process `pid`, whose namespaces are to be joined.
pub(crate) fn open_process(pid: i32) -> Result<OwnedFd, StartError> {
    sys::process::open(pid).map_err(|errno| StartError::at(Stage::Namespace, errno, format!("process {pid}")))
}

/// Another descriptor of the same file.
pub(crate) fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd, StartError> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(|errno: Errno| StartError::at(Stage::Internal, errno, "descriptor"))
}
