//! `HEALTHCHECK [--interval=…] [--timeout=…] [--start-period=…] [--start-interval=…] [--retries=…] CMD … | NONE`

use model::time::parse_go_duration;

use crate::flags::Flags;
use crate::{Fault, words};

/// Docker refuses shorter intervals than this, in nanoseconds.
const SHORTEST: i64 = 1_000_000;

/// How to tell that a container is well. Durations in nanoseconds; 0 means that the instruction does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", command]`.
    pub test: Vec<String>,
    /// Time between two checks.
    pub interval: i64,
    /// Time a check may take.
    pub timeout: i64,
    /// Time at the beginning in which failures do not count.
    pub start_period: i64,
    /// Time between two checks in the start period.
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy.
    pub retries: i64,
}

pub(super) fn parse(mut flags: Flags, rest: &str) -> Result<Healthcheck, Fault> {
    let mut check = Healthcheck::default();
    for (name, field) in [
        ("interval", &mut check.interval),
        ("timeout", &mut check.timeout),
        ("start-period", &mut check.start_period),
        ("start-interval", &mut check.start_interval),
    ] {
        if let Some(value) = flags.value(name)? {
            *field = duration(name, &value)?;
        }
    }
    if let Some(value) = flags.value("retries")? {
        let retries: i64 = value.parse().map_err(|error| format!("--retries must be a number ({value}): {error}"))?;
        check.retries =
            Some(retries).filter(|retries| *retries >= 0).ok_or(format!("--retries cannot be negative ({retries})"))?;
    }
    flags.finish()?;
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let command = command.trim();
    check.test = match kind.to_ascii_uppercase().as_str() {
        "" => return Err("HEALTHCHECK requires at least one argument".into()),
        "NONE" if !command.is_empty() => return Err("HEALTHCHECK NONE takes no arguments".into()),
        "NONE" => vec!["NONE".to_owned()],
        "CMD" if command.is_empty() => return Err("Missing command after HEALTHCHECK CMD".into()),
        "CMD" => match words::json(command)? {
            Some(words) => std::iter::once("CMD".to_owned()).chain(words).collect(),
            None => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        },
        unknown => return Err(Fault::at(kind, format!("Unknown type {unknown:?} in HEALTHCHECK (try CMD)"))),
    };
    Ok(check)
}

fn duration(name: &str, value: &str) -> Result<i64, String> {
    let parsed = parse_go_duration(value).ok_or_else(|| format!("time: invalid duration {value:?}"))?;
    let nanoseconds = i64::try_from(parsed.as_nanos()).unwrap_or(i64::MAX);
    if nanoseconds != 0 && nanoseconds < SHORTEST {
        return Err(format!("Interval {name:?} cannot be less than 1ms"));
    }
    Ok(nanoseconds)
}
