//! Errors that older versions worded otherwise, in tables.

use crate::exchange::Response;
use crate::rung::Asked;

/// An error's text in the newer and in the older version.
///
/// In the newer text `*` stands for any text, as little as possible. In the older one `{1}`, `{2}`, … give back what the
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
        Self {
            newer,
            older,
            status: None,
        }
    }

    /// An error that the version worded anew and gave another status.
    pub const fn with_status(newer: &'static str, older: &'static str, status: u16) -> Self {
        Self {
            newer,
            older,
            status: Some(status),
        }
    }
}

/// Rewrites an error by the first wording that fits.
pub(crate) fn reword(response: &mut Response, wordings: &[Wording], asked: &Asked) {
    let Some(message) = response.message() else {
        return;
    };
    let fitting = wordings
        .iter()
        .find_map(|wording| Some((wording, captures(wording.newer, message)?)));
    let Some((wording, stars)) = fitting else {
        return;
    };
    let text = fill(wording.older, &stars, asked.name());
    response.status = wording.status.unwrap_or(response.status);
    response.set_message(&text);
}

/// What the stars of a pattern stand for in a text; None if it does not fit.
fn captures<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut pieces = pattern.split('*');
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let mut stars = Vec::new();
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let end = match (pieces.peek(), piece) {
            (None, "") => rest.len(),
            (None, last) => rest
                .len()
                .checked_sub(last.len())
                .filter(|_| rest.ends_with(last))?,
            (Some(_), piece) => rest.find(piece)?,
        };
        stars.push(&rest[..end]);
        rest = &rest[end + piece.len()..];
    }
    rest.is_empty().then_some(stars)
}

/// Fills the older text's places.
fn fill(older: &str, stars: &[&str], name: &str) -> String {
    let mut text = String::with_capacity(older.len());
    let mut rest = older;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((place, after)) = after.split_once('}') else {
            break;
        };
        let (key, width) = place.split_once(':').unwrap_or((place, ""));
        let value = match key.parse::<usize>() {
            Ok(number) => stars
                .get(number.wrapping_sub(1))
                .copied()
                .unwrap_or_default(),
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
