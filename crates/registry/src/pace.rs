//! How slow a registry may be.

use std::time::Duration;

/// How long a registry is waited for before its pace is looked at.
const WINDOW: Duration = Duration::from_secs(30);
/// How much must have come in that time; a modem brings ten times as much.
const LEAST_BYTES: u64 = 32 << 10;

/// The same where there is another way to have it: what is worth a wait brings 4 MB a second.
const BRISK_WINDOW: Duration = Duration::from_secs(10);
const BRISK_BYTES: u64 = 40 << 20;

/// How fast a body comes: only the time counts in which it is waited for.
#[derive(Debug)]
pub(crate) struct Pace {
    window: Duration,
    least_bytes: u64,
    waited: Duration,
    bytes: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { window: WINDOW, least_bytes: LEAST_BYTES, waited: Duration::ZERO, bytes: 0 }
    }
}

impl Pace {
    /// Of what can be had in another way too.
    pub(crate) fn brisk() -> Self {
        Self { window: BRISK_WINDOW, least_bytes: BRISK_BYTES, ..Self::default() }
    }

    /// How long a single piece may be waited for; no longer than the whole window.
    pub(crate) fn longest_wait(&self) -> Duration {
        self.window
    }

    /// Notes that `bytes` came after so long. False: it is too slow.
    pub(crate) fn keeps_up(&mut self, waited: Duration, bytes: usize) -> bool {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < self.window {
            return true;
        }
        let fast = self.bytes >= self.least_bytes;
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        fast
    }
}

/// Whether so much is worth another round of tries: what comes in drips is not.
pub(crate) fn is_progress(bytes: u64) -> bool {
    bytes >= LEAST_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drips_are_too_slow() {
        let mut pace = Pace::default();
        assert!((0..29).all(|_| pace.keeps_up(Duration::from_secs(1), 1)));
        assert!(!pace.keeps_up(Duration::from_secs(1), 1));
        assert!((0..300).all(|_| pace.keeps_up(Duration::from_secs(1), 2000)));
        let mut brisk = Pace::brisk();
        assert!((0..300).all(|_| brisk.keeps_up(Duration::from_secs(1), 5 << 20)));
        assert!(!(0..10).all(|_| brisk.keeps_up(Duration::from_secs(1), 3 << 20)));
    }
}
