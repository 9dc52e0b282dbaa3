//! A stream read and decompressed on one thread, hashed and used on another, a bounded number of buffers in between.

use std::io::{self, BufRead, Cursor, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use sha2::Sha256;

use crate::compression::decompress;
use crate::sum::{Sum, Summing, Witness};
use crate::{Error, Result};

const BUFFER_BYTES: usize = 256 * 1024;
/// Buffers on their way: 4 MiB, enough for one thread to go on while the other waits for the disk.
const BUFFERS: usize = 16;
/// What is shorter is read to its end before it is used, on one thread: a second one would take longer to start.
const SHORT_BYTES: u64 = 64 * 1024;

/// What went through.
pub(crate) struct Stream {
    /// Digest of the plain stream.
    pub(crate) sha256: [u8; 32],
    pub(crate) sum: Sum,
    /// Its length.
    pub(crate) bytes: u64,
}

/// The plain stream, as the other thread sees it.
pub(crate) struct Incoming {
    receiver: Receiver<io::Result<Vec<u8>>>,
    spent: SyncSender<Vec<u8>>,
    current: Vec<u8>,
    position: usize,
    /// Hashing is done here: decompressing takes longer than using what comes of it.
    witness: (Sha256, Summing),
    bytes: u64,
    /// Gets what the stream was when this is done with.
    told: SyncSender<Stream>,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let (sha256, sum) = std::mem::take(&mut self.witness).verdict();
        // Nobody waits for it after a failure.
        drop(self.told.try_send(Stream { sha256, sum, bytes: self.bytes }));
    }
}

/// Feeds the plain contents of `input` to `consumer`, which runs on a thread of its own and must read to the end.
pub(crate) fn run<T: Send>(
    input: impl Read,
    consumer: impl FnOnce(Incoming) -> Result<T> + Send,
) -> Result<(Stream, T)> {
    let mut input = decompress(input)?;
    let (sender, receiver) = sync_channel(BUFFERS);
    let (spent, fresh) = sync_channel(BUFFERS + 2);
    let (told, stream) = sync_channel(1);
    let (witness, current) = (Default::default(), Vec::new());
    let incoming = Incoming { receiver, spent, current, position: 0, witness, bytes: 0, told };
    let gone = |source| Error::Io { action: "hashing a stream", source: io::Error::other(source) };
    let mut head = Vec::new();
    let outcome = (&mut input).take(SHORT_BYTES).read_to_end(&mut head);
    let is_whole = outcome.is_err() || (head.len() as u64) < SHORT_BYTES;
    let mut input = Cursor::new(head).chain(Failing(outcome.err())).chain(input);
    if is_whole {
        pump(&mut input, &sender, &fresh);
        drop(sender);
        let outcome = consumer(incoming)?;
        return Ok((stream.recv().map_err(gone)?, outcome));
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("unpack".into());
        let consumer = thread.spawn_scoped(scope, move || consumer(incoming));
        let consumer = consumer.map_err(|source| Error::Io { action: "starting a thread", source })?;
        pump(&mut input, &sender, &fresh);
        drop(sender);
        let outcome = consumer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok((stream.recv().map_err(gone)?, outcome))
    })
}

/// An error where a stream went no further.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Reads to the end, or until the other side has gone. Errors of the input are handed to the other side, which reports them.
fn pump(input: &mut dyn Read, sender: &SyncSender<io::Result<Vec<u8>>>, fresh: &Receiver<Vec<u8>>) {
    loop {
        let mut buffer = fresh.try_recv().unwrap_or_default();
        buffer.resize(BUFFER_BYTES, 0);
        let message = fill(input, &mut buffer).map(|length| {
            buffer.truncate(length);
            buffer
        });
        let is_last = !matches!(&message, Ok(buffer) if !buffer.is_empty());
        if sender.send(message).is_err() || is_last {
            return;
        }
    }
}

fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl BufRead for Incoming {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.current.len() {
            let next = match self.receiver.recv() {
                Ok(message) => message?,
                Err(_) => Vec::new(), // the end was seen already
            };
            self.witness.see(&next);
            self.bytes += next.len() as u64;
            let spent = std::mem::replace(&mut self.current, next);
            self.position = 0;
            // If the other side has ended or has enough buffers this one is simply freed.
            drop(self.spent.try_send(spent));
        }
        Ok(&self.current[self.position..])
    }

    fn consume(&mut self, bytes: usize) {
        self.position += bytes;
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}
