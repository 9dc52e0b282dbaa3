//! The whole database as JSON, for people.

use std::io::Write;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value, json};

use crate::store::configure;
use crate::{Result, schema};

/// Writes all tables of the database at `path` as one JSON object, a row a line; documents appear as JSON.
///
/// Takes no lock: a running daemon is not disturbed and sees nothing of it.
///
/// # Errors
/// [`crate::Error::Database`] if it cannot be read, [`crate::Error::Write`] if `out` fails.
pub fn dump(path: &Path, mut out: impl Write) -> Result<()> {
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    configure(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    let transaction = connection.transaction()?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    write!(out, "{{\"schema\":{version}")?;
    for table in schema::TABLES {
        write!(out, ",\n\"{table}\":[")?;
        let mut statement = transaction.prepare(&format!("SELECT * FROM {table}"))?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([])?;
        let mut separator = "";
        while let Some(row) = rows.next()? {
            let mut object = Map::new();
            for (index, column) in columns.iter().enumerate() {
                object.insert(column.clone(), value(column, row.get_ref(index)?));
            }
            write!(out, "{separator}\n{}", Value::Object(object))?;
            separator = ",";
        }
        write!(out, "]")?;
    }
    writeln!(out, "\n}}")?;
    Ok(())
}

fn value(column: &str, value: ValueRef<'_>) -> Value {
    let holds_json = matches!(column, "document" | "config");
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => json!(number),
        ValueRef::Real(number) => json!(number),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => serde_json::from_slice(bytes)
            .ok()
            .filter(|_| holds_json)
            .unwrap_or_else(|| Value::String(String::from_utf8_lossy(bytes).into_owned())),
    }
}
