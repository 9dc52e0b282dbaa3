//! Container logs in Docker's json-file form: the shim writes them, the daemon reads them.
//!
//! One record a line: `{"log":"text\n","stream":"stdout","time":"2014-08-20T18:01:02.123456789Z"}`. A line of output
//! longer than [`RECORD_LIMIT`] becomes several records, of which only the last ends with a newline.

mod escape;
mod reader;
mod record;
mod render;
mod watch;
mod writer;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use escape::escape;
pub use reader::{Reader, Selection};
pub use record::Record;
pub use render::{Style, Timestamps};
pub use watch::Watch;
pub use writer::Writer;

/// The most bytes of output in one record.
pub const RECORD_LIMIT: usize = 16 * 1024;

/// The output stream a record came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, and everything a terminal shows.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Its name in log records.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }

    /// The head of a frame of a multiplexed stream that carries `length` bytes of this stream.
    pub fn frame_head(self, length: u32) -> [u8; 8] {
        let number = match self {
            Stream::Stdout => 1,
            Stream::Stderr => 2,
        };
        let [a, b, c, d] = length.to_be_bytes();
        [number, 0, 0, 0, a, b, c, d]
    }
}

/// The path of the file that was the log `generation` rotations ago; zero is the log itself.
pub fn rotated(path: &Path, generation: u32) -> PathBuf {
    if generation == 0 {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{generation}"));
    name.into()
}
