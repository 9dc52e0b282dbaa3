//! A layer in the form in which it was pulled, where that was kept.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use image::{KeptBlob, StoredBlob};
use model::{ChainId, DiffId, Digest};
use sha2::{Digest as _, Sha256};

use super::Run;
use super::upload::{Contents, Counting, Tail, Upload};
use crate::http::Feed;
use crate::manifest::Descriptor;
use crate::pull::blocking;
use crate::{Error, Result};

const BUFFER_BYTES: usize = 256 << 10;

/// A blob that was kept, and its file. Each try reads it from the beginning.
pub(super) struct Original {
    blob: KeptBlob,
    file: Arc<File>,
}

impl Run<'_> {
    /// Uploads the blob that was kept of a layer, if one was. A damaged one is said to be so and dropped.
    pub(super) async fn kept(&self, id: &str, diff: DiffId, chain: ChainId) -> Result<Option<Descriptor>> {
        let images = Arc::clone(&self.registries.images);
        let Some((blob, file)) = blocking(move || Ok(images.kept_blob(&chain)?)).await? else { return Ok(None) };
        let (digest, length, media_type) = (blob.digest, blob.size_bytes, blob.media_type.clone());
        let known = StoredBlob {
            diff,
            repository: self.repository.clone(),
            digest,
            size_bytes: length,
            media_type,
            compressor: None,
        };
        // Who has this digest may have been forgotten.
        if self.existing(&digest).await?.is_some() {
            self.board.update(id, "Layer already exists");
            return self.noted(known).await.map(Some);
        }
        let original = Original { blob, file: Arc::new(file) };
        match (Upload { run: self, id, contents: Contents::Kept(&original), length }).run().await {
            Ok(_) => {
                self.board.update(id, "Pushed");
                self.noted(known).await.map(Some)
            }
            Err(error @ Error::Kept(_)) => {
                tracing::warn!(%error, layer = %chain, "a blob is dropped");
                self.board.say("", format!("{id}: {error}"));
                let images = Arc::clone(&self.registries.images);
                blocking(move || Ok(images.drop_blob(&chain)?)).await.map(|()| None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Original {
    /// Writes the blob, from byte `skip` on; its digest and length. It is whole only if its digest is what it was.
    ///
    /// # Errors
    /// [`Error::Kept`] if it is not what it was, or cannot be read; others if it cannot be written.
    pub(super) async fn write(
        &self,
        feed: Feed,
        skip: u64,
        tell: impl FnMut(u64) + Send + 'static,
    ) -> Result<(Digest, u64)> {
        let (file, expected) = (Arc::clone(&self.file), self.blob.digest);
        let mut out = Counting { out: Tail::new(feed, Sha256::new()).after(skip), done: 0, tell };
        blocking(move || {
            pass(&file, &mut out)?;
            let found = out.out.digest();
            if found != expected {
                let reason = format!("its digest is {found}, and was {expected}");
                return Err(Error::Kept(io::Error::new(io::ErrorKind::InvalidData, reason)));
            }
            out.out.finish().map_err(gone)
        })
        .await
    }
}

fn gone(source: io::Error) -> Error {
    Error::File { path: "the upload".into(), source }
}

fn pass(file: &File, out: &mut impl Write) -> Result<()> {
    let (mut buffer, mut at) = (vec![0; BUFFER_BYTES], 0);
    loop {
        match file.read_at(&mut buffer, at) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                out.write_all(&buffer[..length]).map_err(gone)?;
                at += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Kept(error)),
        }
    }
}
