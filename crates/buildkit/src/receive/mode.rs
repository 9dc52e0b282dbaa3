//! Type and permissions in the bits of Go's `io/fs`.

use sys::root::{Kind, Metadata};

pub(super) const DIRECTORY: u32 = 1 << 31;
pub(crate) const SYMLINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
pub(super) const FIFO: u32 = 1 << 25;
const SOCKET: u32 = 1 << 24;
const CHAR_DEVICE: u32 = 1 << 21;
#[cfg(test)]
pub(super) const SETUID: u32 = SPECIAL[0].0;
const IRREGULAR: u32 = 1 << 19;
pub(crate) const TYPE: u32 = DIRECTORY | SYMLINK | DEVICE | FIFO | SOCKET | CHAR_DEVICE | IRREGULAR;
/// Bits beside the permissions, and what they are elsewhere: setuid, setgid, sticky.
const SPECIAL: [(u32, u32); 3] = [(1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000)];

/// The bits of an entry.
pub(crate) fn of(metadata: &Metadata) -> u32 {
    let kind = match metadata.kind() {
        Kind::File => 0,
        Kind::Directory => DIRECTORY,
        Kind::Symlink => SYMLINK,
        Kind::CharDevice => DEVICE | CHAR_DEVICE,
        Kind::BlockDevice => DEVICE,
        Kind::Fifo => FIFO,
        Kind::Socket => SOCKET,
    };
    let special = SPECIAL.iter().filter(|(_, plain)| metadata.mode() & plain != 0);
    special.fold(kind | metadata.mode() & 0o777, |bits, (bit, _)| bits | bit)
}

/// The permissions in some bits, as Linux has them.
pub(super) fn permissions(bits: u32) -> u32 {
    SPECIAL.iter().filter(|(bit, _)| bits & bit != 0).fold(bits & 0o777, |mode, (_, bit)| mode | bit)
}
