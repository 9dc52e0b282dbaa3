//! Our own program in a form that nobody who reaches it through `/proc/<pid>/exe` can write to.
//!
//! Whoever is root in a container can open `/proc/<pid>/exe` of a process of ours that has entered it. If that led to
//! the program's file on the host's disk, it could be overwritten, and be executed later by root of the host. So the
//! launcher (and with it all its forks) is executed through a read-only mount that is attached nowhere; where the kernel
//! cannot make one, from a sealed copy in memory.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use sys::mount::{Propagation, READ_ONLY};

use crate::error::{Error, Result};

const OURSELVES: &std::ffi::CStr = c"/proc/self/exe";

/// Our own program, read-only for everybody for ever.
#[derive(Debug)]
pub(super) struct Executable {
    file: OwnedFd,
}

impl Executable {
    /// By a mount if the kernel can, else by a copy.
    pub(super) fn new() -> Result<Executable> {
        mounted().or_else(|_| copied())
    }

    /// A command that executes it. The child must be started before this is dropped.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        // Containers can look at a child of ours until it executes their program: nothing of the daemon's is left in it.
        command.env_clear().arg0("longshore");
        command
    }
}

/// A read-only mount of our program's file, attached nowhere. It lives as long as somebody executes from it.
pub(super) fn mounted() -> Result<Executable> {
    let file = sys::mount::clone_tree_at(OURSELVES, false).map_err(Error::system("clone our program's mount"))?;
    sys::mount::set_attributes(file.as_fd(), READ_ONLY, 0, Propagation::Private, false)
        .map_err(Error::system("make our program's mount read-only"))?;
    Ok(Executable { file })
}

/// A sealed copy of our program in memory.
pub(super) fn copied() -> Result<Executable> {
    let mut source = File::open("/proc/self/exe").map_err(Error::system("open our program"))?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = rustix::fs::memfd_create(c"longshore", flags | MemfdFlags::EXEC)
        // Older kernels do not know the flag, and every memory file is executable there.
        .or_else(|_| rustix::fs::memfd_create(c"longshore", flags))
        .map_err(Error::system("make a memory file"))?;
    let mut copy = File::from(memory);
    io::copy(&mut source, &mut copy).map_err(Error::system("copy our program"))?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&copy, seals).map_err(Error::system("seal our program's copy"))?;
    // What is open for writing cannot be executed, sealed or not.
    let path = format!("/proc/self/fd/{}", copy.as_raw_fd());
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    Ok(Executable { file: file.map_err(Error::system("reopen our program's copy"))? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_can_be_executed_and_neither_can_be_written() {
        for executable in [mounted().unwrap(), copied().unwrap()] {
            // This test program lists its tests and ends.
            let output = executable.command().arg("--list").output().unwrap();
            assert!(output.status.success());
            assert!(!output.stdout.is_empty());
            let path = format!("/proc/self/fd/{}", executable.file.as_raw_fd());
            let written =
                File::options().write(true).open(&path).and_then(|mut file| io::Write::write(&mut file, b"x"));
            assert!(written.is_err());
            assert!(
                std::fs::set_permissions(&path, std::fs::metadata(&path).unwrap().permissions()).is_err()
                    || rustix::fs::fcntl_get_seals(&executable.file).is_ok()
            );
        }
    }
}
