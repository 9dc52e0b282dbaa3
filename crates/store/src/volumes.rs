//! Volumes.

use serde::{Serialize, de::DeserializeOwned};

use crate::store::{from_json, text, to_json};
use crate::{Reader, Result, Transaction};

const TABLE: &str = "volumes";

impl Reader<'_> {
    /// All volumes by name, oldest row first.
    ///
    /// # Errors
    /// [`crate::Error::Document`] if one does not fit `D`.
    pub fn volumes<D: DeserializeOwned>(&self) -> Result<Vec<(String, D)>> {
        self.rows("SELECT name, document FROM volumes ORDER BY rowid", [], |row| {
            let name = text(row, 0)?;
            Ok((name.to_owned(), from_json(TABLE, name, text(row, 1)?)?))
        })
    }
}

impl Transaction<'_> {
    /// Adds or replaces a volume.
    ///
    /// # Errors
    /// [`crate::Error::Database`].
    pub fn put_volume(&self, name: &str, document: &impl Serialize) -> Result<()> {
        let document = to_json(TABLE, name, document)?;
        self.execute(
            "INSERT INTO volumes(name, document) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET document = excluded.document",
            (name, document),
        )?;
        Ok(())
    }

    /// Removes a volume; whether it was there.
    ///
    /// # Errors
    /// [`crate::Error::Database`].
    pub fn remove_volume(&self, name: &str) -> Result<bool> {
        Ok(self.execute("DELETE FROM volumes WHERE name = ?1", [name])? > 0)
    }
}
