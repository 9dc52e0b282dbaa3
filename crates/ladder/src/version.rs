//! Versions of the API as clients write them.

use std::fmt;

/// The newest version served; clients that ask for a newer one get this.
pub const NEWEST: Version = Version::new(1, 51);

/// The oldest version described; prefixes below it (`v0.9`) are served as this one.
pub const OLDEST: Version = Version::new(1, 0);

/// A version of the API, such as 1.24. Compares by its numbers, not by its text: 1.9 is older than 1.10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The number before the dot.
    pub major: u32,
    /// The number after the dot.
    pub minor: u32,
}

impl Version {
    /// The version `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Reads what follows the `v` of a path prefix.
    ///
    /// Any text of digits and dots is a version, as in Docker's router: numbers that are missing or too large to hold count as
    /// 0 and as the largest, and numbers after the second do not matter (`1.14.1` is 1.14, `1.` is 1.0, `.` is 0.0).
    /// None for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return None;
        }
        let mut numbers = text.split('.').map(|digits| match digits {
            "" => 0,
            digits => digits.parse().unwrap_or(u32::MAX),
        });
        Some(Self::new(numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)))
    }

    /// Splits `/v1.14/info` into its version and `/info`. None if the path has no version prefix.
    pub fn split_prefix(path: &str) -> Option<(&str, &str)> {
        let rest = path.strip_prefix("/v")?;
        let (version, _) = rest.split_once('/')?;
        Self::parse(version)?;
        Some((version, &rest[version.len()..]))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_wrote() {
        for (text, major, minor) in [
            ("1.14", 1, 14),
            ("1", 1, 0),
            ("1.", 1, 0),
            (".", 0, 0),
            ("1..5", 1, 0),
            ("01.014", 1, 14),
            ("1.14.1", 1, 14),
            ("99999999999.1", u32::MAX, 1),
        ] {
            assert_eq!(Version::parse(text), Some(Version::new(major, minor)), "{text}");
        }
        for text in ["", "abc", "-1.0", "1.x", "1,2"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn compares_by_number() {
        assert!(Version::new(1, 9) < Version::new(1, 10));
        assert!(Version::new(2, 0) > NEWEST);
    }

    #[test]
    fn a_prefix_is_split_only_once() {
        assert_eq!(Version::split_prefix("/v1.14/v1.2/info"), Some(("1.14", "/v1.2/info")));
        for path in ["/info", "/v/info", "/vabc/info", "/V1.14/info", "/volumes", "/v1.14"] {
            assert_eq!(Version::split_prefix(path), None, "{path}");
        }
    }
}
