//! Writes a container's output to its log.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use model::Timestamp;

use super::{RECORD_LIMIT, Stream, escape, rotated};
use crate::error::{Error, Result};
use crate::protocol::{LogConfig, LogPosition};

/// Encoded records are collected up to this many bytes before they are written: those of a chunk of output in lines of
/// usual length are written at once.
const FLUSH_BYTES: usize = 192 * 1024;
/// The most that is kept for the next records.
const KEPT_BYTES: usize = 256 * 1024;

/// How long a rotation waits for those who follow the log to open the file that it would take away. They need a
/// moment; one that is stopped is left behind.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long between two looks whether they have.
const LOOK: Duration = Duration::from_micros(500);

/// The container's log, open for appending.
///
/// Nothing here fails because of a full disk: what cannot be written is dropped and counted, whole records at a time.
#[derive(Debug)]
pub struct Writer {
    config: LogConfig,
    file: File,
    size_bytes: u64,
    encoded: Vec<u8>,
    lines: [Line; 2],
    lost_bytes: u64,
    /// The file that was removed last. Who follows the log and knows nothing newer yet has it locked.
    removed: Option<File>,
}

/// What of a stream's current line was not recorded yet, and how its records end.
#[derive(Debug)]
struct Line {
    rest: Vec<u8>,
    middle: Vec<u8>,
}

impl Writer {
    /// Opens the log for appending and creates it if need be (mode 0640).
    pub fn open(config: LogConfig) -> Result<Writer> {
        let failed = |cause| Error::Log { path: config.path.clone(), cause };
        let mut file = append(&config.path).map_err(failed)?;
        let size_bytes = file.metadata().map_err(failed)?.len();
        end_torn_record(&config.path, &mut file, size_bytes).map_err(failed)?;
        let size_bytes = file.metadata().map_err(failed)?.len().max(size_bytes);
        let lines = [Stream::Stdout, Stream::Stderr]
            .map(|stream| Line { rest: Vec::new(), middle: record_middle(stream, &config) });
        Ok(Writer { config, file, size_bytes, encoded: Vec::new(), lines, lost_bytes: 0, removed: None })
    }

    /// Records a chunk of output, received at `time`. The end of the chunk that is no whole line is held back.
    pub fn write(&mut self, stream: Stream, mut chunk: &[u8], time: Timestamp) {
        let tail = time_tail(time);
        while !chunk.is_empty() {
            let held = self.line(stream).rest.len();
            let room = RECORD_LIMIT - held;
            let window = &chunk[..chunk.len().min(room)];
            let taken = match memchr::memchr(b'\n', window) {
                Some(newline) => newline + 1,
                None if window.len() == room => room - split_character(&self.line(stream).rest, window),
                None => {
                    self.line(stream).rest.extend_from_slice(window);
                    break;
                }
            };
            if held == 0 {
                self.record(stream, &chunk[..taken], &tail);
            } else {
                let mut line = std::mem::take(&mut self.line(stream).rest);
                line.extend_from_slice(&chunk[..taken]);
                self.record(stream, &line, &tail);
            }
            chunk = &chunk[taken..];
        }
        self.flush();
    }

    /// Records what is left of an unterminated last line.
    pub fn end(&mut self, stream: Stream, time: Timestamp) {
        let rest = std::mem::take(&mut self.line(stream).rest);
        if !rest.is_empty() {
            self.record(stream, &rest, &time_tail(time));
            self.flush();
        }
    }

    /// Changes the rotation from the next record on.
    pub fn set_rotation(&mut self, max_size_bytes: Option<u64>, max_files: u32) {
        self.config.max_size_bytes = max_size_bytes;
        self.config.max_files = max_files;
    }

    /// Bytes of records that could not be written so far.
    pub fn lost_bytes(&self) -> u64 {
        self.lost_bytes
    }

    /// The end of the log; `None` if it cannot be told.
    pub fn position(&self) -> Option<LogPosition> {
        let inode = self.file.metadata().ok()?.ino();
        Some(LogPosition { inode, offset_bytes: self.size_bytes })
    }

    /// The log file's path.
    pub fn path(&self) -> &Path {
        &self.config.path
    }

    /// The part of the current line of `stream` that is not in the log yet.
    pub fn unrecorded(&self, stream: Stream) -> &[u8] {
        &self.lines[stream as usize].rest
    }

    fn line(&mut self, stream: Stream) -> &mut Line {
        &mut self.lines[stream as usize]
    }

    /// Encodes one record.
    fn record(&mut self, stream: Stream, text: &[u8], tail: &[u8]) {
        let limit = self.config.max_size_bytes.filter(|&limit| limit > 0);
        if limit.is_some_and(|limit| self.size_bytes + self.encoded.len() as u64 >= limit) {
            self.flush();
            self.rotate();
        }
        self.encoded.extend_from_slice(br#"{"log":""#);
        escape(text, &mut self.encoded);
        self.encoded.extend_from_slice(&self.lines[stream as usize].middle);
        self.encoded.extend_from_slice(tail);
        if self.encoded.len() >= FLUSH_BYTES {
            self.flush();
        }
    }

    /// Writes the encoded records: all of them or, on a full disk, none.
    fn flush(&mut self) {
        if self.encoded.is_empty() {
            return;
        }
        match self.file.write_all(&self.encoded) {
            Ok(()) => self.size_bytes += self.encoded.len() as u64,
            Err(_) => {
                self.lost_bytes += self.encoded.len() as u64;
                // Half a record must not stay; if even that fails, readers skip the torn line.
                if self.file.set_len(self.size_bytes).is_err() {
                    self.size_bytes = self.file.metadata().map_or(self.size_bytes, |metadata| metadata.len());
                }
            }
        }
        self.encoded.clear();
        // A quiet container keeps no large buffer.
        self.encoded.shrink_to(KEPT_BYTES);
    }

    /// Moves the files on by one and starts a new one. If that fails the current file simply goes on growing.
    fn rotate(&mut self) {
        let path = &self.config.path;
        let keep = self.config.max_files.max(1);
        if let Ok(oldest) = File::open(rotated(path, keep - 1))
            && let Some(before) = self.removed.replace(oldest)
        {
            await_followers(&before);
        }
        let mut moved = Ok(());
        for generation in (1..keep).rev() {
            moved = std::fs::rename(rotated(path, generation - 1), rotated(path, generation));
        }
        if keep == 1 {
            moved = std::fs::remove_file(path);
        }
        // Missing files are normal: there were not that many rotations yet, or somebody has removed one.
        if moved.is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
            return;
        }
        // Readers that still hold the old file lose nothing, because it is replaced and not cut.
        if let Ok(file) = append(path) {
            self.file = file;
            self.size_bytes = 0;
        }
    }
}

/// Waits until nobody who follows the log has `file` for the newest that he knows, and so still has to open the next.
fn await_followers(file: &File) {
    let deadline = Instant::now() + PATIENCE;
    while matches!(file.try_lock(), Err(TryLockError::WouldBlock)) && Instant::now() < deadline {
        std::thread::sleep(LOOK);
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// Ends a line that a crash of the machine left unfinished, so that it cannot spoil the next record.
fn end_torn_record(path: &Path, file: &mut File, size_bytes: u64) -> io::Result<()> {
    if size_bytes == 0 {
        return Ok(());
    }
    let mut last = [0];
    std::os::unix::fs::FileExt::read_exact_at(&File::open(path)?, &mut last, size_bytes - 1)?;
    if last != *b"\n" {
        // A full disk here only means that one more record will be unreadable.
        drop(file.write_all(b"\n"));
    }
    Ok(())
}

/// What stands in a record between its text and its time.
fn record_middle(stream: Stream, config: &LogConfig) -> Vec<u8> {
    let mut middle = format!(r#"","stream":"{}","#, stream.name()).into_bytes();
    if !config.attributes.is_empty() {
        middle.extend_from_slice(br#""attrs":{"#);
        for (index, (key, value)) in config.attributes.iter().enumerate() {
            middle.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
            escape(key.as_bytes(), &mut middle);
            middle.extend_from_slice(b"\":\"");
            escape(value.as_bytes(), &mut middle);
            middle.push(b'"');
        }
        middle.extend_from_slice(b"},");
    }
    middle.extend_from_slice(br#""time":""#);
    middle
}

/// How a record of this time ends.
fn time_tail(time: Timestamp) -> Vec<u8> {
    format!("{time}\"}}\n").into_bytes()
}

/// How many bytes at the end of `window` are the start of a character that goes on behind it (`held` stands before it).
fn split_character(held: &[u8], window: &[u8]) -> usize {
    for length in 1..=3.min(window.len()) {
        let lead = window[window.len() - length];
        let whole = match lead {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80..=0xbf => continue,
            _ => return 0,
        };
        // A record is never left empty.
        return if whole > length && held.len() + window.len() > length { length } else { 0 };
    }
    0
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
