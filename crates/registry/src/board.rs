//! What pulls and pushes tell whoever follows them.
//!
//! One operation writes, any number of clients read, each at its own pace: statuses are kept in order, numbers only as
//! they are now. A client that reads slowly misses numbers, never a status; one that comes late sees all that was said.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::{ImageId, Reference};
use tokio::sync::watch;
use tokio_util::sync::DropGuard;

use crate::{Error, Result};

/// How often the numbers of one layer are told.
const PACE: Duration = Duration::from_millis(100);

/// One message about an operation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// The layer, tag or nothing it is about.
    pub id: String,
    /// What is done, in Docker's words.
    pub status: String,
    /// It is about how far something is, even if it has no numbers.
    pub is_progress: bool,
    /// Bytes done and, if known, bytes in all.
    pub progress: Option<(u64, Option<u64>)>,
    /// A document for programs.
    pub aux: Option<serde_json::Value>,
}

/// An image that came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// By which name.
    pub reference: Reference,
    /// The image.
    pub image: ImageId,
}

/// How an operation ended: which images came or went, or why not.
pub(crate) type Outcome = Result<Vec<Transferred>, Arc<Error>>;

#[derive(Debug, Default)]
struct State {
    said: Vec<Message>,
    numbers: HashMap<String, Numbers>,
    outcome: Option<Outcome>,
    version: u64,
}

#[derive(Debug)]
struct Numbers {
    message: Message,
    told: Instant,
    version: u64,
}

/// Where one operation writes.
#[derive(Debug)]
pub(crate) struct Board {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

impl Default for Board {
    fn default() -> Self {
        Self { state: Mutex::default(), changed: watch::Sender::new(0) }
    }
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a status.
    pub(crate) fn say(&self, id: &str, status: impl Into<String>) {
        self.tell(Message { id: id.to_owned(), status: status.into(), ..Message::default() });
    }

    /// Tells what is done with a layer now.
    pub(crate) fn update(&self, id: &str, status: impl Into<String>) {
        self.tell(Message { id: id.to_owned(), status: status.into(), is_progress: true, ..Message::default() });
    }

    /// Tells any message; the numbers of its id are out of date with it.
    pub(crate) fn tell(&self, message: Message) {
        let mut state = self.state();
        state.numbers.remove(&message.id);
        state.said.push(message);
        self.announce(&mut state);
    }

    /// Tells numbers, unless some were told just now. Those of a layer that is done are always told.
    pub(crate) fn count(&self, id: &str, status: &'static str, done: u64, total: Option<u64>) {
        let mut state = self.state();
        let now = Instant::now();
        let last = state.numbers.get(id);
        if last.is_some_and(|last| now - last.told < PACE && last.message.status == status) && total != Some(done) {
            return;
        }
        let (id, status, progress) = (id.to_owned(), status.to_owned(), Some((done, total)));
        let message = Message { id, status, is_progress: true, progress, aux: None };
        let version = state.version + 1;
        state.numbers.insert(message.id.clone(), Numbers { message, told: now, version });
        self.announce(&mut state);
    }

    /// Ends the operation; the first end counts.
    pub(crate) fn finish(&self, outcome: Outcome) {
        let mut state = self.state();
        state.outcome.get_or_insert(outcome);
        self.announce(&mut state);
    }

    /// Whether the operation has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.state().outcome.is_some()
    }

    fn announce(&self, state: &mut State) {
        state.version += 1;
        self.changed.send_replace(state.version);
    }
}

/// One client's view of an operation. When the last is dropped, the operation is cancelled.
#[derive(Debug)]
pub struct Following {
    board: Arc<Board>,
    changed: watch::Receiver<u64>,
    said: usize,
    version: u64,
    pending: Vec<Message>,
    /// Cancels when the last clone is dropped.
    _interest: Arc<DropGuard>,
}

impl Following {
    pub(crate) fn new(board: Arc<Board>, interest: Arc<DropGuard>) -> Self {
        let changed = board.changed.subscribe();
        Self { board, changed, said: 0, version: 0, pending: Vec::new(), _interest: interest }
    }

    /// The next message; `None` when the operation has ended and all was told.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.pending.pop() {
                return Some(message);
            }
            // Before looking: what changes after it wakes us.
            self.changed.borrow_and_update();
            let ended = self.collect();
            if self.pending.is_empty() && (ended || self.changed.changed().await.is_err()) {
                return None;
            }
        }
    }

    /// Takes what is new, in reverse order; whether the operation has ended.
    fn collect(&mut self) -> bool {
        let state = self.board.state();
        let fresh = state.numbers.values().filter(|numbers| numbers.version > self.version);
        self.pending.extend(fresh.map(|numbers| numbers.message.clone()));
        self.pending.extend(state.said[self.said..].iter().rev().cloned());
        self.said = state.said.len();
        self.version = state.version;
        state.outcome.is_some()
    }

    /// How the operation ended; waits for it.
    ///
    /// # Errors
    /// Why it failed; all who follow it get the same.
    pub async fn outcome(mut self) -> Result<Vec<Transferred>, Arc<Error>> {
        loop {
            self.changed.borrow_and_update();
            if let Some(outcome) = &self.board.state().outcome {
                return outcome.clone();
            }
            if self.changed.changed().await.is_err() {
                return Err(Arc::new(Error::Cancelled));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::sync::CancellationToken;

    #[tokio::test]
    async fn statuses_in_order_numbers_as_they_are() {
        let board = Arc::new(Board::default());
        let token = CancellationToken::new();
        let interest = Arc::new(token.clone().drop_guard());
        let mut following = Following::new(Arc::clone(&board), Arc::clone(&interest));
        board.say("a", "one");
        for done in 0..1000 {
            board.count("a", "Downloading", done, Some(1000));
        }
        assert_eq!(following.next().await.unwrap().status, "one");
        assert_eq!(following.next().await.unwrap().progress, Some((0, Some(1000))));
        board.say("a", "two");
        board.finish(Ok(Vec::new()));
        assert_eq!(following.next().await.unwrap().status, "two");
        assert_eq!(following.next().await, None);
        let mut late = Following::new(board, interest);
        drop(following);
        assert!(!token.is_cancelled());
        assert_eq!(late.next().await.unwrap().status, "one");
        assert_eq!(late.next().await.unwrap().status, "two");
        assert!(late.outcome().await.is_ok());
        assert!(token.is_cancelled());
    }
}
