//! `.dockerignore`: which members of a context a build never sees.

use model::{Pattern, path};

use crate::{Error, Result};

/// The lines of a `.dockerignore`, compiled. The last line that fits a path decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore {
    rules: Vec<Rule>,
    lines: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    pattern: Pattern,
    /// The line began with `!`: what fits is seen after all.
    kept: bool,
}

impl Ignore {
    /// Reads the lines: `#` at the beginning is a comment, blanks around a pattern do not count, nor a slash before it.
    ///
    /// # Errors
    /// A pattern cannot be one; the message names it.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut ignore = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let line = line.trim();
            let (kept, bare) = line.strip_prefix('!').map_or((false, line), |bare| (true, bare.trim()));
            if line.is_empty() {
                continue;
            }
            if bare.is_empty() {
                return Err(Error::Invalid("illegal exclusion pattern: \"!\"".to_owned()));
            }
            let clean = &path::clean(bare)[1..];
            let pattern =
                Pattern::new(clean, true).map_err(|_| Error::Invalid(format!("syntax error in pattern: {bare:?}")))?;
            ignore.rules.push(Rule { pattern, kept });
            let mark = if kept { "!" } else { "" };
            ignore.lines.push(format!("{mark}{}", if clean.is_empty() { "." } else { clean }));
        }
        Ok(ignore)
    }

    /// Whether a build does not see this path (relative, slashes between names). What lies in a folder that fits a
    /// pattern fits it too.
    pub fn excludes(&self, path: &str) -> bool {
        let mut excluded = false;
        for rule in &self.rules {
            // A rule that cannot change the answer need not be asked.
            if rule.kept == excluded && folders(path).any(|folder| rule.pattern.matches(folder)) {
                excluded = !rule.kept;
            }
        }
        excluded
    }

    /// The patterns without what does not count in them (`a/b` for `/a/../a/b/`), `!` before those that keep: for a client that
    /// leaves out by itself and takes them as they are.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Whether there are no patterns at all.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a line begins with `!`: then a folder that is excluded may hold something that is not.
    pub fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.kept)
    }
}

/// The path and every folder it is in.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at]).chain(std::iter::once(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn table() {
        for (lines, path, expected) in [
            ("secret", "secret", true),
            ("secret", "a/secret", false),
            ("/secret/", "secret", true),
            ("*.log", "a.log", true),
            ("*.log", "sub/a.log", false),
            ("**/*.log", "sub/a.log", true),
            ("sub", "sub/deep/file", true),
            ("*\n!keep", "keep", false),
            ("*\n!keep", "other", true),
            ("*\n!sub/keep", "sub/keep", false),
            ("*\n!sub\nsub/not", "sub/not", true),
            ("*\n!sub\nsub/not", "sub/yes", false),
            ("!keep\n*", "keep", true),
            ("# *\n", "a", false),
            ("  a  ", "a", true),
            ("a/../b", "b", true),
            ("a?c", "abc", true),
            ("", "a", false),
            (".", "a", false),
            ("\u{feff}x", "x", true),
        ] {
            assert_eq!(
                Ignore::parse(lines).map(|ignore| ignore.excludes(path)).ok(),
                Some(expected),
                "{lines:?} {path}"
            );
        }
        let ignore = Ignore::parse("/a/../b/\n! /c\n.\nd").expect("patterns");
        assert_eq!(ignore.lines(), ["b", "!c", ".", "d"]);
        assert!(Ignore::parse("[bad").is_err());
        assert!(Ignore::parse("!").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(lines in "([a-c*?!#/\\[\\]-]{0,6}\n){0,5}", path in "[a-c]{1,3}(/[a-c]{1,3}){0,4}") {
            let _ = Ignore::parse(&lines).map(|ignore| ignore.excludes(&path));
        }
    }
}
