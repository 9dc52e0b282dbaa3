//! Removing containers.

use std::sync::Arc;

use super::life::Actor;
use super::record::Status;
use crate::engine::Engine;
use crate::options::RemoveOptions;
use crate::{Error, Result};

impl Engine {
    /// See [`Engine::remove`].
    pub(crate) async fn remove_container(self: &Arc<Self>, name: &str, options: RemoveOptions) -> Result<()> {
        if options.link {
            return self.remove_link(name).await;
        }
        let container = self.containers.find(name)?;
        let record = container.record();
        if record.state.status.is_up() {
            if !options.force {
                return Err(still_up(name, record.state.status));
            }
            let killed = self.kill_for_removal(&container).await;
            if let Err(error) = killed
                && container.record().state.status.is_up()
            {
                return Err(error);
            }
        }
        let shown = name.to_owned();
        let removed = container.step(move |actor| Box::pin(async move { actor.remove(&shown, options.volumes) })).await;
        match removed {
            // It removed itself meanwhile.
            Err(error) if options.force && error.kind() == model::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    /// Removes the link that `/parent/alias` names.
    async fn remove_link(&self, name: &str) -> Result<()> {
        let bare = name.trim_start_matches('/');
        let Some((parent, alias)) = bare.split_once('/') else {
            self.containers.find(name)?;
            return Err(Error::invalid("Conflict, cannot remove the default link name of the container"));
        };
        let container = self.containers.find(parent)?;
        let alias = alias.to_owned();
        let shown = name.to_owned();
        container
            .step(move |actor| {
                Box::pin(async move {
                    let mut links = actor.record.links.as_ref().clone();
                    let before = links.len();
                    links.retain(|link| link.alias != alias);
                    if links.len() == before {
                        return Err(Error::not_found(format!("No such link: {shown}")));
                    }
                    actor.record.links = Arc::new(links);
                    actor.save()
                })
            })
            .await
    }
}

fn still_up(name: &str, status: Status) -> Error {
    let reason = match status {
        Status::Paused => "container is paused and must be unpaused first",
        Status::Restarting => "container is restarting: stop the container before removing or force remove",
        _ => "container is running: stop the container before removing or force remove",
    };
    Error::conflict(format!("cannot remove container \"{name}\": {reason}"))
}

impl Actor {
    /// Removes the container, which does not run.
    pub(crate) fn remove(&mut self, shown: &str, volumes: bool) -> Result<()> {
        if self.removed {
            return Err(self.container.gone());
        }
        if self.record.state.status.is_up() {
            return Err(still_up(shown, self.record.state.status));
        }
        self.engine.store.write(|tx| tx.remove_container(&self.record.id))?;
        self.removed = true;
        self.unsaved = false;
        self.record.state.status = Status::Removing;
        self.container.publish(self.record.clone());
        self.engine.containers.remove(self.record.id, &self.record.name);
        if volumes {
            self.remove_volumes();
        }
        self.event("destroy", &[]);
        self.container.tell(|life| (life.removed, life.up) = (true, false));
        if self.cleaning.is_none() {
            // No run has ended since this daemon began; one that died in the middle of a start may have left some.
            drop(self.engine.clean_cgroup(&self.record));
        }
        self.drop_files_later();
        Ok(())
    }

    /// Removes the container because it asked for that.
    pub(crate) fn remove_after_exit(&mut self) {
        if let Err(error) = self.remove("", true) {
            tracing::error!(container = %self.record.id, %error, "cannot remove a container after its end");
            let message = error.message().to_owned();
            self.container.tell(|life| life.error = message);
        }
    }

    /// Anonymous volumes that no other container mounts.
    fn remove_volumes(&self) {
        for mounted in self.record.mounts.iter().filter(|mounted| mounted.anonymous) {
            if let Err(error) = self.engine.volumes.remove(&self.engine, &mounted.point.name) {
                tracing::debug!(%error, "an anonymous volume stays");
            }
        }
    }

    fn drop_files_later(&mut self) {
        let engine = Arc::clone(&self.engine);
        let id = self.record.id.hex();
        let image = self.record.image;
        drop(self.engine.clear_away(move || {
            engine.drop_files(&id);
            engine.release_image_layers(image);
        }));
    }
}
