//! Instructions that only change the configuration.

use std::collections::BTreeMap;

use dockerfile::{Command, Instruction};
use model::{Port, PortRange, Protocol, Signal};
use serde_json::{Map, Value};

use crate::stage::{Stage, Wording};
use crate::{Error, Result};

impl Stage {
    /// Instructions that only change the configuration; what the history says of them.
    pub(crate) fn configure(
        &mut self,
        command: Command,
        instruction: &Instruction,
        wording: Wording<'_>,
    ) -> Result<String> {
        let old = wording.old;
        match command {
            Command::Cmd(command) => {
                let words = self.words_of(&command);
                let comment = format!("CMD {}", listed(&words, old));
                // In 2014 a command without words was none, unless it went with an entry point.
                let is_none = old && words.is_empty() && self.config.entrypoint.as_ref().is_none_or(Vec::is_empty);
                self.config.cmd = Some(words).filter(|_| !is_none);
                self.cmd_set = true;
                Ok(comment)
            }
            Command::Entrypoint(command) => {
                let words = self.words_of(&command);
                let comment = format!("ENTRYPOINT {}", listed(&words, old));
                match words.is_empty() {
                    // In 2014 it did not clear the inherited one.
                    true if old => drop(self.config.entrypoint.get_or_insert_default()),
                    true => self.config.entrypoint = None,
                    false => self.config.entrypoint = Some(words),
                }
                if !self.cmd_set {
                    self.config.cmd = None;
                }
                Ok(comment)
            }
            Command::Label(pairs) => {
                let pairs = self.expand_pairs(&pairs, wording, "LABEL")?;
                let comment = format!("LABEL {}", shown(&pairs));
                self.config.labels.get_or_insert_default().extend(pairs);
                Ok(comment)
            }
            Command::Env(pairs) => {
                let pairs = self.expand_pairs(&pairs, wording, "ENV")?;
                let comment = format!("ENV {}", shown(&pairs));
                pairs.iter().for_each(|(name, value)| self.set_variable(name, value));
                Ok(comment)
            }
            Command::Maintainer(author) => {
                let comment = format!("MAINTAINER {author}");
                self.author = author;
                Ok(comment)
            }
            other => self.configure_more(other, instruction, wording),
        }
    }

    fn configure_more(&mut self, command: Command, instruction: &Instruction, wording: Wording<'_>) -> Result<String> {
        let old = wording.old;
        let written = format!("{} {}", instruction.name, instruction.rest);
        match command {
            Command::Expose(words) => self.expose(&words, wording),
            Command::Volume(paths) => {
                let comment = self.volume(&paths, wording)?;
                Ok(if old { written } else { comment })
            }
            Command::User(user) => {
                let user = self.word(&user, wording)?;
                let comment = format!("USER {user}");
                self.config.user = user;
                Ok(comment)
            }
            Command::Onbuild(trigger) => {
                let comment = format!("ONBUILD {trigger}");
                self.config.on_build.get_or_insert_default().push(trigger);
                Ok(comment)
            }
            Command::StopSignal(signal) => {
                let signal = self.expanded(wording, |expander| expander.word(&signal))?;
                signal.parse::<Signal>().map_err(|error| Error::Invalid(error.to_string()))?;
                let comment = format!("STOPSIGNAL {signal}");
                self.config.stop_signal = signal;
                Ok(comment)
            }
            Command::Healthcheck(check) => {
                let dockerfile::Healthcheck { test, interval, timeout, start_period, start_interval, retries } = *check;
                let test = Some(test);
                self.config.healthcheck =
                    Some(image::Healthcheck { test, interval, timeout, start_period, start_interval, retries });
                Ok(written)
            }
            Command::Shell(words) => {
                let comment = format!("SHELL {}", listed(&words, true));
                self.config.shell = Some(words);
                Ok(comment)
            }
            _ => Err(instruction.error("the instruction has a step of its own").into()),
        }
    }

    fn expand_pairs(
        &self,
        pairs: &[(String, String)],
        wording: Wording<'_>,
        name: &str,
    ) -> Result<Vec<(String, String)>> {
        let word = |text: &str| self.expanded(wording, |expander| expander.word(text));
        let expand = |(key, value): &(String, String)| {
            let (key, value) = (self.word(key, wording)?, word(value)?);
            match key.is_empty() {
                true => Err(Error::Invalid(format!("{name} names can not be blank"))),
                false => Ok((key, value)),
            }
        };
        pairs.iter().map(expand).collect()
    }

    /// A word with its variables replaced; in 2014 only `ENV`, `ADD` and `COPY` knew any.
    fn word(&self, text: &str, wording: Wording<'_>) -> Result<String> {
        match wording.old {
            true => Ok(text.to_owned()),
            false => self.expanded(wording, |expander| expander.word(text)),
        }
    }

    fn expose(&mut self, words: &[String], wording: Wording<'_>) -> Result<String> {
        let mut ports = BTreeMap::new();
        let mut given = Vec::new();
        for word in words {
            let ports_of = match wording.old {
                true => vec![word.clone()],
                false => self.expanded(wording, |expander| expander.words(word))?,
            };
            for port in ports_of {
                for exposed in exposed(&port)? {
                    ports.insert(exposed, Value::Object(Map::new()));
                }
                given.push(port);
            }
        }
        let comment = if wording.old {
            let map: Vec<String> = ports.keys().map(|port| format!("{port}:{{}}")).collect();
            format!("EXPOSE map[{}]", map.join(" "))
        } else {
            given.sort();
            format!("EXPOSE {}", given.join(" "))
        };
        self.config.exposed_ports.get_or_insert_default().extend(ports);
        Ok(comment)
    }

    fn volume(&mut self, paths: &[String], wording: Wording<'_>) -> Result<String> {
        let mut expanded = Vec::new();
        for path in paths {
            expanded.push(self.word(path, wording)?);
        }
        let volumes = self.config.volumes.get_or_insert_default();
        for path in &expanded {
            if path.trim().is_empty() && !wording.old {
                return Err(Error::Invalid("VOLUME specified can not be an empty string".to_owned()));
            }
            volumes.insert(path.clone(), Value::Object(Map::new()));
        }
        Ok(format!("VOLUME [{}]", expanded.join(" ")))
    }
}

/// A list as Docker writes it into the history: `["a" "b"]`, and `[a b]` in 2014.
fn listed(words: &[String], bare: bool) -> String {
    let quoted = |word: &String| if bare { word.clone() } else { format!("{word:?}") };
    format!("[{}]", words.iter().map(quoted).collect::<Vec<_>>().join(" "))
}

/// `a=b c=d`
fn shown(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

/// The ports that a word of `EXPOSE` names: `80`, `80/udp`, `8000-8010`; what stands before a colon is the host's.
fn exposed(word: &str) -> Result<Vec<String>> {
    let (numbers, protocol) = word.split_once('/').unwrap_or((word, ""));
    let protocol: Protocol = match protocol {
        "" => Protocol::Tcp,
        named => named.to_ascii_lowercase().parse().map_err(|_| Error::Invalid(format!("invalid proto: {named}")))?,
    };
    let numbers = numbers.rsplit(':').next().unwrap_or(numbers);
    let range: PortRange = numbers.parse().map_err(|_| Error::Invalid(format!("invalid containerPort: {numbers}")))?;
    Ok(range.ports().map(|number| Port { number, protocol }.to_string()).collect())
}
