//! Signals by name or number, as Linux on x86-64 and arm64 numbers them.

use std::fmt;
use std::str::FromStr;

/// A signal's number, 1 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(u8);

/// The text names no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid signal: {0}")]
pub struct InvalidSignal(pub String);

/// First real-time signal left to programs (the C library keeps 32 and 33).
const RTMIN: u8 = 34;
const RTMAX: u8 = 64;

const NAMES: [(&str, u8); 36] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("UNUSED", 31),
    ("RTMIN", RTMIN),
];

impl Signal {
    /// SIGKILL.
    pub const KILL: Self = Self(9);
    /// SIGTERM.
    pub const TERM: Self = Self(15);
    /// SIGHUP.
    pub const HUP: Self = Self(1);
    /// SIGINT.
    pub const INT: Self = Self(2);
    /// SIGWINCH.
    pub const WINCH: Self = Self(28);

    /// A signal from its number, if it is one.
    pub fn from_number(number: i64) -> Option<Self> {
        u8::try_from(number).ok().filter(|number| (1..=RTMAX).contains(number)).map(Self)
    }

    /// The number, 1 to 64.
    pub const fn number(self) -> i32 {
        self.0 as i32
    }
}

/// `SIGTERM`, `SIGRTMIN+3`, `SIGRTMAX-1`; a signal without a name prints as its number.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None if self.0 == RTMAX => f.write_str("SIGRTMAX"),
            None if self.0 > RTMIN + 15 => write!(f, "SIGRTMAX-{}", RTMAX - self.0),
            None if self.0 > RTMIN => write!(f, "SIGRTMIN+{}", self.0 - RTMIN),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Accepts a number, a name with or without `SIG` in any case, and `RTMIN+n` / `RTMAX-n`.
impl FromStr for Signal {
    type Err = InvalidSignal;

    fn from_str(text: &str) -> Result<Self, InvalidSignal> {
        let invalid = || InvalidSignal(text.to_owned());
        if let Ok(number) = text.parse::<i64>() {
            return Self::from_number(number).ok_or_else(invalid);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Ok(Self(*number));
        }
        let offset = |digits: &str, most: u8| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u8>().ok().filter(|offset| plain && *offset <= most)
        };
        // The two names meet in the middle as `kill -l` prints them: RTMIN+15 is below RTMAX-14.
        if name == "RTMAX" {
            Ok(Self(RTMAX))
        } else if let Some(digits) = name.strip_prefix("RTMIN+") {
            offset(digits, 15).map(|offset| Self(RTMIN + offset)).ok_or_else(invalid)
        } else if let Some(digits) = name.strip_prefix("RTMAX-") {
            offset(digits, 14).map(|offset| Self(RTMAX - offset)).ok_or_else(invalid)
        } else {
            Err(invalid())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        for (text, number) in
            [("TERM", 15), ("sigterm", 15), ("SIGKILL", 9), ("9", 9), ("rtmin+3", 37), ("SIGRTMAX-1", 63), ("64", 64)]
        {
            assert_eq!(text.parse::<Signal>().unwrap().number(), number, "{text}");
        }
        for bad in
            ["", "0", "65", "-1", "SIG", "FOO", "SIGSIGTERM", "RTMIN+16", "RTMAX-15", "RTMIN+", "RTMIN++1", "15 "]
        {
            assert!(bad.parse::<Signal>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(number in 1..=64i64) {
            let signal = Signal::from_number(number).unwrap();
            prop_assert_eq!(signal.to_string().parse::<Signal>(), Ok(signal));
        }

        #[test]
        fn never_panics(text in ".{0,20}") {
            let _ = text.parse::<Signal>();
        }
    }
}
