//! What each instruction does.

use dockerfile::{Command, Expander, Instruction};
use sys::root::Root;

use crate::copy::{Layered, Made, Place};
use crate::stage::{Stage, Wording};
use crate::work::Work;
use crate::{Error, Result};

impl Work<'_> {
    /// Carries one instruction out.
    pub(crate) fn carry_out(&mut self, command: &Command, instruction: &Instruction) -> Result<()> {
        match command {
            Command::From { image, platform, .. } => self.begin_stage(image, platform),
            Command::Run(run) => self.run(run),
            Command::Add(transfer) => self.transfer("ADD", transfer),
            Command::Copy(transfer) => self.transfer("COPY", transfer),
            Command::Workdir(path) => self.workdir(path, instruction),
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
                let comment = stage.configure(other.clone(), instruction, wording)?;
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

    pub(crate) fn expanded<T>(&self, expand: impl FnOnce(Expander<'_>) -> dockerfile::Result<T>) -> Result<T> {
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
            layer.folder(&real, Made::default())?;
            layer.finish()
        })
    }

    /// The present image's files.
    pub(crate) fn mounted(&self) -> Result<Root> {
        let top = self.stage()?.image.as_ref().and_then(|image| image.top());
        Ok(Root::from(self.solve.site.storage.mount_layers(top.as_ref())?))
    }
}

pub(crate) fn no_stage() -> Error {
    Error::Step("no build stage in current context".to_owned())
}
