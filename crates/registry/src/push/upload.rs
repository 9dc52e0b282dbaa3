//! Uploads: whole, or as a stream that is compressed on its way and goes on where it broke off.

use std::io::{self, Write};
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RANGE};
use http::{HeaderMap, Method, StatusCode};
use image::Images;
use model::{ChainId, Digest};
use sha2::{Digest as _, Sha256};

use super::Run;
use super::gzip::Gzip;
use super::kept::Original;
use super::origin::Origin;
use crate::http::{Answer, Body, Call, Feed, feed, resolve};
use crate::pull::blocking;
use crate::retry::Backoff;
use crate::session::succeeded;
use crate::{Error, Result};

const OCTETS: &str = "application/octet-stream";

impl Run<'_> {
    /// Length of a blob that the repository has.
    pub(super) async fn existing(&self, digest: &Digest) -> Result<Option<u64>> {
        let url = self.session.url(&format!("{}/blobs/{digest}", self.repository.path()));
        match self.session.fetch(Method::HEAD, &url, &self.scopes(), &HeaderMap::new()).await {
            Ok(answer) => Ok(answer.header(CONTENT_LENGTH).parse().ok()),
            Err(Error::Refused(complaint)) if complaint.status == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Uploads what is at hand.
    pub(super) async fn upload_whole(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let mut backoff = Backoff::default();
        while let Err(error) = self.try_upload(digest, bytes).await {
            backoff.wait(error).await?;
        }
        Ok(())
    }

    async fn try_upload(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let place = self.begin().await?;
        let mut call = Call::new(Method::PUT, with_digest(&place, digest));
        call.body = Body::whole(bytes.to_vec());
        let answer = self.session.send(call.with(CONTENT_TYPE, OCTETS)?, &self.scopes()).await?;
        succeeded(answer).await.map(|_| ())
    }

    /// Ends an upload of which nothing comes.
    pub(super) async fn give_up(&self, place: &str) {
        let ended = self.session.send(Call::new(Method::DELETE, place), &self.scopes()).await;
        if let Err(error) = ended {
            tracing::debug!(%error, "an upload that nobody needs cannot be ended");
        }
    }

    /// Begins an upload: where its bytes go.
    async fn begin(&self) -> Result<String> {
        let url = self.session.url(&format!("{}/blobs/uploads/", self.repository.path()));
        let mut answer = self.session.send(Call::new(Method::POST, url.clone()), &self.scopes()).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            // The first answer may have brought a new challenge.
            answer = self.session.send(Call::new(Method::POST, url.clone()), &self.scopes()).await?;
        }
        place(&url, &succeeded(answer).await?)
    }
}

/// Where an upload goes on.
fn place(url: &str, answer: &Answer) -> Result<String> {
    let location = resolve(url, answer.header(LOCATION));
    location.ok_or_else(|| answer.nonsense("the registry does not say where to upload to".to_owned()))
}

fn with_digest(place: &str, digest: &Digest) -> String {
    format!("{place}{}digest={digest}", if place.contains('?') { '&' } else { '?' })
}

/// A layer on its way to the registry.
pub(super) struct Upload<'a> {
    pub(super) run: &'a Run<'a>,
    /// What clients see.
    pub(super) id: &'a str,
    pub(super) contents: Contents<'a>,
    /// Bytes of what is counted on the way.
    pub(super) length: u64,
}

/// What is uploaded.
pub(super) enum Contents<'a> {
    /// A layer from here, compressed on its way.
    Compressed(ChainId),
    /// A blob of another repository, as it is.
    Carried(&'a Origin<'a>),
    /// The blob that was kept of a layer.
    Kept(&'a Original),
}

impl Upload<'_> {
    /// Brings the layer into the registry; its digest and length there.
    ///
    /// # Errors
    /// [`Error::Origin`] or [`Error::Kept`] if it cannot be had where it should come from: nothing of it stays in the registry.
    pub(super) async fn run(&self) -> Result<(Digest, u64)> {
        let mut backoff = Backoff::default();
        let mut resume = None;
        loop {
            let mut place = None;
            let before = resume.as_ref().map_or(0, |(_, at)| *at);
            let error = match self.attempt(resume.take(), &mut place).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            tracing::debug!(%error, layer = self.id, "an upload broke off");
            if let (true, Some(place)) = (error.is_of_contents(), &place) {
                self.run.give_up(place).await;
            }
            let Some(pause) = backoff.after(&error) else { return Err(error) };
            tokio::time::sleep(pause).await;
            if let Some(place) = place {
                resume = self.progress(place).await;
            }
            if resume.as_ref().is_some_and(|(_, at)| *at > before) {
                backoff.reset();
            }
        }
    }

    /// How far a broken upload got; `None`: it must begin anew.
    async fn progress(&self, place: String) -> Option<(String, u64)> {
        let answer = self.run.session.get(Method::GET, &place, &self.run.scopes(), &HeaderMap::new()).await.ok()?;
        if !answer.status.is_success() {
            return None;
        }
        let next = resolve(&place, answer.header(LOCATION)).unwrap_or(place);
        let last: u64 = answer.header(RANGE).trim_start_matches("bytes=").split_once('-')?.1.parse().ok()?;
        // An upload without a byte says `0-0`, as one with a single byte does.
        (last > 0).then_some((next, last + 1))
    }

    /// One try. `place` becomes where the upload may go on if it breaks off.
    async fn attempt(&self, resume: Option<(String, u64)>, place: &mut Option<String>) -> Result<(Digest, u64)> {
        let (url, skip) = match resume {
            Some(resume) => resume,
            None => (self.run.begin().await?, 0),
        };
        *place = Some(url.clone());
        let (feed, body) = feed();
        let mut call = Call::new(Method::PATCH, url.clone()).with(CONTENT_TYPE, OCTETS)?;
        call.body = body;
        call.unhurried = true;
        let scopes = self.run.scopes();
        let (answer, written) = tokio::join!(self.run.session.send(call, &scopes), self.write(feed, skip));
        let (answer, (digest, size)) = match (answer, written) {
            (Ok(answer), Ok(written)) => (succeeded(answer).await?, written),
            (_, Err(error)) if error.is_of_contents() => return Err(error),
            // A refusal while the body was under way: the other side only noticed that nobody reads.
            (Ok(answer), Err(error)) => match succeeded(answer).await {
                Ok(_) => return Err(error),
                Err(refused) => return Err(refused),
            },
            (Err(_), Err(error @ Error::Image(_))) if !is_gone(&error) => return Err(error),
            (Err(error), _) => return Err(error),
        };
        let next = resolve(&url, answer.header(LOCATION)).unwrap_or(url);
        *place = None;
        let put = Call::new(Method::PUT, with_digest(&next, &digest)).with(CONTENT_TYPE, OCTETS)?;
        succeeded(self.run.session.send(put, &scopes).await?).await?;
        Ok((digest, size))
    }

    /// Writes what is uploaded, from byte `skip` on; digest and length of all.
    async fn write(&self, feed: Feed, skip: u64) -> Result<(Digest, u64)> {
        let (board, id, length) = (Arc::clone(self.run.board), self.id.to_owned(), self.length);
        let tell = move |done| board.count(&id, "Pushing", done, Some(length));
        match &self.contents {
            Contents::Carried(origin) => origin.write(feed, skip, tell).await,
            Contents::Kept(original) => original.write(feed, skip, tell).await,
            Contents::Compressed(chain) => {
                let (images, chain) = (Arc::clone(&self.run.registries.images), *chain);
                blocking(move || compress(&images, &chain, feed, skip, tell)).await
            }
        }
    }
}

/// Whether blocking code failed only because nobody reads what it writes.
fn is_gone(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Writes a layer's compressed stream, from byte `skip` on. The same layer gives the same bytes each time, so that an
/// upload can go on and the digest is the same everywhere.
fn compress(images: &Images, chain: &ChainId, feed: Feed, skip: u64, tell: impl FnMut(u64)) -> Result<(Digest, u64)> {
    let out = Tail::new(feed, Sha256::new()).after(skip);
    let gone = |source| Error::File { path: "the upload".into(), source };
    let mut counting = Counting { out: Gzip::new(out).map_err(gone)?, done: 0, tell };
    images.export_layer(chain, &mut counting)?;
    counting.out.finish().and_then(Tail::finish).map_err(gone)
}

/// Passes on what comes after the first bytes; hashes and counts all.
pub(crate) struct Tail {
    feed: Feed,
    skip: u64,
    length: u64,
    hash: Sha256,
}

impl Tail {
    pub(crate) fn new(feed: Feed, hash: Sha256) -> Self {
        Self { feed, skip: 0, length: 0, hash }
    }

    /// Passes on nothing of the first bytes.
    pub(super) fn after(self, skip: u64) -> Self {
        Self { skip, ..self }
    }

    /// Digest of all that passed so far.
    pub(super) fn digest(&self) -> Digest {
        Digest::new(self.hash.clone().finalize().into())
    }

    /// Ends the body; digest and length of all.
    pub(crate) fn finish(self) -> io::Result<(Digest, u64)> {
        self.feed.finish()?;
        Ok((Digest::new(self.hash.finalize().into()), self.length))
    }
}

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let known = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.feed.write_all(&bytes[known..])?;
        self.skip -= known as u64;
        self.length += bytes.len() as u64;
        self.hash.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Only whole chunks leave before the end.
        Ok(())
    }
}

/// Tells how far a layer is.
pub(crate) struct Counting<W, F> {
    pub(crate) out: W,
    pub(crate) done: u64,
    pub(crate) tell: F,
}

impl<W: Write, F: FnMut(u64)> Write for Counting<W, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.out.write(bytes)?;
        self.done += length as u64;
        (self.tell)(self.done);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
