//! Words, quotes and variables as the Dockerfile has them.

use super::variables;

/// How deep `${A:-${B:-…}}` may go.
const MAX_DEPTH: usize = 32;

/// Splits at blanks outside quotes; quotes and backslashes stay in the words.
pub(super) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None | Some('"'), '\\') => {
                word.push(c);
                word.extend(characters.next());
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    if quote.is_some() {
        return Err("unexpected end of statement while looking for matching quote".to_owned());
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    Ok(words)
}

/// Whether a word has no quotes, so that what a variable in it yields is split again.
pub(super) fn unquoted(word: &str) -> bool {
    !word.contains(['"', '\''])
}

/// `key=value key2="value 2"`, or the old form `key value with blanks`.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let words = split(text)?;
    let Some(first) = words.first() else { return Err("requires at least one argument".to_owned()) };
    if !first.contains('=') {
        let (key, value) = text
            .split_once(char::is_whitespace)
            .ok_or_else(|| format!("must have two arguments: {text:?} has no value"))?;
        return Ok(vec![(key.to_owned(), value.trim().to_owned())]);
    }
    let pair = |word: String| match word.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value")),
    };
    words.into_iter().map(pair).collect()
}

/// Takes quotes and backslashes away and puts variables in: `$A`, `${A}`, `${A:-word}`, `${A:+word}`, `${A-word}`, `${A+word}`.
pub(super) fn expand(text: &str, env: &[String]) -> Result<String, String> {
    let characters: Vec<char> = text.chars().collect();
    let mut cursor = Cursor { characters: &characters, at: 0 };
    cursor.text(env, false, 0)
}

struct Cursor<'a> {
    characters: &'a [char],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    /// Up to the end, or to the brace that closes a variable.
    fn text(&mut self, env: &[String], in_braces: bool, depth: usize) -> Result<String, String> {
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
                Some('"') => self.double_quoted(env, depth, &mut out)?,
                // A backslash at the very end stands for itself nowhere: Docker drops it.
                Some('\\') => out.extend(self.next()),
                Some('$') => self.variable(env, depth, &mut out)?,
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

    fn double_quoted(&mut self, env: &[String], depth: usize, out: &mut String) -> Result<(), String> {
        loop {
            match self.next() {
                Some('"') => return Ok(()),
                Some('$') => self.variable(env, depth, out)?,
                Some('\\') => match self.next() {
                    Some(c @ ('"' | '$' | '\\')) => out.push(c),
                    Some(c) => out.extend(['\\', c]),
                    None => {}
                },
                Some(c) => out.push(c),
                None => return Err("unexpected end of statement while looking for matching double-quote".to_owned()),
            }
        }
    }

    fn variable(&mut self, env: &[String], depth: usize, out: &mut String) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err("variables are nested too deeply".to_owned());
        }
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                out.push('$');
            }
            out.push_str(variables(env).get(name.as_str()).copied().unwrap_or_default());
            return Ok(());
        }
        self.at += 1;
        let name = self.name();
        let value = variables(env).get(name.as_str()).map(|value| (*value).to_owned());
        let (empty_counts, modifier) = match self.next() {
            Some('}') if !name.is_empty() => {
                out.push_str(&value.unwrap_or_default());
                return Ok(());
            }
            Some(':') => (false, self.next()),
            other => (true, other),
        };
        let word = self.text(env, true, depth + 1)?;
        // The closing brace, which `text` saw.
        self.at += 1;
        let set = value.as_ref().is_some_and(|value| empty_counts || !value.is_empty());
        match modifier {
            Some('-') => out.push_str(&if set { value.unwrap_or_default() } else { word }),
            Some('+') if set => out.push_str(&word),
            Some('+') => {}
            Some('?') if set => out.push_str(&value.unwrap_or_default()),
            Some('?') => return Err(format!("{name}: {}", if word.is_empty() { "is not set" } else { &word })),
            _ => return Err("unsupported modifier in substitution".to_owned()),
        }
        Ok(())
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
