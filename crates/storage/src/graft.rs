//! One layer's contents on several parents.

use std::path::Path;

use model::ChainId;
use sys::root::Root;

use crate::layer::{Kept, folder};
use crate::{Layer, Result, Storage, chain_id, copy};

impl Storage {
    /// Makes a layer with the contents of another on top of `parent`: same tar, same diff id. No file is copied; what both
    /// layers have in common is on the disk once, and goes with the last of them. A layer that exists already is given back.
    ///
    /// The contents must not depend on what they were put on: a tar that names all folders it puts something in, and takes
    /// nothing away.
    ///
    /// # Errors
    /// One of the two does not exist, or the file system's.
    pub fn graft(&self, contents: &ChainId, parent: Option<&ChainId>) -> Result<Layer> {
        let Kept { layer, shadows, sum, .. } = self.kept(contents)?;
        let layer = Layer { chain_id: chain_id(parent, &layer.diff_id), parent: parent.copied(), ..layer };
        if let Some(parent) = parent {
            self.layer(parent)?;
        }
        if let Ok(existing) = self.layer(&layer.chain_id) {
            return Ok(existing);
        }
        let scratch = self.scratch()?;
        let source = self.root.open_dir(folder(contents))?;
        for (name, mode) in [("diff", 0o755), ("aside", 0o700)] {
            scratch.root.mkdir(name, mode)?;
            if source.lookup(name)?.is_some() {
                copy::linked_tree(&source.open_dir(name)?, &scratch.root.open_dir(name)?)?;
            }
        }
        if parent.is_some() {
            let lower = Root::from(self.mount_layers(parent)?);
            copy::directory_like(&lower, &scratch.root.open_dir("diff")?)?;
        }
        source.hard_link_into(Path::new("split.zst"), &scratch.root, Path::new("split.zst"))?;
        self.keep_layer(&scratch, Kept { layer, shadows, sum, blob: None })
    }
}
