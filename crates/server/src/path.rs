//! Paths of requests: decoding, and the redirect of those that are not clean.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What may not stand in the path of a `Location` as it is.
const RESERVED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');

/// The decoded path; bytes that are not UTF-8 become the replacement character, so that they match no name.
pub(crate) fn decode(path: &str) -> std::borrow::Cow<'_, str> {
    percent_decode_str(path).decode_utf8_lossy()
}

/// Where a client is sent whose decoded path has `//`, `/./` or `/../` in it; `None` for a clean path.
pub(crate) fn redirect(path: &str, query: Option<&str>) -> Option<String> {
    let unclean = path.contains("//") || path.split('/').any(|part| part == "." || part == "..");
    if !unclean {
        return None;
    }
    let mut clean = model::path::clean(path);
    if path.ends_with('/') && clean.len() > 1 {
        clean.push('/');
    }
    let mut location = utf8_percent_encode(&clean, RESERVED).to_string();
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    Some(location)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unclean_paths_are_sent_to_clean_ones() {
        for (path, clean) in [
            ("/v1.14//containers/json", "/v1.14/containers/json"),
            ("/v1.14/containers/../_ping", "/v1.14/_ping"),
            ("/../../etc", "/etc"),
            ("/./_ping", "/_ping"),
            ("//a b/", "/a%20b/"),
            ("/..", "/"),
        ] {
            assert_eq!(redirect(path, None).as_deref(), Some(clean), "{path}");
        }
        assert_eq!(redirect("//x", Some("a=1")).as_deref(), Some("/x?a=1"));
        for path in ["/", "/_ping", "/containers/a.b/json", "/containers/json/", "/a..b/..c"] {
            assert_eq!(redirect(path, None), None, "{path}");
        }
    }

    #[test]
    fn decoding_never_fails() {
        assert_eq!(decode("/containers/path%31/json"), "/containers/path1/json");
        assert_eq!(decode("/a%2Fb"), "/a/b");
        assert_eq!(decode("/%ff%zz"), "/\u{fffd}%zz");
    }
}
