//! What Docker does: containers' life, names, exec, health, restart, events, images in use, reconcile.
//!
//! An [`Engine`] is opened on a data root and answers calls in the words of the newest API; older versions are the
//! ladder's affair, HTTP the server's.
//!
//! # How it is built
//!
//! * Each container has one *actor*: a task that alone changes its record, by short steps. What takes long (the grace
//!   period of a stop, a wait, a log) happens outside of it.
//! * What readers need (list, inspect, events) is published as immutable snapshots: no reader waits for a container.
//! * Blocking work (mounts, archives, the database) runs on the blocking pool, one hop a call.
//! * Each container has a shim, a process that outlives the daemon. The engine can be killed at any moment; the next
//!   one [reconciles](Engine::open): records, shims, networks, cgroups, snapshots.
//!
//! # Errors
//!
//! Every call returns [`Error`]: a kind, which the server maps to a status, and a message in Docker's words where
//! clients match on it.

#![warn(missing_docs)]

mod build;
pub mod check;
mod config;
mod container;
mod engine;
mod error;
mod events;
mod exec;
mod filters;
mod images;
mod manifests;
mod networks;
mod options;
mod readiness;
mod reconcile;
mod registry;
mod reload;
mod restart;
mod stream;
mod surface;
mod system;
mod transfer;
mod volumes;

pub use self::build::{BuildRequest, Keys, RemoteContext};
pub use ::build::Dialect;
pub use ::registry::{Credentials, InvalidSetting, Settings as RegistrySettings};
pub use config::{Changeable, EngineConfig};
pub use container::attach::Attachment;
pub use container::list::Line;
pub use container::wait::Waiting;
pub use engine::Engine;
pub use error::{Error, Result};
pub use events::Events;
pub use exec::Session;
pub use image::LayerImage;
pub use options::*;
pub use stream::{ByteStream, Logs, Upload, UploadSender, upload};
