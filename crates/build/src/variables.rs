//! Build arguments: what `ARG` declares and the client gives.

use std::collections::{BTreeMap, BTreeSet};

use model::Platform;

use crate::{Options, platform};

/// Arguments that need not be declared, and are kept out of the history.
const PREDEFINED: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// The arguments of a build.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arguments {
    given: BTreeMap<String, Option<String>>,
    /// Declared before the first `FROM`, or known there anyway.
    global: BTreeMap<String, Option<String>>,
    /// Declared in the present stage.
    declared: BTreeMap<String, Option<String>>,
    consumed: BTreeSet<String>,
}

impl Arguments {
    /// Arguments with what the client gave.
    pub(crate) fn new(options: &Options, target: Option<&Platform>) -> Self {
        let global = platform::arguments(target, &options.target).map(|(name, value)| (name, Some(value))).collect();
        Self { given: options.arguments.clone(), global, ..Self::default() }
    }

    /// `ARG` before the first `FROM`.
    pub(crate) fn declare_global(&mut self, name: &str, default: Option<String>) {
        self.consumed.insert(name.to_owned());
        self.global.insert(name.to_owned(), default);
    }

    /// `ARG` in a stage.
    pub(crate) fn declare(&mut self, name: &str, default: Option<String>) {
        self.consumed.insert(name.to_owned());
        let default = default.or_else(|| self.global.get(name).cloned().flatten());
        self.declared.insert(name.to_owned(), default);
    }

    fn given(&self, name: &str) -> Option<String> {
        self.given.get(name).cloned().flatten()
    }

    /// The value of an argument for `FROM`.
    pub(crate) fn global(&self, name: &str) -> Option<String> {
        let default = self.global.get(name)?;
        self.given(name).or_else(|| default.clone())
    }

    /// The value of an argument in the present stage.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        match self.declared.get(name) {
            Some(default) => self.given(name).or_else(|| default.clone()),
            None if PREDEFINED.contains(&name) => self.given(name),
            None => None,
        }
    }

    /// Arguments that a command sees as variables: those with a value that no `ENV` hides.
    pub(crate) fn variables(&self, env: &[String]) -> Vec<(String, String)> {
        if self.declared.is_empty() && self.given.is_empty() {
            return Vec::new();
        }
        let hidden = |name: &str| env.iter().any(|entry| entry.split('=').next() == Some(name));
        let names: BTreeSet<&str> = self.declared.keys().map(String::as_str).chain(PREDEFINED).collect();
        let value = |name: &str| self.value(name).map(|value| (name.to_owned(), value));
        names.into_iter().filter(|name| !hidden(name)).filter_map(value).collect()
    }

    /// Whether an argument shows in the history: predefined ones do only if declared.
    pub(crate) fn is_recorded(&self, name: &str) -> bool {
        self.declared.contains_key(name) || !PREDEFINED.contains(&name)
    }

    /// Names that were declared.
    pub(crate) fn consumed(&self) -> impl Iterator<Item = &String> {
        self.consumed.iter()
    }

    /// Names that the client gave and that are none of these.
    pub(crate) fn unused(&self, consumed: &BTreeSet<String>) -> Vec<&str> {
        let used = |name: &&str| consumed.contains(*name) || PREDEFINED.contains(name);
        self.given.keys().map(String::as_str).filter(|name| !used(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes() {
        let given = [("A".to_owned(), Some("given".to_owned())), ("X".to_owned(), None)].into();
        let options = Options { arguments: given, ..Options::default() };
        let mut arguments = Arguments::new(&options, None);
        arguments.declare_global("G", Some("global".to_owned()));
        assert_eq!((arguments.global("G"), arguments.value("G")), (Some("global".to_owned()), None));
        arguments.declare("A", Some("default".to_owned()));
        arguments.declare("G", None);
        assert_eq!(arguments.value("A").as_deref(), Some("given"));
        assert_eq!(arguments.value("G").as_deref(), Some("global"));
        assert_eq!(arguments.variables(&["A=env".to_owned()]), [("G".to_owned(), "global".to_owned())]);
        assert_eq!(arguments.value("X"), None);
        assert!(arguments.global("TARGETPLATFORM").is_some_and(|platform| platform.starts_with("linux/")));
        assert_eq!(arguments.value("TARGETOS"), None);
        arguments.declare("TARGETOS", None);
        assert_eq!(arguments.value("TARGETOS").as_deref(), Some("linux"));
        assert_eq!(arguments.unused(&arguments.consumed), ["X"]);
    }
}
