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

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn names() {
        for good in ["ab", "a-b", "0.x_", "Web1"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "a", "_a", "-a", "a/b", "/ab", "a b", "aé", "a\n"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
