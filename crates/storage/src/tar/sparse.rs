//! Files with holes: which parts of them the archive holds.

use std::io::{BufRead, Write};

use super::header::{self, Header};
use super::{BLOCK_BYTES, Reader};
use crate::{Error, Result};

/// One part of a sparse file that holds data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins in the file.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
}

/// Bounds the memory a map takes (4 MiB).
pub(super) const MAX_SEGMENTS: usize = 1 << 18;

fn too_many() -> Error {
    Error::Tar("too many parts in a sparse file".into())
}

fn damaged() -> Error {
    Error::Tar("damaged map of a sparse file".into())
}

/// Refuses maps that overlap, run backwards, leave the file or do not fit the data.
pub(super) fn check(segments: &[Segment], real_size: u64, data_size: u64) -> Result<()> {
    let (mut position, mut total) = (0_u64, 0_u64);
    for segment in segments {
        let end = segment.offset.checked_add(segment.length).filter(|end| *end <= real_size);
        let end = end.filter(|_| segment.offset >= position).ok_or_else(damaged)?;
        position = end;
        total += segment.length; // cannot overflow: parts do not overlap within a u64
    }
    if total != data_size || i64::try_from(real_size).is_err() {
        return Err(damaged());
    }
    Ok(())
}

/// The old GNU format: four parts in the header, more in blocks that follow it. Returns the real size and the map.
pub(super) fn old_gnu<R: BufRead, S: Write>(reader: &mut Reader<R, S>, header: &Header) -> Result<(u64, Vec<Segment>)> {
    let mut segments = Vec::new();
    let mut more = push_all(&header.0[386..482], &mut segments)? && header.0[482] != 0;
    while more {
        let block = reader.block()?.ok_or_else(|| Error::Tar("archive ends in a sparse map".into()))?;
        more = push_all(&block[..504], &mut segments)? && block[504] != 0;
    }
    let real_size = header.number(483..495, "real size")?;
    Ok((u64::try_from(real_size).map_err(|_| damaged())?, segments))
}

/// Takes the parts of one block; false at the first empty one, which ends the map.
fn push_all(fields: &[u8], segments: &mut Vec<Segment>) -> Result<bool> {
    for field in fields.chunks_exact(24) {
        if field[0] == 0 || field[12] == 0 {
            return Ok(false);
        }
        let value = |field| header::number(field).and_then(|value| u64::try_from(value).ok()).ok_or_else(damaged);
        segments.push(Segment { offset: value(&field[..12])?, length: value(&field[12..])? });
        if segments.len() > MAX_SEGMENTS {
            return Err(too_many());
        }
    }
    Ok(true)
}

/// PAX format 1.0: the map stands in front of the data as decimal lines, padded to whole blocks.
/// Returns the map and how many bytes it took.
pub(super) fn pax_1_0<R: BufRead, S: Write>(reader: &mut Reader<R, S>, available: u64) -> Result<(Vec<Segment>, u64)> {
    let mut lines = Lines { block: [0; BLOCK_BYTES], position: BLOCK_BYTES, taken: 0, available };
    let count = usize::try_from(lines.number(reader)?).ok().filter(|count| *count <= MAX_SEGMENTS);
    let count = count.ok_or_else(too_many)?;
    let mut segments = Vec::new();
    for _ in 0..count {
        let offset = lines.number(reader)?;
        segments.push(Segment { offset, length: lines.number(reader)? });
    }
    Ok((segments, lines.taken))
}

struct Lines {
    block: [u8; BLOCK_BYTES],
    position: usize,
    taken: u64,
    available: u64,
}

impl Lines {
    fn number<R: BufRead, S: Write>(&mut self, reader: &mut Reader<R, S>) -> Result<u64> {
        let mut value: Option<u64> = None;
        loop {
            if self.position == BLOCK_BYTES {
                self.taken += BLOCK_BYTES as u64;
                if self.taken > self.available {
                    return Err(damaged());
                }
                self.block = reader.block()?.ok_or_else(damaged)?;
                self.position = 0;
            }
            let byte = self.block[self.position];
            self.position += 1;
            match byte {
                b'\n' => return value.ok_or_else(damaged),
                b'0'..=b'9' => {
                    let next = value.unwrap_or(0).checked_mul(10).and_then(|v| v.checked_add(u64::from(byte - b'0')));
                    value = Some(next.ok_or_else(damaged)?);
                }
                _ => return Err(damaged()),
            }
        }
    }
}
