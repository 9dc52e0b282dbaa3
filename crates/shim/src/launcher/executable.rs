//! Our own program in a form that nobody who reaches it through `/proc/<pid>/exe` can write to.

use std::process::Command;

use crate::error::Result;

/// A command that executes our own program.
pub(super) fn command() -> Result<Command> {
    Ok(Command::new("/proc/self/exe"))
}
