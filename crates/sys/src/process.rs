//! Making processes, and what only the process itself can do to itself: capabilities, filters, identity.
//!
//! Every function here is a bare system call: no allocation, no lock, so that each may be used between a clone and an
//! exec.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{Errno, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

/// New namespaces of a clone, as `CLONE_NEW*` bits of `libc`.
pub type NamespaceFlags = u64;

/// `libc`'s constant of this name overflows its type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// A new process and its descriptor (close-on-exec).
#[derive(Debug)]
pub struct Child {
    /// Id in the caller's pid namespace.
    pub pid: i32,
    /// Descriptor of the process.
    pub pidfd: OwnedFd,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Ends the process if a child's code should ever unwind: it must not run its parent's code.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        exit_now(127);
    }
}

/// Clones this process (copy-on-write memory, own descriptors) into new `namespaces` and, on a pure v2 machine, right
/// into the control group behind `cgroup`. The child runs `body`, ends with the code it returns, and
/// never returns to the caller.
///
/// If other threads run in this process, `body` must not allocate or lock: a lock held by another thread at this
/// moment stays locked for ever in the child. That is a deadlock, not undefined behaviour, hence a safe function.
pub fn clone_process(
    namespaces: NamespaceFlags,
    cgroup: Option<BorrowedFd<'_>>,
    body: impl FnOnce() -> i32,
) -> Result<Child> {
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: namespaces | libc::CLONE_PIDFD as u64,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `args` is a valid clone_args of the size given; without CLONE_VM and without a stack the child goes on
    // with its own copy of this stack, as after fork.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    if pid == 0 {
        let _bomb = Bomb;
        exit_now(body());
    }
    let pid = check(pid)? as i32;
    // SAFETY: the kernel has just stored a new descriptor here, which nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Child { pid, pidfd })
}

/// A fork for a process with a single thread: the child gets `None` and goes on in the caller's code with a private
/// copy
/// of everything.
///
/// Fails with `EBUSY` if this process has more threads than one, where a plain fork would be a trap.
pub fn fork() -> Result<Option<Child>> {
    if thread_count() != 1 {
        return Err(Errno::BUSY);
    }
    let mut pidfd: RawFd = -1;
    // Not clone3, which the default filter of containers knows nothing of: their init forks as well.
    let flags = (libc::CLONE_PIDFD | libc::SIGCHLD) as c_long;
    let (no_stack, nothing) = (0 as c_long, 0 as c_long);
    // SAFETY: as in `clone_process`; with a single thread no lock can be held by anybody else. The third argument is
    // where the kernel stores the descriptor.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, no_stack, &raw mut pidfd, nothing, nothing) };
    if pid == 0 {
        return Ok(None);
    }
    let pid = check(pid)? as i32;
    // SAFETY: the kernel has just stored a new descriptor here, which nobody else owns.
    Ok(Some(Child { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } }))
}

/// Number of threads of this process, from `/proc/self/task`'s link count; 0 if it cannot be told.
fn thread_count() -> u64 {
    rustix::fs::stat(c"/proc/self/task").map_or(0, |stat| stat.st_nlink.saturating_sub(2))
}

/// Ends the process at once, without exit handlers.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(code) }
}

/// Waits for the child behind `pidfd` to end and reaps it. Fails with `ECHILD` if it is not (or no longer) a child of
/// the caller.
pub fn wait(pidfd: impl AsFd) -> Result<Exit> {
    loop {
        match wait_with(pidfd.as_fd(), WaitIdOptions::EXITED) {
            Ok(Some(exit)) => return Ok(exit),
            Ok(None) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reaps the child behind `pidfd` if it has ended; `None` if it still runs.
pub fn try_wait(pidfd: impl AsFd) -> Result<Option<Exit>> {
    wait_with(pidfd.as_fd(), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
}

fn wait_with(pidfd: BorrowedFd<'_>, options: WaitIdOptions) -> Result<Option<Exit>> {
    let status = rustix::process::waitid(WaitId::PidFd(pidfd), options)?;
    Ok(status.map(|status| match status.exit_status() {
        Some(code) => Exit::Code(code),
        None => Exit::Signal(status.terminating_signal().unwrap_or(libc::SIGKILL)),
    }))
}

/// A descriptor of the process `pid`.
pub fn open(pid: i32) -> Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
}

/// Sends the signal numbered `signal` (real-time ones included) to the process behind `pidfd`.
pub fn send_signal(pidfd: impl AsFd, signal: i32) -> Result<()> {
    // SAFETY: no pointer is passed.
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_fd().as_raw_fd(), signal, std::ptr::null::<c_void>(), 0)
    };
    check(result).map(drop)
}

/// A `NULL`-terminated array of strings for `execve`, made ahead of a clone.
#[derive(Debug)]
pub struct CStringArray {
    _strings: Vec<std::ffi::CString>,
    pointers: Vec<*const c_char>,
}

// SAFETY: the pointers lead into `_strings`' heap blocks, which move with the value and are never changed.
unsafe impl Send for CStringArray {}
// SAFETY: as above; shared references only read.
unsafe impl Sync for CStringArray {}

impl CStringArray {
    /// Takes over `strings`.
    pub fn new(strings: Vec<std::ffi::CString>) -> Self {
        let pointers = strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect();
        Self { _strings: strings, pointers }
    }
}

/// Executes `program`. Returns only if it failed.
pub fn exec(program: &CStr, args: &CStringArray, env: &CStringArray) -> Errno {
    // SAFETY: all three are NUL-terminated strings and NULL-terminated arrays that live until the call returns.
    let result =
        unsafe { libc::syscall(libc::SYS_execve, program.as_ptr(), args.pointers.as_ptr(), env.pointers.as_ptr()) };
    check(result).err().unwrap_or(Errno::IO)
}

/// Joins the namespaces in `flags`: of the process, if `fd` is a pidfd; else the one `fd` stands for.
pub fn set_namespaces(fd: BorrowedFd<'_>, flags: NamespaceFlags) -> Result<()> {
    // SAFETY: no pointer is passed.
    check(unsafe { libc::syscall(libc::SYS_setns, fd.as_raw_fd(), flags as c_int) }).map(drop)
}

/// Makes new namespaces for this process. Accepts namespace bits only.
pub fn unshare(flags: NamespaceFlags) -> Result<()> {
    if flags & libc::CLONE_FILES as u64 != 0 {
        return Err(Errno::INVAL);
    }
    // SAFETY: namespaces do not affect memory or descriptors.
    check(unsafe { libc::syscall(libc::SYS_unshare, flags as c_int) }).map(drop)
}

/// Sets all signal handlers to their default and unblocks every signal, as a new program expects.
pub fn reset_signals() {
    let default = KernelSigaction::default();
    let none: u64 = 0;
    for signal in 1..=64i32 {
        // SAFETY: `default` is a kernel sigaction; SIGKILL and SIGSTOP are refused without harm.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                &raw const default,
                std::ptr::null_mut::<c_void>(),
                size_of::<u64>(),
            )
        };
    }
    // SAFETY: `none` is a kernel signal set of the size given.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            std::ptr::null_mut::<c_void>(),
            size_of::<u64>(),
        )
    };
}

#[repr(C)]
#[derive(Default)]
struct KernelSigaction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

/// Asks the kernel to kill this process when the thread that made it ends. Lost on a change of user.
pub fn die_with_parent() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
}

/// Whether `capability` is in this process's bounding set; false for those the kernel does not know.
pub fn in_bounding_set(capability: u32) -> bool {
    // SAFETY: no pointer is passed.
    unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability as usize, 0, 0, 0) == 1 }
}

/// Removes `capability` from the bounding set.
pub fn drop_from_bounding_set(capability: u32) -> Result<()> {
    // SAFETY: no pointer is passed.
    check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability as usize, 0, 0, 0) }.into()).map(drop)
}

/// Adds `capability` to the ambient set.
pub fn raise_ambient(capability: u32) -> Result<()> {
    // SAFETY: no pointer is passed.
    check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, capability as usize, 0, 0) }.into())
        .map(drop)
}

/// Sets the effective, permitted and inheritable sets, one bit a capability.
pub fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    use rustix::thread::{CapabilitySet, CapabilitySets};
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: CapabilitySet::from_bits_retain(effective),
            permitted: CapabilitySet::from_bits_retain(permitted),
            inheritable: CapabilitySet::from_bits_retain(inheritable),
        },
    )
}

/// Takes on user, group and supplementary groups (all of real, effective and saved).
pub fn set_identity(uid: u32, gid: u32, groups: &[u32]) -> Result<()> {
    // SAFETY: `groups` is a slice of gid_t.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })?;
    // SAFETY: no pointer is passed.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: no pointer is passed.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })?;
    Ok(())
}

/// Installs a system call filter: `program` holds classic BPF instructions of eight bytes each.
pub fn install_filter(program: &[u8]) -> Result<()> {
    if program.is_empty() || !program.len().is_multiple_of(8) || program.len() / 8 > 4096 {
        return Err(Errno::INVAL);
    }
    let fprog =
        libc::sock_fprog { len: (program.len() / 8) as u16, filter: program.as_ptr() as *mut libc::sock_filter };
    // SAFETY: `fprog` describes exactly the bytes of `program`; the kernel copies them byte-wise.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const fprog) };
    check(result).map(drop)
}

/// Gives this process a session keyring of its own, so that it does not share the caller's keys.
pub fn new_session_keyring() -> Result<()> {
    const JOIN_SESSION_KEYRING: c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    check(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<c_char>()) }).map(drop)
}

/// Marks every descriptor from `first` on close-on-exec.
pub fn close_on_exec_from(first: u32) -> Result<()> {
    const CLOSE_RANGE_CLOEXEC: c_long = 4;
    // SAFETY: the descriptors stay open; only a flag changes.
    check(unsafe { libc::syscall(libc::SYS_close_range, first as c_long, u32::MAX as c_long, CLOSE_RANGE_CLOEXEC) })
        .map(drop)
}

/// Makes `fd` also descriptor `number` (0, 1 or 2), without close-on-exec.
pub fn become_stdio(fd: BorrowedFd<'_>, number: i32) -> Result<()> {
    if !(0..=2).contains(&number) {
        return Err(Errno::BADF);
    }
    if fd.as_raw_fd() == number {
        return rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty());
    }
    // SAFETY: the standard streams have no owner in Rust's sense.
    check(unsafe { libc::syscall(libc::SYS_dup3, fd.as_raw_fd(), number, 0) }).map(drop)
}

/// Sets the kernel's word on whether other processes may look into this one (`PR_SET_DUMPABLE`).
pub fn set_dumpable(dumpable: bool) -> Result<()> {
    // SAFETY: no pointer is passed.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, usize::from(dumpable), 0, 0, 0) }.into()).map(drop)
}

/// Whether the working directory is inside this process's root. A directory handed in from outside is not.
pub fn cwd_is_reachable() -> Result<bool> {
    let mut buffer = [0u8; libc::PATH_MAX as usize];
    // SAFETY: the buffer has the length given.
    check(unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) })?;
    Ok(buffer[0] == b'/')
}

/// Loads an eBPF device program (instructions of eight bytes each) and attaches it to the v2 control group `cgroup`,
/// replacing none: the caller attaches one for each group's life.
pub fn attach_device_program(program: &[u8], cgroup: BorrowedFd<'_>) -> Result<()> {
    const BPF_PROG_LOAD: c_long = 5;
    const BPF_PROG_ATTACH: c_long = 8;
    const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
    const CGROUP_DEVICE: u32 = 6;
    const ALLOW_MULTI: u32 = 2;
    #[repr(C)]
    struct Load {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buf: u64,
    }
    #[repr(C)]
    struct Attach {
        target_fd: u32,
        attach_bpf_fd: u32,
        attach_type: u32,
        attach_flags: u32,
    }
    let load = Load {
        prog_type: PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: (program.len() / 8) as u32,
        insns: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
    };
    // SAFETY: `load` describes exactly the bytes of `program` and a NUL-terminated license.
    let fd = check(unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const load, size_of::<Load>()) })?;
    // SAFETY: the kernel has just made this descriptor.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
    let attach = Attach {
        target_fd: cgroup.as_raw_fd() as u32,
        attach_bpf_fd: fd.as_raw_fd() as u32,
        attach_type: CGROUP_DEVICE,
        attach_flags: ALLOW_MULTI,
    };
    // SAFETY: `attach` holds two open descriptors.
    check(unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const attach, size_of::<Attach>()) }).map(drop)
}

pub(crate) fn check(result: c_long) -> Result<c_long> {
    if result >= 0 {
        return Ok(result);
    }
    // SAFETY: errno is this thread's own.
    Err(Errno::from_raw_os_error(unsafe { *libc::__errno_location() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn child_runs_and_is_reaped() {
        let child = clone_process(0, None, || 7).unwrap();
        assert_eq!(wait(&child.pidfd).unwrap(), Exit::Code(7));
        assert_eq!(wait(&child.pidfd).unwrap_err(), Errno::CHILD);
    }

    #[test]
    fn killed_child_tells_its_signal() {
        let child = clone_process(0, None, || {
            loop {
                std::thread::park();
            }
        })
        .unwrap();
        assert_eq!(try_wait(&child.pidfd).unwrap(), None);
        send_signal(&child.pidfd, libc::SIGKILL).unwrap();
        assert_eq!(wait(&child.pidfd).unwrap(), Exit::Signal(libc::SIGKILL));
    }

    #[test]
    fn panicking_child_never_returns() {
        let child = clone_process(0, None, || std::panic::resume_unwind(Box::new(()))).unwrap();
        assert_eq!(wait(&child.pidfd).unwrap(), Exit::Code(127));
    }

    #[test]
    fn exec_of_nothing_fails() {
        let none = CStringArray::new(Vec::new());
        assert_eq!(exec(c"/nonexistent", &none, &none), Errno::NOENT);
    }

    #[test]
    fn impossible_filters_are_refused() {
        assert_eq!(install_filter(&[]).unwrap_err(), Errno::INVAL);
        assert_eq!(install_filter(&[0; 7]).unwrap_err(), Errno::INVAL);
    }
}
