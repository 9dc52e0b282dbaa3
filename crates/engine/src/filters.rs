//! Docker's `filters`: which keys a call knows, and whether something matches.

use api::StringMap;

use crate::options::Filters;
use crate::{Error, Result};

impl Filters {
    /// Refuses keys that are not among `known`.
    pub(crate) fn only(&self, known: &[&str]) -> Result<()> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(Error::invalid(format!("invalid filter '{key}'"))),
            None => Ok(()),
        }
    }

    /// The wanted values of a key; empty if it is not filtered by.
    pub(crate) fn values(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether the key is absent, or one of its values satisfies `test`.
    pub(crate) fn any(&self, key: &str, test: impl Fn(&str) -> bool) -> bool {
        let values = self.values(key);
        values.is_empty() || values.iter().any(|value| test(value))
    }

    /// Whether all labels asked for (`name` or `name=value`) are there, and none of those under `label!`.
    pub(crate) fn labels(&self, labels: Option<&StringMap>) -> bool {
        let has = |wanted: &String| {
            let (key, value) = wanted.split_once('=').map_or((wanted.as_str(), None), |(k, v)| (k, Some(v)));
            labels.and_then(|labels| labels.get(key)).is_some_and(|have| value.is_none_or(|value| have == value))
        };
        self.values("label").iter().all(has) && !self.values("label!").iter().any(has)
    }

    /// A yes-or-no key; `None` if absent.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>> {
        let mut answer = None;
        for value in self.values(key) {
            answer = Some(match value.as_str() {
                "1" | "true" | "True" | "TRUE" | "t" => true,
                "0" | "false" | "False" | "FALSE" | "f" => false,
                _ => return Err(Error::invalid(format!("invalid filter '{key}=[{value}]'"))),
            });
        }
        Ok(answer)
    }
}

/// The error for a value that a known key cannot have.
pub(crate) fn invalid_value(key: &str, value: &str) -> Error {
    Error::invalid(format!("invalid filter '{key}={value}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(entries: &[(&str, &[&str])]) -> Filters {
        let list = |values: &[&str]| values.iter().map(ToString::to_string).collect();
        Filters(entries.iter().map(|(key, values)| ((*key).to_owned(), list(values))).collect())
    }

    #[test]
    fn unknown_keys_are_refused() {
        let wanted = filters(&[("colour", &["red"])]);
        assert_eq!(wanted.only(&["name"]).map_err(|e| e.to_string()), Err("invalid filter 'colour'".into()));
    }

    #[test]
    fn labels_must_all_match() {
        let have = StringMap::from([("a".into(), "1".into()), ("b".into(), String::new())]);
        assert!(filters(&[("label", &["a=1", "b"])]).labels(Some(&have)));
        assert!(!filters(&[("label", &["a=2"])]).labels(Some(&have)));
        assert!(!filters(&[("label!", &["b"])]).labels(Some(&have)));
        assert!(filters(&[]).labels(None));
    }

    #[test]
    fn flags() {
        assert_eq!(filters(&[("dangling", &["true"])]).flag("dangling").ok(), Some(Some(true)));
        assert!(filters(&[("dangling", &["maybe"])]).flag("dangling").is_err());
    }
}
