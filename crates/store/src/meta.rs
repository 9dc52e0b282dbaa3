//! Single values: the engine's id, its key and the like.

use crate::store::text;
use crate::{Reader, Result, Transaction};

impl Reader<'_> {
    /// The value of a key, if it was ever set.
    ///
    /// # Errors
    /// [`crate::Error::Database`].
    pub fn meta(&self, key: &str) -> Result<Option<String>> {
        self.first("SELECT value FROM meta WHERE key = ?1", [key], |row| Ok(text(row, 0)?.to_owned()))
    }
}

impl Transaction<'_> {
    /// Sets the value of a key.
    ///
    /// # Errors
    /// [`crate::Error::Database`].
    pub fn put_meta(&self, key: &str, value: &str) -> Result<()> {
        self.execute(
            "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value",
            (key, value),
        )?;
        Ok(())
    }
}
