//! Flags before an instruction's arguments: `--name=value`, `--name`.

use crate::Fault;

/// Flags, taken one after the other; what is left in the end is unknown.
#[derive(Debug)]
pub(super) struct Flags(Vec<(String, Option<String>)>);

impl Flags {
    /// Separates flags from the arguments. `--` alone ends them.
    pub(super) fn split(rest: &str) -> (Self, &str) {
        let mut flags = Vec::new();
        let mut rest = rest.trim_start();
        while let Some(bare) = rest.strip_prefix("--") {
            let end = end_of_word(bare);
            let (word, after) = bare.split_at(end);
            rest = after.trim_start();
            if word.is_empty() {
                break;
            }
            let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
            flags.push((name.to_owned(), value.map(str::to_owned)));
        }
        (Self(flags), rest)
    }

    /// The value of a flag that may be given once.
    pub(super) fn value(&mut self, name: &str) -> Result<Option<String>, Fault> {
        let Some(at) = self.0.iter().position(|(flag, _)| flag == name) else { return Ok(None) };
        let (_, value) = self.0.remove(at);
        if self.0.iter().any(|(flag, _)| flag == name) {
            return Err(Fault::at(&format!("--{name}"), format!("duplicate flag specified: {name}")));
        }
        value.map(Some).ok_or_else(|| missing(name))
    }

    /// The values of a flag that may be given often.
    pub(super) fn values(&mut self, name: &str) -> Result<Vec<String>, Fault> {
        let (found, others) = std::mem::take(&mut self.0).into_iter().partition(|(flag, _)| flag == name);
        self.0 = others;
        let found: Vec<(String, Option<String>)> = found;
        let value = |(_, value): (String, Option<String>)| value.ok_or_else(|| missing(name));
        found.into_iter().map(value).collect()
    }

    /// A flag without value, or with a truth; `None` if it is not given.
    pub(super) fn switch(&mut self, name: &str) -> Result<Option<bool>, Fault> {
        let Some(at) = self.0.iter().position(|(flag, _)| flag == name) else { return Ok(None) };
        match self.0.remove(at).1.as_deref() {
            None | Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(Fault::at(other, format!("expecting boolean value for flag {name}, not: {other}"))),
        }
    }

    /// Ends: flags that nobody took are unknown.
    pub(super) fn finish(self) -> Result<(), Fault> {
        match self.0.first() {
            Some((flag, _)) => Err(Fault::at(&format!("--{flag}"), format!("unknown flag: {flag}"))),
            None => Ok(()),
        }
    }
}

fn missing(name: &str) -> Fault {
    Fault::at(&format!("--{name}"), format!("missing a value on flag: {name}"))
}

fn end_of_word(text: &str) -> usize {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => return at,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    text.len()
}
