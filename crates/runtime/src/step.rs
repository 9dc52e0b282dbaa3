//! What a child does between its clone and its exec, as a flat list of steps prepared by the parent.
//!
//! A step owns every string and descriptor it needs. Carrying it out neither allocates nor locks.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{Errno, Result};
use rustix::mount::{MountPropagationFlags, UnmountFlags};
use rustix::process::{Resource, Rlimit};
use sys::mount::{Attributes, Propagation};
use sys::process::{self, CStringArray};

use crate::error::Stage;
use crate::files::{self, MountPoint, Parent};
use crate::terminal;

/// Place of a descriptor the child makes, filled by one step and used by later ones.
pub(crate) type Slot = usize;

/// One step and what to call it when it fails.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) stage: Stage,
    pub(crate) action: Action,
}

/// Option of a new file system.
#[derive(Debug)]
pub(crate) enum FsOption {
    Flag(CString),
    Value(CString, CString),
}

/// A node below a directory slot.
#[derive(Debug)]
pub(crate) enum Entry {
    Directory(u32),
    File,
    Link(CString),
    Node { file_type: rustix::fs::FileType, mode: u32, device: u64, uid: u32, gid: u32 },
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum Action {
    /// Arranges for the child to die with the parent behind the pidfd, and to stop here if it is already gone.
    DieWithParent(OwnedFd),
    /// As above, once more after a change of user.
    RenewDeathSignal,
    /// Hides the child from others in a joined pid namespace until it executes.
    Hide,
    ResetSignals,
    SetUmask(u32),
    OomScore(Vec<u8>),
    JoinCgroup {
        tasks: OwnedFd,
        path: String,
    },
    SetNamespaces {
        fd: OwnedFd,
        flags: u64,
    },
    Unshare(u64),
    PrivateMounts,
    CloneForeign {
        process: OwnedFd,
        path: CString,
        attributes: Attributes,
        slot: Slot,
    },
    EnterRoot(OwnedFd),
    MakeFs {
        kind: &'static CStr,
        options: Vec<FsOption>,
        attributes: Attributes,
        slot: Slot,
    },
    MakeEntry {
        directory: Slot,
        name: CString,
        entry: Entry,
    },
    MakeEntryAt {
        parent: Parent,
        entry: Entry,
    },
    Attach {
        mount: Source,
        target: MountPoint,
    },
    AttachIn {
        mount: Source,
        directory: Slot,
        name: CString,
    },
    SetAttributes {
        slot: Slot,
        attributes: Attributes,
    },
    OpenTerminal {
        devpts: Option<Slot>,
        rows: u16,
        columns: u16,
        slot: Slot,
    },
    AttachConsole {
        terminal: Slot,
        dev: Slot,
    },
    Sysctl {
        proc: Slot,
        path: CString,
        value: Vec<u8>,
    },
    MaskPath(CString),
    ReadOnlyPath(CString),
    ReadOnlyRoot,
    Hostname(Vec<u8>),
    Domainname(Vec<u8>),
    NewSession,
    NewKeyring,
    Stdio {
        sources: [Source; 3],
        uid: u32,
        terminal: bool,
    },
    SetRlimit {
        resource: Resource,
        name: String,
        limit: Rlimit,
    },
    ChangeDirectory(CString),
    BoundCapabilities(u64),
    SetIdentity {
        uid: u32,
        gid: u32,
        groups: Vec<u32>,
    },
    SetCapabilities {
        effective: u64,
        permitted: u64,
        inheritable: u64,
        ambient: u64,
    },
    NoNewPrivileges,
    Filter(Vec<u8>),
    Lookup {
        name: String,
        candidates: Vec<CString>,
        searched: bool,
    },
    Execute {
        name: String,
        candidates: Vec<CString>,
        args: CStringArray,
        env: CStringArray,
        /// Open until then, for a candidate may lead through it.
        _held: Option<OwnedFd>,
    },
}

/// A descriptor made by the parent, or by an earlier step.
#[derive(Debug)]
pub(crate) enum Source {
    Owned(OwnedFd),
    Slot(Slot),
}

/// What the child knows while it carries out steps.
#[derive(Debug)]
pub(crate) struct Child {
    slots: Vec<Option<OwnedFd>>,
    report: OwnedFd,
    program: usize,
    empty_directory: Option<OwnedFd>,
}

impl Child {
    pub(crate) fn new(slots: usize, report: OwnedFd) -> Self {
        Self { slots: (0..slots).map(|_| None).collect(), report, program: 0, empty_directory: None }
    }

    /// Carries out `steps` in order. Returns only if one failed, after having told the parent.
    pub(crate) fn run(&mut self, steps: &[Step]) -> i32 {
        for (index, step) in steps.iter().enumerate() {
            if let Err(errno) = self.carry_out(&step.action) {
                terminal::report_failure(self.report.as_fd(), index as u32, errno);
                return 127;
            }
        }
        127
    }

    fn slot(&self, slot: Slot) -> Result<BorrowedFd<'_>> {
        self.slots.get(slot).and_then(Option::as_ref).map(AsFd::as_fd).ok_or(Errno::BADF)
    }

    fn source<'a>(&'a self, source: &'a Source) -> Result<BorrowedFd<'a>> {
        match source {
            Source::Owned(fd) => Ok(fd.as_fd()),
            Source::Slot(slot) => self.slot(*slot),
        }
    }

    fn store(&mut self, slot: Slot, fd: OwnedFd) -> Result<()> {
        *self.slots.get_mut(slot).ok_or(Errno::BADF)? = Some(fd);
        Ok(())
    }

    fn carry_out(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::CloneForeign { process, path, attributes, slot } => {
                let mount = clone_foreign(process.as_fd(), path)?;
                sys::mount::set_attributes(mount.as_fd(), *attributes, 0, Propagation::Private, false)?;
                self.store(*slot, mount)
            }
            Action::MakeFs { kind, options, attributes, slot } => {
                self.store(*slot, files::make_fs(kind, options, *attributes)?)
            }
            Action::MakeEntry { directory, name, entry } => files::make_entry(self.slot(*directory)?, name, entry),
            Action::MakeEntryAt { parent, entry } => parent.make(entry),
            Action::Attach { mount, target } => {
                let mount = self.source(mount)?;
                let target = target.open()?;
                sys::mount::attach(mount, target.as_fd()).map_err(|errno| mismatch(errno, mount, target.as_fd()))
            }
            Action::AttachIn { mount, directory, name } => {
                let target = files::open_in(self.slot(*directory)?, name)?;
                sys::mount::attach(self.source(mount)?, target.as_fd())
            }
            Action::SetAttributes { slot, attributes } => {
                sys::mount::set_attributes(self.slot(*slot)?, *attributes, 0, Propagation::Keep, false)
            }
            Action::OpenTerminal { devpts, rows, columns, slot } => {
                let devpts = devpts.map(|slot| self.slot(slot)).transpose()?;
                let (controlling, terminal) = terminal::open(devpts, *rows, *columns)?;
                terminal::send(self.report.as_fd(), controlling.as_fd())?;
                self.store(*slot, terminal)
            }
            Action::AttachConsole { terminal, dev } => {
                let console = sys::mount::clone_tree(self.slot(*terminal)?, c"", false)?;
                let target = files::open_in(self.slot(*dev)?, c"console")?;
                sys::mount::attach(console.as_fd(), target.as_fd())
            }
            Action::Sysctl { proc, path, value } => files::write_sysctl(self.slot(*proc)?, path, value),
            Action::MaskPath(path) => self.mask(path),
            Action::Stdio { sources, uid, terminal } => self.take_stdio(sources, *uid, *terminal),
            Action::Lookup { candidates, searched, .. } => {
                self.program = find_program(candidates, *searched)?;
                Ok(())
            }
            Action::Execute { candidates, args, env, .. } => {
                process::close_on_exec_from(3)?;
                let program = candidates.get(self.program).ok_or(Errno::NOENT)?;
                Err(process::exec(program, args, env))
            }
            other => carry_out_stateless(other),
        }
    }

    /// Hides a path: files behind `/dev/null`, directories behind one shared empty file system.
    fn mask(&mut self, path: &CStr) -> Result<()> {
        let Some(target) = files::open_if_there(path)? else { return Ok(()) };
        if !files::is_directory(target.as_fd())? {
            let null = files::open_null()?;
            let mount = sys::mount::clone_tree(null.as_fd(), c"", false)?;
            return sys::mount::attach(mount.as_fd(), target.as_fd());
        }
        if let Some(empty) = &self.empty_directory {
            let mount = sys::mount::clone_tree(empty.as_fd(), c"", false)?;
            return sys::mount::attach(mount.as_fd(), target.as_fd());
        }
        let attributes = sys::mount::READ_ONLY | sys::mount::NO_SUID | sys::mount::NO_DEV | sys::mount::NO_EXEC;
        let mount = files::make_fs(c"tmpfs", &[], attributes)?;
        sys::mount::attach(mount.as_fd(), target.as_fd())?;
        self.empty_directory = Some(mount);
        Ok(())
    }

    /// Puts the three streams in place and lets their user reopen them (`/dev/stdout`).
    fn take_stdio(&self, sources: &[Source; 3], uid: u32, terminal: bool) -> Result<()> {
        for (number, source) in (0..).zip(sources) {
            let fd = self.source(source)?;
            let stat = rustix::fs::fstat(fd)?;
            let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
            if (terminal || kind.is_fifo()) && stat.st_uid != uid {
                match rustix::fs::fchown(fd, Some(rustix::fs::Uid::from_raw(uid)), None) {
                    Ok(()) | Err(Errno::PERM | Errno::ROFS | Errno::INVAL) => {}
                    Err(error) => return Err(error),
                }
            }
            process::become_stdio(fd, number)?;
        }
        if terminal {
            rustix::process::ioctl_tiocsctty(self.source(&sources[0])?)?;
        }
        Ok(())
    }
}

fn carry_out_stateless(action: &Action) -> Result<()> {
    match action {
        Action::DieWithParent(parent) => {
            process::die_with_parent()?;
            let mut poll = [PollFd::new(parent, PollFlags::IN)];
            match rustix::event::poll(&mut poll, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? {
                0 => Ok(()),
                _ => process::exit_now(127),
            }
        }
        Action::RenewDeathSignal => process::die_with_parent(),
        Action::Hide => process::set_dumpable(false),
        Action::ResetSignals => {
            process::reset_signals();
            Ok(())
        }
        Action::SetUmask(mask) => {
            rustix::process::umask(Mode::from_raw_mode(*mask));
            Ok(())
        }
        Action::OomScore(value) => match files::write_existing(CWD, c"/proc/self/oom_score_adj", value) {
            Err(Errno::ACCESS | Errno::PERM) => Ok(()),
            result => result,
        },
        Action::JoinCgroup { tasks, .. } => rustix::io::write(tasks, b"0").map(drop),
        Action::SetNamespaces { fd, flags } => process::set_namespaces(fd.as_fd(), *flags),
        Action::Unshare(flags) => process::unshare(*flags),
        Action::PrivateMounts => {
            rustix::mount::mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        }
        Action::EnterRoot(rootfs) => enter_root(rootfs.as_fd()),
        Action::ReadOnlyPath(path) => make_readonly(path),
        Action::ReadOnlyRoot => {
            let root = files::open_path(c"/")?;
            sys::mount::set_attributes(root.as_fd(), sys::mount::READ_ONLY, 0, Propagation::Keep, false)
        }
        Action::Hostname(name) => rustix::system::sethostname(name),
        Action::Domainname(name) => rustix::system::setdomainname(name),
        Action::NewSession => rustix::process::setsid().map(drop),
        Action::NewKeyring => match process::new_session_keyring() {
            // Kernels without keyrings, filters of an outer container, and a full quota are no reason not to start.
            Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS | Errno::DQUOT) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        },
        other => take_identity(other),
    }
}

/// The last steps before the program: limits, place, user, powers.
fn take_identity(action: &Action) -> Result<()> {
    match action {
        Action::SetRlimit { resource, limit, .. } => set_rlimit(*resource, limit),
        Action::ChangeDirectory(path) => {
            rustix::process::chdir(path.as_c_str())?;
            // A magic link may have led to a directory outside the root.
            if process::cwd_is_reachable()? { Ok(()) } else { Err(Errno::NOENT) }
        }
        Action::BoundCapabilities(keep) => bound_capabilities(*keep),
        Action::SetIdentity { uid, gid, groups } => {
            rustix::thread::set_keep_capabilities(true)?;
            process::set_identity(*uid, *gid, groups)
        }
        Action::SetCapabilities { effective, permitted, inheritable, ambient } => {
            process::set_capabilities(*effective, *permitted, *inheritable)?;
            (0..64).filter(|bit| ambient & (1 << bit) != 0).try_for_each(process::raise_ambient)
        }
        Action::NoNewPrivileges => rustix::thread::set_no_new_privs(true),
        Action::Filter(program) => process::install_filter(program),
        _ => Err(Errno::NOSYS),
    }
}

/// Copies a mount out of the mount namespace of another container, and comes back.
fn clone_foreign(other: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    let own = rustix::fs::open(c"/proc/self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    process::set_namespaces(other, libc::CLONE_NEWNS as u64)?;
    let mount = files::open_path(path).and_then(|target| sys::mount::clone_tree(target.as_fd(), c"", false));
    process::set_namespaces(own.as_fd(), libc::CLONE_NEWNS as u64)?;
    mount
}

/// Makes the detached mount the root of this mount namespace and lets go of the old one.
/// The kernel's bare EINVAL for a directory on a file, or the other way round, in the word that says so.
fn mismatch(errno: Errno, mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Errno {
    let is_dir = |fd| rustix::fs::fstat(fd).map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir());
    match (errno, is_dir(mount), is_dir(target)) {
        (Errno::INVAL, Ok(one), Ok(other)) if one != other => Errno::NOTDIR,
        _ => errno,
    }
}

fn enter_root(rootfs: BorrowedFd<'_>) -> Result<()> {
    sys::mount::attach(rootfs, files::open_path(c"/")?.as_fd())?;
    rustix::process::fchdir(rootfs)?;
    rustix::process::pivot_root(c".", c".")?;
    rustix::mount::unmount(c".", UnmountFlags::DETACH)?;
    rustix::process::chdir(c"/")
}

fn make_readonly(path: &CStr) -> Result<()> {
    let Some(target) = files::open_if_there(path)? else { return Ok(()) };
    let mount = sys::mount::clone_tree(target.as_fd(), c"", true)?;
    sys::mount::set_attributes(mount.as_fd(), sys::mount::READ_ONLY, 0, Propagation::Keep, true)?;
    sys::mount::attach(mount.as_fd(), target.as_fd())
}

/// Sets a limit, or what of it the shim's own hard limit allows.
fn set_rlimit(resource: Resource, limit: &Rlimit) -> Result<()> {
    match rustix::process::setrlimit(resource, *limit) {
        Err(Errno::PERM) => {}
        result => return result,
    }
    let most = rustix::process::getrlimit(resource).maximum;
    let least = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let maximum = least(limit.maximum, most);
    rustix::process::setrlimit(resource, Rlimit { current: least(limit.current, maximum), maximum })
}

fn bound_capabilities(keep: u64) -> Result<()> {
    for capability in 0..64 {
        if keep & (1 << capability) != 0 {
            continue;
        }
        match process::drop_from_bounding_set(capability) {
            // The first number the kernel does not know.
            Err(Errno::INVAL) => break,
            result => result?,
        }
    }
    Ok(())
}

/// The first candidate that can be executed. A search goes past whatever is in its way.
fn find_program(candidates: &[CString], searched: bool) -> Result<usize> {
    for (index, candidate) in candidates.iter().enumerate() {
        let found = rustix::fs::stat(candidate.as_c_str()).and_then(|stat| {
            if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() {
                return Err(Errno::ISDIR);
            }
            rustix::fs::access(candidate.as_c_str(), rustix::fs::Access::EXEC_OK)
        });
        match found {
            Ok(()) => return Ok(index),
            Err(_) if searched => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::NOENT)
}

impl Action {
    /// What the step was about, for an error.
    pub(crate) fn detail(&self) -> String {
        let text = |path: &CStr| path.to_string_lossy().into_owned();
        match self {
            Self::JoinCgroup { path, .. } => path.clone(),
            Self::CloneForeign { path, .. } | Self::MaskPath(path) | Self::ReadOnlyPath(path) => text(path),
            Self::ChangeDirectory(path) => text(path),
            Self::MakeFs { kind, .. } => text(kind),
            Self::MakeEntry { name, .. } | Self::AttachIn { name, .. } => text(name),
            Self::MakeEntryAt { parent, .. } => parent.to_string(),
            Self::Attach { target, .. } => target.to_string(),
            Self::Sysctl { path, .. } => text(path).trim_start_matches("sys/").replace('/', "."),
            Self::Hostname(name) | Self::Domainname(name) => String::from_utf8_lossy(name).into_owned(),
            Self::SetRlimit { name, .. } | Self::Lookup { name, .. } | Self::Execute { name, .. } => name.clone(),
            Self::SetIdentity { uid, gid, .. } => format!("{uid}:{gid}"),
            Self::EnterRoot(_) | Self::ReadOnlyRoot | Self::PrivateMounts => "/".to_owned(),
            Self::OpenTerminal { .. } => "/dev/pts".to_owned(),
            Self::AttachConsole { .. } => "/dev/console".to_owned(),
            Self::OomScore(_) => "oom_score_adj".to_owned(),
            Self::Stdio { .. } => "standard streams".to_owned(),
            Self::SetNamespaces { flags, .. } | Self::Unshare(flags) => format!("namespaces {flags:#x}"),
            _ => String::new(),
        }
    }
}
