//! What each instruction does.

use std::sync::Arc;

use storage::tar::{Entry, EntryKind};
use sys::root::{Owner, Root};

use crate::copy::{self, Destination, Layered, Place, Source, Sources};
use crate::dockerfile::{Command, CommandLine, Instruction, Transfer};
use crate::expand::Expander;
use crate::progress::StepEvent;
use crate::stage::{Stage, Wording};
use crate::work::{StepContainer, Work};
use crate::{Error, NamedContext, Result, RunStep};

impl Work<'_> {
    /// Carries one instruction out.
    pub(crate) fn carry_out(&mut self, command: Command, instruction: &Instruction) -> Result<()> {
        match command {
            Command::From { image, platform, .. } => self.begin_stage(&image, &platform),
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
                let (stage, wording) = self.stage_and_wording()?;
                let comment = stage.configure(other, instruction, wording)?;
                self.metadata(&comment)
            }
        }
    }

    pub(crate) fn stage(&self) -> Result<&Stage> {
        self.begun.as_ref().ok_or_else(no_stage)
    }

    pub(crate) fn stage_mut(&mut self) -> Result<&mut Stage> {
        self.begun.as_mut().ok_or_else(no_stage)
    }

    /// Replaces variables of the stage in a word.
    pub(crate) fn expand(&self, text: &str) -> Result<String> {
        self.expanded(|expander| expander.word(text))
    }

    fn expanded<T>(&self, expand: impl FnOnce(Expander<'_>) -> Result<T>) -> Result<T> {
        self.stage()?.expanded(self.wording(), expand)
    }

    fn wording(&self) -> Wording<'_> {
        Wording { escape: self.escape(), old: self.options.dialect.is_old(), arguments: &self.arguments }
    }

    /// The stage, and how its words are read.
    fn stage_and_wording(&mut self) -> Result<(&mut Stage, Wording<'_>)> {
        let wording = Wording { escape: self.escape(), old: self.options.dialect.is_old(), arguments: &self.arguments };
        Ok((self.begun.as_mut().ok_or_else(no_stage)?, wording))
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
        let (stage, wording) = self.stage_and_wording()?;
        let path = stage.enter(wanted, wording)?;
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
    pub(crate) fn mounted(&self) -> Result<Root> {
        let top = self.stage()?.image.as_ref().and_then(|image| image.top());
        Ok(Root::from(self.solve.site.storage.mount_layers(top.as_ref())?))
    }

    fn transfer(&mut self, name: &str, transfer: &Transfer) -> Result<()> {
        let (sources, destination) = self.resolve(name, transfer)?;
        let solve = self.solve;
        let go_on = || solve.go_on();
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
            return Ok(Sources { root: self.solve.context()?, is_context: true });
        }
        let from = self.expand(from)?;
        let image = match self.solve.build.source.named(&from)? {
            Some(NamedContext::Files(root)) => return Ok(Sources { root, is_context: true }),
            Some(NamedContext::Image(name)) => Some(self.base_image(&name)?),
            None => match self.earlier_stage(&from)? {
                Some(stage) => self.solve.result(stage)?,
                None => Some(self.base_image(&from)?),
            },
        };
        let top = image.and_then(|image| image.top());
        let root = Root::from(self.solve.site.storage.mount_layers(top.as_ref())?);
        Ok(Sources { root: Arc::new(root), is_context: false })
    }

    fn run(&mut self, command: &CommandLine, network: &str) -> Result<()> {
        let Some(image) = self.stage()?.image.clone() else {
            return Err(Error::Step("No image was generated before RUN: scratch has no program to run".to_owned()));
        };
        if self.options.dialect.is_old() && image.config.config.is_none() {
            // A command on an image that said nothing left lists that are empty, where others are missing.
            let config = &mut self.stage_mut()?.config;
            config.exposed_ports.get_or_insert_default();
            config.volumes.get_or_insert_default();
        }
        let stage = self.stage()?.clone();
        let words = stage.words_of(command);
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
        let executor = self.solve.site.executor;
        let container = executor.create(&step)?;
        self.pending.push(StepContainer { id: container.clone(), exists: true });
        self.tell(StepEvent::Container(container.clone()));
        let mut output = |stream, bytes: &[u8]| self.tell(StepEvent::Output(stream, bytes.to_vec()));
        let code = executor.run(&container, &mut output)?;
        if code != 0 {
            return Err(Error::Command { command: words.join(" "), code });
        }
        let commit = self.commit(&container, &config)?;
        let (image, _) = self.solve.site.images.commit(&commit)?;
        self.now_at(image)
    }
}

pub(crate) fn no_stage() -> Error {
    Error::Step("no build stage in current context".to_owned())
}
