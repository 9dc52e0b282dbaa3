//! Moves the write-ahead log into the database file beside the writers, so that no commit ever waits for it.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::{Error, Result};

/// Commits between two checkpoints; at two to three pages each this keeps the log at a few megabytes.
const COMMITS: u32 = 500;

/// The thread that checkpoints, and how to wake it.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(crate) fn start(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || run(&connection, &woken))
            .map_err(|source| Error::File { path: path.to_owned(), source })?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    /// Counts a commit and wakes the thread when enough have come together.
    pub(crate) fn committed(&self, commits: &mut u32) {
        *commits += 1;
        if *commits < COMMITS {
            return;
        }
        if let Some(wake) = &self.wake {
            match wake.try_send(()) {
                // Full: it has been woken already and will see this commit too.
                Ok(()) | Err(TrySendError::Full(())) => *commits = 0,
                // The thread is gone: SQLite's own checkpoint at the size limit takes over.
                Err(TrySendError::Disconnected(())) => {}
            }
        }
    }
}

fn run(connection: &Connection, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        // A checkpoint that could not be done is done by the next one; the log just stays longer meanwhile.
        let _busy = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // It ends by itself once the channel is closed; it has nothing to report.
            let _ended = thread.join();
        }
    }
}
