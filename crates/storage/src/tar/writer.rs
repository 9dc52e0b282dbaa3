//! Writing an archive: ustar headers, PAX records for what those cannot say, nothing that depends on when or where.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;

use super::{BLOCK_BYTES, Entry, EntryKind, header, padding, pax};
use crate::error::Doing;
use crate::{Error, Result};

/// Writes an archive entry by entry. Equal entries give equal bytes.
pub struct Writer<W> {
    out: W,
    buffer: Vec<u8>,
}

const BUFFER_BYTES: usize = 128 * 1024;

impl<W: Write> Writer<W> {
    /// A writer of an archive to `out`, which should be buffered.
    pub fn new(out: W) -> Self {
        Writer { out, buffer: vec![0; BUFFER_BYTES] }
    }

    /// Writes one entry with `entry.size` bytes of `contents` (none for everything but files).
    /// Contents that end early are an error: the archive is of no use then.
    pub fn append(&mut self, entry: &Entry, contents: impl Read) -> Result<()> {
        let path = full_path(entry);
        let mut block = [0; BLOCK_BYTES];
        let mut records = Vec::new();
        put_path(&mut block, &mut records, &path);
        put_link(&mut block, &mut records, &entry.link);
        let size = if entry.kind == EntryKind::File { entry.size } else { 0 };
        octal(&mut block[header::MODE], u64::from(entry.mode & 0o7777));
        put_number(&mut block, &mut records, header::UID, "uid", u64::from(entry.owner.uid));
        put_number(&mut block, &mut records, header::GID, "gid", u64::from(entry.owner.gid));
        put_number(&mut block, &mut records, header::SIZE, "size", size);
        put_time(&mut block, &mut records, entry);
        for (name, value) in &entry.xattrs {
            // An attribute whose name is no text, or has an equals sign, cannot be written; Linux has none in use.
            if let Some(name) = name.to_str().filter(|name| !name.contains('=')) {
                pax::append_xattr(&mut records, name, value);
            }
        }
        block[header::TYPE] = type_flag(entry.kind);
        octal(&mut block[header::MAJOR], u64::from(entry.device.0));
        octal(&mut block[header::MINOR], u64::from(entry.device.1));
        if !records.is_empty() {
            self.records(&path, &records)?;
        }
        self.block(block)?;
        self.contents(contents, size)
    }

    /// Ends the archive and gives the output back.
    pub fn finish(mut self) -> Result<W> {
        self.out.write_all(&[0; 2 * BLOCK_BYTES]).doing("writing the tar stream")?;
        self.out.flush().doing("writing the tar stream")?;
        Ok(self.out)
    }

    fn contents(&mut self, contents: impl Read, size: u64) -> Result<()> {
        let (mut contents, mut left) = (contents, size);
        while left > 0 {
            let wanted = BUFFER_BYTES.min(usize::try_from(left).unwrap_or(BUFFER_BYTES));
            let length = match contents.read(&mut self.buffer[..wanted]) {
                Ok(0) => return Err(Error::Tar("a file became shorter while it was read".into())),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::Io { action: "reading a file", source }),
            };
            self.out.write_all(&self.buffer[..length]).doing("writing the tar stream")?;
            left -= length as u64;
        }
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let zeros = [0; BLOCK_BYTES];
        self.out.write_all(&zeros[..padding(size) as usize]).doing("writing the tar stream")
    }

    fn block(&mut self, mut block: [u8; BLOCK_BYTES]) -> Result<()> {
        block[header::MAGIC].copy_from_slice(header::USTAR);
        let (sum, _) = header::sums(&block);
        octal(&mut block[148..155], sum as u64);
        block[155] = b' ';
        self.out.write_all(&block).doing("writing the tar stream")
    }

    fn records(&mut self, path: &[u8], records: &[u8]) -> Result<()> {
        let mut block = [0; BLOCK_BYTES];
        let name = [b"PaxHeaders.0/", &path[path.len().saturating_sub(80)..]].concat();
        let name: Vec<u8> = name.into_iter().map(|byte| if byte.is_ascii() { byte } else { b'_' }).collect();
        block[..name.len()].copy_from_slice(&name);
        octal(&mut block[header::MODE], 0o644);
        octal(&mut block[header::UID], 0);
        octal(&mut block[header::GID], 0);
        octal(&mut block[header::SIZE], records.len() as u64);
        octal(&mut block[header::MTIME], 0);
        block[header::TYPE] = b'x';
        self.block(block)?;
        self.out.write_all(records).doing("writing the tar stream")?;
        self.pad(records.len() as u64)
    }
}

/// Directories end in a slash.
fn full_path(entry: &Entry) -> Vec<u8> {
    let mut path = entry.path.as_bytes().to_vec();
    if entry.kind == EntryKind::Directory && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path
}

fn type_flag(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::File => b'0',
        EntryKind::HardLink => b'1',
        EntryKind::Symlink => b'2',
        EntryKind::CharDevice => b'3',
        EntryKind::BlockDevice => b'4',
        EntryKind::Directory => b'5',
        EntryKind::Fifo => b'6',
    }
}

/// Octal digits with leading zeros and a NUL. The caller knows that the value fits.
fn octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    let text = format!("{value:0digits$o}");
    field[..digits].copy_from_slice(&text.as_bytes()[text.len() - digits..]);
    field[digits] = 0;
}

fn put_number(block: &mut [u8; BLOCK_BYTES], records: &mut Vec<u8>, field: Range<usize>, key: &str, value: u64) {
    let digits = field.len() - 1;
    if value >> (3 * digits) == 0 {
        octal(&mut block[field], value);
    } else {
        octal(&mut block[field], 0);
        pax::append(records, key, value.to_string().as_bytes());
    }
}

fn put_time(block: &mut [u8; BLOCK_BYTES], records: &mut Vec<u8>, entry: &Entry) {
    let time = entry.modified;
    match u64::try_from(time.seconds) {
        Ok(seconds) if seconds >> 33 == 0 => {
            octal(&mut block[header::MTIME], seconds);
            if time.nanoseconds == 0 {
                return;
            }
        }
        _ => octal(&mut block[header::MTIME], 0),
    }
    pax::append(records, "mtime", pax::time_text(time).as_bytes());
}

fn put_path(block: &mut [u8; BLOCK_BYTES], records: &mut Vec<u8>, path: &[u8]) {
    if path.is_ascii() && path.len() <= header::NAME.len() {
        block[..path.len()].copy_from_slice(path);
        return;
    }
    if let Some((prefix, name)) = split(path).filter(|_| path.is_ascii()) {
        block[..name.len()].copy_from_slice(name);
        block[header::PREFIX][..prefix.len()].copy_from_slice(prefix);
        return;
    }
    let short: Vec<u8> = path.iter().copied().filter(u8::is_ascii).take(header::NAME.len()).collect();
    block[..short.len()].copy_from_slice(&short);
    pax::append(records, "path", path);
}

/// Splits a long path at a slash so that both parts fit a ustar header.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = path.len().checked_sub(header::NAME.len() + 1)?;
    let last = header::PREFIX.len().min(path.len().checked_sub(2)?);
    let slash = (first.max(1)..=last).find(|position| path[*position] == b'/')?;
    Some((&path[..slash], &path[slash + 1..]))
}

fn put_link(block: &mut [u8; BLOCK_BYTES], records: &mut Vec<u8>, link: &OsStr) {
    let link = link.as_bytes();
    if link.is_ascii() && link.len() <= header::LINK.len() {
        block[header::LINK][..link.len()].copy_from_slice(link);
    } else {
        pax::append(records, "linkpath", link);
    }
}
