//! Reading an archive from a stream, one entry after the other.

use std::ffi::OsString;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use sys::root::{Owner, Time};

use super::header::{self, Format, Header};
use super::pax::Records;
use super::{BLOCK_BYTES, Entry, EntryKind, Sparse, padding, sparse};
use crate::error::Doing;
use crate::{Error, Result};

/// Longest PAX header or GNU long name taken, in bytes.
const MAX_SPECIAL_BYTES: u64 = 1024 * 1024;

/// Reads an archive. Every byte that is not contents handed out by [`Reader::chunk`] goes to `S`: headers, padding, contents
/// that were skipped, and what follows the end of the archive.
pub struct Reader<R, S = io::Sink> {
    input: R,
    raw: S,
    /// Contents of the current entry not read yet.
    left: u64,
    padding: u64,
    global: Records,
}

impl<R: BufRead> Reader<R> {
    /// A reader of the archive in `input`.
    pub fn new(input: R) -> Self {
        Reader::with_raw(input, io::sink())
    }
}

impl<R: BufRead, S: Write> Reader<R, S> {
    /// A reader that copies what is not contents to `raw`.
    pub fn with_raw(input: R, raw: S) -> Self {
        Reader { input, raw, left: 0, padding: 0, global: Records::default() }
    }

    /// Where what is not contents goes.
    pub fn raw(&mut self) -> &mut S {
        &mut self.raw
    }

    /// Ends reading and gives that place back.
    pub fn into_raw(self) -> S {
        self.raw
    }

    /// The next entry; `None` at the end of the archive, when everything up to the end of the input has been read.
    /// Contents of the entry before that were not read are skipped.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        if self.pass(self.left)? != self.left {
            return Err(Error::Tar("archive ends in the middle of a file".into()));
        }
        self.left = 0;
        // Some writers end with the last byte of contents (the docker program's contexts with a Dockerfile from elsewhere).
        self.pass(self.padding)?;
        self.padding = 0;
        let mut special = Special::default();
        loop {
            let Some(block) = self.block()? else {
                special.end()?;
                return Ok(None);
            };
            if block.iter().all(|byte| *byte == 0) {
                special.end()?;
                self.end()?;
                return Ok(None);
            }
            let header = Header::parse(block)?;
            match header.type_flag() {
                b'x' => {
                    let mut records = Records::default();
                    records.local(&self.special(&header)?)?;
                    special.records = Some(records);
                }
                b'g' => {
                    let bytes = self.special(&header)?;
                    self.global.global(&bytes)?;
                    if self.global.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() as u64
                        > MAX_SPECIAL_BYTES
                    {
                        return Err(Error::Tar("too many global PAX records".into()));
                    }
                }
                b'L' => special.path = Some(long_name(self.special(&header)?)),
                b'K' => special.link = Some(long_name(self.special(&header)?)),
                _ => return self.entry(&header, special).map(Some),
            }
        }
    }

    /// The next piece of the current entry's contents, empty at their end. Call [`Reader::consume`] with what was used.
    pub fn chunk(&mut self) -> Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let piece = loop {
            match self.input.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Asked again below: the borrow checker does not let a borrow out of a loop.
                Ok(_) => break self.input.fill_buf().doing("reading the tar stream")?,
                Err(source) => return Err(Error::Io { action: "reading the tar stream", source }),
            }
        };
        if piece.is_empty() {
            return Err(Error::Tar("archive ends in the middle of a file".into()));
        }
        let length = piece.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        Ok(&piece[..length])
    }

    /// Marks bytes of the last [`Reader::chunk`] as used.
    pub fn consume(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.left -= bytes as u64;
    }

    /// Reads one block; `None` if the input ends before it.
    pub(super) fn block(&mut self) -> Result<Option<[u8; BLOCK_BYTES]>> {
        let mut block = [0; BLOCK_BYTES];
        let mut filled = 0;
        while filled < BLOCK_BYTES {
            match self.input.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(Error::Tar("archive ends in the middle of a block".into())),
                Ok(length) => filled += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Io { action: "reading the tar stream", source }),
            }
        }
        self.raw.write_all(&block).doing("keeping the tar headers")?;
        Ok(Some(block))
    }

    /// Copies bytes to where what is not contents goes, as far as there are any; says how many there were.
    fn pass(&mut self, bytes: u64) -> Result<u64> {
        io::copy(&mut self.input.by_ref().take(bytes), &mut self.raw).doing("reading the tar stream")
    }

    /// After the first zero block: a second one or the end of the input must follow, then anything.
    fn end(&mut self) -> Result<()> {
        if let Some(block) = self.block()? {
            if block.iter().any(|byte| *byte != 0) {
                return Err(Error::Tar("zero block in the middle of the archive".into()));
            }
            io::copy(&mut self.input, &mut self.raw).doing("reading the tar stream")?;
        }
        Ok(())
    }

    /// The contents of a PAX header or GNU long name.
    fn special(&mut self, header: &Header) -> Result<Vec<u8>> {
        let size = header.size()?;
        if size > MAX_SPECIAL_BYTES {
            return Err(Error::Tar(format!("extended header of {size} bytes is too long")));
        }
        let mut bytes = Vec::new();
        self.input.by_ref().take(size + padding(size)).read_to_end(&mut bytes).doing("reading the tar stream")?;
        if bytes.len() as u64 != size + padding(size) {
            return Err(Error::Tar("archive ends in an extended header".into()));
        }
        self.raw.write_all(&bytes).doing("keeping the tar headers")?;
        bytes.truncate(size as usize);
        Ok(bytes)
    }

    fn entry(&mut self, header: &Header, special: Special) -> Result<Entry> {
        let local = special.records.unwrap_or_default();
        let path = special.path.or(local.path.clone()).unwrap_or_else(|| header.path());
        let kind = kind(header.type_flag(), &path)?;
        let mut entry = Entry::new(path, kind);
        entry.mode = (header.number(header::MODE, "mode")? & 0o7777) as u32;
        entry.owner = Owner {
            uid: owner(local.uid.or(self.global.uid), header, header::UID, "uid")?,
            gid: owner(local.gid.or(self.global.gid), header, header::GID, "gid")?,
        };
        entry.modified = match local.modified.or(self.global.modified) {
            Some(modified) => modified,
            None => Time { seconds: header.number(header::MTIME, "mtime")?, nanoseconds: 0 },
        };
        if matches!(kind, EntryKind::HardLink | EntryKind::Symlink) {
            entry.link = special.link.or(local.link.clone()).unwrap_or_else(|| header.link());
        }
        entry.device = device(header, kind)?;
        let mut xattrs = self.global.xattrs.clone();
        xattrs.extend(local.xattrs.clone());
        entry.xattrs = xattrs.into_iter().collect();
        // Links and directories of some old programs state a size but have no contents; every reader agrees on that.
        if kind == EntryKind::File {
            self.begin_contents(header, &local, &mut entry)?;
        }
        Ok(entry)
    }

    /// Finds out how many bytes of contents follow, and for a file with holes where they go.
    fn begin_contents(&mut self, header: &Header, local: &Records, entry: &mut Entry) -> Result<()> {
        let mut size = match local.size {
            Some(size) => size,
            None => header.size()?,
        };
        if i64::try_from(size).is_err() {
            return Err(Error::Tar("impossible size".into()));
        }
        self.padding = padding(size);
        if header.type_flag() == b'S' {
            let (size, segments) = sparse::old_gnu(self, header)?;
            entry.sparse = Some(Sparse { size, segments });
        } else if local.sparse.has_map || local.sparse.major.is_some() {
            let (real_size, segments, map_bytes) = self.pax_sparse(&local.sparse, size)?;
            size -= map_bytes;
            entry.sparse = Some(Sparse { size: real_size, segments });
            if let Some(name) = &local.sparse.name {
                entry.path.clone_from(name);
            }
        }
        if let Some(sparse) = &entry.sparse {
            sparse::check(&sparse.segments, sparse.size, size)?;
        }
        entry.size = size;
        self.left = size;
        Ok(())
    }

    fn pax_sparse(
        &mut self,
        records: &super::pax::SparseRecords,
        size: u64,
    ) -> Result<(u64, Vec<super::Segment>, u64)> {
        let damaged = || Error::Tar("damaged map of a sparse file".into());
        let real_size = records.real_size.ok_or_else(damaged)?;
        match (records.major.unwrap_or(0), records.minor.unwrap_or(0)) {
            (0, 0 | 1) => Ok((real_size, records.segments()?, 0)),
            (1, 0) => {
                let (segments, map_bytes) = sparse::pax_1_0(self, size)?;
                Ok((real_size, segments, map_bytes))
            }
            (major, minor) => Err(Error::Tar(format!("unknown sparse format {major}.{minor}"))),
        }
    }
}

/// What headers before an entry said about it.
#[derive(Default)]
struct Special {
    records: Option<Records>,
    path: Option<OsString>,
    link: Option<OsString>,
}

impl Special {
    /// At the end of the archive nothing may be left waiting for its entry.
    fn end(&self) -> Result<()> {
        if self.records.is_some() || self.path.is_some() || self.link.is_some() {
            return Err(Error::Tar("archive ends after an extended header".into()));
        }
        Ok(())
    }
}

fn long_name(mut bytes: Vec<u8>) -> OsString {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    OsString::from_vec(bytes)
}

fn kind(type_flag: u8, path: &OsString) -> Result<EntryKind> {
    Ok(match type_flag {
        // Before ustar a directory was a file with a slash at the end.
        0 if path.as_bytes().ends_with(b"/") => EntryKind::Directory,
        0 | b'0' | b'7' | b'S' => EntryKind::File,
        b'1' => EntryKind::HardLink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::CharDevice,
        b'4' => EntryKind::BlockDevice,
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        other => return Err(Error::Tar(format!("unknown entry type {:?}", char::from(other)))),
    })
}

fn owner(record: Option<u32>, header: &Header, field: std::ops::Range<usize>, what: &'static str) -> Result<u32> {
    match record {
        Some(id) => Ok(id),
        None => u32::try_from(header.number(field, what)?).map_err(|_| Error::Tar(format!("impossible {what}"))),
    }
}

fn device(header: &Header, kind: EntryKind) -> Result<(u32, u32)> {
    let is_device = matches!(kind, EntryKind::CharDevice | EntryKind::BlockDevice);
    if !is_device || header.format() == Format::V7 {
        return Ok((0, 0));
    }
    let number = |field, what| {
        u32::try_from(header.number(field, what)?).map_err(|_| Error::Tar("impossible device number".into()))
    };
    Ok((number(header::MAJOR, "major")?, number(header::MINOR, "minor")?))
}
