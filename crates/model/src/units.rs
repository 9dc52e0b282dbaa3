//! Sizes and durations in Docker's words.

use std::time::Duration;

/// A duration in words, to one unit: `Less than a second`, `3 seconds`, `About a minute`, `2 hours`, `5 weeks`.
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds / 60;
    // Half hours are rounded up, which is why 1:30 h reads "2 hours".
    let hours = (seconds + 1800) / 3600;
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, ..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, ..48) => format!("{hours} hours"),
        (_, _, ..336) => format!("{} days", hours / 24),
        (_, _, ..1440) => format!("{} weeks", hours / 168),
        (_, _, ..17_520) => format!("{} months", hours / 720),
        _ => format!("{} years", seconds / 3600 / 8760),
    }
}

/// Bytes in decimal units with up to four significant digits: `1.094MB`, `512B`.
pub fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    // Exact to 2^53; beyond that only the digits that are cut anyway are lost.
    let (mut size, mut unit) = (bytes as f64, 0);
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let decimals = if size < 10.0 {
        3
    } else if size < 100.0 {
        2
    } else {
        usize::from(size < 1000.0)
    };
    let mut number = format!("{size:.decimals$}");
    if number.contains('.') {
        number.truncate(number.trim_end_matches('0').trim_end_matches('.').len());
    }
    number + UNITS[unit]
}

/// The text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid size: '{0}'")]
pub struct InvalidSize(pub String);

/// Bytes of a size in binary units: `512`, `64m`, `1.5g`, `10KiB`; letters in any case.
///
/// # Errors
/// Malformed, negative or too large.
pub fn parse_ram_bytes(text: &str) -> Result<i64, InvalidSize> {
    let invalid = || InvalidSize(text.to_owned());
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let exponent = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return Err(invalid()),
    };
    let size = number.parse::<f64>().map_err(|_| invalid())? * 1024f64.powi(exponent);
    // 2^63 itself is out of range; the comparison also refuses what is not a number.
    if size < 9_223_372_036_854_775_808.0 { Ok(size as i64) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        let words = |seconds| human_duration(Duration::from_secs(seconds));
        assert_eq!(words(0), "Less than a second");
        assert_eq!(words(1), "1 second");
        assert_eq!(words(59), "59 seconds");
        assert_eq!(words(60), "About a minute");
        assert_eq!(words(119), "About a minute");
        assert_eq!(words(120), "2 minutes");
        assert_eq!(words(59 * 60 + 59), "59 minutes");
        assert_eq!(words(3600), "About an hour");
        assert_eq!(words(3600 + 1800), "2 hours");
        assert_eq!(words(47 * 3600), "47 hours");
        assert_eq!(words(48 * 3600), "2 days");
        assert_eq!(words(13 * 86_400), "13 days");
        assert_eq!(words(14 * 86_400), "2 weeks");
        assert_eq!(words(60 * 86_400), "2 months");
        assert_eq!(words(730 * 86_400), "2 years");
    }

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1_093_484, "1.093MB"),
            (20_070_000, "20.07MB"),
            (123_450_000, "123.5MB"),
            (1_500_000_000, "1.5GB"),
        ] {
            assert_eq!(human_size(bytes), text);
        }
        assert!(human_size(u64::MAX).ends_with("EB"));
    }

    #[test]
    fn ram() {
        assert_eq!(parse_ram_bytes("512"), Ok(512));
        assert_eq!(parse_ram_bytes("64m"), Ok(64 << 20));
        assert_eq!(parse_ram_bytes("1.5G"), Ok(3 << 29));
        assert_eq!(parse_ram_bytes("10 KiB"), Ok(10_240));
        for bad in ["", "m", "-1", "1x", "1..5m", "99999999999p", "1 2"] {
            assert!(parse_ram_bytes(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,20}", seconds: u64) {
            let _ = parse_ram_bytes(&text);
            let _ = human_duration(Duration::from_secs(seconds));
        }
    }
}
