//! Reads a container's log, while it is being written if need be.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use model::Timestamp;

use super::{Record, Style, rotated};
use crate::error::{Error, Result};
use crate::protocol::LogPosition;

/// How much is read from the file at once.
const BLOCK_BYTES: usize = 128 * 1024;

/// A line longer than this is no record of ours and is skipped.
const LINE_LIMIT: usize = 1024 * 1024;

/// More rotated files than anybody keeps.
const MAX_GENERATIONS: u32 = 10_000;

/// Files of a log that are held open ahead of the one being read: their number, and their bytes together. They stay on
/// disk even if the writer has removed them.
const HELD_FILES: usize = 64;
const HELD_BYTES: u64 = 64 << 20;

/// How often the beginning is looked for, should rotations take it away meanwhile.
const BEGINNINGS: usize = 16;

/// Names that may be missing in a row: during a rotation each is for a moment.
const MISSING: u32 = 2;

/// What of a log is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only the last so many records.
    pub tail: Option<u64>,
    /// Only records of this time or later.
    pub since: Option<Timestamp>,
    /// Only records of this time or earlier.
    pub until: Option<Timestamp>,
}

/// Reads records in order, across rotated files, to the current end; and on from there whenever it is asked again.
///
/// It never blocks waiting for records: to follow a log, wait with a [`super::Watch`] (or a timer) and go on reading. Who
/// [follows](Reader::follow) has the newest file that it knows locked (`flock`), and the writer takes the one behind it
/// away only when that is released, or after a while.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    /// The file being read, and newer ones without a gap.
    files: VecDeque<File>,
    /// Offset in the first file of the end of `buffer`.
    offset: u64,
    buffer: Vec<u8>,
    /// How much of `buffer` is used up.
    used: usize,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    past_until: bool,
    /// The rest of an overlong line is being skipped.
    skipping: bool,
    /// The writer is to wait for us.
    following: bool,
}

impl Reader {
    /// Opens the log at `path`. It need not exist yet.
    pub fn open(path: &Path, selection: Selection) -> Result<Reader> {
        let mut reader = Reader::at_nothing(path);
        reader.since = selection.since;
        reader.until = selection.until;
        reader.seek_tail(selection.tail).map_err(|cause| reader.failed(cause))?;
        reader.keep_up()?;
        Ok(reader)
    }

    /// Opens the log at `path` to read it to its end and on: rotations lose and repeat nothing as long as the reader is
    /// read from, or told to [keep up](Reader::keep_up), within two seconds of one.
    pub fn follow(path: &Path, selection: Selection) -> Result<Reader> {
        let mut reader = Reader::at_nothing(path);
        (reader.since, reader.until, reader.following) = (selection.since, selection.until, true);
        reader.begin(selection.tail).map_err(|cause| reader.failed(cause))?;
        reader.keep_up()?;
        Ok(reader)
    }

    /// Opens the log at `path` to read what follows `position`.
    pub fn resume(path: &Path, position: LogPosition) -> Result<Reader> {
        let mut reader = Reader::at_nothing(path);
        let found = generation_of(path, position.inode).and_then(|generation| match generation {
            Some(generation) => Ok((open(&rotated(path, generation))?, position.offset_bytes)),
            // That file was rotated away: everything left is newer.
            None => Ok((oldest(path)?, 0)),
        });
        let (file, offset) = found.map_err(|cause| reader.failed(cause))?;
        (reader.files, reader.offset) = (file.into_iter().collect(), offset);
        reader.keep_up()?;
        Ok(reader)
    }

    /// Opens what a rotation has put behind the newest file known, so that it cannot be lost while what is before it is
    /// still being read or sent. Holds 64 files and 64 MiB at most: who falls further behind reads what is kept.
    pub fn keep_up(&mut self) -> Result<()> {
        self.open_newer().map_err(|cause| self.failed(cause))
    }

    fn at_nothing(path: &Path) -> Reader {
        Reader {
            path: path.to_owned(),
            files: VecDeque::new(),
            offset: 0,
            buffer: Vec::new(),
            used: 0,
            since: None,
            until: None,
            past_until: false,
            skipping: false,
            following: false,
        }
    }

    /// Takes its place, in a file that has not been taken away before it was locked.
    fn begin(&mut self, tail: Option<u64>) -> io::Result<()> {
        for _ in 0..BEGINNINGS {
            self.files.clear();
            self.seek_tail(tail)?;
            let Some(last) = self.files.pop_back() else { return Ok(()) };
            let inode = last.metadata()?.ino();
            self.take(last);
            if generation_of(&self.path, inode)?.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Takes a file as the newest that is known.
    fn take(&mut self, file: File) {
        if self.following {
            // Where files cannot be locked the writer does not wait, and all goes well as long as we are quick enough.
            drop(file.try_lock_shared());
            drop(self.files.back().map(File::unlock));
        }
        self.files.push_back(file);
    }

    /// Reads the next selected record; false at the current end of the log.
    pub fn read(&mut self, record: &mut Record) -> Result<bool> {
        while !self.past_until {
            let Some(end) = memchr::memchr(b'\n', &self.buffer[self.used..]) else {
                if !self.fill().map_err(|cause| self.failed(cause))? {
                    return Ok(false);
                }
                continue;
            };
            let line = &self.buffer[self.used..self.used + end];
            let decoded = !self.skipping && record.decode(line);
            self.skipping = false;
            self.used += end + 1;
            // Torn lines (a crash, a full disk) are passed over.
            if decoded && self.selects(record) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Appends selected records in `style` to `out` until it holds `limit_bytes` (or little more) or the current end of the log is
    /// reached; false in the latter case.
    pub fn render(&mut self, style: &Style, out: &mut Vec<u8>, limit_bytes: usize) -> Result<bool> {
        let mut record = Record::default();
        let mut open = None;
        // A line that is to come whole may go beyond the limit.
        while out.len() < limit_bytes || (open.is_some() && out.len() - limit_bytes < LINE_LIMIT) {
            if !self.read(&mut record)? {
                return Ok(false);
            }
            open = style.render_piece(&record, open, out);
        }
        Ok(true)
    }

    /// Whether a record later than `until` was met, so that nothing will follow.
    pub fn is_past_until(&self) -> bool {
        self.past_until
    }

    /// The place behind the last record that was read; `None` as long as there is no log.
    pub fn position(&self) -> Option<LogPosition> {
        let inode = self.files.front()?.metadata().ok()?.ino();
        Some(LogPosition { inode, offset_bytes: self.offset - (self.buffer.len() - self.used) as u64 })
    }

    fn selects(&mut self, record: &Record) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        let Some(time) = record.time() else { return true };
        self.past_until = self.until.is_some_and(|until| time > until);
        !self.past_until && self.since.is_none_or(|since| time >= since)
    }

    /// Reads more into the buffer; false at the current end of the log.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.used);
        self.used = 0;
        if self.buffer.len() > LINE_LIMIT {
            self.buffer.clear();
            self.skipping = true;
        }
        loop {
            if self.files.is_empty() {
                let Some(first) = oldest(&self.path)? else { return Ok(false) };
                self.take(first);
                self.offset = 0;
            }
            if self.read_block()? {
                return Ok(true);
            }
            if !self.advance()? {
                return Ok(false);
            }
        }
    }

    fn read_block(&mut self) -> io::Result<bool> {
        let Some(file) = self.files.front() else { return Ok(false) };
        let before = self.buffer.len();
        self.buffer.resize(before + BLOCK_BYTES, 0);
        let length = loop {
            match file.read_at(&mut self.buffer[before..], self.offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(before + *length.as_ref().unwrap_or(&0));
        self.offset += length? as u64;
        Ok(self.buffer.len() > before)
    }

    /// At the end of a file: goes on to the next newer one; false if there is none (yet).
    fn advance(&mut self) -> io::Result<bool> {
        self.open_newer()?;
        if self.files.len() > 1 {
            // Nothing is added to a file that has a successor; but it may have been since it was read.
            if self.read_block()? {
                return Ok(true);
            }
            self.files.pop_front();
            self.buffer.clear();
            self.offset = 0;
            return Ok(true);
        }
        let length = self.files.front().map(File::metadata).transpose()?.map_or(0, |metadata| metadata.len());
        if length < self.offset {
            // Somebody has cut the file off: it starts anew.
            self.offset = 0;
            self.buffer.clear();
            return Ok(length > 0);
        }
        Ok(false)
    }

    fn open_newer(&mut self) -> io::Result<()> {
        while let Some(last) = self.files.back() {
            let Some(next) = successor(&self.path, last)? else { return Ok(()) };
            let held = self.files.iter().skip(1).map(|file| Ok(file.metadata()?.len())).sum::<io::Result<u64>>()?;
            if self.files.len() > HELD_FILES || held > HELD_BYTES {
                return Ok(());
            }
            self.take(next);
        }
        Ok(())
    }

    /// Places the reader before the last `tail` records, or at the very beginning.
    fn seek_tail(&mut self, tail: Option<u64>) -> io::Result<()> {
        let Some(mut wanted) = tail else {
            self.files.extend(oldest(&self.path)?);
            return Ok(());
        };
        let mut counted = None;
        for generation in 0..MAX_GENERATIONS {
            let Some(file) = open(&rotated(&self.path, generation))? else { break };
            let inode = file.metadata()?.ino();
            if counted.replace(inode) == Some(inode) {
                // A rotation has moved it on meanwhile.
                continue;
            }
            let (offset, found) = tail_offset(&file, wanted)?;
            self.files = VecDeque::from([file]);
            self.offset = offset;
            wanted -= found;
            if wanted == 0 {
                break;
            }
        }
        Ok(())
    }

    fn failed(&self, cause: io::Error) -> Error {
        Error::Log { path: self.path.clone(), cause }
    }
}

/// The offset of the last `wanted` lines of a file, and how many there are.
fn tail_offset(file: &File, wanted: u64) -> io::Result<(u64, u64)> {
    let mut block = vec![0; BLOCK_BYTES / 2];
    let mut end = file.metadata()?.len();
    // Every newline ends a line; the one wanted starts behind the newline before the first of them.
    let mut newlines = 0;
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..(end - start) as usize];
        file.read_exact_at(part, start)?;
        for position in memchr::memrchr_iter(b'\n', part) {
            if newlines == wanted {
                return Ok((start + position as u64 + 1, wanted));
            }
            newlines += 1;
        }
        end = start;
    }
    Ok((0, newlines))
}

/// Opens a file that may not exist.
fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The file that came after `file`; `None` if that is still the log, or if it cannot be told at this moment.
fn successor(path: &Path, file: &File) -> io::Result<Option<File>> {
    let inode = file.metadata()?.ino();
    let generation = generation_of(path, inode)?;
    let next = match generation {
        Some(0) => return Ok(None),
        Some(generation) => open(&rotated(path, generation - 1))?,
        None => oldest(path)?,
    };
    // Another rotation between the two looks would make it the wrong one.
    Ok(next.filter(|_| generation_of(path, inode).is_ok_and(|now| now == generation)))
}

/// The oldest file of a log, if there is any.
fn oldest(path: &Path) -> io::Result<Option<File>> {
    let (mut last, mut missing) = (None, 0);
    for generation in 0..MAX_GENERATIONS {
        match open(&rotated(path, generation))? {
            Some(file) => (last, missing) = (Some(file), 0),
            None if missing < MISSING => missing += 1,
            None => break,
        }
    }
    Ok(last)
}

/// How many rotations ago the file with this inode number was the log; `None` if it is gone.
fn generation_of(path: &Path, inode: u64) -> io::Result<Option<u32>> {
    let mut missing = 0;
    for generation in 0..MAX_GENERATIONS {
        match std::fs::metadata(rotated(path, generation)) {
            Ok(metadata) if metadata.ino() == inode => return Ok(Some(generation)),
            Ok(_) => missing = 0,
            Err(error) if error.kind() == io::ErrorKind::NotFound && missing < MISSING => missing += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
