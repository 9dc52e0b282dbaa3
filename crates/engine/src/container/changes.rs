//! What a container wrote beside its image, and its whole file system as an archive.

use std::sync::Arc;

use api::container::Change;
use storage::Directories;

use crate::Result;
use crate::engine::Engine;
use crate::stream::{ByteStream, produce};

impl Engine {
    /// See [`Engine::changes`].
    pub(crate) async fn container_changes(self: &Arc<Self>, name: &str, own: bool) -> Result<Vec<Change>> {
        let record = self.containers.find(name)?.record();
        let engine = Arc::clone(self);
        self.blocking(move || {
            let directories = if own { Directories::Themselves } else { Directories::WithContents };
            let changes = engine.storage.changes(&record.id.hex(), directories)?;
            let shown =
                |change: storage::Change| Change { path: change.path.display().to_string(), kind: change.kind as u8 };
            Ok(changes.into_iter().map(shown).collect())
        })
        .await
    }

    /// See [`Engine::export`].
    pub(crate) async fn export_container(self: &Arc<Self>, name: &str) -> Result<ByteStream> {
        let record = self.containers.find(name)?.record();
        let engine = Arc::clone(self);
        let opened = Arc::clone(&record);
        let root = self.blocking(move || engine.bare_view(&opened)).await?;
        self.container_event(&record, "export", &[]);
        Ok(produce(move |out| {
            storage::archive::export(&root, out)?;
            Ok(())
        }))
    }
}
