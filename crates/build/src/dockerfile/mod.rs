//! Dockerfiles: text in, instructions with their lines out. Pure.
//!
//! Reading has two stages. [`Dockerfile::parse`] joins lines and separates names, flags and arguments; an
//! [`Instruction`]'s [`Command`] is understood with [`Command::parse`], all before the first step or, by the rules of 2014, each
//! when its step has come.

mod command;
mod flags;
mod healthcheck;
mod lines;
pub(crate) mod of_2014;
mod run;
mod transfer;
mod words;

#[cfg(test)]
mod tests;

pub use command::{Argument, Command, CommandLine};
pub use run::{MountKind, Run, RunMount, Sharing};
pub use transfer::Transfer;

use crate::{Error, Result};

/// A Dockerfile, read into lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// The character that joins lines and takes meaning away: backslash or backtick.
    pub escape: char,
    /// At least one.
    pub instructions: Vec<Instruction>,
    /// What a careful author would want to know.
    pub warnings: Vec<String>,
}

/// One instruction, joined from its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Where it begins; 1 is the first line.
    pub line: usize,
    /// As written, joined, without blanks at its ends.
    pub text: String,
    /// Its first word in capitals.
    pub name: String,
    /// What follows the name, flags included.
    pub rest: String,
    /// The documents behind it, in order.
    pub heredocs: Vec<Heredoc>,
}

/// A document in the Dockerfile: `<<EOF`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// Its name; `COPY` gives the file this name.
    pub name: String,
    /// Variables in it are replaced: its name was not quoted.
    pub expand: bool,
    /// Its lines, each with a newline.
    pub content: String,
}

/// How to read a Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// By the rules of 2014: no directives, no documents.
    pub old: bool,
}

/// Longest Dockerfile that is read, in bytes.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

impl Dockerfile {
    /// Joins lines and separates names from arguments.
    ///
    /// # Errors
    /// A directive is malformed, a document has no end, or there is no instruction.
    pub fn parse(text: &str, reading: Reading) -> Result<Self> {
        let file = lines::read(text, reading)?;
        if file.instructions.is_empty() {
            return Err(Error::Invalid("file with no instructions".to_owned()));
        }
        Ok(file)
    }
}

impl Instruction {
    /// An instruction from a single line, as `ONBUILD` and images keep them.
    ///
    /// # Errors
    /// There is none in the text.
    pub fn parse(text: &str, escape: char) -> Result<Self> {
        lines::single(text, escape)
    }

    /// An instruction from a single line, by the rules of 2014.
    pub(crate) fn of_2014(text: &str) -> Option<Self> {
        of_2014::single(text, 1)
    }

    /// An error at this instruction.
    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        Error::Parse { line: self.line, message: message.into() }
    }
}
