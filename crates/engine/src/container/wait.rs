//! Waiting for a container's end.

use api::container::{WaitError, WaitResponse};
use tokio::sync::watch;

use crate::options::{SignalCode, WaitCondition};

/// What waiters are told of a container: published at each end and at its removal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Life {
    /// Runs that have ended.
    pub(crate) ends: u64,
    /// Exit code of the last one.
    pub(crate) exit_code: i64,
    /// A signal ended it.
    pub(crate) signalled: bool,
    /// Runs, is paused, or waits for its restart policy.
    pub(crate) up: bool,
    /// The record is gone.
    pub(crate) removed: bool,
    /// Why it could not be removed, or not be started.
    pub(crate) error: String,
}

/// A wait that has begun: what happens from its making on counts.
#[derive(Debug)]
pub struct Waiting {
    life: watch::Receiver<Life>,
    condition: WaitCondition,
    signal_code: SignalCode,
    ends: u64,
}

impl Waiting {
    pub(crate) fn begin(life: watch::Receiver<Life>, condition: WaitCondition) -> Self {
        let ends = life.borrow().ends;
        Self { life, condition, signal_code: SignalCode::default(), ends }
    }

    /// The same, with ends by signals told in another way.
    #[must_use]
    pub fn telling(mut self, signal_code: SignalCode) -> Self {
        self.signal_code = signal_code;
        self
    }

    /// Resolves when the condition is met.
    pub async fn outcome(mut self) -> WaitResponse {
        let (condition, ends) = (self.condition, self.ends);
        let met = |life: &Life| match condition {
            WaitCondition::NotRunning => !life.up || life.ends > ends || life.removed,
            WaitCondition::NextExit => life.ends > ends || life.removed,
            WaitCondition::Removed => life.removed,
        };
        let met = self.life.wait_for(met).await.map(|life| life.clone());
        // Without a publisher (the engine was closed) what it said last stands.
        let life = met.unwrap_or_else(|_| self.life.borrow().clone());
        let error = (!life.error.is_empty()).then(|| WaitError { message: life.error.clone() });
        WaitResponse { status_code: self.signal_code.tell(life.exit_code, life.signalled), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn conditions() {
        let (publisher, life) = watch::channel(Life { up: true, ..Life::default() });
        let next = Waiting::begin(life.clone(), WaitCondition::NextExit);
        let stopped = Waiting::begin(life.clone(), WaitCondition::NotRunning);
        let removed = Waiting::begin(life, WaitCondition::Removed);
        publisher.send_modify(|life| (life.ends, life.exit_code, life.signalled) = (1, 137, true));
        assert_eq!(next.outcome().await.status_code, 137);
        assert_eq!(stopped.telling(SignalCode::MinusOne).outcome().await.status_code, -1);
        publisher.send_modify(|life| life.removed = true);
        assert_eq!(removed.outcome().await.status_code, 137);
    }
}
