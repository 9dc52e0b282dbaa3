//! Leases: what keeps a layer alive between its making and the registration of the image it is for.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::ChainId;
use storage::{KeptBlob, Layer};

use crate::{Images, Result};

/// In the folder for what is not an image yet: there while a lease lives, so that a check of the store made from outside can
/// tell layers that are being made from layers that belong to nobody.
pub const LEASED: &str = "leased";

/// Operations that may be making layers, and the layers nobody has claimed.
#[derive(Debug)]
pub(crate) struct Leases {
    sign: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    alive: usize,
    abandoned: BTreeSet<ChainId>,
}

impl Leases {
    /// No lease yet; `folder` is where [`LEASED`] appears.
    pub(crate) fn new(folder: &std::path::Path) -> Self {
        Self { sign: folder.join(LEASED), state: Mutex::default() }
    }

    fn begin(&self) {
        let mut state = self.state();
        state.alive += 1;
        if state.alive == 1 {
            // Without the sign a check that runs just now looks again, and says more than it should at worst.
            drop(std::fs::File::create(&self.sign));
        }
    }

    fn end(&self, made: Vec<ChainId>) {
        let mut state = self.state();
        state.abandoned.extend(made);
        state.alive -= 1;
    }

    /// Takes the sign away, once what was abandoned is gone.
    fn settled(&self) {
        let state = self.state();
        if state.alive == 0 {
            // The next start empties the folder.
            drop(std::fs::remove_file(&self.sign));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A counter and a list are whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes layers that no image has any more, or never had.
    pub(crate) fn abandon(&self, chains: impl IntoIterator<Item = ChainId>) {
        self.state().abandoned.extend(chains);
    }

    /// The abandoned layers, if no lease lives: a living one may be about to use such a layer.
    pub(crate) fn collect(&self) -> BTreeSet<ChainId> {
        let mut state = self.state();
        if state.alive > 0 { BTreeSet::new() } else { std::mem::take(&mut state.abandoned) }
    }
}

/// The right to make layers for images. While one lives no unclaimed layer is removed; when the last is dropped, layers
/// that were not registered with an image are.
#[derive(Debug)]
pub struct Lease<'a> {
    images: &'a Images,
    made: Mutex<Vec<ChainId>>,
}

impl Images {
    /// Begins an operation that makes layers. Waits while abandoned layers are being removed: one that was just found to be
    /// there must not go.
    pub fn lease(&self) -> Lease<'_> {
        let _changing = self.changing();
        self.leases.begin();
        Lease { images: self, made: Mutex::default() }
    }
}

impl Lease<'_> {
    /// Makes a layer on top of `parent` from a tar stream in any compression.
    ///
    /// # Errors
    /// Those of [`storage::Storage::import`].
    pub fn import(&self, tar: impl Read, parent: Option<&ChainId>) -> Result<Layer> {
        Ok(self.made(self.images.storage.import(tar, parent)?))
    }

    /// As [`Lease::import`], on a parent that may be made at the same time; `awaited` waits for it, and says false if it will
    /// never be there. `blob`: what comes is this, and is kept as it is too.
    ///
    /// # Errors
    /// Those of [`storage::Storage::import_above`].
    pub fn import_above(
        &self,
        tar: impl Read,
        parent: Option<&ChainId>,
        awaited: &(dyn Fn() -> bool + Sync),
        blob: Option<&KeptBlob>,
    ) -> Result<Layer> {
        Ok(self.made(self.images.storage.import_above(tar, parent, awaited, blob)?))
    }

    /// Keeps a layer until the lease ends.
    fn made(&self, layer: Layer) -> Layer {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(layer.chain_id);
        layer
    }

    /// Makes a layer with the contents of another on top of `parent`, as [`storage::Storage::graft`] does.
    ///
    /// # Errors
    /// Those of [`storage::Storage::graft`].
    pub fn graft(&self, contents: &ChainId, parent: Option<&ChainId>) -> Result<Layer> {
        Ok(self.made(self.images.storage.graft(contents, parent)?))
    }

    pub(crate) fn is_of(&self, images: &Images) -> bool {
        std::ptr::eq(self.images, images)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let made = std::mem::take(self.made.get_mut().unwrap_or_else(PoisonError::into_inner));
        self.images.leases.end(made);
        // What cannot be removed now stays on the disk, harmless, until the sweep of the next start.
        let _swept_later = self.images.drop_abandoned();
        self.images.leases.settled();
    }
}
