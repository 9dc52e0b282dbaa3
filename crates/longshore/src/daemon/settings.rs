//! Settings: flags and `daemon.json` together.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::flags::{self, FLAGS, Kind};

/// The file that is read if it exists and `--config-file` names no other.
const DEFAULT_FILE: &str = "/etc/docker/daemon.json";
/// Keys of the file that set nothing here, and are in many files.
const IGNORED: &[&str] = &["max-download-attempts"];
/// What a running daemon takes over when it reads its settings again.
const CHANGEABLE: &[&str] = &[
    "debug",
    "features",
    "insecure-registries",
    "keep-blobs",
    "labels",
    "live-restore",
    "log-level",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "registry-mirrors",
    "shutdown-timeout",
];
/// Flags that the file cannot hold.
const FLAGS_ONLY: &[&str] = &["config-file", "validate"];

/// All settings, by their key in the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    values: BTreeMap<String, Value>,
}

impl Settings {
    /// Reads the flags, and the file.
    ///
    /// # Errors
    /// What is unknown, malformed, or set in both.
    pub(super) fn read(arguments: &[String]) -> Result<Self> {
        let flags = flags::parse(arguments)?;
        let named = flags.get("config-file").and_then(Value::as_str).map(str::to_owned);
        let path = named.as_deref().unwrap_or(DEFAULT_FILE);
        let file = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => String::new(),
            Err(error) => return Err(error).with_context(|| unable(path)),
        };
        Self::join(flags, &file).with_context(|| unable(path))
    }

    fn join(flags: BTreeMap<&'static str, Value>, file: &str) -> Result<Self> {
        let mut values = BTreeMap::new();
        if !file.trim().is_empty() {
            let Value::Object(document) = serde_json::from_str(file)? else { bail!("it is not a JSON object") };
            values.extend(document);
        }
        if let Some(graph) = values.remove("graph") {
            values.insert("data-root".to_owned(), graph);
        }
        values.retain(|key, _| !IGNORED.contains(&key.as_str()));
        check(&values)?;
        let both: Vec<String> = flags
            .iter()
            .filter_map(|(key, flag)| Some(format!("{key}: (from flag: {flag}, from file: {})", values.get(*key)?)))
            .collect();
        if !both.is_empty() {
            bail!(
                "the following directives are specified both as a flag and in the configuration file: {}",
                both.join(", ")
            );
        }
        values.extend(flags.into_iter().map(|(key, value)| (key.to_owned(), value)));
        Ok(Self { values })
    }

    /// What a running daemon with these settings makes of others: the changeable ones that are given there, for the rest
    /// its own.
    pub(super) fn changed_by(&self, mut other: Self) -> Self {
        other.values.retain(|key, _| CHANGEABLE.contains(&key.as_str()));
        let own = self.values.iter().map(|(key, value)| (key.clone(), value.clone()));
        Self { values: own.chain(other.values).collect() }
    }

    /// A text, or its default.
    pub(super) fn text_or(&self, key: &str, default: &str) -> String {
        self.text(key).unwrap_or(default).to_owned()
    }

    /// A text that is not empty.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.given(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// What was set, empty or not.
    pub(super) fn given(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// A switch, or its default.
    pub(super) fn switch(&self, key: &str, default: bool) -> bool {
        self.given(key).and_then(Value::as_bool).unwrap_or(default)
    }

    /// A number.
    pub(super) fn number(&self, key: &str) -> Option<i64> {
        self.given(key).and_then(Value::as_i64)
    }

    /// A list of texts.
    pub(super) fn list(&self, key: &str) -> Vec<String> {
        let items = self.given(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Names and values.
    pub(super) fn pairs(&self, key: &str) -> Vec<(String, Value)> {
        let pairs = self.given(key).and_then(Value::as_object);
        pairs.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

fn unable(path: &str) -> String {
    format!("unable to configure the daemon with file {path}")
}

/// Refuses unknown keys, and values of the wrong type.
fn check(values: &BTreeMap<String, Value>) -> Result<()> {
    let flag = |key: &str| FLAGS.iter().find(|flag| flag.key == key && !FLAGS_ONLY.contains(&key));
    let unknown: Vec<&str> = values.keys().map(String::as_str).filter(|key| flag(key).is_none()).collect();
    if !unknown.is_empty() {
        bail!("the following directives don't match any configuration option: {}", unknown.join(", "));
    }
    for (key, value) in values {
        let texts = |list: &Vec<Value>| list.iter().all(Value::is_string);
        let (fits, wanted) = match flag(key).map(|flag| flag.kind) {
            Some(Kind::Switch) => (value.is_boolean(), "true or false"),
            Some(Kind::Number) => (value.is_i64(), "a number"),
            Some(Kind::List) => (value.as_array().is_some_and(texts), "a list of texts"),
            Some(Kind::Pairs) => (value.is_object(), "an object"),
            Some(Kind::Text) | None => (value.is_string(), "a text"),
        };
        if !fits {
            bail!("{key} must be {wanted}, not {value}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn join(flags: &[(&'static str, Value)], file: &str) -> Result<Settings> {
        Settings::join(flags.iter().cloned().collect(), file)
    }

    #[test]
    fn flags_and_file_add_up() {
        let settings = join(
            &[("debug", json!(true))],
            r#"{"graph": "/x", "dns": ["1.1.1.1"], "log-opts": {"max-file": "3"}, "features": {}}"#,
        )
        .unwrap();
        assert!(settings.switch("debug", false) && settings.switch("icc", true));
        assert_eq!(settings.text("data-root"), Some("/x"));
        assert_eq!(settings.list("dns"), ["1.1.1.1"]);
        assert_eq!(settings.pairs("log-opts"), [("max-file".to_owned(), json!("3"))]);
    }

    #[test]
    fn a_running_daemon_changes_what_can_change_and_is_given() {
        let first = join(&[("debug", json!(true))], r#"{"labels": ["a=b"], "mtu": 1400}"#).unwrap();
        let again =
            first.changed_by(join(&[("debug", json!(false))], r#"{"mtu": 9000, "log-level": "warn"}"#).unwrap());
        assert_eq!((again.switch("debug", true), again.number("mtu")), (false, Some(1400)));
        assert_eq!((again.list("labels"), again.text("log-level")), (vec!["a=b".to_owned()], Some("warn")));
    }

    #[test]
    fn mistakes_are_named() {
        let both = join(&[("debug", json!(true))], r#"{"debug": false}"#).unwrap_err().to_string();
        assert!(both.ends_with("debug: (from flag: true, from file: false)"), "{both}");
        let unknown = join(&[], r#"{"nosuch": 1, "other": 2}"#).unwrap_err().to_string();
        assert!(unknown.ends_with("don't match any configuration option: nosuch, other"), "{unknown}");
        assert!(join(&[], r#"{"debug": "yes"}"#).unwrap_err().to_string().contains("true or false"));
        assert!(join(&[], "[]").is_err() && join(&[], "{").is_err());
    }
}
