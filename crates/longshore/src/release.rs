//! Who we are.

use std::fmt::Write;

/// The Docker release whose place we take: what clients see as the engine's version.
pub(crate) const DOCKER_RELEASE: &str = "28.5.2";
/// Our own version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Revision that the binary was built from, if the build said so.
pub(crate) const REVISION: Option<&str> = option_env!("LONGSHORE_REVISION");
/// When the binary was built, RFC 3339, if the build said so.
pub(crate) const BUILT: Option<&str> = option_env!("LONGSHORE_BUILT");

/// What `longshore help` prints.
pub(crate) const USAGE: &str = "\
longshore: a container engine that answers every version of the Docker API

  longshore daemon [flags]   run the engine (also: longshore -d); `longshore daemon --help` lists the flags
  longshore demo             show all of it on a private daemon, and clean up
  longshore store check      prove that every file of the data root belongs to something and is whole; `longshore store --help`
  longshore store dump       print the metadata as JSON
  longshore version          print the version
  longshore api-versions     print what each API version changed
";

/// What `longshore version` prints.
pub(crate) fn line() -> String {
    let revision = REVISION.map(|revision| format!(", revision {revision}")).unwrap_or_default();
    let (oldest, newest) = (ladder::OLDEST, ladder::NEWEST);
    format!("longshore {VERSION} (API {oldest} to {newest}, in the place of Docker {DOCKER_RELEASE}{revision})")
}

/// What `longshore api-versions` prints: the ladder, newest version first.
pub(crate) fn api_versions() -> String {
    let mut text = String::new();
    for rung in ladder::RUNGS {
        // Writing to a string cannot fail.
        writeln!(text, "{} (Docker {})", rung.version, rung.release).ok();
        for change in rung.changes {
            writeln!(text, "    {}", change.summary).ok();
        }
    }
    text
}
