//! All containers by id and by name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::ContainerId;

use crate::container::{Container, no_such_container};
use crate::{Error, Result};

/// Containers by id and name. A lock is held for a look-up only.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    index: RwLock<Index>,
}

#[derive(Debug, Default)]
struct Index {
    /// By the 64 digits: a prefix is a range.
    by_id: BTreeMap<String, Arc<Container>>,
    /// By name, without a slash. A name is taken from the moment a create claims it.
    by_name: HashMap<String, ContainerId>,
}

impl Index {
    /// The container that `parent/alias` is linked to.
    fn linked(&self, name: &str) -> Option<Arc<Container>> {
        let (parent, alias) = name.split_once('/')?;
        let parent = self.by_id.get(&self.by_name.get(parent)?.to_string())?.record();
        let link = parent.links.iter().find(|link| link.alias == alias)?;
        self.by_id.get(&link.target.to_string()).map(Arc::clone)
    }
}

impl Registry {
    /// Finds a container as Docker does: full id, then exact name or the name that a link gives (`parent/alias`), then
    /// unique prefix of an id.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Container>> {
        let index = self.read();
        if let Some(container) = index.by_id.get(name) {
            return Ok(Arc::clone(container));
        }
        let bare = name.strip_prefix('/').unwrap_or(name);
        if let Some(container) = index.by_name.get(bare).and_then(|id| index.by_id.get(&id.to_string())) {
            return Ok(Arc::clone(container));
        }
        if name.is_empty() {
            return Err(no_such_container(name));
        }
        if let Some(container) = index.linked(bare) {
            return Ok(container);
        }
        let mut matches = index.by_id.range(name.to_owned()..).take_while(|(id, _)| id.starts_with(name));
        match (matches.next(), matches.next()) {
            (Some((_, container)), None) => Ok(Arc::clone(container)),
            (Some(_), Some(_)) => Err(Error::invalid(format!("Multiple IDs found with provided prefix: {name}"))),
            (None, _) => Err(no_such_container(name)),
        }
    }

    /// The container of that id.
    pub(crate) fn get(&self, id: ContainerId) -> Option<Arc<Container>> {
        self.read().by_id.get(&id.to_string()).map(Arc::clone)
    }

    /// All containers, in no order that means anything.
    pub(crate) fn all(&self) -> Vec<Arc<Container>> {
        self.read().by_id.values().map(Arc::clone).collect()
    }

    /// Containers with a link to this one.
    pub(crate) fn linked_to(&self, id: ContainerId) -> Vec<Arc<Container>> {
        let linked = |container: &&Arc<Container>| container.record().links.iter().any(|link| link.target == id);
        self.read().by_id.values().filter(linked).map(Arc::clone).collect()
    }

    /// Claims a name for a container that is about to be made or renamed.
    ///
    /// # Errors
    /// Conflict, with the holder's id.
    pub(crate) fn claim(&self, name: &str, id: ContainerId) -> Result<()> {
        let mut index = self.write();
        match index.by_name.get(name) {
            Some(holder) => Err(Error::conflict(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to remove (or rename) that container to be able to reuse that name."
            ))),
            None => {
                index.by_name.insert(name.to_owned(), id);
                Ok(())
            }
        }
    }

    /// Gives a name back, if that container holds it.
    pub(crate) fn unclaim(&self, name: &str, id: ContainerId) {
        let mut index = self.write();
        if index.by_name.get(name) == Some(&id) {
            index.by_name.remove(name);
        }
    }

    /// Adds a container whose name was claimed.
    pub(crate) fn add(&self, container: Arc<Container>) {
        self.write().by_id.insert(container.id.to_string(), container);
    }

    /// Takes a container and its name out.
    pub(crate) fn remove(&self, id: ContainerId, name: &str) {
        self.unclaim(name, id);
        self.write().by_id.remove(&id.to_string());
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        // Nothing that runs under the lock panics half-way through a change.
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}
