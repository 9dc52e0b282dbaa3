//! The rule for names of containers (and volumes): `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.

/// The characters allowed, as Docker's error messages write them.
pub const ALLOWED: &str = "[a-zA-Z0-9][a-zA-Z0-9_.-]";

/// Whether `name` (without a leading slash) may name a container: at least two characters, a letter or digit first.
pub fn is_valid(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.len() > 1
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Whether `name` could name a container before Docker 1.3: any of the characters, of any number.
pub fn was_valid(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::{is_valid, was_valid};

    #[test]
    fn names() {
        for good in ["ab", "a-b", "0.x_", "Web1"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "a", "_a", "-a", "a/b", "/ab", "a b", "aé", "a\n"] {
            assert!(!is_valid(bad), "{bad}");
        }
        assert!(["a", "_a", "-a", ".", "ab"].iter().all(|name| was_valid(name)));
        assert!(["", "a/b", "a b", "aé"].iter().all(|name| !was_valid(name)));
    }
}
