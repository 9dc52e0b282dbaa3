//! The daemon: flags and file to settings, settings to an engine behind a server.

mod flags;
mod idle;
mod log;
mod pidfile;
pub(crate) mod prerequisites;
mod service;
mod settings;
mod wiring;

use std::path::PathBuf;
use std::process::ExitCode;

use settings::Settings;

/// The first argument by which this program, executed again, becomes the launcher.
pub(crate) const LAUNCHER: &str = "launcher";

/// The data root of a daemon that is started with these flags (and the file that they name).
///
/// # Errors
/// What is unknown or malformed.
pub(crate) fn data_root(arguments: &[String]) -> anyhow::Result<PathBuf> {
    Ok(wiring::data_root(&Settings::read(arguments)?))
}

/// Runs the daemon until a signal ends it.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return crate::print(&flags::help());
    }
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not through the log: it may not be there yet, and its level must not hide this.
            eprintln!("longshore: {}", sentence(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, each that says something new.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if sentence.is_empty() {
            sentence = cause;
        } else if !sentence.contains(&cause) {
            sentence = format!("{sentence}: {cause}");
        }
    }
    sentence
}

fn start(arguments: &[String]) -> anyhow::Result<()> {
    let settings = Settings::read(arguments)?;
    if settings.switch("validate", false) {
        wiring::check(&settings)?;
        println!("configuration OK");
        return Ok(());
    }
    // As Docker Engine's: what containers are given can be read by their users, whoever starts the daemon.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let log = log::start(&settings)?;
    wiring::check(&settings)?;
    prerequisites::check()?;
    prerequisites::raise_open_files();
    let _pidfile = pidfile::Pidfile::write(&settings.text_or("pidfile", "/var/run/longshore.pid"))?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 4);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let outcome = runtime.block_on(service::serve(arguments, &settings, &log));
    // Streams to clients end with us; blocking work that still runs is cut off.
    runtime.shutdown_background();
    outcome
}
