//! The metadata database: tables, transactions, migrations, dump.
//!
//! One SQLite file in WAL mode. All changes go through one door, [`Store::write`]: what one operation of the engine
//! touches changes in one transaction or not at all. A commit survives the death of any process of ours without an
//! fsync (the bytes are in the kernel's page cache); [`Store::write_durable`] also waits for the disk, for commits that
//! promise bytes on it (images, tags, layers, volumes).
//!
//! Documents are JSON; the store does not know their structure, only their keys.

#![warn(missing_docs)]

mod blobs;
mod checkpoint;
mod containers;
mod dump;
mod error;
mod events;
mod images;
mod inspect;
mod lock;
mod meta;
mod schema;
mod store;
mod volumes;

pub use blobs::{StoredBlob, StoredManifest};
pub use containers::StoredContainer;
pub use dump::dump;
pub use error::Error;
pub use events::{EVENT_CAPACITY, StoredEvent};
pub use images::{StoredImage, StoredLayer, StoredTag};
pub use inspect::{Inspection, RawRow};
pub use store::{Reader, Store, Transaction};

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests;
