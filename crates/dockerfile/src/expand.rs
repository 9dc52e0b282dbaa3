//! Quotes, escapes and variables in an instruction's words. Pure.

use crate::{Error, Result};

/// How deep `${A:-${B:-…}}` may go.
const MAX_DEPTH: usize = 32;
/// Longest text that a word may become, in bytes: `ENV A=$A$A` doubles.
const MAX_BYTES: usize = 1024 * 1024;

/// How words are expanded.
#[derive(Clone, Copy)]
pub struct Expander<'a> {
    /// Backslash or backtick.
    pub escape: char,
    /// The value of a variable.
    pub lookup: &'a dyn Fn(&str) -> Option<String>,
    /// By the rules of 2014: only variables, quotes and escapes stay, and unknown variables too.
    pub old: bool,
}

impl Expander<'_> {
    /// Takes quotes and escapes away and puts variables in: `$A`, `${A}`, `${A:-word}`, `${A:+word}`, `${A:?word}`, the
    /// same without colon (then an empty value counts as one), `${A#pattern}`, `${A##pattern}`, `${A%pattern}`,
    /// `${A%%pattern}`, `${A/pattern/text}`, `${A//pattern/text}`.
    ///
    /// # Errors
    /// A quote or brace is not closed, a modifier unknown, or the result too long.
    pub fn word(&self, text: &str) -> Result<String> {
        if self.old {
            return Ok(self.old_word(text));
        }
        let characters: Vec<char> = text.chars().collect();
        let mut cursor = Cursor { expander: self, characters: &characters, at: 0 };
        let wrong = |reason: String| Error::Word { word: text.to_owned(), reason };
        let word = cursor.text(false, 0).map_err(wrong)?;
        if word.len() > MAX_BYTES {
            return Err(wrong("the result is too long".to_owned()));
        }
        Ok(word)
    }

    /// The same; a word without quotes becomes as many words as its variables have.
    ///
    /// # Errors
    /// As [`Expander::word`].
    pub fn words(&self, text: &str) -> Result<Vec<String>> {
        let word = self.word(text)?;
        if text.contains(['"', '\'']) {
            return Ok(vec![word]);
        }
        Ok(word.split_whitespace().map(str::to_owned).collect())
    }

    /// Puts variables into a document: quotes stay, and so do escapes but those before a dollar sign.
    ///
    /// # Errors
    /// As [`Expander::word`].
    pub fn document(&self, text: &str) -> Result<String> {
        let characters: Vec<char> = text.chars().collect();
        let mut cursor = Cursor { expander: self, characters: &characters, at: 0 };
        let mut out = String::with_capacity(text.len());
        while let Some(c) = cursor.next() {
            if c == self.escape && cursor.peek() == Some('$') {
                out.extend(cursor.next());
            } else if c == '$' {
                let wrong = |reason: String| Error::Invalid(format!("failed to process a heredoc: {reason}"));
                cursor.variable(0, &mut out).map_err(wrong)?;
            } else {
                out.push(c);
            }
        }
        Ok(out)
    }

    /// `$NAME` and `${NAME}`; one backslash before `$` keeps both, and another `$` there goes with it.
    fn old_word(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, variable) = rest.split_at(at);
            out.push_str(before);
            let bare = variable[1..].strip_prefix('{').unwrap_or(&variable[1..]);
            let end = bare.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(bare.len());
            let mut behind = &bare[end..];
            if variable[1..].starts_with('{') {
                behind = behind.strip_prefix('}').unwrap_or(behind);
            }
            let kept = before.ends_with('\\') && !before.ends_with("\\\\");
            let value = (self.lookup)(&bare[..end]).filter(|_| end > 0 && !kept);
            if value.is_some() && before.is_empty() && out.ends_with('$') {
                out.pop();
            }
            out.push_str(&value.unwrap_or_else(|| variable[..variable.len() - behind.len()].to_owned()));
            rest = behind;
        }
        out.push_str(rest);
        out
    }
}

struct Cursor<'a, 'b> {
    expander: &'b Expander<'a>,
    characters: &'b [char],
    at: usize,
}

impl Cursor<'_, '_> {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    /// Up to the end, or to the brace that closes a variable.
    fn text(&mut self, in_braces: bool, depth: usize) -> Result<String, String> {
        let mut out = String::new();
        loop {
            match self.peek() {
                None if in_braces => return Err("syntax error: missing '}'".to_owned()),
                None => return Ok(out),
                Some('}') if in_braces => return Ok(out),
                _ => {}
            }
            match self.next() {
                Some('\'') => self.single_quoted(&mut out)?,
                Some('"') => self.double_quoted(depth, &mut out)?,
                Some('$') => self.variable(depth, &mut out)?,
                Some(c) if c == self.expander.escape => out.extend(self.next()),
                other => out.extend(other),
            }
        }
    }

    fn single_quoted(&mut self, out: &mut String) -> Result<(), String> {
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(c) => out.push(c),
                None => return Err("unexpected end of statement while looking for matching single-quote".to_owned()),
            }
        }
    }

    fn double_quoted(&mut self, depth: usize, out: &mut String) -> Result<(), String> {
        loop {
            match self.next() {
                Some('"') => return Ok(()),
                Some('$') => self.variable(depth, out)?,
                Some(escape) if escape == self.expander.escape => match self.next() {
                    Some(c) if c == '"' || c == '$' || c == escape => out.push(c),
                    Some(c) => out.extend([escape, c]),
                    None => {}
                },
                Some(c) => out.push(c),
                None => return Err("unexpected end of statement while looking for matching double-quote".to_owned()),
            }
        }
    }

    fn variable(&mut self, depth: usize, out: &mut String) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err("variables are nested too deeply".to_owned());
        }
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                out.push('$');
            }
            out.push_str(&(self.expander.lookup)(&name).unwrap_or_default());
            return Ok(());
        }
        self.at += 1;
        let name = self.name();
        if name.is_empty() {
            return Err("syntax error: bad substitution".to_owned());
        }
        let value = (self.expander.lookup)(&name);
        match self.next() {
            Some('}') => out.push_str(&value.unwrap_or_default()),
            Some(':') => {
                let modifier = self.next();
                let value = value.filter(|value| !value.is_empty());
                out.push_str(&self.modified(&name, value, modifier, depth)?);
            }
            modifier @ Some('-' | '+' | '?') => out.push_str(&self.modified(&name, value, modifier, depth)?),
            Some(end @ ('#' | '%')) => out.push_str(&self.trimmed(&value.unwrap_or_default(), end, depth)?),
            Some('/') => out.push_str(&self.replaced(&value.unwrap_or_default(), depth)?),
            None => return Err("syntax error: missing '}'".to_owned()),
            Some(other) => return Err(format!("unsupported modifier ({other}) in substitution")),
        }
        Ok(())
    }

    /// The word behind a modifier, and past the brace that closes it.
    fn operand(&mut self, depth: usize) -> Result<String, String> {
        let word = self.text(true, depth + 1)?;
        self.at += 1;
        Ok(word)
    }

    fn modified(
        &mut self,
        name: &str,
        value: Option<String>,
        modifier: Option<char>,
        depth: usize,
    ) -> Result<String, String> {
        let word = self.operand(depth)?;
        match modifier {
            Some('-') => Ok(value.unwrap_or(word)),
            Some('+') => Ok(value.map(|_| word).unwrap_or_default()),
            Some('?') => value.ok_or_else(|| {
                format!("{name}: {}", if word.is_empty() { "is not allowed to be unset" } else { &word })
            }),
            Some(other) => Err(format!("unsupported modifier ({other}) in substitution")),
            None => Err("syntax error: missing '}'".to_owned()),
        }
    }

    fn trimmed(&mut self, value: &str, end: char, depth: usize) -> Result<String, String> {
        let longest = self.peek() == Some(end);
        self.at += usize::from(longest);
        let pattern = self.operand(depth)?;
        let pattern = glob(&pattern)?;
        let bounds: Vec<usize> = value.char_indices().map(|(at, _)| at).chain([value.len()]).collect();
        let fits = |at: &usize| match end {
            '#' => pattern.matches(&value[..*at]),
            _ => pattern.matches(&value[*at..]),
        };
        let found = match (end, longest) {
            ('#', false) | ('%', true) => bounds.iter().copied().find(|at| fits(at)),
            _ => bounds.iter().copied().rev().find(|at| fits(at)),
        };
        Ok(match (end, found) {
            (_, None) => value.to_owned(),
            ('#', Some(at)) => value[at..].to_owned(),
            (_, Some(at)) => value[..at].to_owned(),
        })
    }

    fn replaced(&mut self, value: &str, depth: usize) -> Result<String, String> {
        let all = self.peek() == Some('/');
        self.at += usize::from(all);
        let operand = self.operand(depth)?;
        let (pattern, text) = operand.split_once('/').unwrap_or((&operand, ""));
        let pattern = glob(pattern)?;
        let bounds: Vec<usize> = value.char_indices().map(|(at, _)| at).chain([value.len()]).collect();
        if bounds.len() > 4096 {
            return Err("the value is too long to be searched".to_owned());
        }
        let (mut out, mut at, mut done) = (String::new(), 0, false);
        while at + 1 < bounds.len() {
            let end = (at + 1..bounds.len()).rev().find(|end| pattern.matches(&value[bounds[at]..bounds[*end]]));
            match end.filter(|_| all || !done) {
                Some(end) => {
                    out.push_str(text);
                    (at, done) = (end, true);
                }
                None => {
                    out.push_str(&value[bounds[at]..bounds[at + 1]]);
                    at += 1;
                }
            }
        }
        Ok(out)
    }

    /// A variable's name: letters, digits and underscores, a letter or underscore first; or one digit.
    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
            if name.is_empty() && c.is_ascii_digit() {
                self.at += 1;
                return c.to_string();
            }
            name.push(c);
            self.at += 1;
        }
        name
    }
}

/// A pattern of the shell.
fn glob(text: &str) -> Result<model::Pattern, String> {
    model::Pattern::shell(text).map_err(|_| format!("invalid pattern {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".to_owned()),
            "E" => Some(String::new()),
            "P" => Some("usr/local/lib.so.1".to_owned()),
            "W" => Some("x  y".to_owned()),
            _ => None,
        }
    }

    fn word(text: &str) -> Option<String> {
        Expander { escape: '\\', lookup: &lookup, old: false }.word(text).ok()
    }

    #[test]
    fn table() {
        for (text, expected) in [
            ("plain", "plain"),
            ("$A", "one"),
            ("${A}x", "onex"),
            ("$Ax", ""),
            ("$NO", ""),
            ("\\$A", "$A"),
            ("'$A'", "$A"),
            ("\"$A b\"", "one b"),
            ("\"a\\\"b\"", "a\"b"),
            ("\"a\\nb\"", "a\\nb"),
            ("a\\ b", "a b"),
            ("${NO:-x}", "x"),
            ("${E:-x}", "x"),
            ("${E-x}", ""),
            ("${A:+x}", "x"),
            ("${E:+x}", ""),
            ("${E+x}", "x"),
            ("${NO:-${A}}", "one"),
            ("${NO:-a b}", "a b"),
            ("${A:?bad}", "one"),
            ("$", "$"),
            ("a$ b", "a$ b"),
            ("${P#*/}", "local/lib.so.1"),
            ("${P##*/}", "lib.so.1"),
            ("${P%.*}", "usr/local/lib.so"),
            ("${P%%.*}", "usr/local/lib"),
            ("${P/l/L}", "usr/Local/lib.so.1"),
            ("${P//l/L}", "usr/LocaL/Lib.so.1"),
            ("$1x", "x"),
        ] {
            assert_eq!(word(text).as_deref(), Some(expected), "{text}");
        }
        for wrong in ["${A", "'a", "\"a", "${}", "${A:=x}", "${NO:?}", "${A!}", "${A:"] {
            assert_eq!(word(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn words_of_a_variable() {
        let expander = Expander { escape: '\\', lookup: &lookup, old: false };
        assert_eq!(expander.words("$W").ok(), Some(vec!["x".to_owned(), "y".to_owned()]));
        assert_eq!(expander.document("'$A' \\$A \\n \"\n").ok().as_deref(), Some("'one' $A \\n \"\n"));
        assert_eq!(expander.words("\"$W\"").ok(), Some(vec!["x  y".to_owned()]));
    }

    #[test]
    fn as_in_2014() {
        let expander = Expander { escape: '\\', lookup: &lookup, old: true };
        for (text, expected) in [
            ("$A/x", "one/x"),
            ("${A}x", "onex"),
            ("$NO", "$NO"),
            ("\\$A", "\\$A"),
            ("\"$A\"", "\"one\""),
            ("$", "$"),
            ("${", "${"),
        ] {
            assert_eq!(expander.word(text).ok().as_deref(), Some(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[A-E$\\{\\}:\\-+?#%/'\"\\\\ é*]{0,24}", old in any::<bool>()) {
            let expander = Expander { escape: '\\', lookup: &lookup, old };
            let _ = expander.words(&text);
        }
    }
}
