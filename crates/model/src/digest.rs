//! SHA-256 digests as the OCI and Docker write them.

use std::fmt;
use std::str::FromStr;

/// A SHA-256 digest, printed `sha256:<64 lower-case hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// Why a text is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDigest {
    /// Not of the form `algorithm:hex`.
    #[error("invalid checksum digest format")]
    Format,
    /// Not 64 hex digits.
    #[error("invalid checksum digest length")]
    Length,
    /// An algorithm other than sha256.
    #[error("unsupported digest algorithm")]
    Algorithm,
}

impl Digest {
    /// A digest from its 32 bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hex digits without the algorithm.
    pub fn hex(&self) -> String {
        to_hex(&self.0)
    }

    /// Parses 64 lower-case hex digits without the algorithm.
    pub fn from_hex(hex: &str) -> Result<Self, InvalidDigest> {
        if hex.len() != 64 {
            return Err(InvalidDigest::Length);
        }
        parse_hex(hex).map(Self).ok_or(InvalidDigest::Format)
    }
}

/// 32 bytes from 64 lower-case hex digits; upper case is refused, since ids are compared as text elsewhere.
pub(crate) fn parse_hex(hex: &str) -> Option<[u8; 32]> {
    let digits = hex.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Lower-case hexadecimal digits, two a byte.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        hex.push(DIGITS[usize::from(byte >> 4)] as char);
        hex.push(DIGITS[usize::from(byte & 15)] as char);
    }
    hex
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let (algorithm, hex) = text.split_once(':').ok_or(InvalidDigest::Format)?;
        match algorithm {
            "sha256" => Self::from_hex(hex),
            "" => Err(InvalidDigest::Format),
            _ => Err(InvalidDigest::Algorithm),
        }
    }
}

crate::serde_as_text!(Digest);

/// A digest with a meaning of its own, so that one cannot be taken for another.
macro_rules! digest_kind {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Digest);

        impl $name {
            /// The 64 hex digits without the algorithm.
            pub fn hex(&self) -> String {
                self.0.hex()
            }
        }
        impl From<Digest> for $name {
            fn from(digest: Digest) -> Self {
                Self(digest)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
        impl FromStr for $name {
            type Err = InvalidDigest;
            fn from_str(text: &str) -> Result<Self, InvalidDigest> {
                text.parse().map(Self)
            }
        }
        crate::serde_as_text!($name);
    };
}

digest_kind! {
    /// Digest of a layer's uncompressed tar stream.
    DiffId
}
digest_kind! {
    /// Names a layer together with everything beneath it: the first layer's diff id, then
    /// `sha256("<chain id of parent> <diff id>")`.
    ChainId
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_no_digest() {
        let hex = "a".repeat(64);
        assert_eq!("".parse::<Digest>(), Err(InvalidDigest::Format));
        assert_eq!(hex.parse::<Digest>(), Err(InvalidDigest::Format));
        assert_eq!("sha256:abc".parse::<Digest>(), Err(InvalidDigest::Length));
        assert_eq!(format!("sha512:{hex}").parse::<Digest>(), Err(InvalidDigest::Algorithm));
        assert_eq!(format!("sha256:{}", "A".repeat(64)).parse::<Digest>(), Err(InvalidDigest::Format));
        assert_eq!(format!("sha256:{}", "é".repeat(32)).parse::<Digest>(), Err(InvalidDigest::Format));
    }

    proptest! {
        #[test]
        fn round_trip(bytes: [u8; 32]) {
            let digest = Digest::new(bytes);
            prop_assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
            let json = serde_json::to_string(&ChainId(digest)).unwrap();
            prop_assert_eq!(serde_json::from_str::<ChainId>(&json).unwrap(), ChainId(digest));
        }

        #[test]
        fn never_panics(text in ".*") {
            let _ = text.parse::<Digest>();
        }
    }
}
