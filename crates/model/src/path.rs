//! Paths by their text alone: nothing is looked up, links are not known.

/// An absolute path without `.`, `..`, doubled and trailing slashes; `..` stops at the root.
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::clean;
    use proptest::prelude::*;

    #[test]
    fn detours_are_gone() {
        for (path, expected) in [
            ("", "/"),
            ("/", "/"),
            ("a", "/a"),
            ("//a/./b/../c/", "/a/c"),
            ("/../..", "/"),
            ("/a/..b/...", "/a/..b/..."),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn clean_stays_clean(path in "[a./é]{0,24}") {
            let once = clean(&path);
            prop_assert_eq!(clean(&once), once.clone());
            prop_assert!(once.starts_with('/') && !once.contains("//") && !once.split('/').any(|part| part == ".."));
        }
    }
}
