//! A throw-away daemon for tests: the real binary on its own root folder, socket and network namespace.
//!
//! What a test needs from outside comes in the environment, set by `cargo xtask test`: `LONGSHORE_BIN` (the release
//! binary), `LONGSHORE_TEST_DISK` (a folder for data roots), `LONGSHORE_BUSYBOX` (a static busybox),
//! `LONGSHORE_CLIENTS` (a list of clients to be tried), `LONGSHORE_BUILDX` (the program behind `docker buildx`),
//! `LONGSHORE_SSHD` (an SSH server), `LONGSHORE_PEERS` (a root file system with Docker Engine and podman of today).
//! When a [`Daemon`] is dropped it is ended, and the test fails if anything was left behind. A test that holds one for very long
//! is named, shown, and ended with all others.

mod daemon;
mod http;
mod leftovers;
mod program;
mod registry;
mod watch;

pub use daemon::{Daemon, busybox_tar};
pub use http::{Answer, Connection};
pub use program::{Output, Program};
pub use registry::Registry;

use std::path::PathBuf;

/// The value of a variable that `cargo xtask test` sets.
///
/// # Panics
/// If it is not set: the tests are not run by `cargo xtask test`.
pub fn environment(name: &str) -> PathBuf {
    match std::env::var_os(name) {
        Some(value) => PathBuf::from(value),
        None => panic!("{name} is not set; run the tests by `cargo xtask test`"),
    }
}
