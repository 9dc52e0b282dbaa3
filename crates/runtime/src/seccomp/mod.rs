//! System call filters.

use serde::{Deserialize, Serialize};

use crate::capabilities::CapabilitySet;
use crate::error::{Error, Result};

/// A compiled filter: classic BPF instructions of eight bytes each, ready for the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Filter {
    #[serde(with = "encoding")]
    pub(crate) program: Vec<u8>,
}

mod encoding {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Docker's default profile for a process whose bounding set is `capabilities`. Compiled once for each set.
pub fn default_profile(capabilities: CapabilitySet) -> Filter {
    let _ = capabilities;
    Filter::default()
}

/// A profile in Docker's JSON format (`--security-opt seccomp=...`) for a process whose bounding set is `capabilities`.
pub fn from_json(profile: &str, capabilities: CapabilitySet) -> Result<Filter> {
    let _ = (profile, capabilities);
    Err(Error::Unsupported("seccomp profiles".to_owned()))
}
