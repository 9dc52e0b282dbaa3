//! Deletion in the background: what is moved into the trash folder is gone for everybody at once, and from the disk soon.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use sys::root::Root;

use crate::Result;
use crate::error::Doing;

/// The trash folder and the thread that empties it. Dropping it waits for the entry being deleted; the rest stays for the
/// next start.
#[derive(Debug)]
pub(crate) struct Trash {
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Bell {
    full: Mutex<bool>,
    rung: Condvar,
    stop: AtomicBool,
}

impl Trash {
    /// Starts emptying `folder`.
    pub(crate) fn new(folder: Root) -> Result<Trash> {
        let bell = Arc::new(Bell { full: Mutex::new(true), ..Bell::default() });
        let shared = Arc::clone(&bell);
        let thread = std::thread::Builder::new().name("trash".into()).spawn(move || run(&folder, &shared));
        Ok(Trash { bell, thread: Some(thread.doing("starting the trash thread")?) })
    }

    /// Says that something was moved into the folder.
    pub(crate) fn ring(&self) {
        *self.bell.full.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.rung.notify_one();
    }
}

impl Drop for Trash {
    fn drop(&mut self) {
        self.bell.stop.store(true, Ordering::Relaxed);
        self.ring();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the trash thread panicked");
        }
    }
}

fn run(folder: &Root, bell: &Bell) {
    loop {
        let mut full = bell.full.lock().unwrap_or_else(PoisonError::into_inner);
        while !*full {
            full = bell.rung.wait(full).unwrap_or_else(PoisonError::into_inner);
        }
        *full = false;
        drop(full);
        let entries = match folder.read_dir("/") {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(%error, "cannot list the trash");
                Vec::new()
            }
        };
        for entry in entries {
            if bell.stop.load(Ordering::Relaxed) {
                return;
            }
            if let Err(error) = folder.remove(&entry.name) {
                // It stays, and the next start tries again.
                tracing::warn!(%error, "cannot delete from the trash");
            }
        }
        if bell.stop.load(Ordering::Relaxed) {
            return;
        }
    }
}
