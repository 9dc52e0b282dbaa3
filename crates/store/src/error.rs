//! What can go wrong with the database.

use std::path::PathBuf;

use model::ErrorKind;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another daemon uses the same database.
    #[error("{path} is in use by another longshore daemon{}; stop it or choose another root folder", .holder.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    InUse {
        /// The lock file.
        path: PathBuf,
        /// Process id of the other daemon, if it could be read.
        holder: Option<u32>,
    },
    /// The database was written by a newer longshore.
    #[error(
        "the database has schema version {found}, this longshore knows up to {known}; use the newer longshore that wrote it"
    )]
    TooNew {
        /// Version in the file.
        found: i64,
        /// Newest version this program knows.
        known: i64,
    },
    /// A file could not be opened, written or synced.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("database: {0}")]
    Database(#[from] rusqlite::Error),
    /// A document is not what its reader expects.
    #[error("{table} {key}: {source}; `longshore store check` tells what is damaged and how to repair it")]
    Document {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// A key column does not parse: the database was edited by hand or damaged.
    #[error("{table} has a malformed key {key:?}; `longshore store check` tells what is damaged and how to repair it")]
    Key {
        /// The table.
        table: &'static str,
        /// The key as stored.
        key: String,
    },
    /// The row to change is not there.
    #[error("{table} has no entry {key}")]
    Missing {
        /// The table.
        table: &'static str,
        /// The key looked for.
        key: String,
    },
    /// Another container has the name.
    #[error("the name {name:?} is already in use by container {holder}")]
    NameTaken {
        /// The name.
        name: String,
        /// Id of the container that has it.
        holder: String,
    },
    /// The disk's write cache could not be flushed or a copy written.
    #[error("writing: {0}")]
    Write(#[from] std::io::Error),
}

impl Error {
    /// The kind the API reports.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NameTaken { .. } => ErrorKind::Conflict,
            Self::Missing { .. } => ErrorKind::NotFound,
            _ => ErrorKind::System,
        }
    }
}
