//! What a build's client is told: JSON messages, one a line.

use std::sync::{Mutex, PoisonError};

use build::Message;
use serde::Serialize;
use serde_json::{Value, json};

/// Most that a quiet build keeps for the case that it fails, in bytes.
const HELD_BYTES: usize = 1024 * 1024;

/// A build's line to its client: `W` takes whole lines, and tells whether the client still listens.
#[derive(Debug)]
pub(super) struct Console<W> {
    write: W,
    /// Only the outcome is told; what came before only if it is a failure.
    quiet: bool,
    held: Mutex<Vec<u8>>,
}

impl<W: Fn(&[u8]) -> bool> Console<W> {
    pub(super) fn new(write: W, quiet: bool) -> Self {
        Self { write, quiet, held: Mutex::default() }
    }

    /// Tells something, unless the build is quiet.
    pub(super) fn say(&self, message: &Message) {
        if !self.quiet {
            return self.send(message);
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let line = document(message);
        if held.len() + line.len() <= HELD_BYTES {
            held.extend(line);
        }
    }

    /// Tells something in any case.
    pub(super) fn send(&self, message: &Message) {
        self.write(&document(message));
    }

    /// The last message of a build that failed.
    pub(super) fn fail(&self, error: &build::Error) {
        let held = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        if !held.is_empty() {
            self.write(&held);
        }
        let message = error.to_string();
        let mut detail = json!({"message": message});
        if error.code() != 0 {
            detail["code"] = Value::from(error.code());
        }
        self.write(&line(&json!({"errorDetail": detail, "error": message})));
    }

    fn write(&self, lines: &[u8]) {
        if !(self.write)(lines) {
            tracing::trace!("the client of a build has left");
        }
    }
}

/// What a command or the builder says.
#[derive(Serialize)]
struct Said<'a> {
    stream: &'a str,
}

fn document(message: &Message) -> Vec<u8> {
    match message {
        Message::Text(text) => line(&Said { stream: text }),
        // Red, as Docker's builder has it.
        Message::ErrorText(text) => line(&Said { stream: &format!("\u{1b}[91m{text}\u{1b}[0m") }),
        Message::Fetching(message) => line(message),
        Message::Id(id) => line(&json!({"aux": {"ID": id.to_string()}})),
    }
}

fn line(document: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(document).unwrap_or_else(|error| {
        // Our own types have string keys and no failing implementations; if one ever fails, the client is told so.
        format!("{{\"error\":{:?}}}", error.to_string()).into_bytes()
    });
    line.extend_from_slice(b"\r\n");
    line
}
