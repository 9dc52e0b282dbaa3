//! Health checks: a command in the container, run again and again, tells whether the container is well.
//!
//! Times, limits and words are Docker's. The result is part of the container's record, so that the next daemon goes on
//! from it.

use std::sync::Arc;
use std::time::Duration;

use api::container::{ContainerConfig, Health, HealthConfig, HealthcheckResult};
use model::Timestamp;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Container;
use super::life::Actor;
use super::probe::{Outcome, probe};
use super::record::{Record, Status};
use crate::engine::Engine;
use crate::{Error, Result};

const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: i64 = 3;
/// Probes that are remembered.
const LOGGED: usize = 5;
/// Shortest time that can be asked for.
const LEAST_NS: i64 = 1_000_000;

const STARTING: &str = "starting";
const HEALTHY: &str = "healthy";
const UNHEALTHY: &str = "unhealthy";

/// A container's health check with its defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// Program and arguments.
    pub(crate) command: Vec<String>,
    /// How long a probe may take.
    pub(crate) timeout: Duration,
    interval: Duration,
    start_period: Duration,
    start_interval: Duration,
    retries: i64,
}

impl Check {
    /// The check of a configuration that has one.
    pub(crate) fn of(config: &ContainerConfig) -> Option<Self> {
        let health = config.healthcheck.as_ref()?;
        let (kind, words) = health.test.as_deref()?.split_first()?;
        let command = match kind.as_str() {
            "CMD" => words.to_vec(),
            "CMD-SHELL" => {
                let shell = config.shell.clone().filter(|shell| !shell.is_empty());
                let mut command = shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
                command.extend_from_slice(words);
                command
            }
            _ => return None,
        };
        let or = |ns: i64, default| if ns == 0 { default } else { Duration::from_nanos(ns.unsigned_abs()) };
        Some(Self {
            command,
            timeout: or(health.timeout, TIMEOUT),
            interval: or(health.interval, INTERVAL),
            start_period: or(health.start_period, Duration::ZERO),
            start_interval: or(health.start_interval, START_INTERVAL),
            retries: if health.retries <= 0 { RETRIES } else { health.retries },
        })
    }

    /// Time until the next probe.
    fn pause(&self, record: &Record, now: Timestamp) -> Duration {
        let starting = record.state.health.as_ref().is_some_and(|health| health.status == STARTING);
        if starting && self.in_start_period(record, now) { self.start_interval } else { self.interval }
    }

    fn in_start_period(&self, record: &Record, at: Timestamp) -> bool {
        record.state.started.is_none_or(|started| at.since(started) < self.start_period)
    }
}

/// Refuses times and retries that make no sense.
pub(crate) fn validate(health: &HealthConfig) -> Result<()> {
    let times = [
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    ];
    if let Some((name, _)) = times.into_iter().find(|(_, ns)| *ns != 0 && *ns < LEAST_NS) {
        return Err(Error::invalid(format!("{name} in Healthcheck cannot be less than 1ms")));
    }
    if health.retries < 0 {
        return Err(Error::invalid("Retries in Healthcheck cannot be negative"));
    }
    match health.test.as_deref().and_then(<[String]>::first).map(String::as_str) {
        None | Some("NONE" | "CMD" | "CMD-SHELL") => Ok(()),
        Some(other) => Err(Error::invalid(format!("Unknown healthcheck type '{other}' (expected 'CMD')"))),
    }
}

/// What a result changes: status, streak and log.
fn judged(health: &Health, check: &Check, counts: bool, result: HealthcheckResult) -> Health {
    let mut next = health.clone();
    if result.exit_code == 0 {
        next.failing_streak = 0;
        HEALTHY.clone_into(&mut next.status);
    } else if counts {
        next.failing_streak += 1;
        if next.failing_streak >= check.retries {
            UNHEALTHY.clone_into(&mut next.status);
        }
    }
    next.log.push(result);
    next.log.drain(..next.log.len().saturating_sub(LOGGED));
    next
}

impl Actor {
    /// Begins to probe a container that has started (`anew`) or was found running, if it has a check.
    pub(crate) fn watch_health(&mut self, anew: bool) {
        let Some(check) = Check::of(&self.record.config) else { return };
        let health = Arc::make_mut(self.record.state.health.get_or_insert_default());
        if anew || health.status.is_empty() {
            STARTING.clone_into(&mut health.status);
            health.failing_streak = 0;
        }
        let stop = CancellationToken::new();
        let watching = monitor(Arc::clone(&self.engine), Arc::clone(&self.container), check, stop.clone());
        tokio::spawn(watching);
        self.health = Some(Watch(stop.drop_guard()));
    }

    /// Ends the probing. As with Docker, what is not probed counts as unhealthy.
    pub(crate) fn unwatch_health(&mut self) {
        if self.health.take().is_some()
            && let Some(health) = &mut self.record.state.health
        {
            UNHEALTHY.clone_into(&mut Arc::make_mut(health).status);
        }
    }

    /// Takes a probe's result in; `begun` decides whether it fell into the start period.
    fn probed(&mut self, check: &Check, begun: Timestamp, result: HealthcheckResult) {
        let Some(health) = self.record.state.health.clone().filter(|_| self.record.state.status == Status::Running)
        else {
            return;
        };
        let counts = health.status != STARTING || !check.in_start_period(&self.record, begun);
        let next = judged(&health, check, counts, result);
        let changed = (next.status != health.status).then(|| format!("health_status: {}", next.status));
        self.record.state.health = Some(Arc::new(next));
        self.publish_then_save();
        if let Some(action) = changed {
            self.event(&action, &[]);
        }
    }
}

/// Probing that goes on; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Watch(#[expect(dead_code, reason = "held for its drop")] DropGuard);

async fn monitor(engine: Arc<Engine>, container: Arc<Container>, check: Check, stop: CancellationToken) {
    let stopped = stop.clone();
    let probing = async {
        loop {
            tokio::time::sleep(check.pause(&container.record(), Timestamp::now())).await;
            let begun = Timestamp::now();
            let outcome = probe(&engine, &container, &check).await;
            let result = shown(outcome, begun);
            let (check, stop) = (check.clone(), stop.clone());
            let told = container.step(move |actor| {
                Box::pin(async move {
                    if !stop.is_cancelled() {
                        actor.probed(&check, begun, result);
                    }
                    Ok(())
                })
            });
            if told.await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = stopped.cancelled() => {}
        () = engine.closing.cancelled() => {}
        () = probing => {}
    }
}

fn shown(outcome: Result<Outcome>, begun: Timestamp) -> HealthcheckResult {
    let (exit_code, output) = match outcome {
        Ok(outcome) => (outcome.exit_code, outcome.output),
        Err(error) => (-1, error.message().to_owned()),
    };
    HealthcheckResult { start: begun.to_string(), end: Timestamp::now().to_string(), exit_code, output }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(test: &[&str], health: HealthConfig) -> Option<Check> {
        let test = Some(test.iter().map(ToString::to_string).collect());
        Check::of(&ContainerConfig { healthcheck: Some(HealthConfig { test, ..health }), ..Default::default() })
    }

    #[test]
    fn commands_are_read() {
        let command = |test: &[&str]| check(test, HealthConfig::default()).map(|check| check.command.join(" "));
        assert_eq!(command(&["CMD", "a", "b"]), Some("a b".into()));
        assert_eq!(command(&["CMD-SHELL", "a && b"]), Some("/bin/sh -c a && b".into()));
        assert_eq!(command(&["NONE"]), None);
        assert_eq!(command(&[]), None);
    }

    #[test]
    fn failures_in_a_row_count_after_the_start_period_only() {
        let Some(check) = check(&["CMD", "a"], HealthConfig { retries: 2, ..Default::default() }) else {
            panic!("a check")
        };
        let result = |exit_code| HealthcheckResult { exit_code, ..Default::default() };
        let starting = Health { status: STARTING.into(), ..Health::default() };
        let early = judged(&starting, &check, false, result(1));
        assert_eq!((early.status.as_str(), early.failing_streak, early.log.len()), (STARTING, 0, 1));
        let once = judged(&early, &check, true, result(1));
        assert_eq!((once.status.as_str(), once.failing_streak), (STARTING, 1));
        let twice = judged(&once, &check, true, result(1));
        assert_eq!((twice.status.as_str(), twice.failing_streak), (UNHEALTHY, 2));
        let well = judged(&twice, &check, true, result(0));
        assert_eq!((well.status.as_str(), well.failing_streak), (HEALTHY, 0));
        let many = (0..9).fold(well, |health, _| judged(&health, &check, true, result(0)));
        assert_eq!(many.log.len(), LOGGED);
    }

    #[test]
    fn senseless_times_are_refused() {
        let refused = |health: HealthConfig| validate(&health).map_err(|error| error.to_string());
        assert_eq!(
            refused(HealthConfig { timeout: 1, ..Default::default() }),
            Err("Timeout in Healthcheck cannot be less than 1ms".into())
        );
        assert!(refused(HealthConfig { retries: -1, ..Default::default() }).is_err());
        assert!(refused(HealthConfig::default()).is_ok());
    }
}
