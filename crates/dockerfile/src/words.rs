//! Words of an instruction. Quotes, escapes and variables stay in them: see [`crate::expand`].

use crate::Fault;

/// Splits at blanks outside quotes.
pub(super) fn split(text: &str, escape: char) -> Vec<String> {
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
            (None | Some('"'), c) if c == escape => {
                word.push(c);
                word.extend(characters.next());
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// `key=value key2="value 2"`, or the old form `key value with blanks`.
pub(super) fn pairs(name: &str, text: &str, escape: char) -> Result<Vec<(String, String)>, Fault> {
    let words = split(text, escape);
    let Some(first) = words.first() else { return Err(format!("{name} requires at least one argument").into()) };
    if !first.contains('=') {
        let (key, value) = text
            .split_once(char::is_whitespace)
            .ok_or_else(|| Fault::from(format!("{name} must have two arguments")))?;
        return Ok(vec![(key.to_owned(), value.trim().to_owned())]);
    }
    let pair = |word: String| match word.split_once('=') {
        Some(("", _)) => Err(Fault::at(&word, format!("{name} names can not be blank"))),
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => {
            Err(Fault::at(&word, format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value")))
        }
    };
    words.into_iter().map(pair).collect()
}

/// The exec form, a JSON list of texts; `None` for anything that is no JSON list, which then is text.
///
/// # Errors
/// A list that holds something else than texts.
pub(super) fn json(text: &str) -> Result<Option<Vec<String>>, String> {
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(members) = serde_json::from_str::<Vec<serde_json::Value>>(text) else { return Ok(None) };
    let words = members.into_iter().map(|member| match member {
        serde_json::Value::String(word) => Ok(word),
        _ => Err("when using JSON array syntax, arrays must be comprised of strings only".to_owned()),
    });
    words.collect::<Result<_, _>>().map(Some)
}
