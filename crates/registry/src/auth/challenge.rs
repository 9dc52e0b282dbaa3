//! The header `WWW-Authenticate`.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

use super::token::Bearer;

/// What a registry wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Nothing.
    None,
    /// Name and secret with each request.
    Basic,
    /// A token of its token server.
    Bearer(Bearer),
    /// The token that an index of the first protocol gave; no header asks for it.
    Token(String),
}

impl Challenge {
    /// The challenge of an answer: the first that can be met, a bearer's before others.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::None;
        for value in headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()) {
            let (scheme, rest) = value.trim_start().split_once(' ').unwrap_or((value.trim(), ""));
            if scheme.eq_ignore_ascii_case("basic") && found == Self::None {
                found = Self::Basic;
            } else if scheme.eq_ignore_ascii_case("bearer") {
                let parameters = parameters(rest);
                let get = |key: &str| parameters.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
                let Some(realm) = get("realm") else { continue };
                found = Self::Bearer(Bearer { realm, service: get("service").unwrap_or_default() });
            }
        }
        found
    }

    /// Whether an answer says that the token was good, but not for this.
    pub(crate) fn lacks_scope(headers: &HeaderMap) -> bool {
        let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let mut parameters = values.flat_map(|value| parameters(value.split_once(' ').map_or("", |(_, rest)| rest)));
        parameters.any(|(name, value)| name == "error" && value == "insufficient_scope")
    }
}

/// The token server that the value of a header `WWW-Authenticate` names, if it names one.
pub fn realm(value: &str) -> Option<String> {
    let mut headers = HeaderMap::new();
    headers.insert(WWW_AUTHENTICATE, value.parse().ok()?);
    // A challenge that lacks scope is one all the same.
    let _lacks = Challenge::lacks_scope(&headers);
    match Challenge::of(&headers) {
        Challenge::Bearer(bearer) => Some(bearer.realm),
        _ => None,
    }
}

/// `name="value", name=value`, with backslashes in quotes. What is malformed ends the list.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.trim_start_matches([' ', ',', '\t']).split_once('=') {
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => match unquote(quoted) {
                Some(both) => both,
                None => break,
            },
            None => {
                let end = after.find([',', ' ']).unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
        };
        found.push((name.trim().to_ascii_lowercase(), value));
        rest = left;
    }
    found
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[&str]) -> Challenge {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::of(&headers)
    }

    #[test]
    fn challenges() {
        let wanted = Bearer { realm: "https://a/t,x".into(), service: "r \"s\"".into() };
        let text = r#"Bearer realm="https://a/t,x",service="r \"s\"", scope="repository:x:pull",error=invalid_token"#;
        assert_eq!(of(&["Basic realm=x", text]), Challenge::Bearer(wanted));
        assert_eq!(of(&["basic"]), Challenge::Basic);
        assert_eq!(of(&["Negotiate", "Bearer service=x"]), Challenge::None);
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, r#"Bearer realm="x",error="insufficient_scope""#.parse().unwrap());
        assert!(Challenge::lacks_scope(&headers));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,80}") {
            let _ = parameters(&text);
        }
    }
}
