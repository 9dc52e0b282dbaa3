//! Unpacking the layers of an image while they come in: several at a time where it is known beforehand what they are.

use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use image::{Images, Lease};
use model::{ChainId, DiffId, ImageId};
use tokio::sync::oneshot;

use super::layers::{Assembly, Plan};
use crate::board::Board;
use crate::claims::Claim;
use crate::pipe::Reader;
use crate::{Error, Result};

/// Where a layer comes from.
pub(super) enum Source {
    /// It is on the disk.
    Here,
    /// It comes in; the claim keeps other pulls from fetching it too.
    Stream(Reader, Option<Claim>),
}

/// A layer's place in the queue: what it is to be, and where it will come from.
type Queued<'a> = (usize, &'a Plan, oneshot::Receiver<Source>);

/// Unpacks layers and registers the image.
pub(super) fn unpack(
    images: &Images,
    lease: &Lease<'_>,
    assembly: Assembly,
    sources: Vec<oneshot::Receiver<Source>>,
    board: &Arc<Board>,
    at_once: usize,
) -> Result<ImageId> {
    let plans = &assembly.plans;
    let known: Option<Vec<DiffId>> = plans.iter().map(|plan| plan.expected.map(|(diff, _)| diff)).collect();
    let diffs = match known {
        Some(diffs) => {
            let queue = plans.iter().enumerate().zip(sources).map(|((number, plan), source)| (number, plan, source));
            let queue = Mutex::new(queue.collect::<Vec<_>>().into_iter());
            let states = States { done: vec![false; plans.len()], failed: None };
            let (states, changed) = (Mutex::new(states), Condvar::new());
            Together { lease, board, plans, base: assembly.base, queue, states, changed }.all(at_once)?;
            diffs
        }
        None => one_by_one(lease, plans, assembly.base, sources, board)?,
    };
    let line = (assembly.images)(&diffs)?;
    let image = images.register_line(lease, line)?;
    image.map(|image| image.id).ok_or_else(|| Error::Document { what: "image", reason: "it has no steps".to_owned() })
}

/// Each when the one beneath it has shown what it is.
fn one_by_one(
    lease: &Lease<'_>,
    plans: &[Plan],
    base: Option<ChainId>,
    sources: Vec<oneshot::Receiver<Source>>,
    board: &Board,
) -> Result<Vec<DiffId>> {
    let mut parent = base;
    let mut diffs = Vec::with_capacity(sources.len());
    for (plan, source) in plans.iter().zip(sources) {
        match source.blocking_recv().map_err(|_| Error::Cancelled)? {
            Source::Here => {
                let Some((diff, chain)) = plan.expected else { return Err(Error::Cancelled) };
                diffs.push(diff);
                parent = Some(chain);
            }
            Source::Stream(reader, _claim) => {
                let (diff, chain) = one(lease, plan, reader, parent.as_ref(), &|| true, board)?;
                diffs.push(diff);
                // What holds nothing is no layer of an image today, but old registries have such.
                if plan.expected.is_some() || !image::is_empty_layer(&diff) {
                    parent = Some(chain);
                }
            }
        }
    }
    Ok(diffs)
}

/// Layers that are unpacked at the same time. Each waits for the one beneath it where its archive leaves something to that.
struct Together<'a> {
    lease: &'a Lease<'a>,
    board: &'a Board,
    plans: &'a [Plan],
    base: Option<ChainId>,
    queue: Mutex<std::vec::IntoIter<Queued<'a>>>,
    states: Mutex<States>,
    changed: Condvar,
}

struct States {
    /// By number, lowest first.
    done: Vec<bool>,
    /// The first that failed says why; no other begins after it.
    failed: Option<Error>,
}

impl Together<'_> {
    fn all(self, at_once: usize) -> Result<()> {
        std::thread::scope(|scope| {
            for _ in 1..at_once.min(self.plans.len()) {
                let builder = std::thread::Builder::new().name("layer".into());
                if let Err(error) = builder.spawn_scoped(scope, || self.work()) {
                    tracing::debug!(%error, "fewer layers than wanted are unpacked at the same time");
                }
            }
            self.work();
        });
        match self.states.into_inner().unwrap_or_else(PoisonError::into_inner).failed {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn states(&self) -> MutexGuard<'_, States> {
        // Two fields that are whole after every statement.
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some((number, plan, source)) = self.next() {
            let outcome = source.and_then(|source| self.layer(number, plan, source));
            let mut states = self.states();
            match outcome {
                Ok(()) => states.done[number] = true,
                Err(error) => drop(states.failed.get_or_insert(error)),
            }
            self.changed.notify_all();
        }
    }

    /// The next layer that comes in. Those above it are not begun before: one that waits for the layers beneath it holds a
    /// download, which these must have too by then.
    fn next(&self) -> Option<(usize, &Plan, Result<Source>)> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, plan, source) = queue.next()?;
        let source = source.blocking_recv().map_err(|_| Error::Cancelled);
        self.states().failed.is_none().then_some((number, plan, source))
    }

    fn layer(&self, number: usize, plan: &Plan, source: Source) -> Result<()> {
        let Source::Stream(reader, _claim) = source else { return Ok(()) };
        let beneath = number.checked_sub(1);
        let parent = beneath.map_or(self.base, |beneath| self.plans[beneath].expected.map(|(_, chain)| chain));
        let awaited = || beneath.is_none_or(|beneath| self.wait(beneath));
        one(self.lease, plan, reader, parent.as_ref(), &awaited, self.board).map(drop)
    }

    /// Waits for a layer; false: it will not be.
    fn wait(&self, number: usize) -> bool {
        let mut states = self.states();
        while !states.done[number] && states.failed.is_none() {
            states = self.changed.wait(states).unwrap_or_else(PoisonError::into_inner);
        }
        states.done[number]
    }
}

fn one(
    lease: &Lease<'_>,
    plan: &Plan,
    reader: Reader,
    parent: Option<&ChainId>,
    awaited: &(dyn Fn() -> bool + Sync),
    board: &Board,
) -> Result<(DiffId, ChainId)> {
    let mut reader = Counting { reader, board, id: &plan.id, done: 0, total: plan.size_bytes, cut: false };
    let layer = match lease.import_above(&mut reader, parent, awaited, plan.keep.as_ref()) {
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
