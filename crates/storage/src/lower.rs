//! The layers beneath one that is being made. They may be made at the same time: what needs them waits.

use std::sync::OnceLock;

use model::ChainId;
use sys::root::Root;

use crate::{Error, Result, Storage};

/// Waits until a layer is there; false: it will never be.
pub(crate) type Awaited<'a> = &'a (dyn Fn() -> bool + Sync);

/// A layer with all beneath it, mounted when somebody first looks at it.
pub(crate) struct Lower<'a> {
    storage: &'a Storage,
    top: ChainId,
    awaited: Awaited<'a>,
    mounted: OnceLock<Root>,
}

impl<'a> Lower<'a> {
    pub(crate) fn new(storage: &'a Storage, top: ChainId, awaited: Awaited<'a>) -> Self {
        Lower { storage, top, awaited, mounted: OnceLock::new() }
    }

    /// Waits for the layer; all that it shows, merged.
    pub(crate) fn root(&self) -> Result<&Root> {
        if let Some(root) = self.mounted.get() {
            return Ok(root);
        }
        if !(self.awaited)() {
            return Err(Error::NoLayer(self.top));
        }
        let root = Root::from(self.storage.mount_layers(Some(&self.top))?);
        Ok(self.mounted.get_or_init(|| root))
    }
}
