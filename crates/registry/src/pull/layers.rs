//! The layers of one image: fetched side by side, unpacked one on top of the other while they come in.

use std::io::{self, Read};
use std::sync::Arc;

use futures_util::future::try_join_all;
use image::{Images, Lease, NewImage};
use model::{ChainId, DiffId, Digest, ImageId, Reference};
use tokio::sync::oneshot;

use super::blob::Blob;
use super::{Run, blocking};
use crate::board::Board;
use crate::claims::Claim;
use crate::pipe::{Reader, pipe};
use crate::{Error, Result};

/// A layer to be had.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Digest of the blob.
    pub(super) digest: Digest,
    /// Its length, if known.
    pub(super) size_bytes: Option<u64>,
    /// What it must unpack to, and where it stands; unknown with manifests of schema 1.
    pub(super) expected: Option<(DiffId, ChainId)>,
}

impl Plan {
    /// What clients see.
    fn id(&self) -> String {
        let mut hex = self.digest.hex();
        hex.truncate(12);
        hex
    }
}

/// Makes the config of an image once its layers are known.
pub(super) type MakeConfig = Box<dyn FnOnce(&[DiffId]) -> Result<Vec<u8>> + Send>;

/// An image to be put together.
pub(super) struct Assembly {
    /// Its layers, lowest first.
    pub(super) plans: Vec<Plan>,
    pub(super) names: Vec<Reference>,
    pub(super) config: MakeConfig,
}

/// Where a layer comes from.
enum Source {
    /// It is on the disk.
    Here,
    /// It comes in; the claim keeps other pulls from fetching it too.
    Stream(Reader, Option<Claim>),
}

impl Run<'_> {
    /// Fetches what is missing and registers the image. Nothing is left of it if it fails.
    pub(super) async fn assemble(&self, assembly: Assembly) -> Result<ImageId> {
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
            self.board.update(&plan.id(), "Pulling fs layer");
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
        let id = plan.id();
        let claim = match &plan.expected {
            Some((_, chain)) => Some(self.registries.claims.claim(*chain).await),
            None => None,
        };
        if self.is_here(plan)? {
            self.board.update(&id, "Already exists");
            // Only a side that has failed does not listen.
            return sender.send(Source::Here).map_err(|_| Error::Cancelled);
        }
        let terms = self.registries.terms();
        let _slot = match terms.downloads.try_acquire() {
            Ok(slot) => slot,
            Err(_) => {
                self.board.update(&id, "Waiting");
                terms.downloads.acquire().await.map_err(|_| Error::Cancelled)?
            }
        };
        let (writer, reader) = pipe(&self.registries.spool);
        sender.send(Source::Stream(reader, claim)).map_err(|_| Error::Cancelled)?;
        let (session, path) = (self.session, self.path);
        let blob = Blob { session, path, digest: plan.digest, size_bytes: plan.size_bytes, board: self.board, id: &id };
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
    let mut parent = None;
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
                parent = Some(layer.1);
                drop(claim);
            }
        }
    }
    let config = (assembly.config)(&diffs)?;
    let image = images.register(lease, NewImage { config, parent: None, names: assembly.names })?;
    Ok(image.id)
}

fn unpack_one(
    lease: &Lease<'_>,
    plan: &Plan,
    reader: Reader,
    parent: Option<&ChainId>,
    board: &Arc<Board>,
) -> Result<(DiffId, ChainId)> {
    let id = plan.id();
    let mut reader = Counting { reader, board, id: &id, done: 0, total: plan.size_bytes, cut: false };
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
    board.update(&id, "Pull complete");
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
