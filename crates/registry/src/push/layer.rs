//! One layer of a push: what the registry has is not sent, what it has elsewhere is mounted, the rest is compressed on its
//! way.

use std::sync::Arc;

use http::Method;
use image::StoredBlob;
use model::{ChainId, DiffId, Reference};

use super::upload::Upload;
use super::{Run, short};
use crate::Result;
use crate::auth::scope;
use crate::http::Call;
use crate::manifest::{DOCKER_LAYER, Descriptor};
use crate::pull::blocking;
use crate::session::succeeded;

/// How many forms of a layer, or places to mount it from, are tried.
const CANDIDATES: usize = 4;

impl Run<'_> {
    /// Sees to it that the registry has a layer; how it calls it.
    pub(super) async fn layer(&self, diff: DiffId, chain: ChainId) -> Result<Descriptor> {
        let id = short(&diff);
        let candidates = self.candidates(diff).await?;
        for known in &candidates {
            if let Some(size_bytes) = self.existing(&known.digest).await? {
                self.board.update(&id, "Layer already exists");
                let found = Descriptor { media_type: known.media_type.clone(), size_bytes, digest: known.digest };
                return self.noted(diff, found).await;
            }
            if known.repository == self.repository {
                self.forget(known.clone()).await?;
            }
        }
        let elsewhere = |known: &&StoredBlob| {
            known.repository.domain() == self.repository.domain() && known.repository != self.repository
        };
        for known in candidates.iter().filter(elsewhere) {
            if self.mount(known).await? {
                self.board.update(&id, format!("Mounted from {}", known.repository.path()));
                let (media_type, size_bytes) = (known.media_type.clone(), known.size_bytes);
                return self.noted(diff, Descriptor { media_type, size_bytes, digest: known.digest }).await;
            }
            self.forget(known.clone()).await?;
        }
        let images = Arc::clone(&self.registries.images);
        let length = blocking(move || Ok(images.layer_length(&chain)?)).await?;
        let upload = Upload { run: self, id: &id, chain, length };
        let (digest, size_bytes) = upload.run().await?;
        self.board.update(&id, "Pushed");
        self.noted(diff, Descriptor { media_type: DOCKER_LAYER.to_owned(), size_bytes, digest }).await
    }

    /// Forms in which some registry has the layer; this repository's first, then this registry's.
    async fn candidates(&self, diff: DiffId) -> Result<Vec<StoredBlob>> {
        let images = Arc::clone(&self.registries.images);
        let mut known = blocking(move || Ok(images.blobs(&diff)?)).await?;
        let distance = |place: &Reference| {
            if *place == self.repository { 0 } else { 1 + u8::from(place.domain() != self.repository.domain()) }
        };
        known.sort_by_key(|blob| distance(&blob.repository));
        known.truncate(CANDIDATES);
        Ok(known)
    }

    /// Mounts a blob from another repository of the registry. One that cannot be read there is not mounted.
    async fn mount(&self, known: &StoredBlob) -> Result<bool> {
        let from = known.repository.path();
        let path = self.repository.path();
        let url = self.session.url(&format!("{path}/blobs/uploads/?mount={}&from={from}", known.digest));
        let scopes = [scope(path, true), scope(from, false)];
        let answer = self.session.send(Call::new(Method::POST, url.clone()), &scopes).await?;
        match answer.status {
            http::StatusCode::CREATED => Ok(true),
            http::StatusCode::ACCEPTED => {
                // The registry began an upload instead, which nobody needs.
                if let Some(begun) = crate::http::resolve(&url, answer.header(http::header::LOCATION)) {
                    let ended = self.session.send(Call::new(Method::DELETE, begun), &self.scopes()).await;
                    if let Err(error) = ended {
                        tracing::debug!(%error, "an upload that nobody needs cannot be ended");
                    }
                }
                Ok(false)
            }
            status if status.is_server_error() => succeeded(answer).await.map(|_| false),
            _ => Ok(false),
        }
    }

    /// Keeps in mind that the repository has the layer.
    async fn noted(&self, diff: DiffId, found: Descriptor) -> Result<Descriptor> {
        let images = Arc::clone(&self.registries.images);
        let blob = StoredBlob {
            diff,
            repository: self.repository.clone(),
            digest: found.digest,
            size_bytes: found.size_bytes,
            media_type: found.media_type.clone(),
        };
        blocking(move || Ok(images.note_blobs(&[blob])?)).await?;
        Ok(found)
    }

    async fn forget(&self, known: StoredBlob) -> Result<()> {
        let images = Arc::clone(&self.registries.images);
        blocking(move || Ok(images.forget_blob(&known.repository, &known.digest)?)).await
    }
}
