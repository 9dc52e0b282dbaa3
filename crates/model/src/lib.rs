//! Ids, names, references, digests, ports, sizes, signals, times and error kinds: no async, no files.
//!
//! Everything here is a value with a textual form that other programs rely on: parsing is strict (what Docker
//! refuses is refused with Docker's words), printing is exact (a round trip through text loses nothing).

#![warn(missing_docs)]

pub mod container_name;
mod digest;
mod error_kind;
mod id;
pub mod names;
pub mod path;
mod pattern;
mod platform;
mod port;
mod port_spec;
mod reference;
mod signal;
pub mod time;
pub mod units;

pub use digest::{ChainId, DiffId, Digest, InvalidDigest, to_hex};
pub use error_kind::ErrorKind;
pub use id::{ContainerId, ImageId, InvalidId};
pub use pattern::{InvalidPattern, Pattern};
pub use platform::{InvalidPlatform, Platform, native_architecture};
pub use port::{InvalidPort, Port, PortRange, Protocol};
pub use port_spec::{InvalidPortSpec, PortMapping, parse_port_spec};
pub use reference::{InvalidReference, Reference};
pub use signal::{InvalidSignal, Signal};
pub use time::Timestamp;

/// Serde through a type's `Display` and `FromStr`: the JSON form of an id is its text.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_as_text;
