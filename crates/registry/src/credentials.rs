//! Credentials as clients send them.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Deserializer};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Credentials for one registry: the document of `X-Registry-Auth` and `POST /auth`. All of it may be empty.
#[derive(Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Credentials {
    /// Who.
    #[serde(deserialize_with = "or_default")]
    pub username: String,
    /// The secret.
    #[serde(deserialize_with = "or_default")]
    pub password: String,
    /// `base64(username:password)`, instead of the two.
    #[serde(deserialize_with = "or_default")]
    pub auth: String,
    /// For mail; old clients sent it to make an account.
    #[serde(deserialize_with = "or_default")]
    pub email: String,
    /// Registry.
    #[serde(deserialize_with = "or_default")]
    pub serveraddress: String,
    /// Token to get tokens with.
    #[serde(deserialize_with = "or_default")]
    pub identitytoken: String,
    /// Token to send as it is.
    #[serde(deserialize_with = "or_default")]
    pub registrytoken: String,
}

/// Names the parts that are there, not what they are.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

fn or_default<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Option::<String>::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Credentials {
    /// Reads the header `X-Registry-Auth`: JSON in base64, URL-safe or not, padded or not. What cannot be read counts as
    /// none, as Docker does.
    pub fn from_header(text: &str) -> Self {
        let decoded = decode(text.trim());
        decoded.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok()).unwrap_or_default()
    }

    /// Reads the header `X-Registry-Config`: credentials by registry, bare or as a member `auths` or `configs`, in base64 as
    /// [`Credentials::from_header`]. What cannot be read counts as none.
    pub fn several_from_header(text: &str) -> BTreeMap<String, Self> {
        let document = decode(text.trim()).and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
        let Some(serde_json::Value::Object(mut document)) = document else { return BTreeMap::new() };
        let inner = ["auths", "configs"].into_iter().find_map(|key| document.remove(key));
        let entries = match inner {
            Some(serde_json::Value::Object(inner)) => inner,
            _ => document,
        };
        let read = |(name, value)| Some((name, serde_json::from_value::<Self>(value).ok()?));
        entries.into_iter().filter_map(read).collect()
    }

    /// Those for a registry, which may be named by its host or by an address there; Docker Hub's go by several names.
    pub fn for_registry(several: &BTreeMap<String, Self>, host: &str) -> Self {
        let bare = |name: &str| {
            let name = name.split_once("://").map_or(name, |(_, rest)| rest);
            let name = name.split('/').next().unwrap_or_default();
            if name == "index.docker.io" || name == "registry-1.docker.io" { "docker.io" } else { name }.to_owned()
        };
        let wanted = bare(host);
        let exact = several.get(host);
        exact
            .or_else(|| several.iter().find(|(name, _)| bare(name) == wanted).map(|(_, one)| one))
            .cloned()
            .unwrap_or_default()
    }

    /// Whether they are for the registry of this name.
    pub fn are_for(&self, domain: &str) -> bool {
        crate::login::domain(&self.serveraddress) == domain
    }

    /// Name and secret, if there are any.
    pub(crate) fn pair(&self) -> Option<(String, String)> {
        if !self.username.is_empty() {
            return Some((self.username.clone(), self.password.clone()));
        }
        let text = String::from_utf8(decode(&self.auth)?).ok()?;
        let (username, password) = text.split_once(':')?;
        // Old clients padded the text with zero bytes.
        (!username.is_empty()).then(|| (username.to_owned(), password.trim_end_matches('\0').to_owned()))
    }
}

/// The header's value for basic authorisation.
pub(crate) fn basic((username, password): &(String, String)) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let engine = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    engine.decode(text).ok().filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn those_of_several_registries() {
        for document in [
            r#"{"https://index.docker.io/v1/":{"username":"hub"},"h:5000":{"auth":"dTpw"},"bad":1}"#,
            r#"{"configs":{"https://index.docker.io/v1/":{"username":"hub"},"http://h:5000/v1/":{"auth":"dTpw"}}}"#,
        ] {
            let several = Credentials::several_from_header(&URL_SAFE.encode(document));
            let name = |host: &str| Credentials::for_registry(&several, host).pair().map(|(name, _)| name);
            assert_eq!(
                (name("docker.io").as_deref(), name("h:5000").as_deref(), name("h")),
                (Some("hub"), Some("u"), None)
            );
        }
        for text in ["", "bad!", "e30=", "W10="] {
            assert!(Credentials::several_from_header(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn every_alphabet_and_padding() {
        let json = r#"{"username":"ü?>","password":"p","email":"x","auth":null}"#;
        for text in
            [STANDARD.encode(json), URL_SAFE.encode(json), STANDARD.encode(json).trim_end_matches('=').to_owned()]
        {
            let found = Credentials::from_header(&text);
            assert_eq!((found.username.as_str(), found.password.as_str()), ("ü?>", "p"), "{text}");
        }
        assert_eq!(Credentials::from_header("garbage"), Credentials::default());
        assert_eq!(Credentials::from_header(""), Credentials::default());
    }

    #[test]
    fn both_in_one() {
        let found = Credentials { auth: STANDARD.encode("me:se:cret\0"), ..Credentials::default() };
        assert_eq!(found.pair(), Some(("me".to_owned(), "se:cret".to_owned())));
        assert_eq!(Credentials::default().pair(), None);
        assert!(!format!("{found:?}").contains(&found.auth));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,60}") {
            let _ = Credentials::from_header(&text);
            let _ = Credentials { auth: text, ..Credentials::default() }.pair();
        }
    }
}
