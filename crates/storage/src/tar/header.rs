//! The 512-byte header block: fields, numbers, checksum.

use std::ffi::OsString;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;

use super::BLOCK_BYTES;
use crate::{Error, Result};

pub(super) const NAME: Range<usize> = 0..100;
pub(super) const MODE: Range<usize> = 100..108;
pub(super) const UID: Range<usize> = 108..116;
pub(super) const GID: Range<usize> = 116..124;
pub(super) const SIZE: Range<usize> = 124..136;
pub(super) const MTIME: Range<usize> = 136..148;
pub(super) const CHECKSUM: Range<usize> = 148..156;
pub(super) const TYPE: usize = 156;
pub(super) const LINK: Range<usize> = 157..257;
pub(super) const MAGIC: Range<usize> = 257..265;
pub(super) const MAJOR: Range<usize> = 329..337;
pub(super) const MINOR: Range<usize> = 337..345;
pub(super) const PREFIX: Range<usize> = 345..500;

/// Magic and version of POSIX archives.
pub(super) const USTAR: &[u8; 8] = b"ustar\x0000";
/// Magic and version of GNU archives.
const GNU: &[u8; 8] = b"ustar  \0";

/// A block that has passed its checksum.
pub(super) struct Header(pub(super) [u8; BLOCK_BYTES]);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    V7,
    Ustar,
    Gnu,
}

impl Header {
    pub(super) fn parse(block: [u8; BLOCK_BYTES]) -> Result<Header> {
        let stated = number(&block[CHECKSUM]).ok_or_else(|| Error::Tar("damaged checksum field".into()))?;
        let (unsigned, signed) = sums(&block);
        // Some old programs summed signed bytes.
        if stated != unsigned && stated != signed {
            return Err(Error::Tar("header checksum does not match".into()));
        }
        Ok(Header(block))
    }

    pub(super) fn format(&self) -> Format {
        let magic = &self.0[MAGIC];
        if magic == GNU {
            Format::Gnu
        } else if magic.starts_with(b"ustar\0") {
            Format::Ustar
        } else {
            Format::V7
        }
    }

    pub(super) fn type_flag(&self) -> u8 {
        self.0[TYPE]
    }

    pub(super) fn number(&self, field: Range<usize>, what: &'static str) -> Result<i64> {
        number(&self.0[field]).ok_or_else(|| Error::Tar(format!("damaged {what} field")))
    }

    pub(super) fn size(&self) -> Result<u64> {
        u64::try_from(self.number(SIZE, "size")?).map_err(|_| Error::Tar("negative size".into()))
    }

    /// The path with the ustar prefix in front.
    pub(super) fn path(&self) -> OsString {
        let name = text(&self.0[NAME]);
        let prefix = if self.format() == Format::Ustar { text(&self.0[PREFIX]) } else { &[] };
        let path = if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() };
        OsString::from_vec(path)
    }

    pub(super) fn link(&self) -> OsString {
        OsString::from_vec(text(&self.0[LINK]).to_vec())
    }
}

/// The sums over a block, its checksum field taken as spaces, of the bytes taken as unsigned and as signed numbers.
pub(super) fn sums(block: &[u8; BLOCK_BYTES]) -> (i64, i64) {
    let (mut unsigned, mut signed) = (0, 0);
    for (position, byte) in block.iter().enumerate() {
        let byte = if CHECKSUM.contains(&position) { b' ' } else { *byte };
        unsigned += i64::from(byte);
        signed += i64::from(byte as i8);
    }
    (unsigned, signed)
}

/// A field up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    &field[..end]
}

/// A number: base 256 if the first bit is set, else octal digits between spaces and NULs; nothing at all is zero.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base_256(field),
        _ => octal(field),
    }
}

fn base_256(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let fill: u8 = if negative { 0xff } else { 0 };
    // The marker bit is not part of the number: replace it by a copy of the sign.
    let first = if negative { field[0] | 0x80 } else { field[0] & 0x7f };
    let digits = std::iter::once(first).chain(field[1..].iter().copied());
    let mut value: i64 = if negative { -1 } else { 0 };
    for (position, digit) in digits.enumerate() {
        if field.len() - position > 8 {
            if digit != fill {
                return None;
            }
        } else {
            if !(i64::MIN >> 8..=i64::MAX >> 8).contains(&value) {
                return None;
            }
            value = value << 8 | i64::from(digit);
        }
    }
    (negative == (value < 0)).then_some(value)
}

fn octal(field: &[u8]) -> Option<i64> {
    let is_blank = |byte: &u8| *byte == b' ' || *byte == 0;
    let start = field.iter().position(|byte| !is_blank(byte)).unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(is_blank).unwrap_or(digits.len());
    // What follows the first NUL or space is padding whatever it holds.
    digits[..end].iter().try_fold(0_i64, |value, byte| match byte {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(byte - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"  644 \0 "), Some(0o644));
        assert_eq!(number(b"\0\0\0\0"), Some(0));
        assert_eq!(number(b"12345678"), None);
        assert_eq!(number(b"-1\0\0\0\0"), None);
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]), Some(256));
        assert_eq!(number(&[0xff; 12]), Some(-1));
        assert_eq!(number(&[0xff; 8]), Some(-1));
        assert_eq!(number(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(number(&[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
