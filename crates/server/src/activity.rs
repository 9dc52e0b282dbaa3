//! Whether anybody asks for anything.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// When something was last asked of a server.
#[derive(Debug)]
pub struct Activity {
    since: Instant,
    /// Nanoseconds after `since`.
    last: AtomicU64,
    asked: Notify,
}

impl Default for Activity {
    fn default() -> Self {
        Self { since: Instant::now(), last: AtomicU64::default(), asked: Notify::default() }
    }
}

impl Activity {
    /// A request has come.
    pub(crate) fn note(&self) {
        // Enough for five hundred years.
        self.last.store(self.since.elapsed().as_nanos() as u64, Ordering::Relaxed);
        self.asked.notify_one();
    }

    /// Returns when something has been asked, and after it nothing for `quiet`. Nothing wakes up while all stays quiet.
    pub async fn settled(&self, quiet: Duration) {
        self.asked.notified().await;
        loop {
            let settled = self.since + Duration::from_nanos(self.last.load(Ordering::Relaxed)) + quiet;
            if settled <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(settled.into()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn settles_after_what_was_asked() {
        let (activity, quiet) = (Activity::default(), Duration::from_millis(20));
        assert!(timeout(3 * quiet, activity.settled(quiet)).await.is_err(), "nothing was asked yet");
        let asked = Instant::now();
        activity.note();
        timeout(Duration::from_secs(60), activity.settled(quiet)).await.expect("nothing more was asked");
        assert!(asked.elapsed() >= quiet);
    }
}
