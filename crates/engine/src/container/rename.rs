//! Another name for a container.

use super::create::check_name;
use super::life::Actor;
use crate::engine::Engine;
use crate::{Error, Result};

impl Engine {
    /// See [`Engine::rename`].
    pub(crate) async fn rename_container(&self, name: &str, new_name: &str) -> Result<()> {
        let container = self.containers.find(name)?;
        let bare = new_name.strip_prefix('/').unwrap_or(new_name).to_owned();
        if bare.is_empty() {
            return Err(Error::invalid("Neither old nor new names may be empty"));
        }
        check_name(new_name, &bare)?;
        container.step(move |actor| Box::pin(async move { actor.rename(bare) })).await
    }
}

impl Actor {
    fn rename(&mut self, name: String) -> Result<()> {
        if name == self.record.name {
            return Err(Error::invalid("Renaming a container with the same name as its current name"));
        }
        self.engine.containers.claim(&name, self.record.id)?;
        let mut renamed = self.record.clone();
        name.clone_into(&mut renamed.name);
        let written = self.engine.store.write(|tx| {
            tx.rename_container(&renamed.id, &renamed.name)?;
            tx.update_container(&renamed.id, &renamed)
        });
        if let Err(error) = written {
            self.engine.containers.unclaim(&name, self.record.id);
            return Err(error.into());
        }
        let old = std::mem::replace(&mut self.record, renamed).name;
        self.container.publish(self.record.clone());
        self.engine.containers.unclaim(&old, self.record.id);
        self.event("rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }
}
