//! Images out of archives.

use std::io::Read;

use model::{ImageId, Reference};

use crate::{Happening, Images, Result};

/// What a load reports while it runs, in the order in which it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A layer is being unpacked: `Loading layer`.
    Layer {
        /// First 12 digits of its digest.
        short_id: String,
        /// Bytes of its file in the archive.
        size_bytes: u64,
    },
    /// A name was taken from another image.
    Renamed {
        /// The familiar name.
        name: String,
        /// The image that had it.
        before: ImageId,
    },
    /// An image is here under a name: `Loaded image: name:tag`.
    Loaded {
        /// The name.
        name: Reference,
        /// The image.
        image: ImageId,
    },
    /// An image is here without a name: `Loaded image ID: sha256:…`.
    LoadedId(ImageId),
}

impl Images {
    /// Loads all images of an archive in any compression: as `docker save` of any version writes it, or an OCI layout.
    ///
    /// # Errors
    /// The archive is damaged, hostile or holds no image; nothing is left behind then.
    pub fn load(&self, archive: impl Read, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Happening>> {
        let _ = (archive, progress);
        Err(crate::Error::NoImage("not supported yet"))
    }
}
