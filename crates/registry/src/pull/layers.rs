//! The layers of one image: fetched side by side, unpacked while they come in.

use std::sync::Arc;

use futures_util::future::try_join_all;
use image::{KeptBlob, NewImage};
use model::{ChainId, DiffId, Digest, ImageId, Reference};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use super::blob::Blob;
use super::blocking;
use super::unpack::{Source, unpack};
use crate::board::Board;
use crate::pipe::pipe;
use crate::session::Session;
use crate::{Error, Registries, Result};

/// A layer to be had.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// What clients see: twelve digits.
    pub(crate) id: String,
    /// Where it is.
    pub(crate) url: String,
    /// Its length as it comes, if known.
    pub(crate) size_bytes: Option<u64>,
    /// What it must be as it comes.
    pub(crate) check: Check,
    /// What it must unpack to, and where it stands; unknown with manifests of schema 1 and the first protocol.
    pub(crate) expected: Option<(DiffId, ChainId)>,
    /// What is kept of it as it comes.
    pub(crate) keep: Option<KeptBlob>,
}

/// How bytes are verified.
#[derive(Debug, Clone, Default)]
pub(crate) struct Check {
    /// Bytes that are hashed before them.
    pub(crate) before: Vec<u8>,
    /// The digest of both; `None`: nobody said it.
    pub(crate) digest: Option<Digest>,
}

impl Check {
    pub(super) fn hash(&self) -> Sha256 {
        Sha256::new_with_prefix(&self.before)
    }
}

impl Plan {
    /// A blob of the second protocol.
    pub(crate) fn blob(session: &Session, path: &str, digest: Digest) -> Self {
        let mut id = digest.hex();
        id.truncate(12);
        let url = session.url(&format!("{path}/blobs/{digest}"));
        let check = Check { before: Vec::new(), digest: Some(digest) };
        Self { id, url, size_bytes: None, check, expected: None, keep: None }
    }
}

/// Makes an image, and those that it was made from, once its layers are known; it is the last.
pub(crate) type MakeImages = Box<dyn FnOnce(&[DiffId]) -> Result<Vec<NewImage>> + Send>;

/// An image to be put together.
pub(crate) struct Assembly {
    /// Its layers, lowest first.
    pub(crate) plans: Vec<Plan>,
    /// What the lowest stands on.
    pub(crate) base: Option<ChainId>,
    pub(crate) images: MakeImages,
}

/// An image that was made from no other.
pub(super) fn alone(config: Vec<u8>, names: Vec<Reference>) -> Vec<NewImage> {
    vec![NewImage { config, names, ..NewImage::default() }]
}

/// Puts images together from one address.
pub(crate) struct Assembler<'a> {
    pub(crate) registries: &'a Registries,
    pub(crate) session: &'a Session,
    /// What reading layers takes.
    pub(crate) scopes: Vec<String>,
    pub(crate) board: &'a Arc<Board>,
}

impl Assembler<'_> {
    /// Fetches what is missing and registers the image. Nothing is left of it if it fails.
    pub(crate) async fn assemble(&self, assembly: Assembly) -> Result<ImageId> {
        let plans = assembly.plans.clone();
        let (senders, receivers): (Vec<_>, Vec<_>) = plans.iter().map(|_| oneshot::channel()).unzip();
        let (ready, leased) = oneshot::channel();
        let (images, board) = (Arc::clone(&self.registries.images), Arc::clone(self.board));
        let at_once = self.registries.terms().settings.unpackings;
        let unpacking = blocking(move || {
            let lease = images.lease();
            // Nobody waits for it if the pull was cancelled meanwhile; the sources will tell.
            let _was_cancelled = ready.send(());
            unpack(&images, &lease, assembly, receivers, &board, at_once)
        });
        let fetching = async {
            // Layers found here stay here only once the lease lives.
            leased.await.map_err(|_| Error::Cancelled)?;
            for plan in &plans {
                self.announce(plan)?;
            }
            try_join_all(plans.iter().zip(senders).map(|(plan, sender)| self.supply(plan, sender))).await
        };
        match tokio::join!(fetching, unpacking) {
            // The unpacking side failed first: the other only noticed that nobody reads.
            (Ok(_) | Err(Error::Cancelled), unpacked) => unpacked,
            (Err(error), _) => Err(error),
        }
    }

    fn announce(&self, plan: &Plan) -> Result<()> {
        if !self.is_here(plan)? {
            self.board.update(&plan.id, "Pulling fs layer");
        }
        Ok(())
    }

    fn is_here(&self, plan: &Plan) -> Result<bool> {
        match &plan.expected {
            Some((_, chain)) => Ok(self.registries.images.has_layer(chain)?),
            None => Ok(false),
        }
    }

    /// Brings one layer to the unpacking side.
    async fn supply(&self, plan: &Plan, sender: oneshot::Sender<Source>) -> Result<()> {
        let id = &plan.id;
        let claim = match &plan.expected {
            Some((_, chain)) => Some(self.registries.claims.claim(*chain).await),
            None => None,
        };
        if self.is_here(plan)? {
            self.board.update(id, "Already exists");
            // Only a side that has failed does not listen.
            return sender.send(Source::Here).map_err(|_| Error::Cancelled);
        }
        let terms = self.registries.terms();
        let _slot = match terms.downloads.try_acquire() {
            Ok(slot) => slot,
            Err(_) => {
                self.board.update(id, "Waiting");
                terms.downloads.acquire().await.map_err(|_| Error::Cancelled)?
            }
        };
        let (writer, reader) = pipe(&self.registries.spool);
        sender.send(Source::Stream(reader, claim)).map_err(|_| Error::Cancelled)?;
        let (session, scopes, board) = (self.session, &self.scopes[..], self.board);
        let blob = Blob { session, plan, scopes, board, is_dispensable: false };
        blob.fetch(writer).await
    }
}
