//! Mounts: attributes, propagation, detached copies. What `rustix` already has is used from there.
//!
//! Every function here is a bare system call without allocation, fit for use between a clone and an exec.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::CWD;
use rustix::io::Result;
use rustix::mount::{MoveMountFlags, OpenTreeFlags};

use crate::process::check;

/// Attributes of a mount, as the kernel's `MOUNT_ATTR_*` bits.
pub type Attributes = u64;
/// No writes.
pub const READ_ONLY: Attributes = 0x1;
/// Set-user-id bits have no effect.
pub const NO_SUID: Attributes = 0x2;
/// Device nodes cannot be opened.
pub const NO_DEV: Attributes = 0x4;
/// Programs cannot be executed.
pub const NO_EXEC: Attributes = 0x8;

/// A change of propagation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// As it is.
    Keep,
    /// Nothing comes in or goes out.
    Private,
    /// The other side's changes come in.
    Slave,
    /// Both directions.
    Shared,
}

#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Changes the mount behind `mount` (a descriptor of its root, from `open_tree` or `fsmount`, or of any path with
/// `O_PATH`), and with `recursive` all below it: puts on `set`, takes off `clear`, changes propagation.
pub fn set_attributes(
    mount: BorrowedFd<'_>,
    set: Attributes,
    clear: Attributes,
    propagation: Propagation,
    recursive: bool,
) -> Result<()> {
    let attr = MountAttr {
        attr_set: set,
        attr_clr: clear,
        propagation: match propagation {
            Propagation::Keep => 0,
            Propagation::Private => libc::MS_PRIVATE,
            Propagation::Slave => libc::MS_SLAVE,
            Propagation::Shared => libc::MS_SHARED,
        },
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string, `attr` a mount_attr of the size given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    check(result).map(drop)
}

/// A detached copy of the mount at `path`, relative to `directory`; with `recursive` of those below it, too.
pub fn clone_tree(directory: BorrowedFd<'_>, path: &CStr, recursive: bool) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(directory, path, flags)
}

/// As [`clone_tree`], for an absolute path.
pub fn clone_tree_at(path: &CStr, recursive: bool) -> Result<OwnedFd> {
    clone_tree(CWD, path, recursive)
}

/// Attaches the detached `mount` at the file or directory behind `target`.
pub fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, c"", target, c"", flags)
}
