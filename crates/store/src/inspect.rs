//! A look at a database that nobody vouches for: every row by itself, so that a damaged one hides no other.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::lock::{self, Lock};
use crate::store::configure;
use crate::{Error, Result, Store, schema};

/// All rows of a database at one moment, and what SQLite itself finds wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Version of the schema; a number this program does not know means that the rows may mean something else.
    pub version: i64,
    /// What SQLite's own check of pages, indexes, constraints and references between rows says.
    pub damages: Vec<String>,
    /// Rows of each table.
    pub tables: BTreeMap<&'static str, Vec<RawRow>>,
}

/// A row as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRow {
    /// Its first column, the key.
    pub key: String,
    /// Its other columns; numbers as text, `NULL` left out.
    pub columns: BTreeMap<String, Vec<u8>>,
}

impl RawRow {
    /// A column's bytes; empty if it is `NULL` or there is none of that name.
    pub fn bytes(&self, column: &str) -> &[u8] {
        self.columns.get(column).map_or(&[], Vec::as_slice)
    }

    /// A column as text; what is no text is shown with replacement characters.
    pub fn text(&self, column: &str) -> String {
        String::from_utf8_lossy(self.bytes(column)).into_owned()
    }
}

impl Inspection {
    /// Reads the database at `path`. Takes no lock and changes nothing: a running daemon is not disturbed.
    ///
    /// # Errors
    /// [`Error::Database`] if the file is damaged so badly that it cannot be read at all.
    pub fn read(path: &Path) -> Result<Self> {
        let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        configure(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        let transaction = connection.transaction()?;
        let mut inspection = Self {
            version: transaction.pragma_query_value(None, "user_version", |row| row.get(0))?,
            damages: damages(&transaction)?,
            tables: BTreeMap::new(),
        };
        for table in schema::TABLES {
            inspection.tables.insert(table, rows(&transaction, table)?);
        }
        Ok(inspection)
    }

    /// Rows of a table.
    pub fn rows(&self, table: &str) -> &[RawRow] {
        self.tables.get(table).map_or(&[], Vec::as_slice)
    }
}

fn damages(connection: &Connection) -> Result<Vec<String>> {
    let mut damages = Vec::new();
    let mut check = connection.prepare("PRAGMA integrity_check")?;
    let mut lines = check.query([])?;
    while let Some(line) = lines.next()? {
        let line: String = line.get(0)?;
        damages.extend(Some(line).filter(|line| line != "ok"));
    }
    let mut check = connection.prepare("PRAGMA foreign_key_check")?;
    let mut lines = check.query([])?;
    while let Some(line) = lines.next()? {
        let (table, row, parent): (String, Option<i64>, String) = (line.get(0)?, line.get(1)?, line.get(2)?);
        let row = row.map(|row| format!(" {row}")).unwrap_or_default();
        damages.push(format!("row{row} of table {table} refers to a row of {parent} that does not exist"));
    }
    Ok(damages)
}

fn rows(connection: &Connection, table: &str) -> Result<Vec<RawRow>> {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut found = statement.query([])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let mut columns = BTreeMap::new();
        for (index, name) in names.iter().enumerate() {
            let bytes = match row.get_ref(index)? {
                ValueRef::Null => continue,
                ValueRef::Integer(number) => number.to_string().into_bytes(),
                ValueRef::Real(number) => number.to_string().into_bytes(),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
            };
            columns.insert(name.clone(), bytes);
        }
        let key = names.first().and_then(|name| columns.remove(name)).unwrap_or_default();
        rows.push(RawRow { key: String::from_utf8_lossy(&key).into_owned(), columns });
    }
    Ok(rows)
}

impl Store {
    /// The process that has the database at `path` open, if one has: `Some(None)` if its number cannot be read.
    ///
    /// # Errors
    /// [`Error::File`] if the lock cannot be looked at.
    pub fn holder(path: &Path) -> Result<Option<Option<u32>>> {
        lock::holder(path)
    }

    /// Removes rows by their keys, whatever they hold: the repair of rows that cannot be read. Names and manifests of images
    /// that are gone go too; rows of layers are made again when images are opened.
    ///
    /// # Errors
    /// [`Error::InUse`] if a daemon runs, [`Error::Database`].
    pub fn remove_rows(path: &Path, rows: &[(&'static str, String)]) -> Result<()> {
        let _lock = Lock::take(path)?;
        let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        configure(&connection)?;
        connection.pragma_update(None, "foreign_keys", false)?;
        let transaction = connection.transaction()?;
        for (table, key) in rows {
            if !schema::TABLES.contains(table) {
                return Err(Error::Missing { table, key: key.clone() });
            }
            let column: String =
                transaction
                    .query_row(&format!("SELECT name FROM pragma_table_info('{table}')"), [], |row| row.get(0))?;
            transaction.execute(&format!("DELETE FROM {table} WHERE CAST({column} AS TEXT) = ?1"), [key])?;
        }
        for table in ["tags", "manifests"] {
            transaction.execute(&format!("DELETE FROM {table} WHERE image NOT IN (SELECT id FROM images)"), [])?;
        }
        transaction.commit()?;
        Ok(())
    }
}
