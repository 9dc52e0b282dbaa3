//! Tables and how older databases get there.

use rusqlite::Connection;

use crate::{Error, Result};

/// Each step takes the database from its index to the next version; steps are never edited once released.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE meta(
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE containers(
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        document TEXT NOT NULL
    ) STRICT;

    CREATE TABLE layers(
        chain TEXT PRIMARY KEY,
        parent TEXT REFERENCES layers(chain),
        diff TEXT NOT NULL,
        size_bytes INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX layers_by_parent ON layers(parent);

    CREATE TABLE images(
        id TEXT PRIMARY KEY,
        document TEXT NOT NULL,
        config BLOB NOT NULL
    ) STRICT;

    CREATE TABLE tags(
        reference TEXT PRIMARY KEY,
        image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tags_by_image ON tags(image);

    CREATE TABLE volumes(
        name TEXT PRIMARY KEY,
        document TEXT NOT NULL
    ) STRICT;

    CREATE TABLE events(
        seq INTEGER PRIMARY KEY,
        time_ns INTEGER NOT NULL,
        document TEXT NOT NULL
    ) STRICT;
",
    "
    CREATE INDEX layers_by_diff ON layers(diff);

    CREATE TABLE blobs(
        diff TEXT NOT NULL,
        repository TEXT NOT NULL,
        digest TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        media_type TEXT NOT NULL,
        PRIMARY KEY(diff, repository, digest)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE manifests(
        image TEXT PRIMARY KEY REFERENCES images(id) ON DELETE CASCADE,
        media_type TEXT NOT NULL,
        document TEXT NOT NULL
    ) STRICT;
",
    "
    ALTER TABLE blobs ADD COLUMN compressor TEXT;
",
];

/// Every table, in the order of a dump.
pub(crate) const TABLES: &[&str] =
    &["meta", "containers", "images", "tags", "layers", "blobs", "manifests", "volumes", "events"];

/// Brings the database to the newest version, each step in a transaction of its own.
pub(crate) fn migrate(connection: &mut Connection) -> Result<()> {
    let known = MIGRATIONS.len() as i64;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(found).ok().filter(|done| *done <= MIGRATIONS.len());
    let Some(done) = done else { return Err(Error::TooNew { found, known }) };
    for (version, step) in (1i64..).zip(MIGRATIONS).skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
