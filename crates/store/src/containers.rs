//! Containers and their names.

use model::ContainerId;
use serde::{Serialize, de::DeserializeOwned};

use crate::store::{from_json, key, text, to_json};
use crate::{Error, Reader, Result, Transaction};

const TABLE: &str = "containers";

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredContainer<D> {
    /// The id.
    pub id: ContainerId,
    /// The name, without a leading slash.
    pub name: String,
    /// Everything else.
    pub document: D,
}

impl Reader<'_> {
    /// All containers, oldest row first.
    ///
    /// # Errors
    /// [`Error::Document`] if one does not fit `D`.
    pub fn containers<D: DeserializeOwned>(&self) -> Result<Vec<StoredContainer<D>>> {
        self.rows("SELECT id, name, document FROM containers ORDER BY rowid", [], |row| {
            let id = text(row, 0)?;
            Ok(StoredContainer {
                id: key(TABLE, id)?,
                name: text(row, 1)?.to_owned(),
                document: from_json(TABLE, id, text(row, 2)?)?,
            })
        })
    }
}

impl Transaction<'_> {
    /// Adds a container under a name that is free.
    ///
    /// # Errors
    /// [`Error::NameTaken`].
    pub fn add_container(&self, id: &ContainerId, name: &str, document: &impl Serialize) -> Result<()> {
        self.check_name(id, name)?;
        let id = id.hex();
        let document = to_json(TABLE, &id, document)?;
        self.execute("INSERT INTO containers(id, name, document) VALUES(?1, ?2, ?3)", (&id, name, document))?;
        Ok(())
    }

    /// Replaces a container's document.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn update_container(&self, id: &ContainerId, document: &impl Serialize) -> Result<()> {
        let id = id.hex();
        let document = to_json(TABLE, &id, document)?;
        self.execute_one(TABLE, &id, "UPDATE containers SET document = ?2 WHERE id = ?1", (&id, document))
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// [`Error::NameTaken`], [`Error::Missing`].
    pub fn rename_container(&self, id: &ContainerId, name: &str) -> Result<()> {
        self.check_name(id, name)?;
        let id = id.hex();
        self.execute_one(TABLE, &id, "UPDATE containers SET name = ?2 WHERE id = ?1", (&id, name))
    }

    /// Removes a container with its endpoints and ports; whether it was there.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn remove_container(&self, id: &ContainerId) -> Result<bool> {
        Ok(self.execute("DELETE FROM containers WHERE id = ?1", [id.hex()])? > 0)
    }

    fn check_name(&self, id: &ContainerId, name: &str) -> Result<()> {
        let holder =
            self.first("SELECT id FROM containers WHERE name = ?1", [name], |row| Ok(text(row, 0)?.to_owned()))?;
        match holder {
            Some(holder) if holder != id.hex() => Err(Error::NameTaken { name: name.to_owned(), holder }),
            _ => Ok(()),
        }
    }
}
