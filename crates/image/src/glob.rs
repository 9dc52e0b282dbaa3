//! Shell patterns as Go's `path.Match` reads them: `*` and `?` stop at slashes, `[a-z]`, `[^a-z]`, backslash escapes.

/// Whether all of `text` matches `pattern`; `None` if the pattern is malformed.
pub(crate) fn matches(pattern: &str, text: &str) -> Option<bool> {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    check(&pattern)?;
    Some(matches_from(&pattern, &text))
}

/// One unit of a pattern.
enum Unit {
    /// Any number of characters but slashes.
    Star,
    /// One character; whether it fits was decided by the caller's test.
    One { fits: bool },
}

/// Walks both with one point to come back to: the last star, which then takes a character more.
fn matches_from(pattern: &[char], text: &[char]) -> bool {
    let (mut at, mut here) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if at == pattern.len() && here == text.len() {
            return true;
        }
        let stepped = match unit(pattern, at, text.get(here).copied()) {
            Some((Unit::Star, next)) => {
                retry = Some((next, here));
                at = next;
                true
            }
            Some((Unit::One { fits: true }, next)) => {
                at = next;
                here += 1;
                true
            }
            _ => false,
        };
        if !stepped {
            match retry {
                Some((after_star, taken)) if text.get(taken).is_some_and(|c| *c != '/') => {
                    retry = Some((after_star, taken + 1));
                    at = after_star;
                    here = taken + 1;
                }
                _ => return false,
            }
        }
    }
}

/// The unit at `at`, compared with `c`, and where the next begins; `None` at the end or if malformed.
fn unit(pattern: &[char], at: usize, c: Option<char>) -> Option<(Unit, usize)> {
    match pattern.get(at)? {
        '*' => Some((Unit::Star, at + 1)),
        '?' => Some((Unit::One { fits: c.is_some_and(|c| c != '/') }, at + 1)),
        '[' => set(pattern, at + 1, c),
        '\\' => {
            let literal = *pattern.get(at + 1)?;
            Some((Unit::One { fits: c == Some(literal) }, at + 2))
        }
        literal => Some((Unit::One { fits: c == Some(*literal) }, at + 1)),
    }
}

fn set(pattern: &[char], mut at: usize, c: Option<char>) -> Option<(Unit, usize)> {
    let negated = pattern.get(at) == Some(&'^');
    at += usize::from(negated);
    let (mut found, mut ranges) = (false, 0);
    loop {
        if pattern.get(at) == Some(&']') && ranges > 0 {
            let fits = c.is_some_and(|c| c != '/') && found != negated;
            return Some((Unit::One { fits }, at + 1));
        }
        let low = set_character(pattern, &mut at)?;
        let high = if pattern.get(at) == Some(&'-') {
            at += 1;
            set_character(pattern, &mut at)?
        } else {
            low
        };
        found |= c.is_some_and(|c| (low..=high).contains(&c));
        ranges += 1;
    }
}

fn set_character(pattern: &[char], at: &mut usize) -> Option<char> {
    let c = *pattern.get(*at)?;
    *at += 1;
    match c {
        '-' | ']' => None,
        '\\' => {
            let literal = *pattern.get(*at)?;
            *at += 1;
            Some(literal)
        }
        _ => Some(c),
    }
}

fn check(pattern: &[char]) -> Option<()> {
    let mut at = 0;
    while at < pattern.len() {
        (_, at) = unit(pattern, at, None)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::matches;
    use proptest::prelude::*;

    #[test]
    fn as_gos() {
        for (pattern, text, expected) in [
            ("abc", "abc", Some(true)),
            ("*", "abc", Some(true)),
            ("*c", "abc", Some(true)),
            ("a*", "ab/c", Some(false)),
            ("a*/b", "a/c/b", Some(false)),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", Some(true)),
            ("a*b?c*x", "abxbbxdbxebxczzx", Some(true)),
            ("ab[c]", "abc", Some(true)),
            ("ab[e-g]", "abc", Some(false)),
            ("ab[^e-g]", "abc", Some(true)),
            ("a\\*b", "a*b", Some(true)),
            ("a?b", "a/b", Some(false)),
            ("[]a]", "]", None),
            ("[", "a", None),
            ("a[", "ab", None),
            ("", "", Some(true)),
            ("*x", "xxx", Some(true)),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn ends_and_never_panics(pattern in "[a-c*?\\[\\]\\\\^-]{0,12}", text in "[a-c/]{0,20}") {
            let _ = matches(&pattern, &text);
        }
    }
}
