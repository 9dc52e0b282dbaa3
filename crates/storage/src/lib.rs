//! Layers as overlay snapshots, volumes, tar in and out, whiteouts, diff, disk usage.
//!
//! Everything here blocks; nothing here knows images or containers beyond their ids. On disk, beneath one root:
//!
//! - `layers/<chain id>/`: `diff/` (the files), `layer.json` (what it is), `split.zst` (what the tar had beside the files),
//!   perhaps `blob` (what it was imported from);
//! - `init/<chain id>/diff`: the files every container of an image finds (`/etc/hosts`, `/proc`, ...), made once an image;
//! - `containers/<id>/{upper,work}` and `parent`: a container's writable layer;
//! - `volume-data/<name>/_data`;
//! - `tmp/`, `trash/`: what is not whole yet and what is being deleted; swept when the storage is opened.

mod apply;
mod blob;
mod changes;
mod copy;
mod error;
mod graft;
mod init;
mod inspect;
mod pipeline;
mod split;
mod storage;
mod sum;
mod trash;
mod tree;
mod unmount;

pub mod archive;
pub mod compression;
pub mod layer;
mod lower;
pub mod snapshot;
pub mod tar;
pub mod volume;

pub use archive::{PathStat, Unarchive};
pub use blob::KeptBlob;
pub use error::{Error, Result};
pub use inspect::{Inspection, LayerFault};
pub use layer::{Layer, chain_id};
pub use snapshot::{Change, ChangeKind, Directories};
pub use storage::{DiskUsage, Storage};

#[cfg(test)]
mod tests;
