//! PAX records: `<length> <key>=<value>\n`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use sys::root::Time;

use super::Segment;
use crate::{Error, Result};

const XATTR: &str = "SCHILY.xattr.";

/// What the records before an entry say about it; `None` where they are silent.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<OsString>,
    pub(super) link: Option<OsString>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) modified: Option<Time>,
    pub(super) xattrs: BTreeMap<OsString, Vec<u8>>,
    pub(super) sparse: SparseRecords,
}

/// The three dialects of sparse files that GNU tar writes with PAX headers.
#[derive(Clone, Debug, Default)]
pub(super) struct SparseRecords {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) name: Option<OsString>,
    pub(super) real_size: Option<u64>,
    /// Offsets and lengths in turn (0.0 gives them one a record, 0.1 in one record).
    pub(super) map: Vec<u64>,
    pub(super) has_map: bool,
}

fn damaged(what: &str) -> Error {
    Error::Tar(format!("damaged PAX record: {what}"))
}

/// Splits a PAX header into keys and values.
pub(super) fn split(mut bytes: &[u8]) -> Result<Vec<(&str, &[u8])>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().take(20).position(|byte| *byte == b' ').ok_or_else(|| damaged("no length"))?;
        let length = decimal(&bytes[..space]).and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| *length > space + 1 && *length <= bytes.len());
        let length = length.ok_or_else(|| damaged("wrong length"))?;
        let record = bytes[space + 1..length].strip_suffix(b"\n").ok_or_else(|| damaged("no line end"))?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(|| damaged("no equals sign"))?;
        let key = std::str::from_utf8(&record[..equals]).map_err(|_| damaged("key is not UTF-8"))?;
        if key.is_empty() || key.contains('\0') {
            return Err(damaged("impossible key"));
        }
        records.push((key, &record[equals + 1..]));
        bytes = &bytes[length..];
    }
    Ok(records)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

impl Records {
    /// Takes the records of a local header. An empty value takes a record back, as POSIX has it.
    pub(super) fn local(&mut self, bytes: &[u8]) -> Result<()> {
        for (key, value) in split(bytes)? {
            match key {
                "path" => self.path = text(value)?,
                "linkpath" => self.link = text(value)?,
                "size" => self.size = optional(value, decimal)?,
                _ if key.starts_with("GNU.sparse.") => self.sparse.take(&key["GNU.sparse.".len()..], value)?,
                _ => self.common(key, value)?,
            }
        }
        Ok(())
    }

    /// Takes the records of a global header, which go for all entries that follow. Paths and sizes for all entries make
    /// no sense, and readers disagree about them.
    pub(super) fn global(&mut self, bytes: &[u8]) -> Result<()> {
        for (key, value) in split(bytes)? {
            if matches!(key, "path" | "linkpath" | "size") || key.starts_with("GNU.sparse.") {
                return Err(Error::Tar(format!("global PAX header sets {key}")));
            }
            self.common(key, value)?;
        }
        Ok(())
    }

    fn common(&mut self, key: &str, value: &[u8]) -> Result<()> {
        match key {
            "uid" => self.uid = optional(value, identity)?,
            "gid" => self.gid = optional(value, identity)?,
            "mtime" => self.modified = optional(value, time)?,
            _ => {
                if let Some(name) = key.strip_prefix(XATTR).filter(|name| !name.is_empty()) {
                    self.xattrs.insert(name.into(), value.to_vec());
                }
            }
        }
        Ok(())
    }
}

impl SparseRecords {
    fn take(&mut self, key: &str, value: &[u8]) -> Result<()> {
        match key {
            "major" => self.major = Some(required(value)?),
            "minor" => self.minor = Some(required(value)?),
            "name" => self.name = text(value)?,
            "size" | "realsize" => self.real_size = Some(required(value)?),
            "numblocks" => self.has_map = true,
            "offset" if self.map.len().is_multiple_of(2) => self.push(required(value)?)?,
            "numbytes" if self.map.len() % 2 == 1 => self.push(required(value)?)?,
            "map" => {
                self.has_map = true;
                for number in value.split(|byte| *byte == b',').filter(|_| !value.is_empty()) {
                    self.push(required(number)?)?;
                }
            }
            _ => return Err(damaged("unknown or misplaced GNU.sparse key")),
        }
        Ok(())
    }

    fn push(&mut self, number: u64) -> Result<()> {
        self.has_map = true;
        self.map.push(number);
        if self.map.len() > super::sparse::MAX_SEGMENTS * 2 {
            return Err(Error::Tar("too many parts in a sparse file".into()));
        }
        Ok(())
    }

    pub(super) fn segments(&self) -> Result<Vec<Segment>> {
        if !self.map.len().is_multiple_of(2) {
            return Err(damaged("odd sparse map"));
        }
        Ok(self.map.chunks_exact(2).map(|pair| Segment { offset: pair[0], length: pair[1] }).collect())
    }
}

fn text(value: &[u8]) -> Result<Option<OsString>> {
    if value.contains(&0) {
        return Err(damaged("NUL in a path"));
    }
    Ok((!value.is_empty()).then(|| OsString::from_vec(value.to_vec())))
}

fn optional<T>(value: &[u8], parse: impl FnOnce(&[u8]) -> Option<T>) -> Result<Option<T>> {
    if value.is_empty() {
        return Ok(None);
    }
    parse(value).map(Some).ok_or_else(|| damaged("not a number in range"))
}

fn required(value: &[u8]) -> Result<u64> {
    decimal(value).ok_or_else(|| damaged("not a number in range"))
}

fn identity(value: &[u8]) -> Option<u32> {
    u32::try_from(decimal(value)?).ok()
}

/// Seconds since 1970 with any number of decimals, of which nine count.
fn time(value: &[u8]) -> Option<Time> {
    let (negative, value) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let point = value.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = point.map_or((value, &b""[..]), |point| (&value[..point], &value[point + 1..]));
    let whole = i64::try_from(decimal(whole)?).ok()?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanoseconds = digits.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    Some(match (negative, nanoseconds) {
        (false, nanoseconds) => Time { seconds: whole, nanoseconds },
        (true, 0) => Time { seconds: -whole, nanoseconds: 0 },
        (true, nanoseconds) => Time { seconds: -whole - 1, nanoseconds: 1_000_000_000 - nanoseconds },
    })
}

/// Appends one record to a header being written.
pub(super) fn append(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    let body = key.len() + value.len() + 3;
    let mut length = body;
    // The length counts its own digits.
    while body + length.to_string().len() != length {
        length = body + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} {key}=").as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Appends the record of an extended attribute.
pub(super) fn append_xattr(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    append(out, &format!("{XATTR}{name}"), value);
}

/// A time as PAX writes it.
pub(super) fn time_text(time: Time) -> String {
    let (sign, seconds, nanoseconds) = match time {
        Time { seconds, nanoseconds: 0 } if seconds < 0 => ("-", seconds.unsigned_abs(), 0),
        Time { seconds, nanoseconds } if seconds < 0 => {
            ("-", (seconds + 1).unsigned_abs(), 1_000_000_000_u32.saturating_sub(nanoseconds))
        }
        Time { seconds, nanoseconds } => ("", seconds.unsigned_abs(), nanoseconds),
    };
    if nanoseconds == 0 {
        return format!("{sign}{seconds}");
    }
    format!("{sign}{seconds}.{nanoseconds:09}").trim_end_matches('0').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_count_their_own_length() {
        for size in 0..1200 {
            let value = vec![b'x'; size];
            let mut out = Vec::new();
            append(&mut out, "path", &value);
            assert_eq!(split(&out).unwrap(), [("path", value.as_slice())]);
        }
        for damaged in ["", "5 a=\n", "7 a=b", "6 a=b\nx", "99 a=b\n", "6 aab\n", "x", "06 =b\n", "1 a=b\n"] {
            assert!(split(damaged.as_bytes()).map_or(true, |records| records.is_empty()) || damaged == "5 a=\n");
        }
    }

    #[test]
    fn times() {
        for (text, seconds, nanoseconds) in [
            ("1.5", 1, 500_000_000),
            ("-1.5", -2, 500_000_000),
            ("-3", -3, 0),
            ("0.000000001", 0, 1),
            ("-0.1", -1, 900_000_000),
        ] {
            assert_eq!(time(text.as_bytes()), Some(Time { seconds, nanoseconds }), "{text}");
            assert_eq!(time_text(Time { seconds, nanoseconds }), text);
        }
        assert_eq!(time(b"1.12345678999"), Some(Time { seconds: 1, nanoseconds: 123_456_789 }));
        assert!(time(b"1.x").is_none() && time(b".5").is_none() && time(b"--1").is_none());
    }
}
