//! What can go wrong with a build.

use std::error::Error as StdError;
use std::io;

use dockerfile::{Excerpt, Instruction};
use model::ErrorKind;

/// Result of an operation of a build.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a build failed, worded for the client in Docker's words where clients know those.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A Dockerfile, or a word of it, cannot be understood.
    #[error(transparent)]
    Parse(#[from] dockerfile::Error),
    /// The Dockerfile as a whole cannot be read.
    #[error("failed to parse {name}: {source}")]
    Dockerfile {
        /// Its name in the context.
        name: String,
        /// What is wrong with it.
        source: dockerfile::Error,
    },
    /// A step fails for what its instruction says; the words alone are on the first line.
    #[error("{source}\n{excerpt}")]
    Instruction {
        /// What is wrong.
        source: Box<Error>,
        /// The place.
        excerpt: Box<Excerpt>,
    },
    /// What `ADD` or `COPY` names as a source cannot be copied.
    #[error("{instruction} failed: {fault}")]
    Source {
        /// The instruction's name.
        instruction: &'static str,
        /// The source as it is written.
        word: String,
        /// What is wrong with it.
        fault: SourceFault,
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
    /// A base image is here, but not for the platform that is wanted, and cannot be fetched for it.
    #[error("{name} is here for {here}, and cannot be fetched for {wanted}: {source}")]
    OtherPlatform {
        /// The image's name.
        name: String,
        /// What the one that is here is for.
        here: String,
        /// What is wanted.
        wanted: String,
        /// Why it cannot be fetched.
        source: Box<Error>,
    },
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
    /// A step is not cached, and the build was only to be remembered; see [`Build::recall`](crate::Build::recall).
    #[error("a step is not cached")]
    NotCached,
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

/// Why a source of `ADD` or `COPY` cannot be copied. In each the source as it is once variables are replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceFault {
    /// The context has no such file.
    #[error("file not found in build context or excluded by .dockerignore: stat {0}: file does not exist")]
    NotInContext(String),
    /// The stage or image has no such file.
    #[error("stat {0}: file does not exist")]
    NotInImage(String),
    /// It leads out of the context.
    #[error("forbidden path outside the build context: {0} ()")]
    Outside(String),
    /// Nothing fits the pattern.
    #[error("no source files were specified")]
    NothingFits(String),
    /// The pattern is none.
    #[error("syntax error in pattern")]
    Malformed(String),
}

impl SourceFault {
    /// The path that does not lead to anything, if that is the fault.
    pub fn missing(&self) -> Option<&str> {
        match self {
            Self::NotInContext(path) | Self::NotInImage(path) | Self::NothingFits(path) => Some(path),
            Self::Outside(_) | Self::Malformed(_) => None,
        }
    }

    /// What would have been right.
    fn expected(&self) -> &'static str {
        match self {
            Self::NotInContext(_) => "a path in the build context that .dockerignore does not exclude",
            Self::NotInImage(_) => "a path in the stage or image of --from",
            Self::Outside(_) => "a path in the build context",
            Self::NothingFits(_) => "a pattern that fits at least one path",
            Self::Malformed(_) => "a pattern of *, ?, [a-z] and **",
        }
    }
}

impl Error {
    /// The kind the API reports.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Parse(dockerfile::Error::Step(_)) => ErrorKind::System,
            Self::Parse(_) | Self::Dockerfile { .. } | Self::Invalid(_) => ErrorKind::InvalidParameter,
            Self::Instruction { source, .. } | Self::OtherPlatform { source, .. } => source.kind(),
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Unsupported(_) => ErrorKind::NotImplemented,
            Self::Executor { kind, .. } => *kind,
            Self::Image(error) => error.kind(),
            Self::Storage(error) => error.kind(),
            Self::Source { .. }
            | Self::Step(_)
            | Self::Command { .. }
            | Self::Cancelled
            | Self::NotCached
            | Self::Io { .. }
            | Self::Path(_) => ErrorKind::System,
        }
    }

    /// The exit code that made the build fail; 0 if something else did.
    pub fn code(&self) -> i64 {
        match self {
            Self::Command { code, .. } => *code,
            _ => 0,
        }
    }

    /// With the place in the instruction that was carried out, if that is the fault of its words.
    pub(crate) fn in_instruction(self, instruction: &Instruction) -> Self {
        let excerpt = match &self {
            Self::Parse(dockerfile::Error::Word { word, .. }) => instruction.excerpt(Some(word)),
            Self::Source { word, fault, .. } => instruction.excerpt(Some(word)).map(|mut excerpt| {
                fault.expected().clone_into(&mut excerpt.expected);
                excerpt
            }),
            Self::Invalid(_) => instruction.excerpt(None),
            _ => None,
        };
        match excerpt {
            Some(excerpt) => Self::Instruction { source: Box::new(self), excerpt },
            None => self,
        }
    }

    /// What an operation on a stream or file was for.
    pub(crate) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}
