//! System call filters: Docker's default profile and profiles in its JSON format, compiled to classic BPF.

mod bpf;
mod compile;
mod default;
mod profile;
mod syscalls;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::capabilities::CapabilitySet;
use crate::error::{Error, Result};
use profile::Profile;

/// The kernel's limit for one filter.
const MOST_INSTRUCTIONS: usize = 4096;

/// A compiled filter: classic BPF instructions of eight bytes each, ready for the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Filter {
    #[serde(with = "encoding")]
    pub(crate) program: Vec<u8>,
}

impl Filter {
    /// The instructions, as the kernel takes them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.program
    }
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
    static CACHE: Mutex<BTreeMap<CapabilitySet, Filter>> = Mutex::new(BTreeMap::new());
    let key = default::relevant(capabilities);
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(filter) = cache.get(&key) {
        return filter.clone();
    }
    let filter = filter(&default::profile(key), key).unwrap_or_else(|_| refuse_everything());
    cache.insert(key, filter.clone());
    filter
}

/// A profile in Docker's JSON format (`--security-opt seccomp=...`) for a process whose bounding set is `capabilities`.
pub fn from_json(profile: &str, capabilities: CapabilitySet) -> Result<Filter> {
    filter(&Profile::parse(profile)?, capabilities)
}

fn filter(profile: &Profile, capabilities: CapabilitySet) -> Result<Filter> {
    let program = compile::compile(&profile.tables(capabilities)?).filter(|program| program.len() <= MOST_INSTRUCTIONS);
    let program =
        program.ok_or_else(|| Error::Invalid("seccomp: the profile is too large for the kernel".to_owned()))?;
    Ok(Filter { program: bpf::encode(&program) })
}

/// The built-in profile always compiles (a test sees to it); if it ever did not, nothing must run without it.
fn refuse_everything() -> Filter {
    Filter { program: bpf::encode(&[bpf::statement(bpf::RETURN, compile::KILL_THREAD)]) }
}
