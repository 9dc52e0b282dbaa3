//! Trying again, a little later each time.

use std::time::Duration;

use crate::{Error, Result};

/// How often something is tried after it failed for a reason that may pass.
const RETRIES: u32 = 5;
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);

/// The pauses between tries.
#[derive(Debug)]
pub(crate) struct Backoff {
    failures: u32,
    most: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { failures: 0, most: RETRIES }
    }
}

impl Backoff {
    /// One more try and no other: there is another way.
    pub(crate) fn brief() -> Self {
        Self { failures: 0, most: 1 }
    }

    /// Starts over: the last try got on.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait before the next try; `None` if there shall be none.
    pub(crate) fn after(&mut self, error: &Error) -> Option<Duration> {
        if !error.is_transient() || self.failures == self.most {
            return None;
        }
        let pause = FIRST.saturating_mul(1 << self.failures).min(LONGEST);
        self.failures += 1;
        // A registry that wants more patience than a client has is told apart from one that wants a little.
        Some(error.retry_after().map_or(pause, |asked| asked.clamp(pause, LONGEST * 3)))
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// The error itself, if there shall be none.
    pub(crate) async fn wait(&mut self, error: Error) -> Result<()> {
        match self.after(&error) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(error),
        }
        Ok(())
    }
}
