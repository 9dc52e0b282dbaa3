//! Errors that older versions worded otherwise, in tables.

use crate::exchange::Response;
use crate::rung::Asked;

/// An error's text in the newer and in the older version.
///
/// In the newer text `*` stands for any text, as little as possible, and letters fit in either case. In the older one `{1}`, `{2}`, … give back what the
/// stars stood for, `{2:12}` no more than its first twelve characters, and `{name}` the name or id in the request's path.
#[derive(Clone, Copy, Debug)]
pub struct Wording {
    /// What the version says.
    pub newer: &'static str,
    /// What the version below says.
    pub older: &'static str,
    /// The status that goes with the older text, if it is another one.
    pub status: Option<u16>,
}

impl Wording {
    /// An error that the version worded anew.
    pub const fn new(newer: &'static str, older: &'static str) -> Self {
        Self { newer, older, status: None }
    }

    /// An error that the version worded anew and gave another status.
    pub const fn with_status(newer: &'static str, older: &'static str, status: u16) -> Self {
        Self { newer, older, status: Some(status) }
    }
}

/// Rewrites an error by the first wording that fits.
pub(crate) fn reword(response: &mut Response, wordings: &[Wording], asked: &Asked) {
    let Some(message) = response.message() else {
        return;
    };
    let fitting = wordings.iter().find_map(|wording| Some((wording, captures(wording.newer, message)?)));
    let Some((wording, stars)) = fitting else {
        return;
    };
    let text = fill(wording.older, &stars, asked.name());
    response.status = wording.status.unwrap_or(response.status);
    response.set_message(&text);
}

/// A text in the words of the first wording that fits.
pub(crate) fn reworded(text: &str, wordings: &[Wording]) -> Option<String> {
    wordings.iter().find_map(|wording| Some(fill(wording.older, &captures(wording.newer, text)?, "")))
}

/// What the stars of a pattern stand for in a text; None if it does not fit. Letters fit in either case.
fn captures<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut pieces = pattern.split('*').peekable();
    let first = pieces.next()?;
    let mut rest = text.get(first.len()..).filter(|_| at(text, 0, first))?;
    let mut stars = Vec::new();
    while let Some(piece) = pieces.next() {
        let end = match pieces.peek() {
            Some(_) => (0..=rest.len().checked_sub(piece.len())?).find(|&start| at(rest, start, piece))?,
            None => rest.len().checked_sub(piece.len()).filter(|&start| at(rest, start, piece))?,
        };
        stars.push(rest.get(..end)?);
        rest = rest.get(end + piece.len()..)?;
    }
    rest.is_empty().then_some(stars)
}

/// Whether a piece stands at a place of a text.
fn at(text: &str, start: usize, piece: &str) -> bool {
    text.as_bytes().get(start..start + piece.len()).is_some_and(|found| found.eq_ignore_ascii_case(piece.as_bytes()))
        && text.is_char_boundary(start)
}

/// Fills the older text's places.
fn fill(older: &str, stars: &[&str], name: &str) -> String {
    let mut text = String::with_capacity(older.len());
    let mut rest = older;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((place, after)) = after.split_once('}') else {
            return text + &rest[before.len()..];
        };
        let (key, width) = place.split_once(':').unwrap_or((place, ""));
        let value = match key.parse::<usize>() {
            Ok(number) => stars.get(number.wrapping_sub(1)).copied().unwrap_or_default(),
            Err(_) => name,
        };
        match width.parse() {
            Ok(width) => text.extend(value.chars().take(width)),
            Err(_) => text.push_str(value),
        }
        rest = after;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_take_as_little_as_they_can() {
        assert_eq!(captures("a * is *", "A b is c is d"), Some(vec!["b", "c is d"]));
        assert_eq!(captures("* is on", "é is on"), Some(vec!["é"]));
        assert_eq!(captures("*", ""), Some(vec![""]));
        assert_eq!(captures("a", "ab"), None);
        assert_eq!(captures("a*b", "a"), None);
        assert_eq!(captures("*é*", "xéy"), Some(vec!["x", "y"]));
    }

    #[test]
    fn places_are_filled() {
        assert_eq!(fill("{1:2} of {name}, {2}{9}", &["abc", "d"], "web"), "ab of web, d");
        assert_eq!(fill("no {place", &[], ""), "no {place");
    }
}
