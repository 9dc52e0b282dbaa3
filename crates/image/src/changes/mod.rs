//! The instructions that change a config: `CMD`, `ENV`, … as `commit` and `import` take them in `changes`.
//!
//! They are Dockerfile instructions, so the rules for quotes, variables and the two forms of commands are those of the
//! Dockerfile.

mod healthcheck;
mod words;

use std::collections::BTreeMap;

use model::{Port, PortRange, Protocol, Signal};
use serde_json::{Map, Value};

use crate::{Error, Result, RunConfig};
use words::{expand, pairs, split, unquoted};

/// Applies instructions to a config. Each text is one or several lines; a backslash at the end of a line joins it with the
/// next, lines that begin with `#` are comments.
///
/// # Errors
/// [`Error::NotAChange`] for any other instruction, [`Error::Change`] if one is malformed. The config is untouched then.
pub fn apply(config: &RunConfig, changes: &[String]) -> Result<RunConfig> {
    let mut work = Work { config: config.clone(), cmd_set: false };
    for line in logical_lines(changes) {
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
        work.instruction(name, rest.trim())?;
    }
    Ok(work.config)
}

fn logical_lines(changes: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut pending = String::new();
    for line in changes.iter().flat_map(|change| change.lines()) {
        if line.trim_start().starts_with('#') {
            continue;
        }
        match line.trim_end().strip_suffix('\\') {
            Some(begun) => pending.push_str(begun),
            None => {
                pending.push_str(line);
                lines.push(std::mem::take(&mut pending));
            }
        }
    }
    lines.push(pending);
    lines.into_iter().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

struct Work {
    config: RunConfig,
    /// Whether these instructions have a `CMD`: an `ENTRYPOINT` forgets only an inherited one.
    cmd_set: bool,
}

impl Work {
    fn instruction(&mut self, name: &str, rest: &str) -> Result<()> {
        let instruction = name.to_ascii_uppercase();
        let applied = match instruction.as_str() {
            "CMD" => self.cmd(rest),
            "ENTRYPOINT" => self.entrypoint(rest),
            "ENV" => self.env(rest),
            "EXPOSE" => self.expose(rest),
            "HEALTHCHECK" => self.healthcheck(rest),
            "LABEL" => self.label(rest),
            "ONBUILD" => self.onbuild(rest),
            "STOPSIGNAL" => self.stop_signal(rest),
            "USER" => self.one_word(rest).map(|user| self.config.user = user),
            "VOLUME" => self.volume(rest),
            "WORKDIR" => self.workdir(rest),
            _ => return Err(Error::NotAChange(name.to_ascii_lowercase())),
        };
        applied.map_err(|reason| Error::Change { instruction, reason })
    }

    fn cmd(&mut self, rest: &str) -> Result<(), String> {
        self.config.cmd = Some(self.command(rest));
        self.cmd_set = true;
        Ok(())
    }

    fn entrypoint(&mut self, rest: &str) -> Result<(), String> {
        self.config.entrypoint = Some(self.command(rest)).filter(|words| !words.is_empty());
        if !self.cmd_set {
            self.config.cmd = None;
        }
        Ok(())
    }

    /// `["a", "b"]` as it is; anything else is for the shell.
    fn command(&self, rest: &str) -> Vec<String> {
        if let Some(words) = json_words(rest) {
            return words;
        }
        if rest.is_empty() {
            return Vec::new();
        }
        let shell = self.config.shell.clone().filter(|shell| !shell.is_empty());
        let mut words = shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
        words.push(rest.to_owned());
        words
    }

    fn env(&mut self, rest: &str) -> Result<(), String> {
        let before = self.config.env.clone().unwrap_or_default();
        for (key, value) in pairs(rest)? {
            let (key, value) = (expand(&key, &before)?, expand(&value, &before)?);
            if key.is_empty() {
                return Err("names can not be blank".to_owned());
            }
            let env = self.config.env.get_or_insert_default();
            let entry = format!("{key}={value}");
            match env.iter_mut().find(|old| old.split('=').next() == Some(&key)) {
                Some(old) => *old = entry,
                None => env.push(entry),
            }
        }
        Ok(())
    }

    fn label(&mut self, rest: &str) -> Result<(), String> {
        let env = self.config.env.clone().unwrap_or_default();
        for (key, value) in pairs(rest)? {
            let (key, value) = (expand(&key, &env)?, expand(&value, &env)?);
            if key.is_empty() {
                return Err("names can not be blank".to_owned());
            }
            self.config.labels.get_or_insert_default().insert(key, value);
        }
        Ok(())
    }

    fn expose(&mut self, rest: &str) -> Result<(), String> {
        let words = self.words(rest)?;
        if words.is_empty() {
            return Err("requires at least one argument".to_owned());
        }
        for word in words {
            let (numbers, protocol) = word.split_once('/').unwrap_or((&word, ""));
            let protocol: Protocol = match protocol {
                "" => Protocol::Tcp,
                named => named.parse().map_err(|error| format!("{error}"))?,
            };
            let range: PortRange = numbers.parse().map_err(|_| format!("invalid containerPort: {numbers}"))?;
            let ports = self.config.exposed_ports.get_or_insert_default();
            ports
                .extend(range.ports().map(|number| (Port { number, protocol }.to_string(), Value::Object(Map::new()))));
        }
        Ok(())
    }

    fn volume(&mut self, rest: &str) -> Result<(), String> {
        let paths = match json_words(rest) {
            Some(words) => {
                let env = self.config.env.clone().unwrap_or_default();
                words.iter().map(|word| expand(word, &env)).collect::<Result<_, _>>()?
            }
            None => self.words(rest)?,
        };
        if paths.is_empty() {
            return Err("requires at least one argument".to_owned());
        }
        for path in paths {
            if path.trim().is_empty() {
                return Err("specified volume can not be an empty string".to_owned());
            }
            self.config.volumes.get_or_insert_default().insert(path.trim().to_owned(), Value::Object(Map::new()));
        }
        Ok(())
    }

    fn workdir(&mut self, rest: &str) -> Result<(), String> {
        let wanted = self.one_word(rest)?;
        self.config.working_dir =
            clean(&format!("/{}/{wanted}", if wanted.starts_with('/') { "" } else { &self.config.working_dir }));
        Ok(())
    }

    fn stop_signal(&mut self, rest: &str) -> Result<(), String> {
        let signal = self.one_word(rest)?;
        signal.parse::<Signal>().map_err(|error| error.to_string())?;
        self.config.stop_signal = signal;
        Ok(())
    }

    fn onbuild(&mut self, rest: &str) -> Result<(), String> {
        let trigger = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        match trigger.as_str() {
            "" => return Err("requires at least one argument".to_owned()),
            "ONBUILD" => return Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned()),
            "MAINTAINER" | "FROM" => return Err(format!("{trigger} isn't allowed as an ONBUILD trigger")),
            _ => {}
        }
        self.config.on_build.get_or_insert_default().push(rest.to_owned());
        Ok(())
    }

    fn healthcheck(&mut self, rest: &str) -> Result<(), String> {
        self.config.healthcheck = Some(healthcheck::parse(rest)?);
        Ok(())
    }

    /// Words with variables put in; a variable may yield several.
    fn words(&self, rest: &str) -> Result<Vec<String>, String> {
        let env = self.config.env.clone().unwrap_or_default();
        let mut words = Vec::new();
        for word in split(rest)? {
            let expanded = expand(&word, &env)?;
            if unquoted(&word) {
                words.extend(expanded.split_whitespace().map(str::to_owned));
            } else {
                words.push(expanded);
            }
        }
        Ok(words)
    }

    /// All of the text as one value with variables put in.
    fn one_word(&self, rest: &str) -> Result<String, String> {
        if rest.is_empty() {
            return Err("requires exactly one argument".to_owned());
        }
        expand(rest, self.config.env.as_deref().unwrap_or_default())
    }
}

/// The exec form: a JSON list of texts.
fn json_words(rest: &str) -> Option<Vec<String>> {
    rest.starts_with('[').then(|| serde_json::from_str(rest).ok()).flatten()
}

/// A path without `.`, `..`, double and trailing slashes.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The variables of an environment; a later entry wins.
fn variables(env: &[String]) -> BTreeMap<&str, &str> {
    env.iter().filter_map(|entry| entry.split_once('=')).collect()
}

#[cfg(test)]
mod tests;
