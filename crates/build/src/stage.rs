//! A stage: from its `FROM` to the next.

use std::sync::Arc;

use dockerfile::{CommandLine, Expander};
use image::{Image, RunConfig};
use model::{ImageId, Platform, path};

use crate::Result;
use crate::variables::Arguments;

/// Docker's path where the image says nothing.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A stage being built.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stage {
    /// What its last step left; `None` before the first step on `scratch`.
    pub(crate) image: Option<Arc<Image>>,
    /// The configuration of its images.
    pub(crate) config: RunConfig,
    /// What images are for that it begins with nothing; `None`: this machine.
    pub(crate) platform: Option<Platform>,
    /// `MAINTAINER`.
    pub(crate) author: String,
    /// Whether it had a `CMD`: an `ENTRYPOINT` forgets only an inherited one.
    pub(crate) cmd_set: bool,
}

/// How the words of a stage's instructions are read.
#[derive(Clone, Copy)]
pub(crate) struct Wording<'a> {
    /// Backslash or backtick.
    pub(crate) escape: char,
    /// By the rules of 2014.
    pub(crate) old: bool,
    /// Variables beside those of the stage's environment.
    pub(crate) arguments: &'a Arguments,
}

impl Stage {
    /// A stage that begins with an image, or with nothing.
    pub(crate) fn begin(image: Option<Arc<Image>>, platform: Option<Platform>) -> Self {
        let mut config = image.as_ref().and_then(|image| image.config.config.clone()).unwrap_or_default();
        let env = config.env.get_or_insert_default();
        if !env.iter().any(|entry| entry.starts_with("PATH=")) {
            env.push(PATH.to_owned());
        }
        let author = image.as_ref().map(|image| image.config.author.clone()).unwrap_or_default();
        Self { image, config, platform, author, cmd_set: false }
    }

    /// The id of the image its last step left.
    pub(crate) fn id(&self) -> Option<ImageId> {
        self.image.as_ref().map(|image| image.id)
    }

    /// Its environment.
    pub(crate) fn env(&self) -> &[String] {
        self.config.env.as_deref().unwrap_or_default()
    }

    /// The value of a variable of its environment.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.env()
            .iter()
            .find_map(|entry| entry.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
    }

    /// Sets a variable, in its place if it has one.
    pub(crate) fn set_variable(&mut self, name: &str, value: &str) {
        let env = self.config.env.get_or_insert_default();
        let entry = format!("{name}={value}");
        match env.iter_mut().find(|old| old.split('=').next() == Some(name)) {
            Some(old) => *old = entry,
            None => env.push(entry),
        }
    }

    /// Replaces variables in a word or a document.
    pub(crate) fn expanded<T>(
        &self,
        wording: Wording<'_>,
        expand: impl FnOnce(Expander<'_>) -> dockerfile::Result<T>,
    ) -> Result<T> {
        let lookup = |name: &str| self.variable(name).map(str::to_owned).or_else(|| wording.arguments.value(name));
        Ok(expand(Expander { escape: wording.escape, lookup: &lookup, old: wording.old })?)
    }

    /// A command's words; the shell's before those of the shell form.
    pub(crate) fn words_of(&self, command: &CommandLine) -> Vec<String> {
        match command {
            CommandLine::Exec(words) => words.clone(),
            CommandLine::Shell(text) if text.is_empty() => Vec::new(),
            CommandLine::Shell(text) => self.shell().into_iter().chain([text.clone()]).collect(),
        }
    }

    /// The words before a command in shell form.
    pub(crate) fn shell(&self) -> Vec<String> {
        let own = self.config.shell.clone().filter(|shell| !shell.is_empty());
        own.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()])
    }

    /// `WORKDIR`: changes the working directory and says where that is.
    pub(crate) fn enter(&mut self, wanted: &str, wording: Wording<'_>) -> Result<String> {
        let wanted = match wording.old {
            true => wanted.to_owned(),
            false => self.expanded(wording, |expander| expander.word(wanted))?,
        };
        let absolute = wanted.starts_with('/');
        let base = if absolute { "" } else { self.config.working_dir.as_str() };
        self.config.working_dir = match absolute && wording.old {
            true => wanted,
            false => path::clean(&format!("{base}/{wanted}")),
        };
        Ok(self.config.working_dir.clone())
    }
}
