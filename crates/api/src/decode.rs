//! Reading what clients send, by the rules clients have relied on since 2013.
//!
//! Docker's own decoder matches keys without regard to letter case (the exact one first), treats `null` as "not
//! given" whatever the field's type, and ignores keys it does not know. Plain serde does none of the first two, so
//! this is a deserializer between a parsed document and the derived types.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use serde_json::{Map, Value};

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(#[from] serde_json::Error);

/// Reads `document` as a `T`, with Docker's leniency (see the module).
///
/// # Errors
/// A value of the wrong type; the text names both.
pub fn decode<T: DeserializeOwned>(document: &Value) -> Result<T, DecodeError> {
    Ok(T::deserialize(Lenient(document))?)
}

/// [`decode`] from bytes.
///
/// # Errors
/// Not JSON, or a value of the wrong type.
pub fn decode_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    decode(&serde_json::from_slice(body)?)
}

/// A `null` in a list or map is the zero value of what is wanted there.
macro_rules! zero_for_null {
    ($($method:ident => $visit:ident($zero:expr)),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            if self.0.is_null() { visitor.$visit($zero) } else { self.deserialize_any(visitor) }
        }
    )*};
}

/// A document read leniently.
#[derive(Clone, Copy)]
struct Lenient<'a>(&'a Value);

impl<'de> Deserializer<'de> for Lenient<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Array(items) => {
                let mut seq = SeqDeserializer::new(items.iter().map(Lenient));
                let value = visitor.visit_seq(&mut seq)?;
                seq.end()?;
                Ok(value)
            }
            Value::Object(members) => visitor
                .visit_map(MapDeserializer::new(members.iter().map(|(key, value)| (key.as_str(), Lenient(value))))),
            scalar => scalar.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Null => visitor.visit_map(Fields { members: Vec::new().into_iter(), value: None }),
            Value::Object(members) => visitor.visit_map(Fields::new(members, fields)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    zero_for_null! {
        deserialize_bool => visit_bool(false), deserialize_i64 => visit_i64(0), deserialize_i32 => visit_i64(0),
        deserialize_u64 => visit_u64(0), deserialize_u32 => visit_u64(0), deserialize_u16 => visit_u64(0),
        deserialize_u8 => visit_u64(0), deserialize_str => visit_str(""), deserialize_string => visit_str(""),
        deserialize_seq => visit_seq(SeqDeserializer::<std::iter::Empty<&str>, _>::new(std::iter::empty())),
        deserialize_map => visit_map(Fields { members: Vec::new().into_iter(), value: None })
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, serde_json::Error> for Lenient<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The members of an object that a struct knows and that are not `null`.
struct Fields<'a> {
    members: std::vec::IntoIter<(&'static str, &'a Value)>,
    value: Option<&'a Value>,
}

impl<'a> Fields<'a> {
    fn new(members: &'a Map<String, Value>, fields: &'static [&'static str]) -> Self {
        let mut known: Vec<(&'static str, &'a Value)> = Vec::with_capacity(members.len());
        for (key, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            if let Some(field) = fields.iter().find(|field| *field == key) {
                known.retain(|(seen, _)| seen != field);
                known.push((field, value));
            } else if let Some(field) = fields.iter().find(|field| field.eq_ignore_ascii_case(key))
                && !known.iter().any(|(seen, _)| seen == field)
            {
                known.push((field, value));
            }
        }
        Self { members: known.into_iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Self::Error> {
        let Some((field, value)) = self.members.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(field.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Self::Error> {
        seed.deserialize(Lenient(self.value.take().unwrap_or(&Value::Null)))
    }
}

/// Reads a command line: a list of words, or one string that stands for a list of one.
pub(crate) fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a word or a list of words")]
    enum Words {
        One(String),
        Many(Vec<String>),
    }
    Ok(Option::<Words>::deserialize(deserializer)?.map(|words| match words {
        Words::One(word) => vec![word],
        Words::Many(words) => words,
    }))
}

/// Reads a text that some clients write as a number (host ports).
pub(crate) fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a text or a number")]
    enum Text {
        Text(String),
        Number(u64),
    }
    Ok(match Text::deserialize(deserializer)? {
        Text::Text(text) => text,
        Text::Number(number) => number.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{ContainerConfig, CreateRequest};
    use crate::host_config::HostConfig;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn keys_match_in_any_letter_case_and_the_exact_one_wins() {
        let config: ContainerConfig = decode(&json!({"image": "a", "Image": "b", "TTY": true})).unwrap();
        assert_eq!((config.image.as_str(), config.tty), ("b", true));
        let config: ContainerConfig = decode(&json!({"IMAGE": "a"})).unwrap();
        assert_eq!(config.image, "a");
    }

    #[test]
    fn null_is_not_given_for_every_type() {
        let config: ContainerConfig = decode(&json!({"Image": null, "Tty": null, "Env": null, "Cmd": null})).unwrap();
        assert_eq!(config, ContainerConfig::default());
        let host: HostConfig = decode(&json!({"LogConfig": null, "Memory": null, "ConsoleSize": null})).unwrap();
        assert_eq!(host, HostConfig::default());
        assert_eq!(decode::<HostConfig>(&Value::Null).unwrap(), HostConfig::default());
    }

    #[test]
    fn a_command_may_be_one_string() {
        let config: ContainerConfig = decode(&json!({"Cmd": "ls", "Entrypoint": []})).unwrap();
        assert_eq!((config.cmd, config.entrypoint), (Some(vec!["ls".to_owned()]), Some(vec![])));
    }

    #[test]
    fn create_request_holds_three_parts_of_one_object() {
        let body = json!({"Image": "busybox", "hostconfig": {"binds": ["/a:/b"], "PortBindings": {"80/tcp": [{"HostPort": 8080}], "81/tcp": null}},
            "NetworkingConfig": {"EndpointsConfig": {"net": {"Aliases": null}, "other": null}}});
        let request = CreateRequest::decode(&body).unwrap();
        assert_eq!(request.config.image, "busybox");
        let host = request.host_config.clone().unwrap();
        assert_eq!(host.binds, Some(vec!["/a:/b".to_owned()]));
        let ports = host.port_bindings.unwrap();
        assert_eq!(ports["80/tcp"].as_ref().unwrap()[0].host_port, "8080");
        assert_eq!(ports["81/tcp"], None);
        assert_eq!(request.networking_config.as_ref().unwrap().endpoints_config.as_ref().unwrap().len(), 2);
        let printed = serde_json::to_value(&request).unwrap();
        assert_eq!(CreateRequest::decode(&printed).unwrap(), request);
    }

    #[test]
    fn wrong_types_are_named() {
        let error = decode::<ContainerConfig>(&json!({"Tty": "yes"})).unwrap_err();
        assert!(error.to_string().contains("expected a boolean"), "{error}");
        assert!(decode_slice::<ContainerConfig>(b"{").is_err());
    }

    fn any_document() -> impl Strategy<Value = Value> {
        let keys = prop::sample::select(vec!["Image", "cmd", "Tty", "Env", "Volumes", "HostConfig", "Memory", "x"]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z]{0,4}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((keys.clone(), inner), 0..6).prop_map(|members| {
                    Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_document_is_read_or_refused(document in any_document()) {
            if let Ok(request) = CreateRequest::decode(&document) {
                let printed = serde_json::to_value(&request).unwrap();
                prop_assert_eq!(CreateRequest::decode(&printed).unwrap(), request);
            }
        }
    }
}
