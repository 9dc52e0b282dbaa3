//! Instructions that only change the configuration.

use std::collections::BTreeMap;

use model::{Port, PortRange, Protocol, Signal};
use serde_json::{Map, Value};

use crate::build::Work;
use crate::dockerfile::{Command, Instruction};
use crate::steps::words_of;
use crate::{Error, Result};

impl Work<'_> {
    /// Instructions that only change the configuration; what the history says of them.
    pub(crate) fn configure(&mut self, command: Command, instruction: &Instruction) -> Result<String> {
        let old = self.options.dialect.is_old();
        match command {
            Command::Cmd(command) => {
                let stage = self.stage_mut()?;
                let words = words_of(stage, &command);
                let comment = format!("CMD {}", listed(&words, old));
                stage.config.cmd = Some(words);
                stage.cmd_set = true;
                Ok(comment)
            }
            Command::Entrypoint(command) => {
                let stage = self.stage_mut()?;
                let words = words_of(stage, &command);
                let comment = format!("ENTRYPOINT {}", listed(&words, old));
                stage.config.entrypoint = Some(words).filter(|words| !words.is_empty());
                if !stage.cmd_set {
                    stage.config.cmd = None;
                }
                Ok(comment)
            }
            Command::Label(pairs) => {
                let pairs = self.expand_pairs(&pairs, "LABEL")?;
                let comment = format!("LABEL {}", shown(&pairs));
                self.stage_mut()?.config.labels.get_or_insert_default().extend(pairs);
                Ok(comment)
            }
            Command::Env(pairs) => {
                let pairs = self.expand_pairs(&pairs, "ENV")?;
                let comment = format!("ENV {}", shown(&pairs));
                let stage = self.stage_mut()?;
                pairs.iter().for_each(|(name, value)| stage.set_variable(name, value));
                Ok(comment)
            }
            Command::Maintainer(author) => {
                let comment = format!("MAINTAINER {author}");
                self.stage_mut()?.author = author;
                Ok(comment)
            }
            other => self.configure_more(other, instruction),
        }
    }

    fn configure_more(&mut self, command: Command, instruction: &Instruction) -> Result<String> {
        let old = self.options.dialect.is_old();
        let written = format!("{} {}", instruction.name, instruction.rest);
        match command {
            Command::Expose(words) => self.expose(&words, old),
            Command::Volume(paths) => {
                let comment = self.volume(&paths)?;
                Ok(if old { written } else { comment })
            }
            Command::User(user) => {
                let user = self.expand(&user)?;
                let comment = format!("USER {user}");
                self.stage_mut()?.config.user = user;
                Ok(comment)
            }
            Command::Onbuild(trigger) => {
                let comment = format!("ONBUILD {trigger}");
                self.stage_mut()?.config.on_build.get_or_insert_default().push(trigger);
                Ok(comment)
            }
            Command::StopSignal(signal) => {
                let signal = self.expand(&signal)?;
                signal.parse::<Signal>().map_err(|error| Error::Invalid(error.to_string()))?;
                let comment = format!("STOPSIGNAL {signal}");
                self.stage_mut()?.config.stop_signal = signal;
                Ok(comment)
            }
            Command::Healthcheck(check) => {
                let stage = self.stage_mut()?;
                stage.config.healthcheck = Some(*check);
                Ok(written)
            }
            Command::Shell(words) => {
                let comment = format!("SHELL {}", listed(&words, true));
                self.stage_mut()?.config.shell = Some(words);
                Ok(comment)
            }
            _ => Err(instruction.error("the instruction has a step of its own")),
        }
    }

    fn expand_pairs(&self, pairs: &[(String, String)], name: &str) -> Result<Vec<(String, String)>> {
        let expand = |(key, value): &(String, String)| {
            let (key, value) = (self.expand(key)?, self.expand(value)?);
            match key.is_empty() {
                true => Err(Error::Invalid(format!("{name} names can not be blank"))),
                false => Ok((key, value)),
            }
        };
        pairs.iter().map(expand).collect()
    }

    fn expose(&mut self, words: &[String], old: bool) -> Result<String> {
        let mut ports = BTreeMap::new();
        let mut given = Vec::new();
        for word in words {
            for port in self.expand_words(word)? {
                for exposed in exposed(&port)? {
                    ports.insert(exposed, Value::Object(Map::new()));
                }
                given.push(port);
            }
        }
        let comment = if old {
            let map: Vec<String> = ports.keys().map(|port| format!("{port}:{{}}")).collect();
            format!("EXPOSE map[{}]", map.join(" "))
        } else {
            given.sort();
            format!("EXPOSE {}", given.join(" "))
        };
        self.stage_mut()?.config.exposed_ports.get_or_insert_default().extend(ports);
        Ok(comment)
    }

    fn volume(&mut self, paths: &[String]) -> Result<String> {
        let mut expanded = Vec::new();
        for path in paths {
            expanded.extend(self.expand_words(path)?);
        }
        let stage = self.stage_mut()?;
        for path in &expanded {
            if path.trim().is_empty() {
                return Err(Error::Invalid("VOLUME specified can not be an empty string".to_owned()));
            }
            stage.config.volumes.get_or_insert_default().insert(path.clone(), Value::Object(Map::new()));
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
