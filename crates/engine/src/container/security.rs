//! What a container's processes may do; and the words for a program that could not be started.

use runtime::capabilities::{self, Capabilities};
use runtime::{Process, Rlimit, Stage, StartError, mounts, seccomp};
use rustix::io::Errno;

use super::record::Record;
use super::user::User;
use crate::engine::Engine;
use crate::{Error, Result};

/// `SecurityOpt`, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp: Seccomp,
}

/// The wanted system call filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Seccomp {
    #[default]
    Default,
    Unconfined,
    /// A profile as JSON text.
    Profile(String),
}

impl Options {
    /// Reads and checks the options.
    pub(crate) fn parse(options: &[String]) -> Result<Self> {
        let mut parsed = Self::default();
        for option in options {
            let (key, value) = match option.split_once('=').or_else(|| option.split_once(':')) {
                Some((key, value)) => (key, value),
                None => (option.as_str(), ""),
            };
            match (key, value) {
                ("no-new-privileges", "" | "true" | "1") => parsed.no_new_privileges = true,
                ("no-new-privileges", "false" | "0") => parsed.no_new_privileges = false,
                ("seccomp", "unconfined") => parsed.seccomp = Seccomp::Unconfined,
                ("seccomp", "builtin") => parsed.seccomp = Seccomp::Default,
                ("seccomp", profile) => parsed.seccomp = Seccomp::Profile(profile.to_owned()),
                // Nothing to confine by on a machine without the module; the daemon says so in info.
                ("label", "disable") | ("apparmor", "unconfined" | "") => {}
                ("label" | "apparmor" | "systempaths" | "writable-cgroups", _) => {
                    return Err(Error::not_implemented(format!("the security option {option:?} is not supported yet")));
                }
                _ => return Err(Error::invalid(format!("invalid --security-opt 2: \"{option}\""))),
            }
        }
        Ok(parsed)
    }
}

/// The first process of a container.
pub(crate) fn process(engine: &Engine, record: &Record, user: User, env: Vec<String>, cwd: String) -> Result<Process> {
    let host = &record.host;
    let mut args = vec![record.path.clone()];
    args.extend(record.args.iter().cloned());
    let mut process = confined(record, user, host.privileged)?;
    (process.args, process.env, process.cwd) = (args, env, cwd);
    // A shared pid namespace has an init already.
    process.init = host.pid_mode.is_empty() && host.init.unwrap_or(engine.config.init);
    process.rlimits = rlimits(engine, record);
    process.oom_score_adj = i32::try_from(host.oom_score_adj).ok();
    Ok(process)
}

/// A process of this user within the container's confinement; what it runs is filled in by the caller.
pub(crate) fn confined(record: &Record, user: User, privileged: bool) -> Result<Process> {
    let host = &record.host;
    let invalid = |error: runtime::Error| Error::invalid(error.to_string()).caused_by(error);
    let (add, drop) = (host.cap_add.as_deref().unwrap_or_default(), host.cap_drop.as_deref().unwrap_or_default());
    let set = capabilities::resolve(add, drop, privileged).map_err(invalid)?;
    let granted = capabilities::granted();
    let options = Options::parse(host.security_opt.as_deref().unwrap_or_default())?;
    let seccomp = match options.seccomp {
        _ if privileged => None,
        Seccomp::Unconfined => None,
        Seccomp::Default => Some(seccomp::default_profile(set & granted)),
        Seccomp::Profile(json) => Some(seccomp::from_json(&json, set & granted).map_err(invalid)?),
    };
    Ok(Process {
        uid: user.uid,
        gid: user.gid,
        groups: user.groups,
        capabilities: Capabilities::for_user(set, user.uid).clamp(granted),
        no_new_privileges: options.no_new_privileges,
        seccomp,
        ..Process::default()
    })
}

fn rlimits(engine: &Engine, record: &Record) -> Vec<Rlimit> {
    let own = record.host.ulimits.as_deref().unwrap_or_default();
    let defaults = engine.config.default_ulimits.iter().filter(|limit| !own.iter().any(|mine| mine.name == limit.name));
    // Docker's -1 is no limit.
    let value = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
    own.iter()
        .chain(defaults)
        .map(|limit| Rlimit { name: limit.name.clone(), soft: value(limit.soft), hard: value(limit.hard) })
        .collect()
}

/// Paths that are hidden.
pub(crate) fn masked_paths(record: &Record) -> Vec<String> {
    paths(record, record.host.masked_paths.as_deref(), mounts::MASKED_PATHS)
}

/// Paths that cannot be written.
pub(crate) fn readonly_paths(record: &Record) -> Vec<String> {
    paths(record, record.host.readonly_paths.as_deref(), mounts::READONLY_PATHS)
}

fn paths(record: &Record, wanted: Option<&[String]>, defaults: &[&str]) -> Vec<String> {
    match wanted {
        _ if record.host.privileged => Vec::new(),
        Some(wanted) => wanted.to_vec(),
        None => defaults.iter().map(ToString::to_string).collect(),
    }
}

/// What clients match on when a program cannot be started, and the exit code: 127 not found, 126 not executable, else 128.
pub(crate) fn start_error_text(error: &StartError) -> (String, i64) {
    let cause = std::io::Error::from_raw_os_error(error.errno);
    let cause = lower(&cause);
    let errno = Errno::from_raw_os_error(error.errno);
    let program = &error.detail;
    match error.stage {
        Stage::Lookup => match errno {
            Errno::NOENT if !program.contains('/') => {
                (format!("error during container init: exec: \"{program}\": executable file not found in $PATH"), 127)
            }
            Errno::NOENT | Errno::NOTDIR => {
                (format!("error during container init: exec: \"{program}\": stat {program}: {cause}"), 127)
            }
            _ => (format!("error during container init: exec: \"{program}\": {cause}"), 126),
        },
        Stage::Exec => {
            let code = if errno == Errno::NOENT { 127 } else { 126 };
            (format!("error during container init: exec {program}: {cause}"), code)
        }
        Stage::WorkingDirectory => {
            let code = if errno == Errno::NOENT { 127 } else { 126 };
            (
                format!("error during container init: chdir to cwd (\"{program}\") set in config.json failed: {cause}"),
                code,
            )
        }
        Stage::Mount | Stage::BindSource if errno == Errno::NOTDIR => (
            format!(
                "error during container init: error mounting {program}: {cause}: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"
            ),
            127,
        ),
        stage => (format!("error during container init: {stage}: {program}: {cause}"), 128),
    }
}

/// The system's sentence without Rust's error number, in lower case as C and Go print it within a line.
fn lower(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let parse = |options: &[&str]| Options::parse(&options.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(parse(&["no-new-privileges"]).map(|o| o.no_new_privileges).ok(), Some(true));
        assert_eq!(parse(&["seccomp=unconfined"]).map(|o| o.seccomp).ok(), Some(Seccomp::Unconfined));
        assert!(parse(&["label=type:x"]).is_err());
        assert!(parse(&["colour=red"]).is_err());
    }

    #[test]
    fn programs_that_cannot_start() {
        let (text, code) = start_error_text(&StartError::new(Stage::Lookup, 2, "nosuch"));
        assert!(text.ends_with("exec: \"nosuch\": executable file not found in $PATH"), "{text}");
        assert_eq!(code, 127);
        let (text, code) = start_error_text(&StartError::new(Stage::Lookup, 13, "/etc/passwd"));
        assert!(text.ends_with("exec: \"/etc/passwd\": permission denied"), "{text}");
        assert_eq!(code, 126);
    }
}
