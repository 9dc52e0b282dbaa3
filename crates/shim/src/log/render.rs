//! Turns records into what clients of `logs` and `attach` receive.

use std::fmt::Write as _;

use model::Timestamp;

use super::{Record, Stream};

/// How the time of a record is shown before its text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Timestamps {
    /// Not at all.
    #[default]
    None,
    /// As it stands in the log: `2014-08-20T18:01:02.5Z `.
    Rfc3339Nano,
    /// With all nine digits of the fraction: `2014-08-20T18:01:02.500000000Z `.
    Rfc3339Fixed,
}

/// What of a log is shown, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// Standard output is shown.
    pub stdout: bool,
    /// Standard error is shown.
    pub stderr: bool,
    /// Each record in a frame that names its stream.
    pub framed: bool,
    /// The time before each record.
    pub timestamps: Timestamps,
    /// Records of this time and later have theirs in brackets: `[2014-08-20T18:01:02.5Z] `.
    pub bracketed_from: Option<Timestamp>,
    /// The attributes before each record (`key=value,key=value `).
    pub details: bool,
    /// The pieces of a long line come as if they were one record.
    pub whole_lines: bool,
}

/// A line that was shown without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenLine {
    stream: Stream,
    /// Where it begins, with its frame's head if there is one.
    start: usize,
}

impl Style {
    /// Appends a record, if its stream is shown.
    pub fn render(&self, record: &Record, out: &mut Vec<u8>) {
        self.render_piece(record, None, out);
    }

    /// Appends a record, if its stream is shown, to the line that the record before left open if it goes on with that.
    pub(super) fn render_piece(&self, record: &Record, open: Option<OpenLine>, out: &mut Vec<u8>) -> Option<OpenLine> {
        let shown = match record.stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        };
        if !shown {
            return open;
        }
        let goes_on = open.filter(|line| line.stream == record.stream);
        let start = goes_on.map_or(out.len(), |line| line.start);
        if goes_on.is_none() {
            if self.framed {
                out.extend_from_slice(&[0; 8]);
            }
            self.render_time(record, out);
            if self.details {
                out.extend_from_slice(details(record).as_bytes());
            }
        }
        out.extend_from_slice(&record.text);
        if self.framed {
            // A record, or what is put together of a line, is far smaller than 4 GiB.
            let length = (out.len() - start - 8) as u32;
            out[start..start + 8].copy_from_slice(&record.stream.frame_head(length));
        }
        let is_open = self.whole_lines && !record.text.ends_with(b"\n");
        is_open.then_some(OpenLine { stream: record.stream, start })
    }

    fn render_time(&self, record: &Record, out: &mut Vec<u8>) {
        if self.timestamps == Timestamps::None {
            return;
        }
        let bracketed = self.bracketed_from.is_some_and(|from| record.time().is_some_and(|time| time >= from));
        if bracketed {
            out.push(b'[');
        }
        match self.timestamps {
            Timestamps::None => {}
            Timestamps::Rfc3339Nano => out.extend_from_slice(record.time_text().as_bytes()),
            Timestamps::Rfc3339Fixed => match record.time() {
                Some(time) => out.extend_from_slice(time.rfc3339_fixed().as_bytes()),
                None => out.extend_from_slice(record.time_text().as_bytes()),
            },
        }
        out.extend_from_slice(if bracketed { b"] " } else { b" " });
    }
}

/// The attributes in the form of a query, sorted by key, and a space.
fn details(record: &Record) -> String {
    let mut text = String::new();
    for (key, value) in record.attributes() {
        if !text.is_empty() {
            text.push(',');
        }
        query_escape(&key, &mut text);
        text.push('=');
        query_escape(&value, &mut text);
    }
    text.push(' ');
    text
}

fn query_escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            // Writing to a string cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(style: Style) -> Vec<u8> {
        let mut record = Record::default();
        let line = br#"{"log":"hi\n","stream":"stderr","attrs":{"b":"x y","a":"1"},"time":"2014-08-02T18:01:02.5Z"}"#;
        assert!(record.decode(line));
        let mut out = Vec::new();
        style.render(&record, &mut out);
        out
    }

    #[test]
    fn records_are_shown_in_every_style() {
        let style = Style { stderr: true, ..Style::default() };
        assert_eq!(shown(style), b"hi\n");
        assert_eq!(shown(Style { stdout: true, ..Style::default() }), b"");
        let framed = shown(Style { framed: true, ..style });
        assert_eq!(framed, b"\x02\0\0\0\0\0\0\x03hi\n");
        let timed = |timestamps| String::from_utf8(shown(Style { timestamps, ..style })).unwrap();
        assert_eq!(timed(Timestamps::Rfc3339Nano), "2014-08-02T18:01:02.5Z hi\n");
        assert_eq!(timed(Timestamps::Rfc3339Fixed), "2014-08-02T18:01:02.500000000Z hi\n");
        for (from, wanted) in [
            ("2014-08-02T18:01:02.5Z", "[2014-08-02T18:01:02.5Z] hi\n"),
            ("2014-08-02T18:01:03Z", "2014-08-02T18:01:02.5Z hi\n"),
        ] {
            let bracketed_from = from.parse().ok();
            let bracketed = shown(Style { timestamps: Timestamps::Rfc3339Nano, bracketed_from, ..style });
            assert_eq!(String::from_utf8(bracketed).unwrap(), wanted);
        }
        let detailed = shown(Style { details: true, timestamps: Timestamps::Rfc3339Nano, framed: true, ..style });
        assert_eq!(&detailed[8..], b"2014-08-02T18:01:02.5Z a=1,b=x+y hi\n");
        assert_eq!(usize::from(detailed[7]), detailed.len() - 8);
    }

    #[test]
    fn pieces_of_a_line_are_put_together() {
        let style = Style {
            stdout: true,
            stderr: true,
            framed: true,
            whole_lines: true,
            timestamps: Timestamps::Rfc3339Nano,
            ..Style::default()
        };
        let mut out = Vec::new();
        let mut open = None;
        for (stream, text) in [("stdout", "ab"), ("stdout", "c\\n"), ("stdout", "d"), ("stderr", "e\\n")] {
            let mut record = Record::default();
            let line = format!(r#"{{"log":"{text}","stream":"{stream}","time":"2014-08-02T18:01:02.5Z"}}"#);
            assert!(record.decode(line.as_bytes()));
            open = style.render_piece(&record, open, &mut out);
        }
        let time = "2014-08-02T18:01:02.5Z ";
        let frame = |stream: u8, text: &str| {
            let text = format!("{time}{text}");
            [&[stream, 0, 0, 0, 0, 0, 0, text.len() as u8], text.as_bytes()].concat()
        };
        assert_eq!(out, [frame(1, "abc\n"), frame(1, "d"), frame(2, "e\n")].concat());
        assert_eq!(open, None);
    }
}
