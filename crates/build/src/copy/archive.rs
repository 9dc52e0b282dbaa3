//! `ADD` of an archive: its members become files of the layer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use storage::compression::decompress;
use storage::tar::{Entry, EntryKind, Reader, Segment};
use sys::root::Root;

use super::layer::Layered;
use crate::{Error, Result};

const BUFFER_BYTES: usize = 256 * 1024;
/// Largest file with holes that is written out.
const MAX_SPARSE_BYTES: u64 = 16 << 30;

/// Whether a file is a tar archive, whatever its name: its first member can be read.
pub(crate) fn is_archive(root: &Root, path: &Path) -> Result<bool> {
    let file = root.open_file(path)?;
    let Ok(plain) = decompress(file) else { return Ok(false) };
    let mut reader = Reader::new(BufReader::with_capacity(BUFFER_BYTES, plain));
    Ok(matches!(reader.next_entry(), Ok(Some(_))))
}

/// Writes all members beneath `target`, which is resolved. Links of the image are followed as they would be if the members
/// were unpacked there one by one; nothing leads out.
pub(crate) fn unpack<W: Write>(layer: &mut Layered<'_, W>, root: &Root, path: &Path, target: &Path) -> Result<()> {
    let plain = decompress(root.open_file(path)?)?;
    let mut reader = Reader::new(BufReader::with_capacity(BUFFER_BYTES, plain));
    while let Some(mut entry) = reader.next_entry()? {
        let inside = member(&entry.path)?;
        if inside.as_os_str().is_empty() {
            continue;
        }
        let real = layer.place.resolve_folder(&target.join(&inside))?;
        layer.folders(&real, super::Made::default())?;
        if entry.kind == EntryKind::HardLink {
            entry.link = layer.place.resolve_folder(&target.join(member(&entry.link)?))?.into_os_string();
        }
        entry.path = real.into_os_string();
        entry
            .xattrs
            .retain(|(name, _)| name == super::source::CAPABILITY || name.to_string_lossy().starts_with("user."));
        match entry.sparse.take() {
            None => layer.append(&entry, Contents(&mut reader))?,
            Some(sparse) if sparse.size > MAX_SPARSE_BYTES => {
                let shown = Path::new(&entry.path).display();
                return Err(Error::Step(format!(
                    "/{shown} is a file with holes of more than {MAX_SPARSE_BYTES} bytes"
                )));
            }
            Some(sparse) => {
                let whole = Entry { size: sparse.size, ..entry };
                let filled =
                    Filled { contents: Contents(&mut reader), segments: &sparse.segments, at: 0, size: sparse.size };
                layer.append(&whole, filled)?;
            }
        }
    }
    Ok(())
}

/// A member's path, relative and clean.
fn member(path: &std::ffi::OsStr) -> Result<PathBuf> {
    use std::path::Component;
    let mut clean = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir if !clean.pop() => {
                return Err(Error::Step(format!("{} leads out of the archive", Path::new(path).display())));
            }
            _ => {}
        }
    }
    Ok(clean)
}

/// The contents of a reader's present member.
struct Contents<'a, R>(&'a mut Reader<R>);

impl<R: BufRead> Read for Contents<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let chunk = self.0.chunk().map_err(io::Error::other)?;
        let length = chunk.len().min(buffer.len());
        buffer[..length].copy_from_slice(&chunk[..length]);
        self.0.consume(length);
        Ok(length)
    }
}

/// The same with zeros where the member has holes.
struct Filled<'a, R> {
    contents: Contents<'a, R>,
    /// What is left of the parts that hold data.
    segments: &'a [Segment],
    at: u64,
    size: u64,
}

impl<R: BufRead> Read for Filled<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some((first, rest)) = self.segments.split_first() {
            if self.at < first.offset + first.length {
                break;
            }
            self.segments = rest;
        }
        let (end, is_data) = match self.segments.first() {
            Some(segment) if self.at >= segment.offset => (segment.offset + segment.length, true),
            Some(segment) => (segment.offset, false),
            None => (self.size, false),
        };
        let length = buffer.len().min(usize::try_from(end - self.at).unwrap_or(usize::MAX));
        let length = if is_data {
            self.contents.read(&mut buffer[..length])?
        } else {
            buffer[..length].fill(0);
            length
        };
        self.at += length as u64;
        Ok(length)
    }
}
