//! The daemon's own log, to standard error.

use std::io::IsTerminal;

use anyhow::{Result, bail};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

use super::settings::Settings;

/// The running log.
#[derive(Debug)]
pub(super) struct Log(Handle<LevelFilter, Registry>);

/// Starts the log.
///
/// # Errors
/// An unknown level.
pub(super) fn start(settings: &Settings) -> Result<Log> {
    let (filter, handle) = reload::Layer::new(level(settings)?);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).with_target(false);
    tracing_subscriber::registry().with(filter).with(lines).init();
    Ok(Log(handle))
}

impl Log {
    /// Takes over the level of changed settings.
    ///
    /// # Errors
    /// An unknown level; the old one stays.
    pub(super) fn reload(&self, settings: &Settings) -> Result<()> {
        Ok(self.0.reload(level(settings)?)?)
    }
}

fn level(settings: &Settings) -> Result<LevelFilter> {
    if settings.switch("debug", false) {
        return Ok(LevelFilter::DEBUG);
    }
    match settings.text("log-level") {
        Some("debug") => Ok(LevelFilter::DEBUG),
        None | Some("info") => Ok(LevelFilter::INFO),
        Some("warn") => Ok(LevelFilter::WARN),
        Some("error" | "fatal" | "panic") => Ok(LevelFilter::ERROR),
        Some(unknown) => bail!("invalid log level {unknown:?}: choose debug, info, warn, error or fatal"),
    }
}
