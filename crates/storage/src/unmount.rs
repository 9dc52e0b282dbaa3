//! Unmounting in the background, many at a time.
//!
//! Before an overlay goes, the kernel writes all that is dirty on the file system beneath it and commits its journal, whosoever
//! that is (`ovl_sync_fs`): for a container that lived for milliseconds it is a good part of all work. Those that go at the same
//! time share it.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::Result;
use crate::error::Doing;

/// How long a mount waits for others.
const TOGETHER: Duration = Duration::from_millis(200);

/// How many threads unmount: what one waits for is what the others wait for too.
const LANES: usize = 16;

/// Mounts that nobody uses any more, and the thread that lets go of them. Dropping it lets go of all.
#[derive(Debug)]
pub(crate) struct Unmounting {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By container.
    mounts: HashMap<String, OwnedFd>,
    stop: bool,
}

impl Unmounting {
    /// Starts with none.
    pub(crate) fn new() -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        let thread = Builder::new().name("unmount".into()).spawn(move || own.run());
        Ok(Self { shared, thread: Some(thread.doing("starting the thread that unmounts")?) })
    }

    /// Lets go of a container's mount soon.
    pub(crate) fn soon(&self, container: &str, mount: OwnedFd) {
        self.shared.waiting().mounts.insert(container.to_owned(), mount);
        self.shared.changed.notify_one();
    }

    /// Lets go of a container's mount now, if it still waits.
    pub(crate) fn now(&self, container: &str) {
        let mount = self.shared.waiting().mounts.remove(container);
        drop(mount);
    }
}

impl Drop for Unmounting {
    fn drop(&mut self) {
        self.shared.waiting().stop = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that unmounts panicked");
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let idle = |waiting: &mut Waiting| waiting.mounts.is_empty() && !waiting.stop;
            let waiting = self.changed.wait_while(self.waiting(), idle).unwrap_or_else(PoisonError::into_inner);
            let more = self.changed.wait_timeout_while(waiting, TOGETHER, |waiting| !waiting.stop);
            let (mut waiting, _) = more.unwrap_or_else(PoisonError::into_inner);
            let (mounts, stop) = (std::mem::take(&mut waiting.mounts), waiting.stop);
            drop(waiting);
            let_go(mounts.into_values().collect());
            if stop {
                return;
            }
        }
    }
}

fn let_go(mut mounts: Vec<OwnedFd>) {
    let each = mounts.len().div_ceil(LANES).max(1);
    std::thread::scope(|scope| {
        while mounts.len() > each {
            let lane = mounts.split_off(mounts.len() - each);
            // Without a thread it is done here.
            drop(Builder::new().spawn_scoped(scope, move || drop(lane)));
        }
        drop(mounts);
    });
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read};

    use super::*;

    /// What ends when the other is closed.
    fn pair() -> (PipeReader, OwnedFd) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        (reader, writer.into())
    }

    fn is_open(reader: &PipeReader) -> bool {
        let mut poll = [rustix::event::PollFd::new(reader, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut poll, Some(&rustix::time::Timespec::default())).expect("poll") == 0
    }

    #[test]
    fn all_go_soon() {
        let unmounting = Unmounting::new().expect("a thread");
        for round in 0..2 {
            let held: Vec<_> = (0..3 * LANES + 1).map(|number| (number, pair())).collect();
            let readers = held.into_iter().map(|(number, (reader, writer))| {
                unmounting.soon(&number.to_string(), writer);
                reader
            });
            for mut reader in readers.collect::<Vec<_>>() {
                assert_eq!(reader.read(&mut [0]).expect("the end"), 0, "{round}");
            }
        }
    }

    #[test]
    fn one_goes_now() {
        // Nobody else lets go of it.
        let unmounting = Unmounting { shared: Arc::default(), thread: None };
        let (reader, writer) = pair();
        unmounting.soon("a", writer);
        unmounting.now("b");
        assert!(is_open(&reader));
        unmounting.now("a");
        assert!(!is_open(&reader));
    }

    #[test]
    fn the_end_lets_go_of_all() {
        let unmounting = Unmounting::new().expect("a thread");
        let (reader, writer) = pair();
        unmounting.soon("a", writer);
        drop(unmounting);
        assert!(!is_open(&reader));
    }
}
