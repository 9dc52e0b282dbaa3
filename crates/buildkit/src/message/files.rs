//! The packets of a file transfer.

use std::collections::HashMap;

use prost::{Enumeration, Message};

/// One packet.
#[derive(Clone, PartialEq, Message)]
pub struct Packet {
    /// What it is about.
    #[prost(enumeration = "PacketType", tag = "1")]
    pub kind: i32,
    /// A file; none behind the last.
    #[prost(message, optional, tag = "2")]
    pub stat: Option<Stat>,
    /// A file's place in the sequence of files.
    #[prost(uint32, tag = "3")]
    pub id: u32,
    /// Contents; empty at the end of a file. Or the reason of a failure.
    #[prost(bytes = "bytes", tag = "4")]
    pub data: bytes::Bytes,
}

/// What a packet is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum PacketType {
    /// The sender tells of a file.
    Stat = 0,
    /// The receiver wants a file's contents.
    Request = 1,
    /// The sender sends some.
    Data = 2,
    /// The receiver has everything, and the sender knows it.
    Finish = 3,
    /// One side gives up.
    Error = 4,
}

/// A file, folder or link.
#[derive(Clone, PartialEq, Message)]
pub struct Stat {
    /// Relative, with slashes.
    #[prost(string, tag = "1")]
    pub path: String,
    /// Permissions and type, in the bits that Go's `io/fs` has.
    #[prost(uint32, tag = "2")]
    pub mode: u32,
    /// Owner.
    #[prost(uint32, tag = "3")]
    pub uid: u32,
    /// Group.
    #[prost(uint32, tag = "4")]
    pub gid: u32,
    /// Bytes of contents.
    #[prost(int64, tag = "5")]
    pub size: i64,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "6")]
    pub modified: i64,
    /// Where a symbolic link leads, or the file that this is another name of.
    #[prost(string, tag = "7")]
    pub link: String,
    /// Numbers of a device.
    #[prost(int64, tag = "8")]
    pub device_major: i64,
    /// Numbers of a device.
    #[prost(int64, tag = "9")]
    pub device_minor: i64,
    /// Extended attributes.
    #[prost(hash_map = "string, bytes", tag = "10")]
    pub attributes: HashMap<String, Vec<u8>>,
}
