//! Images out of archives.
//!
//! Members may come in any order, so the archive is first written to one nameless temporary file; what it holds is then
//! found by name in a table. No path of the archive ever reaches the file system.

mod docker;
mod oci;
mod spool;
mod v1;

use std::io::Read;

use model::{ChainId, DiffId, Digest, ImageId, Reference};

use crate::image::digest;
use crate::images::Registered;
use crate::{Action, Config, Error, Happening, Images, Lease, NewImage, Result, chain_ids};
use spool::Spool;

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

/// Where a layer lies in the archive.
struct LayerMember {
    path: String,
    /// Digest of the member itself, if a manifest says it.
    digest: Option<Digest>,
}

/// A load in progress.
struct Load<'a> {
    images: &'a Images,
    lease: Lease<'a>,
    spool: Spool,
    progress: &'a mut dyn FnMut(Progress),
    /// To be registered together at the end, parents before children.
    found: Vec<Found>,
}

/// An image whose layers are here.
struct Found {
    new: NewImage,
    /// Whether the archive names it as an image of its own, not only as another's parent.
    asked: bool,
}

impl Images {
    /// Loads all images of an archive in any compression: as `docker save` of any version writes it, or an OCI layout.
    ///
    /// # Errors
    /// The archive is damaged, hostile or holds no image; nothing is left behind then.
    pub fn load(&self, archive: impl Read, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Happening>> {
        let spool = Spool::fill(archive, self.temporary())?;
        let mut load = Load { images: self, lease: self.lease(), spool, progress, found: Vec::new() };
        if load.spool.contains(docker::MANIFEST) {
            load.docker()?;
        } else if load.spool.contains(oci::INDEX) {
            load.oci()?;
        } else {
            load.v1()?;
        }
        load.register()
    }
}

impl Load<'_> {
    /// Makes the layers of an image that are not here yet and notes the image.
    fn image(&mut self, config: Vec<u8>, layers: &[LayerMember], names: Vec<Reference>) -> Result<ImageId> {
        let id = ImageId(digest(&config));
        let parsed: Config = parse(&format!("config {}", id.short()), &config)?;
        if !parsed.os.is_empty() && parsed.os != "linux" {
            return Err(Error::OperatingSystem(parsed.os));
        }
        let expected = parsed.rootfs.diff_ids.len();
        if expected != layers.len() {
            let found = layers.len();
            return Err(Error::Config(format!("layers length mismatch: expected {expected}, got {found}")));
        }
        let chains = chain_ids(&parsed.rootfs.diff_ids);
        for (at, (member, diff)) in layers.iter().zip(&parsed.rootfs.diff_ids).enumerate() {
            let parent = at.checked_sub(1).and_then(|below| chains.get(below));
            self.layer(member, *diff, chains[at], parent)?;
        }
        self.found.push(Found { new: NewImage { config, names, ..NewImage::default() }, asked: true });
        Ok(id)
    }

    /// Makes one layer, unless it is here already, and verifies it.
    fn layer(&mut self, member: &LayerMember, diff: DiffId, chain: ChainId, parent: Option<&ChainId>) -> Result<()> {
        if self.images.existing(&chain)?.is_some() {
            return Ok(());
        }
        let mut short_id = diff.hex();
        short_id.truncate(12);
        (self.progress)(Progress::Layer { short_id, size_bytes: self.spool.size(&member.path)? });
        // The digest of an uncompressed member is the diff id, which is verified anyway.
        let mut contents = self.spool.verified(&member.path, member.digest.filter(|digest| *digest != diff.0))?;
        let layer = self.lease.import(&mut contents, parent)?;
        contents.verify()?;
        if layer.diff_id != diff {
            return Err(Error::Digest { what: member.path.clone(), expected: diff.0, found: layer.diff_id.0 });
        }
        Ok(())
    }

    /// Registers all that was found in one transaction.
    fn register(self) -> Result<Vec<Happening>> {
        let Self { images, lease, progress, found, spool } = self;
        // Freed before the layers are synced: what is not written yet need not be.
        drop(spool);
        let (new, asked): (Vec<NewImage>, Vec<bool>) = found.into_iter().map(|one| (one.new, one.asked)).unzip();
        if new.is_empty() {
            return Err(Error::NoImage("it holds no image"));
        }
        let names: Vec<Vec<Reference>> = new.iter().map(|one| one.names.clone()).collect();
        let registered = images.register_all(&lease, new)?;
        drop(lease);
        let mut happenings = Vec::new();
        for ((Registered { image, moved }, names), asked) in registered.iter().zip(names).zip(asked) {
            for (name, before) in moved {
                progress(Progress::Renamed { name: name.familiar(), before: *before });
            }
            if !asked {
                continue;
            }
            if names.is_empty() {
                progress(Progress::LoadedId(image.id));
            }
            happenings.push(Happening::new(Action::Load, image));
            for name in names {
                happenings.push(Happening::named(Action::Tag, image, name.familiar()));
                progress(Progress::Loaded { name, image: image.id });
            }
        }
        Ok(happenings)
    }
}

/// Parses a JSON document of the archive.
fn parse<T: serde::de::DeserializeOwned>(member: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| Error::Document { member: member.to_owned(), source })
}
