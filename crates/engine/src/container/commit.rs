//! An image of a container.

use std::sync::Arc;

use api::IdResponse;
use image::Commit;

use super::merge::merge;
use super::record::{Record, Status};
use crate::Result;
use crate::engine::Engine;
use crate::images::{new_name, run_config};
use crate::options::CommitOptions;

impl Engine {
    /// See [`Engine::commit`].
    pub(crate) async fn commit_container(self: &Arc<Self>, name: &str, options: CommitOptions) -> Result<IdResponse> {
        let container = self.containers.find(name)?;
        let record = container.record();
        let commit = self.commit_of(&record, options.clone())?;
        let running = options.pause && record.state.status == Status::Running;
        let frozen = running && container.step(|actor| Box::pin(async move { actor.pause_if_running() })).await?;
        let engine = Arc::clone(self);
        let made = self.blocking(move || Ok(engine.images.commit(&commit)?)).await;
        // It may have ended meanwhile.
        if frozen && let Err(error) = container.step(|actor| Box::pin(async move { actor.unpause(true) })).await {
            tracing::debug!(%error, "a container ended while it was committed");
        }
        let (image, happenings) = made?;
        let id = image.id.to_string();
        let shown = options.comment.clone();
        self.container_event(&record, "commit", &[("comment", shown), ("imageID", id.clone())]);
        self.image_events(&happenings);
        Ok(IdResponse { id })
    }

    fn commit_of(&self, record: &Record, options: CommitOptions) -> Result<Commit> {
        let name = match options.repository.as_str() {
            "" => None,
            repository => Some(new_name(repository, &options.tag, options.any_name)?),
        };
        let own = record.config.as_ref();
        let mut config = options.config.unwrap_or_default();
        merge(&mut config, own);
        let parent = self.images.snapshot().get(&record.image).map(|image| image.id);
        Ok(Commit {
            parent,
            snapshot: record.id.hex(),
            container: record.id.hex(),
            container_config: run_config(own),
            config: build::changes::apply(&run_config(&config), &options.changes)?,
            name,
            comment: options.comment,
            author: options.author,
            engine_version: self.config.version.clone(),
            platform: None,
        })
    }
}
