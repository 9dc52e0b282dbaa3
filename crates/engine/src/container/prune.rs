//! Removing all stopped containers.

use std::sync::Arc;

use api::container::ContainersPruned;
use model::Timestamp;

use super::record::Status;
use crate::engine::Engine;
use crate::options::{Filters, RemoveOptions};
use crate::{Error, Result};

impl Engine {
    /// See [`Engine::prune`].
    pub(crate) async fn prune_containers(self: &Arc<Self>, filters: &Filters) -> Result<ContainersPruned> {
        filters.only(&["until", "label", "label!"])?;
        let until = until(filters)?;
        let Ok(_alone) = self.pruning.try_lock() else {
            return Err(Error::conflict("a prune operation is already running"));
        };
        let mut pruned = ContainersPruned::default();
        for container in self.containers.all() {
            let record = container.record();
            let stopped = matches!(record.state.status, Status::Created | Status::Exited);
            let old = until.is_none_or(|until| record.created < until);
            if !stopped || !old || !filters.labels(record.config.labels.as_ref()) {
                continue;
            }
            let id = record.id.hex();
            let (storage, key) = (Arc::clone(&self.storage), id.clone());
            let size = self.blocking(move || Ok(storage.usage(&key)?)).await.unwrap_or(0);
            match self.remove_container(&id, RemoveOptions::default()).await {
                Ok(()) => {
                    pruned.space_reclaimed += size;
                    pruned.containers_deleted.get_or_insert_default().push(id);
                }
                Err(error) => tracing::debug!(%error, id, "a container is not pruned"),
            }
        }
        let reclaimed = pruned.space_reclaimed.to_string();
        self.tell("container", "prune", "", [("reclaimed", reclaimed.as_str())]);
        Ok(pruned)
    }
}

/// The `until` filter.
pub(crate) fn until(filters: &Filters) -> Result<Option<Timestamp>> {
    match filters.values("until") {
        [] => Ok(None),
        [text] => {
            Timestamp::parse_filter(text, Timestamp::now()).map(Some).map_err(|error| Error::invalid(error.to_string()))
        }
        _ => Err(Error::invalid("more than one until filter specified")),
    }
}
