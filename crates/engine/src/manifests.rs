//! Manifests as the API shows them. An image is for one platform here, so it has one: that it was pulled by, or that a
//! save of it writes.

use api::image::{ImageManifest, ManifestImage, ManifestSize, UnpackedSize};
use api::{Descriptor, Platform};

use crate::Result;
use crate::engine::Engine;
use crate::images::signed;

impl Engine {
    pub(crate) fn manifests_of(&self, name: &str) -> Result<Vec<ImageManifest>> {
        let image = self.images.resolve(name)?;
        let manifest = self.images.described(&image)?;
        let bytes = manifest.document.as_bytes();
        let (digest, unpacked) = (image::digest(bytes).to_string(), signed(image.size_bytes));
        // Layers are kept as files alone.
        let content = signed((bytes.len() + image.bytes.len()) as u64);
        let platform = Platform {
            architecture: image.config.architecture.clone(),
            os: image.config.os.clone(),
            variant: Some(image.config.variant.clone()).filter(|variant| !variant.is_empty()),
        };
        let users = self.containers.all().into_iter().map(|container| container.record());
        let containers = users.filter(|record| record.image == image.id).map(|record| record.id.to_string()).collect();
        Ok(vec![ImageManifest {
            id: digest.clone(),
            descriptor: Descriptor {
                media_type: manifest.media_type,
                digest,
                size: signed(bytes.len() as u64),
                platform: Some(platform.clone()),
                ..Descriptor::default()
            },
            available: true,
            size: ManifestSize { content, total: content.saturating_add(unpacked) },
            kind: "image".to_owned(),
            image_data: Some(ManifestImage { platform, containers, size: UnpackedSize { unpacked } }),
        }])
    }
}
