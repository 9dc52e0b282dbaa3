//! Whether the blobs of a pull are kept as they come, beside the layers' files.
//!
//! Only what a manifest of today names is: from a manifest of schema 1, and from a registry of the first protocol, an image is put
//! together that has another manifest anyway when it is pushed. A layer that is here already stays as it is.

use std::time::Duration;

use http::{HeaderMap, Method};
use image::KeptBlob;

use super::Run;
use crate::Result;
use crate::auth::scope;
use crate::manifest::Descriptor;
use crate::session::Protocol;
use crate::settings::KeepBlobs;

/// How long a registry has to give something to strangers. It answers its client meanwhile.
const SURE: Duration = Duration::from_secs(10);

impl Run<'_> {
    /// The decision, for the image with this config.
    pub(super) async fn keeps_blobs(&self, config: &Descriptor) -> bool {
        match self.registries.terms().settings.keep_blobs {
            KeepBlobs::All => true,
            KeepBlobs::None => false,
            KeepBlobs::Private => self.session.has_shown_credentials() && !self.is_surely_for_everybody(config).await,
        }
    }

    async fn is_surely_for_everybody(&self, blob: &Descriptor) -> bool {
        // A registry that is silent or refuses gives it to nobody else.
        matches!(tokio::time::timeout(SURE, self.is_for_everybody(blob)).await, Ok(Ok(true)))
    }

    /// Whether the registry gives a blob also to those who show nothing. Clients that are logged in show what they have
    /// wherever they pull.
    async fn is_for_everybody(&self, blob: &Descriptor) -> Result<bool> {
        let session = self.registries.strangers(self.pull.reference.domain()).await.next().await?;
        if session.protocol != Protocol::V2 {
            return Ok(false);
        }
        let url = session.url(&format!("{}/blobs/{}", self.path, blob.digest));
        let answer = session.get(Method::HEAD, &url, &[scope(self.path, false)], &HeaderMap::new()).await?;
        Ok(answer.status.is_success())
    }
}

impl Descriptor {
    /// This as a blob that is kept.
    pub(super) fn kept(&self) -> KeptBlob {
        KeptBlob { digest: self.digest, media_type: self.media_type.clone(), size_bytes: self.size_bytes }
    }
}
