//! What can go wrong with a build.

use std::error::Error as StdError;
use std::{fmt, io};

use model::ErrorKind;

use crate::progress::Position;

/// Result of an operation of a build.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The line of a Dockerfile that an error is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The place; an instruction of several lines may be wrong in a later one.
    pub position: Position,
    /// How many characters are wrong, at least one.
    pub length: usize,
    /// The line as written.
    pub text: String,
    /// What would have been right.
    pub expected: String,
}

/// Characters of a line that are shown before and behind the place.
const SHOWN: usize = 80;

impl fmt::Display for Excerpt {
    /// ```text
    ///  3:6 | COPY --nosuch a b
    ///      |      ^^^^^^^^ expected: COPY [flags] source... destination
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.position;
        let skipped = column.saturating_sub(SHOWN);
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        let text: String = self.text.chars().skip(skipped).take(2 * SHOWN).map(printable).collect();
        let place = format!("{line}:{column}");
        let marks = "^".repeat(self.length.clamp(1, SHOWN));
        writeln!(f, " {place} | {text}")?;
        let before = column.saturating_sub(skipped + 1);
        write!(f, " {:1$} | {2:before$}{marks} expected: {expected}", "", place.len(), "", expected = self.expected)
    }
}

fn shown(excerpt: Option<&Excerpt>) -> String {
    excerpt.map(|excerpt| format!("\n{excerpt}")).unwrap_or_default()
}

/// Why a build failed, worded for the client in Docker's words where clients know those.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An instruction is not what it must be.
    #[error("dockerfile parse error on line {line}: {message}{}", shown(excerpt.as_deref()))]
    Parse {
        /// Where the instruction begins; 1 is the first line.
        line: usize,
        /// What is wrong with it.
        message: String,
        /// The place itself; `None` for an instruction that is in no file.
        excerpt: Option<Box<Excerpt>>,
    },
    /// The Dockerfile as a whole cannot be read.
    #[error("failed to parse {name}: {source}")]
    Dockerfile {
        /// Its name in the context.
        name: String,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// A step fails for what its instruction says; the words alone are on the first line.
    #[error("{source}\n{excerpt}")]
    Instruction {
        /// What is wrong.
        source: Box<Error>,
        /// The place.
        excerpt: Box<Excerpt>,
    },
    /// Variables, quotes or escapes of a word do not come to an end, or come to too much.
    #[error("failed to process {word:?}: {reason}")]
    Word {
        /// As it is written.
        word: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What was asked for cannot be: the request's fault.
    #[error("{0}")]
    Invalid(String),
    /// Something that a step names does not exist.
    #[error("{0}")]
    NotFound(String),
    /// Docker can do this, longshore cannot yet.
    #[error("{0}")]
    Unsupported(String),
    /// A step failed for a reason that is neither the request's nor ours.
    #[error("{0}")]
    Step(String),
    /// A command of a step ended with another exit code than 0.
    #[error("The command '{command}' returned a non-zero code: {code}")]
    Command {
        /// The words of the command, joined by blanks.
        command: String,
        /// The exit code.
        code: i64,
    },
    /// The client went away.
    #[error("the build was cancelled")]
    Cancelled,
    /// A file or stream failed.
    #[error("{action}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The engine could not make or run a container.
    #[error("{source}")]
    Executor {
        /// The kind the API reports.
        kind: ErrorKind,
        /// The cause, worded for the client.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A path of the context or an image failed.
    #[error(transparent)]
    Path(#[from] sys::root::Error),
    /// The images failed.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// The layers failed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

impl Error {
    /// The kind the API reports.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Parse { .. } | Self::Dockerfile { .. } | Self::Word { .. } | Self::Invalid(_) => {
                ErrorKind::InvalidParameter
            }
            Self::Instruction { source, .. } => source.kind(),
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Unsupported(_) => ErrorKind::NotImplemented,
            Self::Executor { kind, .. } => *kind,
            Self::Image(error) => error.kind(),
            Self::Storage(error) => error.kind(),
            Self::Step(_) | Self::Command { .. } | Self::Cancelled | Self::Io { .. } | Self::Path(_) => {
                ErrorKind::System
            }
        }
    }

    /// The exit code that made the build fail; 0 if something else did.
    pub fn code(&self) -> i64 {
        match self {
            Self::Command { code, .. } => *code,
            _ => 0,
        }
    }

    /// What an operation on a stream or file was for.
    pub(crate) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}
