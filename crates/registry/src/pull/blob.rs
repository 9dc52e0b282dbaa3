//! One blob on its way into a pipe: resumed where it broke off, hashed as it passes.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderValue, RANGE};
use http::{HeaderMap, Method, StatusCode};
use model::Digest;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::layers::Plan;
use crate::board::Board;
use crate::http::Answer;
use crate::pace::{Pace, is_progress};
use crate::pipe::Writer;
use crate::retry::Backoff;
use crate::session::{Session, succeeded};
use crate::{Error, Result};

/// A blob to fetch.
pub(crate) struct Blob<'a> {
    pub(crate) session: &'a Session,
    pub(crate) plan: &'a Plan,
    /// What reading it takes.
    pub(crate) scopes: &'a [String],
    pub(crate) board: &'a Board,
    /// There is another way to have it: a registry that is slow or gone is not waited for.
    pub(crate) is_dispensable: bool,
}

/// How far it got.
struct Progress {
    hash: Sha256,
    done: u64,
    total: Option<u64>,
}

impl Blob<'_> {
    /// Writes the whole blob into the pipe, which is told the end only if everything is right.
    ///
    /// # Errors
    /// It cannot be had, or is not what its digest and size say; the pipe's reader is gone ([`Error::Cancelled`]).
    pub(crate) async fn fetch(&self, mut sink: Writer) -> Result<()> {
        let mut progress = Progress { hash: self.plan.check.hash(), done: 0, total: self.plan.size_bytes };
        let mut backoff = if self.is_dispensable { Backoff::brief() } else { Backoff::default() };
        loop {
            let before = progress.done;
            match self.part(&mut progress, &mut sink).await {
                Ok(()) => break,
                Err(error) => {
                    if !self.is_dispensable && is_progress(progress.done - before) {
                        backoff.reset();
                    }
                    let Some(pause) = backoff.after(&error) else { return Err(error) };
                    tracing::debug!(%error, layer = self.plan.id, done = progress.done, "a download broke off");
                    self.wait(pause).await;
                }
            }
        }
        self.board.update(&self.plan.id, "Verifying Checksum");
        let found = Digest::new(progress.hash.finalize().into());
        if let Some(expected) = self.plan.check.digest.filter(|expected| *expected != found) {
            return Err(Error::Digest { what: "filesystem layer", expected, found });
        }
        self.board.update(&self.plan.id, "Download complete");
        sink.finish();
        Ok(())
    }

    async fn wait(&self, pause: Duration) {
        let seconds = pause.as_secs();
        tokio::time::sleep(pause - Duration::from_secs(seconds)).await;
        for left in (1..=seconds).rev() {
            self.board.update(&self.plan.id, format!("Retrying in {left} second{}", if left == 1 { "" } else { "s" }));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// What is still missing.
    async fn part(&self, progress: &mut Progress, sink: &mut Writer) -> Result<()> {
        if progress.total.is_some_and(|total| total > 0 && progress.done == total) {
            return Ok(());
        }
        let mut headers = HeaderMap::new();
        if progress.done > 0 {
            let malformed = |_| Error::Invalid("a malformed range".to_owned());
            headers.insert(RANGE, HeaderValue::from_str(&format!("bytes={}-", progress.done)).map_err(malformed)?);
        }
        let answer = self.session.get(Method::GET, &self.plan.url, self.scopes, &headers).await?;
        let mut answer = succeeded(answer).await?;
        let skip = self.begin(&answer, progress)?;
        self.read(&mut answer, progress, sink, skip).await?;
        match progress.total {
            Some(total) if progress.done < total => Err(answer.broken("unexpected EOF".to_owned())),
            _ => Ok(()),
        }
    }

    /// Looks at the head of an answer; how many bytes of it are known already.
    fn begin(&self, answer: &Answer, progress: &mut Progress) -> Result<u64> {
        let length: Option<u64> = answer.header(CONTENT_LENGTH).parse().ok();
        if answer.status == StatusCode::PARTIAL_CONTENT {
            let start = answer.header(CONTENT_RANGE).strip_prefix("bytes ").and_then(|range| range.split_once('-'));
            return match start.and_then(|(start, _)| start.parse::<u64>().ok()) {
                Some(start) if start <= progress.done => Ok(progress.done - start),
                _ => Err(answer.nonsense("another range than asked for".to_owned())),
            };
        }
        match (progress.total, length) {
            (Some(expected), Some(found)) if expected != found => {
                return Err(self.size(expected, found));
            }
            // Manifests of schema 1 and the first protocol say no size; without any, there would be no limit.
            (None, Some(found)) => progress.total = Some(found),
            (None, None) => return Err(answer.nonsense("the registry does not say how long the layer is".to_owned())),
            _ => {}
        }
        Ok(progress.done)
    }

    fn size(&self, expected: u64, found: u64) -> Error {
        Error::Size { what: "layer", name: self.plan.id.clone(), expected, found }
    }

    async fn read(&self, answer: &mut Answer, progress: &mut Progress, sink: &mut Writer, mut skip: u64) -> Result<()> {
        let mut pace = if self.is_dispensable { Pace::brisk() } else { Pace::default() };
        loop {
            let asked = Instant::now();
            let piece = tokio::time::timeout(pace.longest_wait(), answer.piece()).await;
            let Ok(piece) = piece else { return Err(answer.broken("the registry fell silent".to_owned())) };
            let Some(mut piece) = piece? else { return Ok(()) };
            if !pace.keeps_up(asked.elapsed(), piece.len()) {
                return Err(answer.broken("the registry is too slow".to_owned()));
            }
            let known = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
            drop(piece.split_to(known));
            skip -= known as u64;
            if piece.is_empty() {
                continue;
            }
            self.take(piece, progress, sink).await?;
        }
    }

    async fn take(&self, piece: Bytes, progress: &mut Progress, sink: &mut Writer) -> Result<()> {
        let done = progress.done + piece.len() as u64;
        if let Some(expected) = progress.total.filter(|total| done > *total) {
            return Err(self.size(expected, done));
        }
        progress.hash.update(&piece);
        sink.write(piece).await?;
        progress.done = done;
        self.board.count(&self.plan.id, "Downloading", done, progress.total);
        Ok(())
    }
}
