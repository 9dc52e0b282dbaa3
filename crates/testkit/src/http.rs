//! Raw HTTP over the daemon's socket, for the corners that no client library goes to.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long nothing may move. Far above what anything takes, for machines under load.
const SILENCE: Duration = Duration::from_secs(60);

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The head as it came, without the status line.
    pub head: String,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `Null` if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The value of a header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// One connection, byte for byte.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    read: Vec<u8>,
}

impl Connection {
    /// Connects; reading fails after a minute of silence, and so does sending to a daemon that does not read.
    pub fn open(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
        stream.set_read_timeout(Some(SILENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(SILENCE)).expect("a timeout can be set");
        Self { stream, read: Vec::new() }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the daemon reads");
    }

    /// Sends what the daemon need not read to its end: it may close before.
    pub fn offer(&mut self, bytes: impl AsRef<[u8]>) {
        match self.stream.write_all(bytes.as_ref()) {
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            other => other.expect("the daemon reads or closes"),
        }
    }

    /// Sends a request with a body of a known length.
    pub fn request(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) {
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: d\r\n{headers}Content-Length: {length}\r\n\r\n");
        // At once, as clients do: a request that is refused by its head may have lost its connection before a second write.
        self.send([head.as_bytes(), body].concat());
    }

    /// Closes the sending half.
    pub fn half_close(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("an open socket can be half-closed");
    }

    /// The head of the answer: (status, header lines).
    pub fn head(&mut self) -> (u16, String) {
        let end = loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                break end;
            }
            assert!(self.fill(), "the daemon closed before its answer: {:?}", String::from_utf8_lossy(&self.read));
        };
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        self.read.drain(..end + 4);
        let (line, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
        (status, rest.to_owned())
    }

    /// The next answer, whole.
    pub fn answer(&mut self) -> Answer {
        let (status, head) = self.head();
        let mut answer = Answer { status, head, body: Vec::new() };
        if matches!(status, 204 | 304) {
            return answer;
        }
        if answer.header("Transfer-Encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            answer.body = self.chunks();
        } else if let Some(length) = answer.header("Content-Length").and_then(|value| value.parse().ok()) {
            while self.read.len() < length {
                assert!(self.fill(), "the daemon closed inside a body");
            }
            answer.body = self.read.drain(..length).collect();
        } else {
            answer.body = self.rest();
        }
        answer
    }

    /// Everything until the daemon closes.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.read)
    }

    /// Waits until `text` has come; what came up to it and with it is taken.
    pub fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = find(&self.read, text.as_bytes()) {
                let taken: Vec<u8> = self.read.drain(..at + text.len()).collect();
                return String::from_utf8_lossy(&taken).into_owned();
            }
            assert!(self.fill(), "closed before {text:?}: {:?}", String::from_utf8_lossy(&self.read));
        }
    }

    /// A chunked body, joined.
    pub fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.until("\r\n");
            let length = usize::from_str_radix(line.trim(), 16).unwrap_or_else(|_| panic!("no chunk length: {line:?}"));
            while self.read.len() < length + 2 {
                assert!(self.fill(), "the daemon closed inside a chunk");
            }
            body.extend(self.read.drain(..length));
            self.read.drain(..2);
            if length == 0 {
                return body;
            }
        }
    }

    fn fill(&mut self) -> bool {
        let mut buffer = [0; 65536];
        // A read with a time limit is cut off when the machine or this program was stopped for a moment.
        let read = loop {
            match self.stream.read(&mut buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(count) => {
                self.read.extend_from_slice(&buffer[..count]);
                count > 0
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("reading from the daemon: {error}; so far {:?}", String::from_utf8_lossy(&self.read)),
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
