//! Tests that hang are named: the test program itself would wait for them for ever.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use crate::leftovers::Leftovers;

/// How long a test may hold a daemon: many times what the longest takes on a machine under load.
const WITHIN: Duration = Duration::from_secs(15 * 60);

/// Daemons that tests hold, by a number of ours.
static HELD: Mutex<BTreeMap<u64, Held>> = Mutex::new(BTreeMap::new());

#[derive(Debug)]
struct Held {
    /// The thread that made it: it has the test's name.
    test: String,
    since: Instant,
    log: PathBuf,
}

/// A test's daemon under watch, until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched(u64);

impl Watched {
    /// Watches the test that calls this; `log` is what its daemon writes.
    pub(crate) fn with(log: PathBuf) -> Self {
        static WATCH: Once = Once::new();
        WATCH.call_once(|| drop(std::thread::spawn(watch)));
        let test = std::thread::current().name().unwrap_or("a thread without a name").to_owned();
        let mut held = held();
        let number = held.last_key_value().map_or(0, |(last, _)| last + 1);
        held.insert(number, Held { test, since: Instant::now(), log });
        Self(number)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        held().remove(&self.0);
    }
}

fn held() -> MutexGuard<'static, BTreeMap<u64, Held>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks every second; ends the process if a test hangs.
fn watch() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
        if let Some(report) = late(WITHIN) {
            // Not by a macro: what those print belongs to the test whose daemon was the first, and is kept back.
            let _ = std::io::stderr().write_all(report.as_bytes());
            end_daemons();
            std::process::exit(101);
        }
    }
}

/// Kills what was started for all tests: nobody else would.
fn end_daemons() {
    let held = held();
    let roots = held.values().map(|held| held.log.with_file_name("exec"));
    let processes = roots.flat_map(|root| Leftovers::processes(&root)).map(|process| process.to_string());
    // Some may be gone already, and there is nobody left to tell.
    let _ = Command::new("kill").arg("-KILL").args(processes).status();
}

/// What is to be said of the tests that have held a daemon for longer than this, if there are any.
fn late(within: Duration) -> Option<String> {
    let held = held();
    let late: Vec<&Held> = held.values().filter(|held| held.since.elapsed() > within).collect();
    if late.is_empty() {
        return None;
    }
    let names: Vec<&str> = late.iter().map(|late| late.test.as_str()).collect();
    let names = format!("tests that hang: {}\n", names.join(", "));
    let logs = late.iter().map(|late| format!("--- log of the daemon of {}\n{}", late.test, read(&late.log)));
    let logs: String = logs.collect();
    let waits = standing();
    Some(format!("\n{names}{logs}--- what our threads and all processes wait for\n{waits}{names}"))
}

/// What each of our threads waits for in the kernel, and so each other process (by its first thread).
fn standing() -> String {
    let mut text = String::new();
    for (folder, kind) in [("/proc/self/task", "thread"), ("/proc", "process")] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let words = read(&path.join(if kind == "thread" { "comm" } else { "cmdline" })).replace('\0', " ");
            if !words.trim().is_empty() {
                let (number, wait) = (entry.file_name(), read(&path.join("wchan")));
                // Text in memory does not fail.
                let _ = writeln!(text, "{kind} {} at {wait}: {}", number.display(), words.trim());
            }
        }
    }
    text
}

/// What has gone meanwhile has no text.
fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_hangs_is_named_with_its_log() {
        let log = std::env::temp_dir().join(format!("testkit-watch-{}", std::process::id()));
        fs::write(&log, "the last words\n").unwrap();
        let place = log.clone();
        let test = std::thread::Builder::new().name("module::test".to_owned());
        let watched = test.spawn(|| Watched::with(place)).unwrap().join().unwrap();
        std::thread::sleep(Duration::from_millis(1));
        let told = late(Duration::ZERO).unwrap();
        assert!(told.starts_with("\ntests that hang: module::test\n") && told.contains("the last words\n"), "{told}");
        assert!(told.contains(&format!("process {} ", std::process::id())), "{told}");
        assert_eq!(late(WITHIN), None);
        drop(watched);
        assert_eq!(late(Duration::ZERO), None);
        fs::remove_file(log).unwrap();
    }
}
