//! Drives the real launcher, shim and protocol; only the runtime is replaced by one without containers.

mod harness;
mod plain;
mod real;
mod scenarios;

use std::os::fd::AsFd;
use std::panic::AssertUnwindSafe;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "launcher") {
        let control = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
        shim::launcher::run_with(control, || Box::new(plain::Plain));
    }
    if arguments.first().is_some_and(|first| first == "real-launcher") {
        shim::launcher::run_on_stdin();
    }
    if arguments.first().is_some_and(|first| first == "probe") {
        real::probe();
    }
    if arguments.first().is_some_and(|first| first == "daemon") {
        let launcher = shim::Launcher::start(["launcher"]).unwrap();
        println!("{}", launcher.pid().unwrap());
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
        return;
    }
    let filter = arguments.into_iter().find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let mut failed = Vec::new();
    for (name, scenario) in scenarios::ALL.iter().filter(|(name, _)| name.contains(&filter)) {
        let started = std::time::Instant::now();
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(scenario));
        println!("{name} ... {} ({:.0?})", if outcome.is_ok() { "ok" } else { "FAILED" }, started.elapsed());
        if outcome.is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "failed: {failed:?}");
}
