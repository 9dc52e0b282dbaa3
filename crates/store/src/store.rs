//! The open database and its one door for changes.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use serde::{Serialize, de::DeserializeOwned};

use crate::checkpoint::Checkpointer;
use crate::lock::Lock;
use crate::{Error, Result, schema};

/// Prepared statements kept ready per connection; there are fewer in this crate.
const STATEMENTS: usize = 64;
/// SQLite checkpoints by itself in a commit past this many pages (80 MB): only if the checkpoint thread fell behind.
const AUTOCHECKPOINT_PAGES: u32 = 20_000;
/// The log file is cut down to this after a checkpoint.
const LOG_LIMIT_BYTES: u32 = 16 << 20;

/// The metadata database. Shared between threads; changes wait for each other, reads do not wait for changes.
#[derive(Debug)]
pub struct Store {
    // Dropped in this order: connections before the lock that keeps other daemons out.
    checkpointer: Checkpointer,
    reader: Mutex<Connection>,
    writer: Mutex<Writer>,
    _lock: Lock,
}

#[derive(Debug)]
struct Writer {
    connection: Connection,
    durable: bool,
    commits: u32,
}

impl Store {
    /// Opens or creates the database file, takes the lock beside it (`<name>.lock`) and brings the schema up to date.
    ///
    /// # Errors
    /// [`Error::InUse`] if another daemon has it, [`Error::TooNew`] if a newer longshore wrote it, [`Error::File`] and
    /// [`Error::Database`] if it cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let lock = Lock::take(path)?;
        let mut connection = Connection::open(path)?;
        configure(&connection)?;
        connection.pragma_update(None, "wal_autocheckpoint", AUTOCHECKPOINT_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", LOG_LIMIT_BYTES)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        schema::migrate(&mut connection)?;
        sync_folder(path)?;
        let reader = Connection::open(path)?;
        configure(&reader)?;
        reader.pragma_update(None, "query_only", true)?;
        Ok(Self {
            checkpointer: Checkpointer::start(path)?,
            reader: Mutex::new(reader),
            writer: Mutex::new(Writer { connection, durable: true, commits: 0 }),
            _lock: lock,
        })
    }

    /// Runs `change` in one transaction: all of it is kept if it returns `Ok`, nothing otherwise.
    ///
    /// The commit outlives the death of this process, but the last ones may be missing after a power cut.
    ///
    /// # Errors
    /// Those of `change`, and [`Error::Database`] if the commit fails.
    pub fn write<T, E: From<Error>>(&self, change: impl FnOnce(&Transaction<'_>) -> Result<T, E>) -> Result<T, E> {
        self.commit(false, change)
    }

    /// As [`Store::write`], and this commit and all before it are on the disk when it returns.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_durable<T, E: From<Error>>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.commit(true, change)
    }

    /// Reads one consistent state of the database; changes made meanwhile are not seen.
    ///
    /// # Errors
    /// Those of `look`, and [`Error::Database`].
    pub fn read<T, E: From<Error>>(&self, look: impl FnOnce(&Reader<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut connection = lock(&self.reader);
        let transaction = connection.transaction().map_err(Error::from)?;
        look(&Reader { connection: &transaction })
    }

    /// In WAL mode `synchronous=FULL` syncs the log at the end of the commit, and with it every commit before.
    fn commit<T, E: From<Error>>(
        &self,
        durable: bool,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut guard = lock(&self.writer);
        let Writer { connection, durable: at_present, commits } = &mut *guard;
        if *at_present != durable {
            let level = if durable { "FULL" } else { "NORMAL" };
            connection.pragma_update(None, "synchronous", level).map_err(Error::from)?;
            *at_present = durable;
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Error::from)?;
        let value = change(&Transaction { reader: Reader { connection: &transaction } })?;
        transaction.commit().map_err(Error::from)?;
        self.checkpointer.committed(commits);
        Ok(value)
    }
}

/// Settings of every connection.
pub(crate) fn configure(connection: &Connection) -> Result<()> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "mmap_size", 64 << 20)?;
    Ok(())
}

/// Makes the name of a new database file durable.
fn sync_folder(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::File { path: folder.to_owned(), source })
}

/// A closure that panicked left no half transaction (it was rolled back), so the lock's poison means nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A consistent view of the database.
#[derive(Debug)]
pub struct Reader<'a> {
    pub(crate) connection: &'a Connection,
}

/// A change in progress; reads through it see what it has changed so far.
#[derive(Debug)]
pub struct Transaction<'a> {
    reader: Reader<'a>,
}

impl<'a> Deref for Transaction<'a> {
    type Target = Reader<'a>;

    fn deref(&self) -> &Reader<'a> {
        &self.reader
    }
}

impl Transaction<'_> {
    /// Runs a statement; returns how many rows it changed.
    pub(crate) fn execute(&self, sql: &'static str, values: impl rusqlite::Params) -> Result<usize> {
        Ok(self.connection.prepare_cached(sql)?.execute(values)?)
    }

    /// As [`Transaction::execute`] for a statement that must hit a row.
    pub(crate) fn execute_one(
        &self,
        table: &'static str,
        key: &str,
        sql: &'static str,
        values: impl rusqlite::Params,
    ) -> Result<()> {
        match self.execute(sql, values)? {
            0 => Err(Error::Missing { table, key: key.to_owned() }),
            _ => Ok(()),
        }
    }
}

impl Reader<'_> {
    /// All rows of a query.
    pub(crate) fn rows<T>(
        &self,
        sql: &'static str,
        values: impl rusqlite::Params,
        mut each: impl FnMut(&rusqlite::Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(each(row)?);
        }
        Ok(all)
    }

    /// The first row of a query, if it has one.
    pub(crate) fn first<T>(
        &self,
        sql: &'static str,
        values: impl rusqlite::Params,
        each: impl FnOnce(&rusqlite::Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        rows.next()?.map(each).transpose()
    }
}

/// A document's JSON.
pub(crate) fn to_json(table: &'static str, key: &str, document: &impl Serialize) -> Result<String> {
    serde_json::to_string(document).map_err(|source| Error::Document { table, key: key.to_owned(), source })
}

/// A document of a row whose key is in column `key` and whose JSON is in column `document`.
pub(crate) fn from_json<D: DeserializeOwned>(table: &'static str, key: &str, json: &str) -> Result<D> {
    serde_json::from_str(json).map_err(|source| Error::Document { table, key: key.to_owned(), source })
}

/// Parses a key column.
pub(crate) fn key<K: std::str::FromStr>(table: &'static str, text: &str) -> Result<K> {
    text.parse().map_err(|_| Error::Key { table, key: text.to_owned() })
}

/// Borrows a text column.
pub(crate) fn text<'row>(row: &'row rusqlite::Row<'_>, column: usize) -> Result<&'row str> {
    Ok(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?)
}
