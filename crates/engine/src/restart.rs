//! Restart policies: whether, and how long after its end, a container starts again.

use std::time::Duration;

use api::host_config::RestartPolicy;

use crate::{Error, Result};

/// First delay; doubles each time.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// No delay is longer.
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// A run that lasted so long was a good one: the delay begins anew.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// What Docker calls a restart policy, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    No,
    Always,
    UnlessStopped,
    /// At most so many times; 0 is no limit.
    OnFailure(u64),
}

impl Policy {
    /// Reads and checks a policy.
    pub(crate) fn parse(policy: &RestartPolicy) -> Result<Self> {
        let retries = policy.maximum_retry_count;
        let parsed = match policy.name.as_str() {
            "" | "no" => Self::No,
            "always" => Self::Always,
            "unless-stopped" => Self::UnlessStopped,
            "on-failure" => match u64::try_from(retries) {
                Ok(retries) => return Ok(Self::OnFailure(retries)),
                Err(_) => {
                    return Err(Error::invalid("invalid restart policy: maximum retry count cannot be negative"));
                }
            },
            other => {
                return Err(Error::invalid(format!(
                    "invalid restart policy: unknown policy '{other}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
                )));
            }
        };
        if retries != 0 {
            let mut text = "invalid restart policy: maximum retry count can only be used with 'on-failure'".to_owned();
            if retries < 0 {
                text.push_str(" and cannot be negative");
            }
            return Err(Error::invalid(text));
        }
        Ok(parsed)
    }

    /// Whether a container starts again when the daemon does.
    pub(crate) fn at_boot(self, was_stopped_by_user: bool, was_running: bool, exit_code: i64) -> bool {
        match self {
            Self::No => false,
            Self::Always => true,
            Self::UnlessStopped => !was_stopped_by_user,
            Self::OnFailure(_) => was_running && !was_stopped_by_user && exit_code != 0,
        }
    }
}

/// The delays of one container.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BackOff {
    last: Option<Duration>,
    failures: u64,
}

impl BackOff {
    /// The delay before the next start after a run of `ran_for` that ended with `exit_code`; `None`: it stays stopped.
    pub(crate) fn next(&mut self, policy: Policy, exit_code: i64, ran_for: Duration) -> Option<Duration> {
        if ran_for >= GOOD_RUN {
            *self = Self::default();
        }
        let again = match policy {
            Policy::No => false,
            Policy::Always | Policy::UnlessStopped => true,
            Policy::OnFailure(most) => exit_code != 0 && (most == 0 || self.failures < most),
        };
        if !again {
            return None;
        }
        self.failures += 1;
        let delay = self.last.map_or(FIRST_DELAY, |last| (last * 2).min(LONGEST_DELAY));
        self.last = Some(delay);
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, retries: i64) -> Result<Policy> {
        Policy::parse(&RestartPolicy { name: name.into(), maximum_retry_count: retries })
    }

    #[test]
    fn policies_are_read_and_checked() {
        assert_eq!(policy("", 0).ok(), Some(Policy::No));
        assert_eq!(policy("on-failure", 3).ok(), Some(Policy::OnFailure(3)));
        assert!(policy("always", 3).is_err());
        assert!(policy("on-failure", -1).is_err());
        assert!(policy("sometimes", 0).is_err());
    }

    #[test]
    fn delays_double_and_a_good_run_resets_them() {
        let mut back_off = BackOff::default();
        let short = Duration::from_secs(1);
        let delays: Vec<_> = (0..12).filter_map(|_| back_off.next(Policy::Always, 0, short)).collect();
        assert_eq!(delays[..3], [100, 200, 400].map(Duration::from_millis));
        assert_eq!(delays[11], LONGEST_DELAY);
        assert_eq!(back_off.next(Policy::Always, 0, GOOD_RUN), Some(FIRST_DELAY));
    }

    #[test]
    fn on_failure_counts() {
        let mut back_off = BackOff::default();
        let short = Duration::from_secs(1);
        assert!(back_off.next(Policy::OnFailure(2), 0, short).is_none());
        assert!(back_off.next(Policy::OnFailure(2), 1, short).is_some());
        assert!(back_off.next(Policy::OnFailure(2), 1, short).is_some());
        assert!(back_off.next(Policy::OnFailure(2), 1, short).is_none());
    }

    #[test]
    fn at_boot() {
        assert!(Policy::Always.at_boot(true, false, 0));
        assert!(!Policy::UnlessStopped.at_boot(true, true, 0));
        assert!(Policy::OnFailure(0).at_boot(false, true, 1));
        assert!(!Policy::No.at_boot(false, true, 1));
    }
}
