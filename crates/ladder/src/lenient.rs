//! Bodies as Docker read them below 1.15: every value was first made a text, then read as what was wanted.
//!
//! Numbers may be written as texts and the other way round, a lone value stands for a list of one, booleans follow the rule of
//! query parameters, null is the text `null`, unknown keys do not matter, and what follows the first JSON document is ignored.

use serde_json::{Map, Value, json};

use crate::exchange::{Body, Response, truth};
use crate::json::Object;

/// What a field wants.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Number,
    Flag,
    /// A list of texts.
    Texts,
    /// A list of objects.
    Objects,
    /// An object whose values do not matter, such as `{"80/tcp": {}}`.
    Keys,
    /// An object.
    Map,
}

impl Kind {
    /// Whether a value is what it wants to be, without any leniency.
    pub(crate) fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Number => value.is_i64(),
            Self::Flag => value.is_boolean(),
            Self::Texts => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
            Self::Objects => value.as_array().is_some_and(|items| items.iter().all(Value::is_object)),
            Self::Keys | Self::Map => value.is_object(),
        }
    }
}

/// Reads the object of a body, or tells what stands in the way in words of the time.
pub(crate) fn object(body: &Body) -> Result<Object, Response> {
    let fail = |text: &str| Err(Response::error(400, text));
    let value = match body {
        Body::Json(value) => value.clone(),
        Body::Text(text) if !text.trim().is_empty() => {
            match serde_json::Deserializer::from_str(text).into_iter::<Value>().next() {
                Some(Ok(value)) => value,
                Some(Err(error)) if error.is_eof() => return fail("unexpected EOF"),
                Some(Err(error)) => return fail(&format!("invalid character in JSON: {error}")),
                None => return fail("EOF"),
            }
        }
        _ => return fail("EOF"),
    };
    match value {
        Value::Object(object) => Ok(object),
        Value::Null => Ok(Map::new()),
        Value::Array(_) => fail("json: cannot unmarshal array into Go value of type map[string]interface {}"),
        Value::String(_) => fail("json: cannot unmarshal string into Go value of type map[string]interface {}"),
        Value::Bool(_) => fail("json: cannot unmarshal bool into Go value of type map[string]interface {}"),
        Value::Number(_) => fail("json: cannot unmarshal number into Go value of type map[string]interface {}"),
    }
}

/// Keeps the known fields of an object, each as what it wants to be; fields that are not there stay away.
pub(crate) fn fields(object: &Object, known: &[(&str, Kind)]) -> Object {
    known.iter().filter_map(|(key, kind)| Some(((*key).to_owned(), read(object.get(*key)?, *kind)))).collect()
}

fn read(value: &Value, kind: Kind) -> Value {
    // A text may hold the JSON that is wanted.
    let held = match (kind, value) {
        (Kind::Objects | Kind::Keys | Kind::Map, Value::String(text)) => serde_json::from_str(text).ok(),
        _ => None,
    };
    let value = held.as_ref().unwrap_or(value);
    match kind {
        Kind::Text => json!(text(value)),
        Kind::Number => json!(number(value)),
        Kind::Flag => json!(truth(&text(value))),
        Kind::Texts => texts(value),
        Kind::Objects if value.as_array().is_some_and(|items| items.iter().all(Value::is_object)) => value.clone(),
        Kind::Keys => value
            .as_object()
            .map_or(Value::Null, |object| object.keys().map(|key| (key.clone(), json!({}))).collect::<Object>().into()),
        Kind::Map if value.is_object() => value.clone(),
        Kind::Objects | Kind::Map => Value::Null,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // Numbers were read as floating point and their fraction cut off.
        Value::Number(number) => number
            .as_i64()
            .map_or_else(|| format!("{:.0}", number.as_f64().unwrap_or_default().trunc()), |number| number.to_string()),
        other => other.to_string(),
    }
}

fn number(value: &Value) -> i64 {
    text(value).trim().parse().unwrap_or_default()
}

/// A list of texts, also written as a text; anything else is one text more, behind the texts that it holds.
fn texts(value: &Value) -> Value {
    let written = text(value);
    if written.is_empty() {
        return Value::Null;
    }
    match serde_json::from_str(&written) {
        Ok(Value::Null) => Value::Null,
        Ok(Value::Array(items)) => {
            let read = items.iter().map(|item| json!(item.as_str().unwrap_or_default()));
            let all_texts = items.iter().all(|item| item.is_string() || item.is_null());
            read.chain((!all_texts).then(|| json!(written))).collect()
        }
        _ => json!([written]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_sent() {
        let known = [
            ("a", Kind::Text),
            ("b", Kind::Number),
            ("c", Kind::Flag),
            ("d", Kind::Texts),
            ("e", Kind::Keys),
            ("f", Kind::Objects),
            ("g", Kind::Map),
        ];
        let sent = json!({"a": 5, "b": "67108864", "c": "yes", "d": "echo hi", "e": {"/x": null}, "f": {"k": 1}, "g": ["80/tcp"], "h": 1});
        let read = fields(sent.as_object().unwrap(), &known);
        assert_eq!(
            Value::from(read),
            json!({"a": "5", "b": 67108864, "c": true, "d": ["echo hi"], "e": {"/x": {}}, "f": null, "g": null})
        );
    }

    #[test]
    fn what_is_no_list_of_texts_is_a_text() {
        for (sent, read) in [
            (json!(["a", "b"]), json!(["a", "b"])),
            (json!("[\"a\",\"b\"]"), json!(["a", "b"])),
            (json!(["a", 1, null]), json!(["a", "", "", "[\"a\",1,null]"])),
            (json!({"A": "1"}), json!(["{\"A\":\"1\"}"])),
            (json!(5), json!(["5"])),
            (json!([]), json!([])),
            (json!(null), Value::Null),
            (json!(""), Value::Null),
        ] {
            assert_eq!(texts(&sent), read, "{sent}");
        }
    }

    #[test]
    fn null_is_a_word() {
        let known = [("a", Kind::Text), ("b", Kind::Flag), ("c", Kind::Number), ("d", Kind::Map), ("e", Kind::Keys)];
        let sent = json!({"a": null, "b": null, "c": null, "d": null, "e": "{\"/data\":{}}"});
        let read = fields(sent.as_object().unwrap(), &known);
        assert_eq!(Value::from(read), json!({"a": "null", "b": true, "c": 0, "d": null, "e": {"/data": {}}}));
    }

    #[test]
    fn junk_after_the_document_does_not_matter() {
        assert_eq!(Value::from(object(&Body::Text("{\"a\":1} trailing".into())).unwrap()), json!({"a": 1}));
        assert!(object(&Body::Json(Value::Null)).unwrap().is_empty());
        for (body, text) in [(Body::Empty, "EOF"), (Body::Text("{".into()), "unexpected EOF")] {
            assert_eq!(object(&body).unwrap_err().message(), Some(text));
        }
    }
}
