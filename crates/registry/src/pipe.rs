//! A pipe from the network to the thread that unpacks: bounded memory, and a file for what runs ahead.
//!
//! As long as nobody reads, chunks wait in memory and then, past a limit, in a file without a name; once somebody reads,
//! the writer waits for the reader instead. The end reaches the reader only with the writer's verdict, so that a stream
//! that was cut, or whose digest is wrong, never looks whole.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use tokio::sync::Notify;

use crate::{Error, Result};

/// Most bytes in memory.
const QUEUE_BYTES: usize = 2 << 20;
/// Most bytes in the file that a reader has yet to read; a file that nobody reads grows to the size of the blob.
const BACKLOG_BYTES: u64 = 32 << 20;

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    /// While there is one, everything new goes there; what is in the queue is older.
    spill: Option<Spill>,
    /// The reader has begun.
    reading: bool,
    /// The reader is gone.
    abandoned: bool,
    end: Option<Result<(), String>>,
}

#[derive(Debug)]
struct Spill {
    file: Arc<File>,
    written: u64,
    read: u64,
    /// A write is under way.
    writing: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    readable: Condvar,
    writable: Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that the network fills.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    folder: PathBuf,
}

/// The end that blocking code reads.
#[derive(Debug)]
pub(crate) struct Reader {
    shared: Arc<Shared>,
    current: Bytes,
}

/// A pipe; what runs ahead goes to files in `folder`.
pub(crate) fn pipe(folder: &Path) -> (Writer, Reader) {
    let shared = Arc::<Shared>::default();
    let writer = Writer { shared: Arc::clone(&shared), folder: folder.to_owned() };
    (writer, Reader { shared, current: Bytes::new() })
}

/// What a writer does with a chunk.
enum Way {
    Queued,
    Wait,
    Open,
    File(Arc<File>, u64),
}

impl Writer {
    /// Hands on a chunk; waits if the reader is behind.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the reader is gone, [`Error::File`] if the file fails.
    pub(crate) async fn write(&mut self, chunk: Bytes) -> Result<()> {
        loop {
            // A permit is kept if the reader is faster than this.
            let room = self.shared.writable.notified();
            match self.way(&chunk)? {
                Way::Queued => return Ok(()),
                Way::Wait => room.await,
                Way::Open => self.open().await?,
                Way::File(file, at) => return self.spill(file, at, chunk).await,
            }
        }
    }

    fn way(&self, chunk: &Bytes) -> Result<Way> {
        let mut state = self.shared.state();
        if state.abandoned {
            return Err(Error::Cancelled);
        }
        let reading = state.reading;
        if let Some(spill) = &mut state.spill {
            if reading && spill.written - spill.read > BACKLOG_BYTES {
                return Ok(Way::Wait);
            }
            spill.writing = true;
            return Ok(Way::File(Arc::clone(&spill.file), spill.written));
        }
        if state.queued_bytes + chunk.len() <= QUEUE_BYTES || state.queue.is_empty() {
            state.queued_bytes += chunk.len();
            state.queue.push_back(chunk.clone());
            self.shared.readable.notify_one();
            return Ok(Way::Queued);
        }
        Ok(if reading { Way::Wait } else { Way::Open })
    }

    async fn open(&self) -> Result<()> {
        let folder = self.folder.clone();
        let file = self.blocking(move || tempfile::tempfile_in(folder)).await?;
        self.shared.state().spill = Some(Spill { file: Arc::new(file), written: 0, read: 0, writing: false });
        Ok(())
    }

    async fn spill(&self, file: Arc<File>, at: u64, chunk: Bytes) -> Result<()> {
        let length = chunk.len() as u64;
        let outcome = self.blocking(move || file.write_all_at(&chunk, at)).await;
        if let Some(spill) = &mut self.shared.state().spill {
            spill.writing = false;
            spill.written += if outcome.is_ok() { length } else { 0 };
        }
        self.shared.readable.notify_one();
        outcome
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
        let outcome = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        outcome.map_err(|source| Error::File { path: self.folder.clone(), source })
    }

    /// Says that all came, and that it is what it should be.
    pub(crate) fn finish(self) {
        self.end(Ok(()));
    }

    /// Says why no more comes.
    pub(crate) fn fail(self, reason: String) {
        self.end(Err(reason));
    }

    fn end(&self, end: Result<(), String>) {
        self.shared.state().end.get_or_insert(end);
        self.shared.readable.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end(Err("the download was given up".to_owned()));
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.current.is_empty() {
                let length = self.current.len().min(buffer.len());
                self.current.copy_to_slice(&mut buffer[..length]);
                return Ok(length);
            }
            let mut state = self.shared.state();
            state.reading = true;
            if let Some(chunk) = state.queue.pop_front() {
                state.queued_bytes -= chunk.len();
                self.current = chunk;
                self.shared.writable.notify_one();
                continue;
            }
            if let Some(spill) = &state.spill {
                let left = spill.written - spill.read;
                if left > 0 {
                    let (file, at) = (Arc::clone(&spill.file), spill.read);
                    drop(state);
                    return self.read_file(&file, at, left, buffer);
                }
                // A writer that has ended writes nothing more, even if it was given up in the middle of it.
                if !spill.writing || state.end.is_some() {
                    // Caught up: from here on the reader sets the pace.
                    state.spill = None;
                    self.shared.writable.notify_one();
                    continue;
                }
            } else if let Some(end) = &state.end {
                return end.clone().map(|()| 0).map_err(io::Error::other);
            }
            drop(self.shared.readable.wait(state).unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Reader {
    /// Whether everything came, and is what it should be.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.shared.state().end, Some(Ok(())))
    }

    fn read_file(&self, file: &File, at: u64, left: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let length = file.read_at(&mut buffer[..wanted], at)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(spill) = &mut self.shared.state().spill {
            spill.read += length as u64;
        }
        self.shared.writable.notify_one();
        Ok(length)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.state().abandoned = true;
        self.shared.writable.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn chunk(number: u8) -> Bytes {
        Bytes::from(vec![number; 1 << 20])
    }

    async fn read(mut reader: Reader) -> (Vec<u8>, io::Result<usize>) {
        tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            let outcome = reader.read_to_end(&mut all);
            (all, outcome)
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn what_runs_ahead_waits_in_a_file() {
        let (mut writer, reader) = pipe(Path::new("/dev/shm"));
        for number in 0..40 {
            writer.write(chunk(number)).await.unwrap();
        }
        let reading = tokio::spawn(read(reader));
        for number in 40..80 {
            writer.write(chunk(number)).await.unwrap();
        }
        writer.finish();
        let (all, outcome) = reading.await.unwrap();
        outcome.unwrap();
        assert_eq!(all.len(), 80 << 20);
        assert!(all.chunks(1 << 20).zip(0u8..).all(|(chunk, number)| chunk.iter().all(|byte| *byte == number)));
    }

    #[tokio::test]
    async fn a_stream_that_was_cut_is_not_whole() {
        let (mut writer, reader) = pipe(Path::new("/dev/shm"));
        writer.write(chunk(1)).await.unwrap();
        drop(writer);
        assert!(read(reader).await.1.is_err());
    }

    #[test]
    fn a_writer_given_up_while_it_writes_to_the_file_ends_the_reader() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let (mut writer, mut reader) = pipe(Path::new("/dev/shm"));
        let (tell, told) = std::sync::mpsc::channel();
        runtime.block_on(async {
            for number in 0..4 {
                writer.write(chunk(number)).await.unwrap();
            }
            // The one thread that writes to files is busy until this is dropped.
            let (busy, freed) = std::sync::mpsc::channel::<()>();
            tokio::task::spawn_blocking(move || freed.recv());
            tokio::select! {
                biased;
                outcome = writer.write(chunk(4)) => panic!("written without a wait: {outcome:?}"),
                () = std::future::ready(()) => drop((writer, busy)),
            }
        });
        std::thread::spawn(move || tell.send(reader.read_to_end(&mut Vec::new()).is_err()));
        assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(true));
    }

    #[tokio::test]
    async fn a_reader_that_left_ends_the_writer() {
        let (mut writer, reader) = pipe(Path::new("/dev/shm"));
        drop(reader);
        assert!(matches!(writer.write(chunk(1)).await, Err(Error::Cancelled)));
    }
}
