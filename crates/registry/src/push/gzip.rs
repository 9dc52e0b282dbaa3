//! Gzip by several processors: each compresses blocks of the stream that point nowhere before themselves, so that none waits
//! for the one before. They are one member (RFC 1952) with one sum, which readers of a single one understand too.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crc32fast::Hasher;
use deflate::Encoder;

/// What this is called in the store. It changes with the bytes that are written.
pub(super) const COMPRESSOR: &str = "deflate 1, blocks of four stretches";
/// An eighth of the second cache of a processor. Larger ones are hardly smaller when packed.
const BLOCK_BYTES: usize = 4 * deflate::STRETCH_BYTES;
/// Most threads of one stream: several are written at the same time.
const MOST_THREADS: usize = 4;
/// Deflate, no name, no time, made quickly, on a system that does not matter (RFC 1952, section 2.3).
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// Compresses what is written to it. The same bytes give the same bytes each time, however they are cut.
pub(super) struct Gzip<W> {
    out: W,
    plain: Vec<u8>,
    threads: Threads,
    /// Blocks that are being packed, in their order.
    under_way: VecDeque<Receiver<Block>>,
    /// Blocks whose memory is free again.
    spent: Vec<Block>,
    /// Of all blocks that were written.
    sum: Hasher,
    length: u64,
}

/// A block before and after.
#[derive(Default)]
struct Block {
    plain: Vec<u8>,
    packed: Vec<u8>,
    /// Of what is plain.
    sum: Hasher,
}

struct Job {
    block: Block,
    done: SyncSender<Block>,
}

/// They end when it is dropped.
struct Threads {
    jobs: Option<Sender<Job>>,
    handles: Vec<JoinHandle<()>>,
}

impl<W: Write> Gzip<W> {
    /// Writes the head, and starts the threads.
    ///
    /// # Errors
    /// There can be no more threads, or the head cannot be written.
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = Threads::start(processors.min(MOST_THREADS))?;
        let plain = Vec::with_capacity(BLOCK_BYTES);
        out.write_all(&HEAD)?;
        let (under_way, spent) = (VecDeque::new(), Vec::new());
        Ok(Self { out, plain, threads, under_way, spent, sum: Hasher::new(), length: 0 })
    }

    /// Writes what is still under way, and the end.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if !self.plain.is_empty() {
            self.pack()?;
        }
        while let Some(next) = self.under_way.pop_front() {
            self.collect(next.recv().map_err(gone)?)?;
        }
        self.out.write_all(&deflate::LAST)?;
        self.out.write_all(&self.sum.finalize().to_le_bytes())?;
        // Its lowest 32 bits.
        self.out.write_all(&(self.length as u32).to_le_bytes())?;
        Ok(self.out)
    }

    /// Hands the block to the threads, and writes what they have done meanwhile.
    fn pack(&mut self) -> io::Result<()> {
        // Two for each thread: one to work at and one to go on with.
        if self.under_way.len() >= 2 * self.threads.handles.len()
            && let Some(next) = self.under_way.pop_front()
        {
            self.collect(next.recv().map_err(gone)?)?;
        }
        while let Some(next) = self.under_way.front() {
            match next.try_recv() {
                Ok(block) => {
                    self.under_way.pop_front();
                    self.collect(block)?;
                }
                Err(TryRecvError::Empty) => break,
                Err(error) => return Err(gone(error)),
            }
        }
        let mut block = self.spent.pop().unwrap_or_default();
        std::mem::swap(&mut block.plain, &mut self.plain);
        self.plain.clear();
        let (done, packed) = sync_channel(1);
        self.under_way.push_back(packed);
        self.threads.jobs.as_ref().and_then(|jobs| jobs.send(Job { block, done }).ok()).ok_or_else(|| gone("closed"))
    }

    fn collect(&mut self, block: Block) -> io::Result<()> {
        self.out.write_all(&block.packed)?;
        self.sum.combine(&block.sum);
        self.length += block.plain.len() as u64;
        self.spent.push(block);
        Ok(())
    }
}

fn gone(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("a thread that compresses has gone: {error}"))
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.plain.len() == BLOCK_BYTES {
            self.pack()?;
        }
        let taken = bytes.len().min(BLOCK_BYTES - self.plain.len());
        self.plain.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// Only whole blocks are written before the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Threads {
    fn start(count: usize) -> io::Result<Self> {
        let (jobs, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let mut threads = Self { jobs: Some(jobs), handles: Vec::new() };
        for _ in 0..count {
            let waiting = Arc::clone(&waiting);
            let builder = std::thread::Builder::new().name("gzip".into());
            threads.handles.push(builder.spawn(move || work(&waiting))?);
        }
        Ok(threads)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.jobs = None;
        for handle in self.handles.drain(..) {
            // One that panicked left its block undone, which was noticed.
            drop(handle.join());
        }
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    let mut encoder = Encoder::default();
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { mut block, done }) = next else { return };
        encoder.encode(&block.plain, &mut block.packed);
        block.sum = Hasher::new();
        block.sum.update(&block.plain);
        // Nobody waits for it if the stream was given up.
        drop(done.send(block));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn packed(plain: &[u8], cut: usize) -> Vec<u8> {
        let mut gzip = Gzip::new(Vec::new()).unwrap();
        plain.chunks(cut).for_each(|piece| gzip.write_all(piece).unwrap());
        gzip.finish().unwrap()
    }

    /// Words of a few sorts, as a program's files have them.
    fn text(bytes: usize) -> Vec<u8> {
        let mut state = 7_u32;
        let words = std::iter::from_fn(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Some(format!("{:x} layer {} ", state >> 20, state >> 28))
        });
        words.flat_map(String::into_bytes).take(bytes).collect()
    }

    #[test]
    fn what_went_in_comes_out_and_always_the_same() {
        for bytes in [0, 1, BLOCK_BYTES, 5 * BLOCK_BYTES + 3] {
            let plain = text(bytes);
            let all = packed(&plain, 100_000);
            assert_eq!(all, packed(&plain, 7_777));
            let mut back = Vec::new();
            // A reader of one member.
            let mut reader = flate2::bufread::GzDecoder::new(all.as_slice());
            reader.read_to_end(&mut back).unwrap();
            assert_eq!(back, plain);
            assert!(reader.into_inner().is_empty(), "something follows the member");
        }
    }

    /// If this fails, give [`COMPRESSOR`] another name: layers that it has made are known by it.
    #[test]
    fn the_compressor_writes_what_it_wrote() {
        let digest = image::digest(&packed(&text(3 * BLOCK_BYTES), BLOCK_BYTES)).hex();
        assert_eq!(digest, "5472d5f7f4f10a9721c8526255a9d2bd7649090d3fa99aa7f58fe0b0bba71c80");
    }

    #[test]
    fn a_stream_that_is_given_up_ends_its_threads() {
        /// Takes the head, and nothing after it.
        struct Closed(bool);
        impl Write for Closed {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    Err(io::ErrorKind::BrokenPipe.into())
                } else {
                    Ok(bytes.len())
                }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut gzip = Gzip::new(Closed(false)).unwrap();
        let error = (0..1000).find_map(|_| gzip.write_all(&[1; BLOCK_BYTES]).err()).unwrap();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        drop(Gzip::new(Vec::new()).unwrap());
    }
}
