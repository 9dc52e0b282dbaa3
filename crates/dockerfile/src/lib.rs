//! Dockerfiles: text in, instructions with their lines out. Pure.
//!
//! Reading has two stages. [`Dockerfile::parse`] joins lines and separates names, flags and arguments; an
//! [`Instruction`]'s [`Command`] is understood with [`Command::parse`], all before the first step or, by the rules of 2014, each
//! when its step has come. An [`Expander`] puts variables into words; [`Ignore`] is the file beside it. An [`Error`] shows the line,
//! the column and what was expected.

#![warn(missing_docs)]

mod command;
mod error;
mod expand;
mod flags;
mod healthcheck;
mod ignore;
mod lines;
pub mod of_2014;
mod run;
mod transfer;
mod words;

#[cfg(test)]
mod tests;

pub use command::{Argument, Command, CommandLine};
pub use error::{Error, Excerpt, Position, Result};
pub use expand::Expander;
pub use healthcheck::Healthcheck;
pub use ignore::Ignore;
pub use run::{MountKind, Run, RunMount, Sharing};
pub use transfer::Transfer;

/// A Dockerfile, read into lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// The character that joins lines and takes meaning away: backslash or backtick.
    pub escape: char,
    /// `# syntax=`: the frontend that the author had in mind; empty if none is named.
    pub syntax: String,
    /// `# check=`: what is to be said of the author's style.
    pub checks: Checks,
    /// At least one.
    pub instructions: Vec<Instruction>,
}

/// `# check=skip=Rule,Rule;error=true`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checks {
    /// Rules that are not looked at; `all` means all.
    pub skip: Vec<String>,
    /// Whether a rule that is broken fails the build.
    pub error: bool,
}

/// One instruction, joined from its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// The lines that it was joined from, with their numbers; none if it is in no file.
    pub lines: Vec<(usize, String)>,
    /// Whether there was an empty line among these.
    pub gap: bool,
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
    pub fn of_2014(text: &str) -> Option<Self> {
        of_2014::single(text, 1)
    }

    /// An error at this instruction.
    pub fn error(&self, message: impl Into<String>) -> Error {
        self.error_at(Fault::from(message.into()))
    }

    /// An error at the place that a fault names.
    fn error_at(&self, fault: Fault) -> Error {
        let excerpt = self.excerpt(fault.token.as_deref());
        Error::Parse { line: self.line, message: fault.message, excerpt }
    }

    /// The place of a word as it is written, or else of the arguments; `None` if the instruction is in no file.
    pub fn excerpt(&self, token: Option<&str>) -> Option<Box<Excerpt>> {
        let (position, length, text) = self.locate(token)?;
        let expected = command::form(&self.name).to_owned();
        Some(Box::new(Excerpt { position, length, text: text.to_owned(), expected }))
    }

    /// Where a token is, or else the arguments: the position, its length and its line.
    fn locate(&self, token: Option<&str>) -> Option<(Position, usize, &str)> {
        let (first, text) = self.lines.first()?;
        let place = |line: usize, text: &str, at: usize| Position { line, column: text[..at].chars().count() + 1 };
        let name = text.len() - text.trim_start().len();
        let rest = text[name..].find(char::is_whitespace).map_or(text.len(), |end| name + end);
        if let Some(token) = token.filter(|token| !token.is_empty()) {
            // A word of its own rather than a part of another, and of the arguments rather than the name.
            let begin = |number: usize| if number == 0 { rest } else { 0 };
            let mut lines = self.lines.iter().enumerate();
            let whole = lines.find_map(|(number, (line, text))| Some((line, text, word(text, token, begin(number))?)));
            let part = || self.lines.iter().find_map(|(line, text)| Some((line, text, text.find(token)?)));
            if let Some((line, text, at)) = whole.or_else(part) {
                return Some((place(*line, text, at), token.chars().count(), text));
            }
        }
        let arguments = text[rest..].trim();
        let at = text.len() - text[rest..].trim_start().len();
        match arguments.is_empty() {
            true => Some((place(*first, text, rest), 1, text)),
            false => Some((place(*first, text, at), arguments.chars().count(), text)),
        }
    }
}

/// Where a token stands in a text as a word of its own, not before `begin`.
fn word(text: &str, token: &str, begin: usize) -> Option<usize> {
    let is_edge =
        |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || matches!(c, '"' | '\'' | '[' | ']' | ',' | '='));
    let stands = |at: &usize| {
        *at >= begin && is_edge(text[..*at].chars().next_back()) && is_edge(text[at + token.len()..].chars().next())
    };
    text.match_indices(token).map(|(at, _)| at).find(stands)
}

/// What is wrong with an instruction, and with which of its words.
#[derive(Debug)]
struct Fault {
    message: String,
    token: Option<String>,
}

impl Fault {
    /// At a word as it is written.
    fn at(token: &str, message: impl Into<String>) -> Self {
        Self { message: message.into(), token: Some(token.to_owned()) }
    }
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self { message, token: None }
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        Self::from(message.to_owned())
    }
}
