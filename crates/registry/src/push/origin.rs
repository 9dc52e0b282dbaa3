//! A layer as another repository has it, carried from there into an upload: its digest stays what it was, which compressing
//! it here could not promise, for no two compressors write the same.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use image::StoredBlob;
use model::Digest;
use sha2::{Digest as _, Sha256};

use super::Run;
use super::upload::{Contents, Counting, Tail, Upload};
use crate::auth::scope;
use crate::board::Board;
use crate::http::Feed;
use crate::manifest::Descriptor;
use crate::pipe::{Reader, pipe};
use crate::pull::{Blob, Plan, blocking};
use crate::session::{Protocol, Session};
use crate::{Error, Result};

/// Where a blob comes from.
pub(super) struct Origin<'a> {
    known: &'a StoredBlob,
    session: &'a Session,
    plan: Plan,
    scopes: Vec<String>,
    spool: &'a Path,
}

impl Run<'_> {
    /// Carries a blob from where it is known to be to the repository.
    ///
    /// # Errors
    /// [`Error::Origin`] if it cannot be had there, or not soon enough to be worth the wait.
    pub(super) async fn carry(&self, id: &str, known: &StoredBlob) -> Result<Descriptor> {
        let domain = known.repository.domain();
        let elsewhere = if domain == self.repository.domain() {
            None
        } else {
            // What the client showed is for the registry it pushes to, and for no other.
            let session = self.registries.strangers(domain).await.next().await;
            Some(session.and_then(second_protocol).map_err(|error| failed(known, error))?)
        };
        let session = elsewhere.as_ref().unwrap_or(self.session);
        let path = known.repository.path();
        let origin = Origin {
            known,
            session,
            plan: Plan { size_bytes: Some(known.size_bytes), ..Plan::blob(session, path, known.digest) },
            scopes: vec![scope(path, false)],
            spool: &self.registries.spool,
        };
        self.board.update(id, format!("Fetching from {}", known.repository.familiar_name()));
        let upload = Upload { run: self, id, contents: Contents::Carried(&origin), length: known.size_bytes };
        let (digest, size_bytes) = upload.run().await?;
        Ok(Descriptor { media_type: known.media_type.clone(), size_bytes, digest })
    }
}

fn second_protocol(session: Session) -> Result<Session> {
    match session.protocol {
        Protocol::V2 => Ok(session),
        Protocol::V1 { .. } => Err(Error::Unsupported("it speaks the first protocol only".to_owned())),
    }
}

fn failed(known: &StoredBlob, error: Error) -> Error {
    Error::Origin { repository: known.repository.familiar_name(), source: Box::new(error) }
}

impl Origin<'_> {
    /// Writes the blob, from byte `skip` on; its digest and length. It is whole only if its digest is the one that is known.
    ///
    /// # Errors
    /// [`Error::Origin`] if it cannot be had; others if it cannot be written.
    pub(super) async fn write(
        &self,
        feed: Feed,
        skip: u64,
        tell: impl FnMut(u64) + Send + 'static,
    ) -> Result<(Digest, u64)> {
        let (writer, reader) = pipe(self.spool);
        // Clients see how the upload goes, and nothing of this.
        let board = Arc::<Board>::default();
        let blob =
            Blob { session: self.session, plan: &self.plan, scopes: &self.scopes, board: &board, is_dispensable: true };
        let passing = blocking(move || pass(reader, feed, skip, tell));
        match tokio::join!(blob.fetch(writer), passing) {
            (Ok(()) | Err(Error::Cancelled), passed) => passed,
            (Err(error), _) => Err(failed(self.known, error)),
        }
    }
}

fn pass(mut reader: Reader, feed: Feed, skip: u64, tell: impl FnMut(u64)) -> Result<(Digest, u64)> {
    let gone = |source| Error::File { path: "the upload".into(), source };
    let mut out = Counting { out: Tail::new(feed, Sha256::new()).after(skip), done: 0, tell };
    io::copy(&mut reader, &mut out).and_then(|_| out.flush()).map_err(gone)?;
    out.out.finish().map_err(gone)
}
