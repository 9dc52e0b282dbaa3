//! One record of a log, and how it is read from its line.

use std::collections::BTreeMap;

use model::Timestamp;
use serde::Deserialize;

use super::Stream;

/// One record of a log. Meant to be used again and again, so that reading allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What the container wrote; ends with a newline unless the line goes on in the next record.
    pub text: Vec<u8>,
    /// Where it wrote it.
    pub stream: Stream,
    /// The time as it stands in the log.
    time: Vec<u8>,
    /// The attributes as they stand in the log (a JSON object), or empty.
    attributes: Vec<u8>,
}

/// A record in any arrangement that JSON allows.
#[derive(Deserialize)]
struct AnyRecord {
    #[serde(default)]
    log: String,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    time: String,
    #[serde(default)]
    attrs: Option<Box<serde_json::value::RawValue>>,
}

impl Default for Record {
    fn default() -> Record {
        Record::of(Stream::Stdout, Vec::new())
    }
}

impl Record {
    /// A record without time and attributes.
    pub fn of(stream: Stream, text: Vec<u8>) -> Record {
        Record { text, stream, time: Vec::new(), attributes: Vec::new() }
    }

    /// Reads a line of a log into this record; false if it is none.
    pub fn decode(&mut self, line: &[u8]) -> bool {
        self.text.clear();
        self.time.clear();
        self.attributes.clear();
        self.decode_usual(line).is_some() || self.decode_any(line)
    }

    /// When it was written; `None` if what stands there is no time.
    pub fn time(&self) -> Option<Timestamp> {
        self.time_text().parse().ok()
    }

    /// When it was written, as it stands in the log (RFC 3339 with the fraction's trailing zeros left out).
    pub fn time_text(&self) -> &str {
        std::str::from_utf8(&self.time).unwrap_or_default()
    }

    /// The attributes the daemon gave the log; empty for most.
    pub fn attributes(&self) -> BTreeMap<String, String> {
        serde_json::from_slice(&self.attributes).unwrap_or_default()
    }

    /// Reads a line in the arrangement that this program and Docker write.
    fn decode_usual(&mut self, line: &[u8]) -> Option<()> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let rest = unescape(line.strip_prefix(br#"{"log":""#)?, &mut self.text)?;
        let rest = rest.strip_prefix(br#","stream":"std"#)?;
        let rest = if let Some(rest) = rest.strip_prefix(br#"out","#) {
            self.stream = Stream::Stdout;
            rest
        } else {
            self.stream = Stream::Stderr;
            rest.strip_prefix(br#"err","#)?
        };
        let rest = rest.strip_suffix(br#""}"#)?;
        let time = match rest.strip_prefix(br#""time":""#) {
            Some(time) => time,
            None => {
                let rest = rest.strip_prefix(br#""attrs":"#)?;
                let end = memchr::memmem::rfind(rest, br#","time":""#)?;
                self.attributes.extend_from_slice(&rest[..end]);
                &rest[end + br#","time":""#.len()..]
            }
        };
        if memchr::memchr2(b'"', b'\\', time).is_some() {
            return None;
        }
        self.time.extend_from_slice(time);
        Some(())
    }

    /// Reads a line in any arrangement.
    fn decode_any(&mut self, line: &[u8]) -> bool {
        let Ok(record) = serde_json::from_slice::<AnyRecord>(line) else { return false };
        self.text.clear();
        self.attributes.clear();
        self.text.extend_from_slice(record.log.as_bytes());
        self.stream = if record.stream == "stderr" { Stream::Stderr } else { Stream::Stdout };
        self.time = record.time.into_bytes();
        self.attributes.extend_from_slice(record.attrs.as_ref().map_or("", |attrs| attrs.get()).as_bytes());
        true
    }
}

/// Appends the JSON string at the start of `json` (behind its opening quote) to `out`; gives what follows it.
fn unescape<'a>(mut json: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let special = memchr::memchr2(b'"', b'\\', json)?;
        out.extend_from_slice(&json[..special]);
        if json[special] == b'"' {
            return Some(&json[special + 1..]);
        }
        let escaped = *json.get(special + 1)?;
        json = &json[special + 2..];
        match escaped {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'"' | b'\\' | b'/' => out.push(escaped),
            b'u' => {
                let unit = hex(json.get(..4)?)?;
                // Pairs of surrogates are left to the general reader; the usual writers never make them.
                let character = char::from_u32(unit)?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                json = &json[4..];
            }
            _ => return None,
        }
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, &digit| Some(number * 16 + char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(line: &str) -> Option<(String, Stream, String)> {
        let mut record = Record::default();
        let found = record.decode(line.as_bytes());
        found.then(|| (String::from_utf8(record.text.clone()).unwrap(), record.stream, record.time_text().to_owned()))
    }

    #[test]
    fn usual_and_unusual_lines_are_read() {
        let usual =
            decoded(r#"{"log":"a\t\u003cb\u003e\n","stream":"stderr","time":"2014-08-20T18:01:02.5Z"}"#).unwrap();
        assert_eq!(usual, ("a\t<b>\n".to_owned(), Stream::Stderr, "2014-08-20T18:01:02.5Z".to_owned()));
        let turned = decoded(r#" { "time" : "x", "stream":"stdout", "log":"\ud83d\ude00" }"#).unwrap();
        assert_eq!(turned, ("😀".to_owned(), Stream::Stdout, "x".to_owned()));
        let without = decoded(r#"{"log":"a"}"#).unwrap();
        assert_eq!(without.0, "a");
    }

    #[test]
    fn attributes_are_read() {
        let mut record = Record::default();
        assert!(record.decode(br#"{"log":"x","stream":"stdout","attrs":{"a":"1","time":"2"},"time":"t"}"#));
        assert_eq!(record.attributes()["time"], "2");
        assert_eq!(record.time_text(), "t");
    }

    #[test]
    fn torn_lines_are_refused() {
        let whole = r#"{"log":"a\u003c\n","stream":"stderr","time":"2014-08-20T18:01:02.5Z"}"#;
        for length in 0..whole.len() {
            assert_eq!(decoded(&whole[..length]), None, "{}", &whole[..length]);
        }
    }

    proptest! {
        #[test]
        fn whatever_was_escaped_comes_back(text in any::<String>()) {
            let mut line = br#"{"log":""#.to_vec();
            super::super::escape(text.as_bytes(), &mut line);
            line.extend_from_slice(br#"","stream":"stdout","time":"t"}"#);
            let mut record = Record::default();
            prop_assert!(record.decode_usual(&line).is_some());
            prop_assert_eq!(String::from_utf8(record.text).unwrap(), text);
        }

        #[test]
        fn garbage_never_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            Record::default().decode(&line);
            Record::default().decode(&[br#"{"log":""#, line.as_slice()].concat());
        }
    }
}
