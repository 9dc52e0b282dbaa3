//! What can be wrong with a Dockerfile, and where.

use std::fmt;

/// Result of reading.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A place in a Dockerfile; both numbers begin at 1, columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

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

/// Why a Dockerfile, or a word of it, cannot be understood; in Docker's words where clients know those.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    /// Variables, quotes or escapes of a word do not come to an end, or come to too much.
    #[error("failed to process {word:?}: {reason}")]
    Word {
        /// As it is written.
        word: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is wrong as a whole.
    #[error("{0}")]
    Invalid(String),
    /// A step of 2014 is wrong, which shows when its turn has come.
    #[error("{0}")]
    Step(String),
}
