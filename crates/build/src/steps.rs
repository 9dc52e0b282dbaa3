//! What each instruction does.

use std::collections::BTreeMap;
use std::io::{BufReader, BufWriter, Write};
use std::sync::Arc;

use image::{Commit, Image, RunConfig};
use model::{ContainerId, Port, PortRange, Protocol, Signal};
use serde_json::{Map, Value};
use storage::Layer;
use storage::tar::{Entry, EntryKind};
use sys::root::{Owner, Root};

use crate::build::{StepContainer, Work};
use crate::cache;
use crate::copy::{self, Destination, Layered, Place, Source, Sources};
use crate::dockerfile::{Command, CommandLine, Instruction, Transfer};
use crate::expand::Expander;
use crate::stage::Stage;
use crate::{Error, Message, Result, RunStep, Stream};

/// Bytes of a tar stream on their way between two threads.
const PIPE_BYTES: usize = 1 << 16;

impl Work<'_> {
    /// Carries one instruction out.
    pub(crate) fn carry_out(&mut self, command: Command, instruction: &Instruction) -> Result<()> {
        match command {
            Command::From { image, stage, platform } => self.begin_stage(&image, stage.as_deref(), &platform),
            Command::Run { command, network } => self.run(&command, &network),
            Command::Add(transfer) => self.transfer("ADD", &transfer),
            Command::Copy(transfer) => self.transfer("COPY", &transfer),
            Command::Workdir(path) => self.workdir(&path, instruction),
            Command::Arg(arguments) => {
                let mut words = Vec::new();
                for argument in arguments {
                    let default = argument.default.as_deref().map(|text| self.expand(text)).transpose()?;
                    words.push(
                        default.as_ref().map_or(argument.name.clone(), |value| format!("{}={value}", argument.name)),
                    );
                    self.arguments.declare(&argument.name, default);
                }
                self.metadata(&format!("ARG {}", words.join(" ")))
            }
            other => {
                let comment = self.configure(other, instruction)?;
                self.metadata(&comment)
            }
        }
    }

    fn stage(&self) -> Result<&Stage> {
        self.stages.last().ok_or_else(no_stage)
    }

    fn stage_mut(&mut self) -> Result<&mut Stage> {
        self.stages.last_mut().ok_or_else(no_stage)
    }

    /// Replaces variables of the stage in a word.
    fn expand(&self, text: &str) -> Result<String> {
        self.expanded(|expander| expander.word(text))
    }

    fn expand_words(&self, text: &str) -> Result<Vec<String>> {
        self.expanded(|expander| expander.words(text))
    }

    fn expanded<T>(&self, expand: impl FnOnce(Expander<'_>) -> Result<T>) -> Result<T> {
        let stage = self.stage()?;
        let lookup = |name: &str| stage.variable(name).map(str::to_owned).or_else(|| self.arguments.value(name));
        expand(Expander { escape: self.escape, lookup: &lookup, old: self.options.dialect.is_old() })
    }

    /// Instructions that only change the configuration; what the history says of them.
    fn configure(&mut self, command: Command, instruction: &Instruction) -> Result<String> {
        let old = self.options.dialect.is_old();
        let written = format!("{} {}", instruction.name, instruction.rest);
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

    /// An image with another configuration and the same files.
    fn metadata(&mut self, comment: &str) -> Result<()> {
        let config = self.comment_config(comment)?;
        if self.cached(&config)? {
            return Ok(());
        }
        let container = self.stand_in(&config, true)?;
        self.append(&container, &config, None)
    }

    /// `WORKDIR` makes the folder as well, as root.
    fn workdir(&mut self, wanted: &str, instruction: &Instruction) -> Result<()> {
        let wanted = if self.options.dialect.is_old() { wanted.to_owned() } else { self.expand(wanted)? };
        let stage = self.stage_mut()?;
        let base = if wanted.starts_with('/') { "" } else { stage.config.working_dir.as_str() };
        let path = copy::clean(&format!("{base}/{wanted}"));
        stage.config.working_dir.clone_from(&path);
        if self.options.dialect.is_old() {
            return self.metadata(&format!("WORKDIR {}", instruction.rest));
        }
        let config = self.comment_config(&format!("WORKDIR {path}"))?;
        if self.cached(&config)? {
            return Ok(());
        }
        let container = self.stand_in(&config, true)?;
        let lower = self.mounted()?;
        let place = Place::new(&lower);
        let real = place.resolve(path.as_ref())?;
        if place.is_folder(&real)? {
            return self.append(&container, &config, None);
        }
        self.add_layer(&container, &config, &|out| {
            let mut layer = Layered::new(out, &lower);
            let owner = Owner { uid: 0, gid: 0 };
            layer.folders(&real, owner)?;
            layer.append(&Entry { owner, ..Entry::new(&real, EntryKind::Directory) }, std::io::empty())?;
            layer.finish()
        })
    }

    /// The present image's files.
    fn mounted(&self) -> Result<Root> {
        let top = self.stage()?.image.as_ref().and_then(|image| image.top());
        Ok(Root::from(self.storage.mount_layers(top.as_ref())?))
    }

    fn transfer(&mut self, name: &str, transfer: &Transfer) -> Result<()> {
        let (sources, destination) = self.resolve(name, transfer)?;
        let executor = self.executor;
        let go_on = || if executor.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) };
        let digest = copy::digest(&sources, &go_on)?;
        let old = self.options.dialect.is_old();
        let owner = if transfer.owner.is_empty() { String::new() } else { format!("--chown={} ", transfer.owner) };
        let mode = if transfer.mode.is_empty() { String::new() } else { format!("--chmod={} ", transfer.mode) };
        let end = if old { "" } else { " " };
        let config = self.comment_config(&format!("{name} {owner}{mode}{digest} in {}{end}", destination.path))?;
        if self.cached(&config)? {
            return Ok(());
        }
        let container = self.stand_in(&config, false)?;
        let lower = self.mounted()?;
        let destination = Destination { owner: copy::owner(&lower, &transfer.owner)?, ..destination };
        self.add_layer(&container, &config, &|out| copy::write(out, &lower, &sources, &destination, &go_on))
    }

    /// Sources and destination of an `ADD` or `COPY`, variables replaced.
    fn resolve(&self, name: &str, transfer: &Transfer) -> Result<(Vec<Source>, Destination)> {
        let base = if self.options.dialect.is_old() { "/" } else { self.stage()?.config.working_dir.as_str() };
        let path = copy::destination(base, &self.expand(&transfer.destination)?);
        let mode = copy::mode(&self.expand(&transfer.mode)?)?;
        let origin = self.origin(&transfer.from)?;
        let mut sources = Vec::new();
        for wanted in &transfer.sources {
            let wanted = self.expand(wanted)?;
            if wanted.starts_with("http://") || wanted.starts_with("https://") {
                return Err(match name {
                    "COPY" => Error::Invalid("source can't be a URL for COPY".to_owned()),
                    _ => Error::Unsupported(format!(
                        "fetching {wanted} with ADD is not built into this version of longshore yet"
                    )),
                });
            }
            sources.extend(copy::find(&origin, &wanted)?);
        }
        for document in &transfer.documents {
            let content = match document.expand {
                true => self.expanded(|expander| expander.document(&document.content))?,
                false => document.content.clone(),
            };
            sources.push(Source::Document { name: document.name.clone(), content });
        }
        if sources.len() > 1 && !path.ends_with('/') {
            return Err(Error::Step(format!(
                "When using {name} with more than one source file, the destination must be a directory and end with a /"
            )));
        }
        let owner = Owner { uid: 0, gid: 0 };
        Ok((sources, Destination { path, owner, mode, unpack: name == "ADD" }))
    }

    /// Where sources come from: the context, an earlier stage by name or number, or an image.
    fn origin(&self, from: &str) -> Result<Sources> {
        if from.is_empty() {
            return Ok(Sources { root: Arc::clone(&self.context), is_context: true });
        }
        let from = self.expand(from)?;
        let earlier = self.stages.len().saturating_sub(1);
        let named = self.stages[..earlier].iter().find(|stage| stage.name == from.to_ascii_lowercase());
        let numbered = || from.parse::<usize>().ok().map(|number| self.stages[..earlier].get(number).ok_or(number));
        let image = match named.map(Ok).or_else(numbered) {
            Some(Ok(stage)) => stage.image.clone(),
            Some(Err(_)) => {
                return Err(Error::Invalid(format!("invalid from flag value {from}: invalid stage index {from}")));
            }
            None => Some(self.base_image(&from)?),
        };
        let top = image.and_then(|image| image.top());
        let root = Root::from(self.storage.mount_layers(top.as_ref())?);
        Ok(Sources { root: Arc::new(root), is_context: false })
    }

    fn run(&mut self, command: &CommandLine, network: &str) -> Result<()> {
        let stage = self.stage()?.clone();
        let Some(image) = stage.image.clone() else {
            return Err(Error::Step("No image was generated before RUN: scratch has no program to run".to_owned()));
        };
        let words = words_of(&stage, command);
        let variables = self.arguments.variables(stage.env());
        let recorded: Vec<String> = variables
            .iter()
            .filter(|(name, _)| self.arguments.is_recorded(name))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut config = stage.config.clone();
        config.cmd = Some(match recorded.is_empty() {
            true => words.clone(),
            false => std::iter::once(format!("|{}", recorded.len())).chain(recorded).chain(words.clone()).collect(),
        });
        if self.cached(&config)? {
            return Ok(());
        }
        let mut running = stage.config.clone();
        running.cmd = Some(words.clone());
        running.entrypoint = None;
        running.env.get_or_insert_default().extend(variables.iter().map(|(name, value)| format!("{name}={value}")));
        let step = RunStep { image: &image, config: &running, network };
        let container = self.executor.create(&step)?;
        self.pending.push(StepContainer { id: container.clone(), exists: true });
        self.say(format!(" ---> Running in {}\n", short(&container)));
        let (executor, quiet) = (self.executor, self.options.quiet);
        let mut texts = Texts::default();
        let code = executor.run(&container, &mut |stream, bytes| {
            if !quiet {
                executor.say(texts.take(stream, bytes));
            }
        })?;
        if code != 0 {
            return Err(Error::Command { command: words.join(" "), code });
        }
        let commit = self.commit(&container, &config)?;
        let (image, _) = self.images.commit(&commit)?;
        self.now_at(image)
    }

    /// The configuration of a step that runs nothing, with what the history says of it.
    fn comment_config(&self, comment: &str) -> Result<RunConfig> {
        let stage = self.stage()?;
        let mut config = stage.config.clone();
        let mut words = stage.shell();
        if self.options.dialect.is_old() {
            words.push(format!("#(nop) {comment}"));
        } else {
            words.extend(["#(nop) ".to_owned(), comment.to_owned()]);
        }
        config.cmd = Some(words);
        Ok(config)
    }

    /// Goes on with an earlier build's image, if there is one.
    fn cached(&mut self, config: &RunConfig) -> Result<bool> {
        self.go_on()?;
        if self.options.no_cache {
            return Ok(false);
        }
        let Some(image) = cache::find(self.images, self.stage()?.id().as_ref(), config) else { return Ok(false) };
        self.say(" ---> Using cache\n");
        self.stage_mut()?.image = Some(image);
        Ok(true)
    }

    /// The container of a step that runs nothing. One that would be removed at once is not made: an id is all that is left
    /// of it. Today's copying has none at all.
    fn stand_in(&mut self, config: &RunConfig, announced: bool) -> Result<String> {
        let id = ContainerId::random().map_err(|error| Error::Step(format!("no random numbers for an id: {error}")))?;
        let image = self.stage()?.image.clone();
        let made = match image.filter(|_| !self.options.remove && (announced || self.options.dialect.is_old())) {
            Some(image) => Some(self.executor.create(&RunStep { image: &image, config, network: "" })?),
            None => None,
        };
        let exists = made.is_some();
        let id = made.unwrap_or_else(|| id.hex());
        if announced {
            self.say(format!(" ---> Running in {}\n", short(&id)));
        }
        if announced || self.options.dialect.is_old() {
            self.pending.push(StepContainer { id: id.clone(), exists });
        }
        Ok(id)
    }

    /// What becomes of a step's container.
    fn commit(&self, container: &str, config: &RunConfig) -> Result<Commit> {
        let stage = self.stage()?;
        let mut container_config = config.clone();
        let mut config = stage.config.clone();
        let parent = stage.id().map(|id| Value::from(id.to_string())).unwrap_or_else(|| Value::from(""));
        for config in [&mut container_config, &mut config] {
            config.other.insert("Image".to_owned(), parent.clone());
        }
        container_config.other.insert("Hostname".to_owned(), Value::from(short(container)));
        if self.options.dialect.is_old() {
            config.other.insert("Hostname".to_owned(), Value::from(short(container)));
        }
        Ok(Commit {
            parent: stage.id(),
            snapshot: container.to_owned(),
            container: container.to_owned(),
            container_config,
            config,
            author: stage.author.clone(),
            engine_version: self.options.engine_version.clone(),
            ..Commit::default()
        })
    }

    fn append(
        &mut self,
        container: &str,
        config: &RunConfig,
        layer: Option<(&image::Lease<'_>, &Layer)>,
    ) -> Result<()> {
        let commit = self.commit(container, config)?;
        let image = match layer {
            Some((lease, layer)) => self.images.append(lease, &commit, Some(layer))?,
            None => self.images.append(&self.images.lease(), &commit, None)?,
        };
        self.now_at(image)
    }

    /// An image with one more layer, whose tar stream `write` writes while it is imported.
    fn add_layer(
        &mut self,
        container: &str,
        config: &RunConfig,
        write: &(dyn Fn(&mut dyn Write) -> Result<()> + Sync),
    ) -> Result<()> {
        let images = self.images;
        let top = self.stage()?.image.as_ref().and_then(|image| image.top());
        let lease = images.lease();
        let (reader, writer) = std::io::pipe().map_err(Error::io("writing a layer"))?;
        let layer = std::thread::scope(|scope| {
            let written = scope.spawn(move || {
                let mut out = BufWriter::with_capacity(PIPE_BYTES, writer);
                write(&mut out)?;
                out.flush().map_err(Error::io("writing a layer"))
            });
            let layer = lease.import(BufReader::with_capacity(PIPE_BYTES, reader), top.as_ref());
            match written.join() {
                // A writer whose reader failed sees only a broken pipe; a reader whose writer failed, a stream that ends.
                Ok(Err(error)) if !(layer.is_err() && is_broken_pipe(&error)) => Err(error),
                Ok(_) => Ok(layer?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })?;
        self.append(container, config, Some((&lease, &layer)))
    }

    /// The image that a step left; its container is done with.
    fn now_at(&mut self, image: Arc<Image>) -> Result<()> {
        self.stage_mut()?.image = Some(image);
        if self.options.remove && !self.options.dialect.is_old() {
            self.remove_pending();
        }
        Ok(())
    }
}

fn no_stage() -> Error {
    Error::Step("no build stage in current context".to_owned())
}

/// The first twelve digits of an id.
fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// A command's words; the shell's before those of the shell form.
fn words_of(stage: &Stage, command: &CommandLine) -> Vec<String> {
    match command {
        CommandLine::Exec(words) => words.clone(),
        CommandLine::Shell(text) if text.is_empty() => Vec::new(),
        CommandLine::Shell(text) => stage.shell().into_iter().chain([text.clone()]).collect(),
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

/// What a command writes, as text: a character that arrives in two pieces waits for its end.
#[derive(Debug, Default)]
struct Texts {
    output: Vec<u8>,
    error: Vec<u8>,
}

impl Texts {
    fn take(&mut self, stream: Stream, bytes: &[u8]) -> Message {
        let begun = if stream == Stream::Output { &mut self.output } else { &mut self.error };
        begun.extend_from_slice(bytes);
        let end = match std::str::from_utf8(begun) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => begun.len(),
        };
        let rest = begun.split_off(end);
        let text = String::from_utf8_lossy(&std::mem::replace(begun, rest)).into_owned();
        if stream == Stream::Output { Message::Text(text) } else { Message::ErrorText(text) }
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
            return true;
        }
        cause = error.source();
    }
    false
}
