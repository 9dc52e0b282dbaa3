//! Tar streams: a strict streaming reader and a deterministic writer.
//!
//! The reader knows ustar, PAX (local and global headers), GNU long names, GNU and PAX sparse files, base-256 numbers and
//! the headers of before ustar. It never guesses: what is contradictory or unknown is an error, because two readers that
//! disagree about where an entry ends disagree about what the archive holds.

mod header;
mod pax;
mod reader;
mod sparse;
mod writer;

#[cfg(test)]
mod tests;

use std::ffi::OsString;

use sys::root::{Owner, Time};

pub use reader::Reader;
pub use sparse::Segment;
pub use writer::Writer;

/// Tar works in blocks of this many bytes.
pub const BLOCK_BYTES: usize = 512;

/// What a member of an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file; its contents follow.
    File,
    /// Another name of an earlier member.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// One member of an archive, without its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path as the archive has it. Nothing is said about where it leads: see the applier.
    pub path: OsString,
    /// What it is.
    pub kind: EntryKind,
    /// Target of a link; empty for everything else.
    pub link: OsString,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Numeric owner and group.
    pub owner: Owner,
    /// Bytes of contents in the archive.
    pub size: u64,
    /// Time of last modification.
    pub modified: Time,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes, sorted by name.
    pub xattrs: Vec<(OsString, Vec<u8>)>,
    /// For a file with holes, its full size and where its contents go.
    pub sparse: Option<Sparse>,
}

/// A file with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sparse {
    /// Size of the file when unpacked, in bytes.
    pub size: u64,
    /// The parts that hold data, in order, not overlapping; their lengths sum to the entry's `size`.
    pub segments: Vec<Segment>,
}

impl Entry {
    /// A member with this path and kind, owned by root, of 1970.
    pub fn new(path: impl Into<OsString>, kind: EntryKind) -> Entry {
        Entry {
            path: path.into(),
            kind,
            link: OsString::new(),
            mode: if kind == EntryKind::Directory { 0o755 } else { 0o644 },
            owner: Owner { uid: 0, gid: 0 },
            size: 0,
            modified: Time::default(),
            device: (0, 0),
            xattrs: Vec::new(),
            sparse: None,
        }
    }

    /// Size of the file when unpacked, holes included.
    pub fn unpacked_size(&self) -> u64 {
        self.sparse.as_ref().map_or(self.size, |sparse| sparse.size)
    }
}

/// Bytes between the end of contents of this size and the next block.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK_BYTES as u64
}
