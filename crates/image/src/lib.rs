//! Images: their configs, names and history; import, commit, load, save, remove.
//!
//! An image is a config (JSON, kept byte for byte; its SHA-256 digest is the image's id) and the layers the config names.
//! [`Images`] keeps all of them in memory as a [`Snapshot`] that readers share without locks, on the disk in the store
//! (configs, names) and the storage (layers). Everything here blocks.

#![warn(missing_docs)]

mod commit;
mod config;
mod error;
mod happening;
mod history;
mod image;
mod images;
mod import;
mod layers;
mod lease;
mod lineage;
mod list;
mod load;
mod origin;
mod remove;
mod save;
mod snapshot;

pub use commit::Commit;
pub use config::{Config, Healthcheck, History, NameSet, RootFs, RunConfig, chain_ids};
pub use error::{Error, Result};
pub use happening::{Action, Happening};
pub use history::HistoryStep;
pub use image::{Image, digest};
pub use images::{Images, NewImage, layers_of_row};
pub use import::Import;
pub use layers::LayerImage;
pub use lease::{LEASED, Lease};
pub use lineage::{Lineage, OldStep, is_empty_layer};
pub use list::{Filter, Summary};
pub use load::Progress;
pub use remove::{Removal, Removed, Usage, Use};
pub use save::ArchiveForm;
pub use snapshot::Snapshot;
pub use storage::KeptBlob;
pub use store::{StoredBlob, StoredManifest};

#[cfg(test)]
mod tests;
