//! The vocabulary in which rungs say what they do to JSON.

use serde_json::{Map, Value, json};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// The object that lies under `path`, if every step of it is there.
pub(crate) fn object<'a>(value: &'a mut Value, path: &[&str]) -> Option<&'a mut Object> {
    path.iter().try_fold(value, |value, key| value.get_mut(key))?.as_object_mut()
}

/// Does something to each object of a list.
pub(crate) fn each(list: &mut Value, mut change: impl FnMut(&mut Object)) {
    list.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut).for_each(&mut change);
}

/// Does something to each object that is a value of an object.
pub(crate) fn each_value(object: Option<&mut Value>, mut change: impl FnMut(&mut Object)) {
    object
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(|object| object.values_mut())
        .filter_map(Value::as_object_mut)
        .for_each(&mut change);
}

/// Removes keys.
pub(crate) fn remove(object: &mut Object, keys: &[&str]) {
    for key in keys {
        object.remove(*key);
    }
}

/// Removes every key but these.
pub(crate) fn keep(object: &mut Object, keys: &[&str]) {
    object.retain(|key, _| keys.contains(&key.as_str()));
}

/// Gives a key another name.
pub(crate) fn rename(object: &mut Object, from: &str, to: &str) {
    if let Some(value) = object.remove(from) {
        object.insert(to.to_owned(), value);
    }
}

/// Adds a key if it is missing.
pub(crate) fn default(object: &mut Object, key: &str, value: Value) {
    object.entry(key).or_insert(value);
}

/// Sets a key.
pub(crate) fn set(object: &mut Object, key: &str, value: impl Into<Value>) {
    object.insert(key.to_owned(), value.into());
}

/// Turns empty lists and objects, and what is missing, into null.
pub(crate) fn null_if_empty(object: &mut Object, keys: &[&str]) {
    for key in keys {
        if object.get(*key).is_none_or(is_empty) {
            set(object, key, Value::Null);
        }
    }
}

/// Whether a value holds nothing: null, or an empty list, object or text.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// A text of an object; empty if it is missing or no text.
pub(crate) fn text<'a>(object: &'a Object, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A whole number of an object; 0 if it is missing or no whole number.
pub(crate) fn number(object: &Object, key: &str) -> i64 {
    object.get(key).and_then(Value::as_i64).unwrap_or_default()
}

/// Replaces a text.
pub(crate) fn map_text(value: Option<&mut Value>, change: impl FnOnce(&str) -> Option<String>) {
    if let Some(value) = value
        && let Some(text) = value.as_str().and_then(change)
    {
        *value = json!(text);
    }
}

/// The object under `key`, made if it is missing or null. None if something else lies there.
pub(crate) fn child<'a>(object: &'a mut Object, key: &str) -> Option<&'a mut Object> {
    let value = object.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut()
}

/// Moves a key to another object, unless that has it already.
pub(crate) fn hand_over(from: &mut Object, key: &str, to: &mut Object, new_key: &str) {
    if let Some(value) = from.remove(key) {
        to.entry(new_key).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_does() {
        let mut value = json!({"a": {"b": [{"c": 1, "d": 2}, 3]}, "e": [], "f": null});
        each(&mut value["a"]["b"], |item| remove(item, &["c"]));
        let top = value.as_object_mut().unwrap();
        rename(top, "e", "g");
        null_if_empty(top, &["g", "h"]);
        set(child(top, "f").unwrap(), "i", 1);
        assert_eq!(value, json!({"a": {"b": [{"d": 2}, 3]}, "f": {"i": 1}, "g": null, "h": null}));
    }
}
