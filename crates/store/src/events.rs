//! The journal of events: a ring of the last [`EVENT_CAPACITY`].

use model::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use crate::store::{from_json, text, to_json};
use crate::{Reader, Result, Transaction};

const TABLE: &str = "events";

/// How many events are kept; older ones make room for new ones.
pub const EVENT_CAPACITY: i64 = 8192;

/// An event of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent<D> {
    /// Its number; grows by one with each event and is never used again.
    pub seq: i64,
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub document: D,
}

impl Reader<'_> {
    /// The events with numbers above `after` (0: all that are kept), oldest first.
    ///
    /// # Errors
    /// [`crate::Error::Document`] if one does not fit `D`.
    pub fn events<D: DeserializeOwned>(&self, after: i64) -> Result<Vec<StoredEvent<D>>> {
        self.rows("SELECT seq, time_ns, document FROM events WHERE seq > ?1 ORDER BY seq", [after], |row| {
            let seq: i64 = row.get(0)?;
            let time_ns: i64 = row.get(1)?;
            let nanoseconds = time_ns.rem_euclid(1_000_000_000).unsigned_abs();
            Ok(StoredEvent {
                seq,
                time: Timestamp::from_unix(time_ns.div_euclid(1_000_000_000), nanoseconds as u32),
                document: from_json(TABLE, &seq.to_string(), text(row, 2)?)?,
            })
        })
    }
}

impl Transaction<'_> {
    /// Appends an event and returns its number.
    ///
    /// # Errors
    /// [`crate::Error::Database`].
    pub fn append_event(&self, time: Timestamp, document: &impl Serialize) -> Result<i64> {
        let document = to_json(TABLE, "new", document)?;
        // The newest row is never deleted, so SQLite's "largest plus one" never hands out a number twice.
        self.execute("INSERT INTO events(time_ns, document) VALUES(?1, ?2)", (time.unix_nanoseconds(), document))?;
        let seq = self.connection.last_insert_rowid();
        self.execute("DELETE FROM events WHERE seq <= ?1", [seq - EVENT_CAPACITY])?;
        Ok(seq)
    }
}
