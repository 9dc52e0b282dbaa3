//! Points in time as Docker's API writes them.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NANOS_PER_SECOND: u32 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// 0001-01-01T00:00:00Z in seconds since 1970.
const YEAR_ONE: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z: the last second RFC 3339 can write.
const YEAR_9999_END: i64 = 253_402_300_799;

/// A point in time in UTC with nanoseconds, between the years 1 and 9999.
///
/// Printed as RFC 3339 with the fraction's trailing zeros left out (`2014-08-20T10:00:00.5Z`), as Go's
/// `RFC3339Nano` does. The zero value is Go's: `0001-01-01T00:00:00Z`, "never".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
}

/// The text is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot parse {0:?} as a time")]
pub struct InvalidTime(pub String);

impl Default for Timestamp {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Timestamp {
    /// Go's zero time: "never".
    pub const ZERO: Self = Self { seconds: YEAR_ONE, nanoseconds: 0 };

    /// The present moment by the system's clock.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// From seconds since 1970 and nanoseconds within that second; out of range values are clamped.
    pub fn from_unix(seconds: i64, nanoseconds: u32) -> Self {
        let seconds = seconds.saturating_add(i64::from(nanoseconds / NANOS_PER_SECOND));
        Self { seconds: seconds.clamp(YEAR_ONE, YEAR_9999_END), nanoseconds: nanoseconds % NANOS_PER_SECOND }
    }

    /// Seconds since 1970, rounded down; negative before.
    pub const fn unix_seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds since 1970, clamped to what 64 bits hold (years 1678 to 2262).
    pub fn unix_nanoseconds(self) -> i64 {
        self.seconds.saturating_mul(i64::from(NANOS_PER_SECOND)).saturating_add(i64::from(self.nanoseconds))
    }

    /// Whether this is Go's zero time.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        if self <= earlier {
            return Duration::ZERO;
        }
        let borrow = self.nanoseconds < earlier.nanoseconds;
        let seconds = (self.seconds - earlier.seconds - i64::from(borrow)).unsigned_abs();
        let nanoseconds = self.nanoseconds + if borrow { NANOS_PER_SECOND } else { 0 } - earlier.nanoseconds;
        Duration::new(seconds, nanoseconds)
    }

    /// This much later.
    pub fn plus(self, duration: Duration) -> Self {
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self::from_unix(self.seconds.saturating_add(seconds), self.nanoseconds + duration.subsec_nanos())
    }

    /// This much earlier.
    pub fn minus(self, duration: Duration) -> Self {
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let borrow = self.nanoseconds < duration.subsec_nanos();
        let nanoseconds = self.nanoseconds + if borrow { NANOS_PER_SECOND } else { 0 } - duration.subsec_nanos();
        Self::from_unix(self.seconds.saturating_sub(seconds).saturating_sub(i64::from(borrow)), nanoseconds)
    }

    /// RFC 3339 with all nine digits of the fraction, as log lines carry it (`2014-08-20T10:00:00.500000000Z`).
    pub fn rfc3339_fixed(self) -> String {
        format!("{}.{:09}Z", self.date_time(), self.nanoseconds)
    }

    /// Seconds since 1970 with nine digits of fraction, as clients send `since` and `until`.
    ///
    /// # Errors
    /// Anything that is not `[-]digits[.digits]`.
    pub fn parse_unix(text: &str) -> Result<Self, InvalidTime> {
        let invalid = || InvalidTime(text.to_owned());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        let seconds = whole.parse().map_err(|_| invalid())?;
        Ok(Self::from_unix(seconds, parse_fraction(fraction).ok_or_else(invalid)?))
    }

    /// A time as people give it to filters (`until=24h`): seconds since 1970, RFC 3339, the shortened forms of it
    /// (`2006-01-02`, `2006-01-02T15:04`, … read as UTC), or a Go duration before `now`.
    ///
    /// # Errors
    /// None of these.
    pub fn parse_filter(text: &str, now: Self) -> Result<Self, InvalidTime> {
        if let Ok(time) = Self::parse_unix(text) {
            return Ok(time);
        }
        if let Some(duration) = parse_go_duration(text) {
            return Ok(now.minus(duration));
        }
        let (body, zone) = match text.strip_suffix(['Z', 'z']) {
            Some(body) => (body, "Z"),
            None => (text, "Z"),
        };
        let filled = match body.len() {
            10 => format!("{body}T00:00:00{zone}"),
            13 => format!("{body}:00:00{zone}"),
            16 => format!("{body}:00{zone}"),
            19 => format!("{body}{zone}"),
            _ => text.to_owned(),
        };
        filled.parse().or_else(|_| format!("{text}Z").parse()).map_err(|_: InvalidTime| InvalidTime(text.to_owned()))
    }

    /// `2006-01-02T15:04:05`
    fn date_time(self) -> String {
        let days = self.seconds.div_euclid(SECONDS_PER_DAY);
        let second = self.seconds.rem_euclid(SECONDS_PER_DAY);
        let (year, month, day) = civil_from_days(days);
        format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let epoch = Self::from_unix(0, 0);
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => epoch.plus(after),
            Err(before) => epoch.minus(before.duration()),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.date_time())?;
        if self.nanoseconds != 0 {
            let fraction = format!("{:09}", self.nanoseconds);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTime;

    /// RFC 3339 with any zone and any fraction (cut to nanoseconds).
    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        parse_rfc3339(text).ok_or_else(|| InvalidTime(text.to_owned()))
    }
}

crate::serde_as_text!(Timestamp);

fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let bytes = date_time.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, byte)| bytes[*at].to_ascii_uppercase() != *byte) {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = date_time.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month)
        || day < 1
        || day > days_in_month(year, month)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (fraction, zone) = rest.split_at(zone_at);
    let nanoseconds = match fraction.strip_prefix('.') {
        Some("") => return None,
        Some(digits) => parse_fraction(digits)?,
        None if fraction.is_empty() => 0,
        None => return None,
    };
    let local = days_from_civil(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    Some(Timestamp::from_unix(local - parse_zone(zone)?, nanoseconds))
}

/// Seconds east of UTC of `Z`, `+02:00`, `-07:30`.
fn parse_zone(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_once(':')?;
    let two = |text: &str| -> Option<i64> {
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Nanoseconds of the digits behind a decimal point; digits past the ninth are cut.
fn parse_fraction(digits: &str) -> Option<u32> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{:0<9}", digits.get(..9).unwrap_or(digits));
    padded.parse().ok()
}

/// A duration as Go writes it (`1h30m`, `1.5s`, `300ms`); `None` if malformed, negative or longer than 292 years.
pub fn parse_go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let part = u128::from(parse_fraction(fraction)?) * scale / u128::from(NANOS_PER_SECOND);
        total = total.checked_add(u128::from(whole) * scale + part)?;
        rest = tail;
    }
    i64::try_from(total).ok().map(|nanoseconds| Duration::from_nanos(nanoseconds.unsigned_abs()))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar. Years are counted from March, so that the leap day
/// is the last of its year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prints_as_go_does() {
        assert_eq!(Timestamp::ZERO.to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_unix(0, 500_000_000).to_string(), "1970-01-01T00:00:00.5Z");
        assert_eq!(Timestamp::from_unix(1_408_528_800, 1).to_string(), "2014-08-20T10:00:00.000000001Z");
        assert_eq!(Timestamp::from_unix(1_408_528_800, 0).rfc3339_fixed(), "2014-08-20T10:00:00.000000000Z");
        assert_eq!(Timestamp::from_unix(951_782_400, 0).to_string(), "2000-02-29T00:00:00Z");
    }

    #[test]
    fn parses_zones_and_fractions() {
        let parse = |text: &str| text.parse::<Timestamp>().map(|time| time.to_string());
        assert_eq!(parse("2014-08-20T12:00:00.50+02:00").unwrap(), "2014-08-20T10:00:00.5Z");
        assert_eq!(parse("2014-08-20T02:30:00-07:30").unwrap(), "2014-08-20T10:00:00Z");
        assert_eq!(parse("2014-08-20T10:00:00.1234567899Z").unwrap(), "2014-08-20T10:00:00.123456789Z");
        for bad in [
            "",
            "2014-08-20",
            "2014-13-01T00:00:00Z",
            "2014-02-29T00:00:00Z",
            "2014-08-20T10:00:00",
            "2014-08-20T10:00:00.Z",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unix_and_filters() {
        assert_eq!(Timestamp::parse_unix("1.5").unwrap(), Timestamp::from_unix(1, 500_000_000));
        assert_eq!(Timestamp::parse_unix("1136073845.000000001").unwrap(), Timestamp::from_unix(1_136_073_845, 1));
        assert!(Timestamp::parse_unix("1.-5").is_err());
        let now = Timestamp::from_unix(1_000_000, 0);
        let filter = |text: &str| Timestamp::parse_filter(text, now).map(|time| time.to_string());
        assert_eq!(filter("10s").unwrap(), Timestamp::from_unix(999_990, 0).to_string());
        assert_eq!(filter("2014-08-20").unwrap(), "2014-08-20T00:00:00Z");
        assert_eq!(filter("2014-08-20T10:30").unwrap(), "2014-08-20T10:30:00Z");
        assert_eq!(filter("2014-08-20T10:30:00.25").unwrap(), "2014-08-20T10:30:00.25Z");
        assert!(filter("yesterday").is_err());
    }

    #[test]
    fn go_durations() {
        assert_eq!(parse_go_duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(parse_go_duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_go_duration("300ms"), Some(Duration::from_millis(300)));
        for bad in ["", "5", "-5s", "s", ".s", "5x", "1..5s", "9999999999h"] {
            assert_eq!(parse_go_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn arithmetic() {
        let time = Timestamp::from_unix(10, 200);
        assert_eq!(time.plus(Duration::new(1, 999_999_900)), Timestamp::from_unix(12, 100));
        assert_eq!(time.minus(Duration::new(1, 300)), Timestamp::from_unix(8, 999_999_900));
        assert_eq!(time.since(Timestamp::from_unix(8, 999_999_900)), Duration::new(1, 300));
        assert_eq!(Timestamp::ZERO.since(time), Duration::ZERO);
        assert_eq!(Timestamp::from_unix(i64::MAX, u32::MAX).to_string().len(), 30);
    }

    proptest! {
        #[test]
        fn round_trip(seconds in YEAR_ONE..=YEAR_9999_END, nanoseconds in 0..NANOS_PER_SECOND) {
            let time = Timestamp::from_unix(seconds, nanoseconds);
            prop_assert_eq!(time.to_string().parse::<Timestamp>(), Ok(time));
            prop_assert_eq!(time.rfc3339_fixed().parse::<Timestamp>(), Ok(time));
        }

        #[test]
        fn order_is_that_of_the_fixed_text(a in 0..YEAR_9999_END, b in 0..YEAR_9999_END) {
            let (a, b) = (Timestamp::from_unix(a, 0), Timestamp::from_unix(b, 7));
            prop_assert_eq!(a.cmp(&b), a.rfc3339_fixed().cmp(&b.rfc3339_fixed()));
        }

        #[test]
        fn never_panics(text in ".{0,40}", seconds: i64, length: u64) {
            let _ = text.parse::<Timestamp>();
            let _ = Timestamp::parse_unix(&text);
            let _ = Timestamp::parse_filter(&text, Timestamp::ZERO);
            let _ = Timestamp::from_unix(seconds, u32::MAX).minus(Duration::from_secs(length)).plus(Duration::from_secs(length)).to_string();
        }
    }
}
