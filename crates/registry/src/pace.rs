//! How slow a registry may be.

use std::time::Duration;

/// How long a registry is waited for before its pace is looked at.
const WINDOW: Duration = Duration::from_secs(30);
/// How much must have come in that time; a modem brings ten times as much.
const LEAST_BYTES: u64 = 32 << 10;

/// How fast a body comes: only the time counts in which it is waited for.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Notes that `bytes` came after so long. False: it is too slow.
    pub(crate) fn keeps_up(&mut self, waited: Duration, bytes: usize) -> bool {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < WINDOW {
            return true;
        }
        let fast = self.bytes >= LEAST_BYTES;
        *self = Self::default();
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
    }
}
