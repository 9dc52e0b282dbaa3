//! Images into archives.

use std::io::Write;

use crate::{Happening, Images, Result};

/// Which archive is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArchiveForm {
    /// An OCI layout that is at once `docker save`'s of all times: `manifest.json`, `repositories` and a folder a layer.
    #[default]
    Combined,
    /// Only `repositories` and a folder a layer, as engines up to 1.9 wrote it and their clients know it.
    Version1,
}

impl Images {
    /// Writes images into one tar. A repository without a tag stands for all its tags; an id brings no name along.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] before the first byte; otherwise the stream's or the storage's.
    pub fn save(&self, names: &[String], form: ArchiveForm, out: impl Write) -> Result<Vec<Happening>> {
        let _ = (names, form, out);
        Err(crate::Error::NoImage("not supported yet"))
    }
}
