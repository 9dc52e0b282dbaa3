//! Shell patterns as Go's `filepath.Match` reads them, and with `**` as `.dockerignore` has them.

/// A pattern that cannot be one: a bracket that is not closed, a backslash at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct InvalidPattern;

/// One unit of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Unit {
    Literal(char),
    /// `?`: one character but a slash.
    Any,
    /// `*`: characters but slashes.
    Star,
    /// `**`: anything.
    DoubleStar,
    /// `**/`: nothing, or anything up to a slash.
    Folders,
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    units: Vec<Unit>,
}

impl Pattern {
    /// Compiles; `double` gives `**` its meaning of any number of folders.
    ///
    /// # Errors
    /// A bracket is not closed, or a backslash stands at the end.
    pub fn new(text: &str, double: bool) -> Result<Self, InvalidPattern> {
        let mut units = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            units.push(match c {
                '*' if double && rest.peek() == Some(&'*') => {
                    while rest.next_if_eq(&'*').is_some() {}
                    if rest.next_if_eq(&'/').is_some() { Unit::Folders } else { Unit::DoubleStar }
                }
                '*' => Unit::Star,
                '?' => Unit::Any,
                '[' => set(&mut rest)?,
                '\\' => Unit::Literal(rest.next().ok_or(InvalidPattern)?),
                c => Unit::Literal(c),
            });
        }
        units.dedup_by(|a, b| a == b && matches!(a, Unit::Star | Unit::DoubleStar | Unit::Folders));
        Ok(Self { units })
    }

    /// Compiles a pattern of the shell's, whose stars cross slashes.
    ///
    /// # Errors
    /// As [`Pattern::new`].
    pub fn shell(text: &str) -> Result<Self, InvalidPattern> {
        let mut pattern = Self::new(text, false)?;
        for unit in &mut pattern.units {
            if *unit == Unit::Star {
                *unit = Unit::DoubleStar;
            }
        }
        Ok(pattern)
    }

    /// Whether all of `text` fits. The time is bounded by the product of both lengths.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        // reached[i]: the units so far can stand for the first i characters.
        let mut reached = vec![false; text.len() + 1];
        reached[0] = true;
        for unit in &self.units {
            reached = unit.step(&reached, &text);
        }
        reached[text.len()]
    }

    /// Whether there is anything in it but literal characters.
    pub fn is_wild(text: &str) -> bool {
        text.contains(['*', '?', '['])
    }
}

impl Unit {
    fn step(&self, reached: &[bool], text: &[char]) -> Vec<bool> {
        let mut next = vec![false; reached.len()];
        let mut open = false;
        for (at, here) in reached.iter().copied().enumerate() {
            match self {
                Self::Star => {
                    open |= here;
                    next[at] = open;
                    open &= text.get(at).is_none_or(|c| *c != '/');
                }
                Self::DoubleStar => {
                    open |= here;
                    next[at] = open;
                }
                Self::Folders => {
                    next[at] = here || (open && at > 0 && text[at - 1] == '/');
                    open |= here;
                }
                one => {
                    if here && text.get(at).is_some_and(|c| one.fits(*c)) {
                        next[at + 1] = true;
                    }
                }
            }
        }
        next
    }

    fn fits(&self, c: char) -> bool {
        match self {
            Self::Literal(literal) => c == *literal,
            Self::Any => c != '/',
            Self::Set { negated, ranges } => {
                c != '/' && ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
            Self::Star | Self::DoubleStar | Self::Folders => false,
        }
    }
}

fn set(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Unit, InvalidPattern> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && rest.next_if_eq(&']').is_some() {
            return Ok(Unit::Set { negated, ranges });
        }
        let low = member(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() { member(rest)? } else { low };
        ranges.push((low, high));
    }
}

fn member(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, InvalidPattern> {
    match rest.next().ok_or(InvalidPattern)? {
        '-' | ']' => Err(InvalidPattern),
        '\\' => rest.next().ok_or(InvalidPattern),
        c => Ok(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, text: &str) -> Option<bool> {
        Pattern::new(pattern, false).ok().map(|pattern| pattern.matches(text))
    }

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
            ("a\\", "a", None),
            ("", "", Some(true)),
            ("**", "a", Some(true)),
            ("**", "a/b", Some(false)),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn two_stars_cross_folders() {
        for (pattern, text, expected) in [
            ("**", "a/b", true),
            ("**/b", "b", true),
            ("**/b", "a/c/b", true),
            ("**/b", "a/cb", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**/c", "a/c", true),
            ("a/**/c", "a/b/b/c", true),
            ("**/*.log", "x/y.log", true),
            ("a**b", "a/x/b", true),
        ] {
            assert_eq!(Pattern::new(pattern, true).map(|p| p.matches(text)), Ok(expected), "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn ends_and_never_panics(pattern in "[a-c*?\\[\\]\\\\^/-]{0,16}", text in "[a-c/é]{0,24}", double in any::<bool>()) {
            let _ = Pattern::new(&pattern, double).map(|pattern| pattern.matches(&text));
        }
    }
}
