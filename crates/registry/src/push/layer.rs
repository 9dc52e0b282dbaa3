//! One layer of a push: what the registry has is not sent, what it has elsewhere is mounted, what was kept as it was pulled is
//! sent so, what is known to be at another is carried over as it is there, and the rest is compressed on its way.

use std::sync::Arc;

use http::Method;
use image::StoredBlob;
use model::{ChainId, DiffId, Reference};

use super::gzip::COMPRESSOR;
use super::upload::{Contents, Upload};
use super::{Run, short};
use crate::auth::scope;
use crate::http::Call;
use crate::manifest::{DOCKER_LAYER, Descriptor};
use crate::pull::blocking;
use crate::session::succeeded;
use crate::{Error, Result};

/// Whether compressing the layer makes the same again.
fn is_ours(known: &StoredBlob) -> bool {
    known.compressor.as_deref() == Some(COMPRESSOR)
}

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
                return self.noted(StoredBlob { size_bytes, ..known.clone() }).await;
            }
            if known.repository == self.repository {
                self.forget(known).await?;
            }
        }
        let elsewhere: Vec<_> = candidates.into_iter().filter(|known| known.repository != self.repository).collect();
        for known in elsewhere.iter().filter(|known| known.repository.domain() == self.repository.domain()) {
            if self.mount(known).await? {
                self.board.update(&id, format!("Mounted from {}", known.repository.path()));
                return self.noted(known.clone()).await;
            }
            if is_ours(known) {
                self.forget(known).await?;
            }
        }
        if let Some(found) = self.kept(&id, diff, chain).await? {
            return Ok(found);
        }
        let mut lost = None;
        for known in elsewhere.iter().filter(|known| !is_ours(known)) {
            match self.carried(&id, known).await? {
                Some(found) => return Ok(found),
                None => lost = Some(known.digest),
            }
        }
        if let Some(lost) = lost {
            self.board.say("", format!("{id}: compressed anew, so that it is not {lost} any more"));
        }
        let images = Arc::clone(&self.registries.images);
        let length = blocking(move || Ok(images.layer_length(&chain)?)).await?;
        let upload = Upload { run: self, id: &id, contents: Contents::Compressed(chain), length };
        let (digest, size_bytes) = upload.run().await?;
        self.board.update(&id, "Pushed");
        let (repository, compressor) = (self.repository.clone(), Some(COMPRESSOR.to_owned()));
        self.noted(StoredBlob { diff, repository, digest, size_bytes, media_type: DOCKER_LAYER.to_owned(), compressor })
            .await
    }

    /// Carries a layer over as it is known elsewhere. If that fails there, it is said so, and it is to be compressed anew.
    async fn carried(&self, id: &str, known: &StoredBlob) -> Result<Option<Descriptor>> {
        match self.carry(id, known).await {
            Ok(found) => {
                self.board.update(id, "Pushed");
                self.noted(StoredBlob { size_bytes: found.size_bytes, ..known.clone() }).await.map(Some)
            }
            Err(Error::Origin { repository, source }) => {
                self.board.say("", format!("{id}: cannot be had from {repository}: {source}"));
                if matches!(&*source, Error::Refused(complaint) if complaint.status == 404) {
                    self.forget(known).await?;
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
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
                    self.give_up(&begun).await;
                }
                Ok(false)
            }
            status if status.is_server_error() => succeeded(answer).await.map(|_| false),
            _ => Ok(false),
        }
    }

    /// Keeps in mind that the repository has a blob too; how it calls it.
    pub(super) async fn noted(&self, known: StoredBlob) -> Result<Descriptor> {
        let images = Arc::clone(&self.registries.images);
        let blob = StoredBlob { repository: self.repository.clone(), ..known };
        let found =
            Descriptor { media_type: blob.media_type.clone(), size_bytes: blob.size_bytes, digest: blob.digest };
        blocking(move || Ok(images.note_blobs(&[blob])?)).await?;
        Ok(found)
    }

    async fn forget(&self, known: &StoredBlob) -> Result<()> {
        let (images, known) = (Arc::clone(&self.registries.images), known.clone());
        blocking(move || Ok(images.forget_blob(&known.repository, &known.digest)?)).await
    }
}
