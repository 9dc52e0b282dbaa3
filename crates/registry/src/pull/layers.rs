//! The layers of one image: fetched side by side, unpacked one on top of the other while they come in.

use std::io::{self, Read};
use std::sync::Arc;

use futures_util::future::try_join_all;
use image::{Images, Lease, NewImage};
use model::{ChainId, DiffId, Digest, ImageId, Reference};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use super::blob::Blob;
use super::blocking;
use crate::board::Board;
use crate::claims::Claim;
use crate::pipe::{Reader, pipe};
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
        Self { id, url, size_bytes: None, check: Check { before: Vec::new(), digest: Some(digest) }, expected: None }
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

/// Where a layer comes from.
enum Source {
    /// It is on the disk.
    Here,
    /// It comes in; the claim keeps other pulls from fetching it too.
    Stream(Reader, Option<Claim>),
}

impl Assembler<'_> {
    /// Fetches what is missing and registers the image. Nothing is left of it if it fails.
    pub(crate) async fn assemble(&self, assembly: Assembly) -> Result<ImageId> {
        let plans = assembly.plans.clone();
        let (senders, receivers): (Vec<_>, Vec<_>) = plans.iter().map(|_| oneshot::channel()).unzip();
        let (ready, leased) = oneshot::channel();
        let (images, board) = (Arc::clone(&self.registries.images), Arc::clone(self.board));
        let unpacking = blocking(move || {
            let lease = images.lease();
            // Nobody waits for it if the pull was cancelled meanwhile; the sources will tell.
            let _was_cancelled = ready.send(());
            unpack(&images, &lease, assembly, receivers, &board)
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

/// Unpacks layers in their order and registers the image.
fn unpack(
    images: &Images,
    lease: &Lease<'_>,
    assembly: Assembly,
    sources: Vec<oneshot::Receiver<Source>>,
    board: &Arc<Board>,
) -> Result<ImageId> {
    let mut parent = assembly.base;
    let mut diffs = Vec::with_capacity(sources.len());
    for (plan, source) in assembly.plans.iter().zip(sources) {
        match source.blocking_recv().map_err(|_| Error::Cancelled)? {
            Source::Here => {
                let Some((diff, chain)) = plan.expected else { return Err(Error::Cancelled) };
                diffs.push(diff);
                parent = Some(chain);
            }
            Source::Stream(reader, claim) => {
                let layer = unpack_one(lease, plan, reader, parent.as_ref(), board)?;
                diffs.push(layer.0);
                // What holds nothing is no layer of an image today, but old registries have such.
                if plan.expected.is_some() || !image::is_empty_layer(&layer.0) {
                    parent = Some(layer.1);
                }
                drop(claim);
            }
        }
    }
    let line = (assembly.images)(&diffs)?;
    let image = images.register_line(lease, line)?;
    image.map(|image| image.id).ok_or_else(|| Error::Document { what: "image", reason: "it has no steps".to_owned() })
}

fn unpack_one(
    lease: &Lease<'_>,
    plan: &Plan,
    reader: Reader,
    parent: Option<&ChainId>,
    board: &Arc<Board>,
) -> Result<(DiffId, ChainId)> {
    let mut reader = Counting { reader, board, id: &plan.id, done: 0, total: plan.size_bytes, cut: false };
    let layer = match lease.import(&mut reader, parent) {
        Ok(layer) => layer,
        // The fetching side knows why, and will say so.
        Err(_) if reader.cut => return Err(Error::Cancelled),
        Err(error) => return Err(error.into()),
    };
    // What follows the archive must come too: the digest was taken of all of it.
    if io::copy(&mut reader, &mut io::sink()).is_err() {
        return Err(Error::Cancelled);
    }
    if let Some((expected, _)) = plan.expected.filter(|(expected, _)| *expected != layer.diff_id) {
        return Err(Error::Digest { what: "unpacked layer", expected: expected.0, found: layer.diff_id.0 });
    }
    board.update(&plan.id, "Pull complete");
    Ok((layer.diff_id, layer.chain_id))
}

/// Tells how far unpacking is.
struct Counting<'a> {
    reader: Reader,
    board: &'a Board,
    id: &'a str,
    done: u64,
    total: Option<u64>,
    /// The stream ended with an error.
    cut: bool,
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer).inspect_err(|_| self.cut = true)?;
        self.done += length as u64;
        // As long as it comes in, the numbers of the download say more.
        if self.reader.is_whole() && length > 0 {
            self.board.count(self.id, "Extracting", self.done, self.total);
        }
        Ok(length)
    }
}
