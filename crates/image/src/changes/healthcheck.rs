//! `HEALTHCHECK [--interval=…] [--timeout=…] [--start-period=…] [--start-interval=…] [--retries=…] CMD … | NONE`

use model::time::parse_go_duration;

use super::json_words;
use crate::Healthcheck;

/// Docker refuses shorter intervals than this, in nanoseconds.
const SHORTEST: i64 = 1_000_000;

pub(super) fn parse(text: &str) -> Result<Healthcheck, String> {
    let mut check = Healthcheck::default();
    let mut rest = text;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        let (name, value) = flag.split_once('=').ok_or_else(|| format!("missing a value on flag: {flag}"))?;
        match name {
            "interval" => check.interval = duration(name, value)?,
            "timeout" => check.timeout = duration(name, value)?,
            "start-period" => check.start_period = duration(name, value)?,
            "start-interval" => check.start_interval = duration(name, value)?,
            "retries" => {
                let retries = value.parse().ok().filter(|retries| *retries >= 0);
                check.retries =
                    retries.ok_or_else(|| format!("--retries cannot be negative or no number ({value})"))?;
            }
            _ => return Err(format!("unknown flag: {name}")),
        }
        rest = after.trim_start();
    }
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let command = command.trim();
    check.test = Some(match kind.to_ascii_uppercase().as_str() {
        "NONE" if !command.is_empty() => return Err("HEALTHCHECK NONE takes no arguments".to_owned()),
        "NONE" => vec!["NONE".to_owned()],
        "CMD" if command.is_empty() => return Err("Missing command after HEALTHCHECK CMD".to_owned()),
        "CMD" => match json_words(command) {
            Some(words) => std::iter::once("CMD".to_owned()).chain(words).collect(),
            None => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        },
        "" => return Err("requires at least one argument".to_owned()),
        unknown => return Err(format!("Unknown type {unknown:?} in HEALTHCHECK (try CMD)")),
    });
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
