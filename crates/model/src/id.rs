//! Ids of containers and images.

use std::fmt;
use std::str::FromStr;

use crate::digest::{Digest, InvalidDigest, parse_hex, to_hex};

/// How many hex digits a short id has.
const SHORT: usize = 12;

/// The text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id must be 64 lower-case hexadecimal digits")]
pub struct InvalidId;

/// A container's id: 32 random bytes, printed as 64 hex digits.
///
/// Also used for what is named the same way: execs and networks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId([u8; 32]);

impl ContainerId {
    /// A new random id from the kernel's generator.
    ///
    /// Its short form always holds a letter: it becomes the container's host name, and an all-numeric host name is
    /// taken for an address by resolvers (Docker draws again for the same reason).
    ///
    /// # Errors
    /// The kernel's error if it has no random numbers to give.
    pub fn random() -> std::io::Result<Self> {
        loop {
            let id = Self(random_bytes()?);
            if id.short().bytes().any(|digit| !digit.is_ascii_digit()) {
                return Ok(id);
            }
        }
    }

    /// An id from its 32 bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 64 hex digits.
    pub fn hex(&self) -> String {
        to_hex(&self.0)
    }

    /// The first 12 hex digits.
    pub fn short(&self) -> String {
        let mut hex = self.hex();
        hex.truncate(SHORT);
        hex
    }
}

/// 32 bytes of the kernel's random numbers.
pub(crate) fn random_bytes() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ContainerId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        parse_hex(text).map(Self).ok_or(InvalidId)
    }
}

crate::serde_as_text!(ContainerId);

/// An image's id: the digest of its config, printed `sha256:<hex>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageId(pub Digest);

impl ImageId {
    /// The 64 hex digits without the algorithm.
    pub fn hex(&self) -> String {
        self.0.hex()
    }

    /// The first 12 hex digits without the algorithm.
    pub fn short(&self) -> String {
        let mut hex = self.hex();
        hex.truncate(SHORT);
        hex
    }

    /// The digest of the config.
    pub const fn digest(&self) -> Digest {
        self.0
    }
}

impl From<Digest> for ImageId {
    fn from(digest: Digest) -> Self {
        Self(digest)
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for ImageId {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        text.parse().map(Self)
    }
}

crate::serde_as_text!(ImageId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_differ_and_round_trip() {
        let one = ContainerId::random().unwrap();
        let two = ContainerId::random().unwrap();
        assert_ne!(one, two);
        assert_eq!(one.to_string().parse(), Ok(one));
        assert_eq!(one.to_string().len(), 64);
        assert_eq!(one.short(), one.to_string()[..12]);
        assert_eq!("abc".parse::<ContainerId>(), Err(InvalidId));
    }

    #[test]
    fn image_ids_print_with_their_algorithm() {
        let id: ImageId = format!("sha256:{}", "0a".repeat(32)).parse().unwrap();
        assert_eq!(id.to_string(), format!("sha256:{}", "0a".repeat(32)));
        assert_eq!(id.short(), "0a0a0a0a0a0a");
    }
}
