//! The process beside each container: stdio, log files, exit status, exec, attach; and its versioned protocol.
//!
//! The daemon holds one [`Launcher`] and, for each container that runs, one [`Connection`] to its shim:
//!
//! ```text
//! daemon --Launcher::launch--> launcher --fork--> shim --runtime--> container
//!   '------------------ Connection: Command / Event ---'
//! ```

pub mod channel;
mod connection;
mod error;
pub mod launcher;
pub mod log;
pub mod protocol;
pub mod runtime;
pub mod supervisor;

pub use channel::Incoming;
pub use connection::Connection;
pub use error::{Error, Result};
pub use launcher::Launcher;
