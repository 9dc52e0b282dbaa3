//! Text on its way from blocking code to a client: written line by line, read in pieces.
//!
//! What is written in quick succession is read together. A channel of lines would wake its reader for each, and both would wait for
//! the allocator's lock: where nothing takes long, as in a build whose steps are all cached, that is half of the time.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Bytes that wait for the reader, from which on the writer waits; and that are read at once.
const PIECE_BYTES: usize = 64 * 1024;
/// How long a reader waits for what is written together.
const TOGETHER: Duration = Duration::from_millis(1);

/// Both ends; `left` is cancelled when the reader is dropped.
pub(crate) fn text(left: CancellationToken) -> (TextWriter, TextReader) {
    let shared = Arc::new(Shared::default());
    (TextWriter(Arc::clone(&shared)), TextReader { shared, left })
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to read, much, or nothing more will come.
    readable: Notify,
    /// Something was read, or the reader has left.
    writable: Condvar,
}

#[derive(Debug, Default)]
struct State {
    text: Vec<u8>,
    /// The reader waits for the first line, and not for all that comes with it.
    awaited: bool,
    ended: bool,
    left: bool,
}

impl State {
    fn is_much(&self) -> bool {
        self.text.len() >= PIECE_BYTES || self.ended
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // What is guarded is whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of blocking code. Dropping it ends the text.
#[derive(Debug)]
pub(crate) struct TextWriter(Arc<Shared>);

impl TextWriter {
    /// Writes a line; waits while the reader has much to read. False once the reader has left.
    pub(crate) fn write(&self, line: &[u8]) -> bool {
        let mut state = self.0.state();
        while state.is_much() && !state.left {
            state = self.0.writable.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.text.extend_from_slice(line);
        let wakes = std::mem::take(&mut state.awaited) || state.is_much();
        let left = state.left;
        drop(state);
        if wakes {
            self.0.readable.notify_one();
        }
        !left
    }
}

impl Drop for TextWriter {
    fn drop(&mut self) {
        self.0.state().ended = true;
        self.0.readable.notify_one();
    }
}

/// The client's end.
#[derive(Debug)]
pub(crate) struct TextReader {
    shared: Arc<Shared>,
    /// Told when this is dropped.
    left: CancellationToken,
}

impl TextReader {
    /// Resolves when there is much to read, or all there will be, or after a moment.
    pub(crate) async fn settled(&self) {
        // What came in that moment is told as it is.
        let _: Result<(), _> = timeout(TOGETHER, self.until(State::is_much)).await;
    }

    /// The next lines; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        self.settled().await;
        if self.await_first() {
            self.until(|state| !state.text.is_empty() || state.ended).await;
            self.settled().await;
        }
        let text = std::mem::take(&mut self.shared.state().text);
        self.shared.writable.notify_all();
        (!text.is_empty()).then_some(text)
    }

    /// Whether nothing is there yet; the writer's next line wakes the reader then.
    fn await_first(&self) -> bool {
        let mut state = self.shared.state();
        state.awaited = state.text.is_empty() && !state.ended;
        state.awaited
    }

    async fn until(&self, enough: impl Fn(&State) -> bool) {
        while !enough(&self.shared.state()) {
            self.shared.readable.notified().await;
        }
    }
}

impl Drop for TextReader {
    fn drop(&mut self) {
        self.left.cancel();
        self.shared.state().left = true;
        self.shared.writable.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_together_is_read_together() {
        let (writer, mut reader) = text(CancellationToken::new());
        assert!(writer.write(b"one\n") && writer.write(b"two\n"));
        assert_eq!(reader.next().await.unwrap(), b"one\ntwo\n");
        let later = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(20));
            writer.write(b"three\n")
        });
        assert_eq!(reader.next().await.unwrap(), b"three\n");
        assert!(later.await.unwrap());
        assert_eq!(reader.next().await, None);
    }

    #[tokio::test]
    async fn a_writer_waits_for_its_reader_and_no_longer() {
        let left = CancellationToken::new();
        let (writer, mut reader) = text(left.clone());
        let line = vec![b'x'; PIECE_BYTES];
        let writing = tokio::task::spawn_blocking(move || (0..4).map(|_| writer.write(&line)).collect::<Vec<_>>());
        assert_eq!(reader.next().await.unwrap().len(), PIECE_BYTES);
        drop(reader);
        assert!(left.is_cancelled());
        assert_eq!(writing.await.unwrap().last(), Some(&false));
    }
}
