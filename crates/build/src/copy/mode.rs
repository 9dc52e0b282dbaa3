//! `--chmod`: permission bits by number, or by letters as `chmod` takes them.

use crate::{Error, Result};

const ALL: u32 = 0o7777;
const EXECUTE: u32 = 0o111;

/// What becomes of the permission bits of what is copied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    /// They stay.
    #[default]
    Kept,
    /// These.
    Bits(u32),
    /// One change after the other.
    Changes(Vec<Change>),
}

/// `ug+rX`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// The bits of those whom it is about.
    who: u32,
    /// `+`, `-` or `=`.
    operator: char,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Bits for everyone; of these the change sees those of `who`.
    Bits {
        bits: u32,
        /// `X`: execution too, of folders and of what somebody may execute.
        execute: bool,
    },
    /// What one of user, group and others has: the bits to shift away.
    Copy(u32),
}

impl Mode {
    /// Reads an octal number, or `[ugoa...][+-=][rwxXst...|u|g|o],...`; nothing if the text is empty.
    ///
    /// # Errors
    /// It is neither.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::Kept);
        }
        if let Some(bits) = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= ALL) {
            return Ok(Self::Bits(bits));
        }
        let mut changes = Vec::new();
        for clause in text.split(',') {
            changes.extend(self::changes(clause).ok_or_else(|| {
                Error::Invalid(format!(
                    "invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777, or like u=rwX,go=rX"
                ))
            })?);
        }
        Ok(Self::Changes(changes))
    }

    /// The bits of something that has `bits` now.
    pub(crate) fn of(&self, bits: u32, is_folder: bool) -> u32 {
        match self {
            Self::Kept => bits,
            Self::Bits(bits) => *bits,
            Self::Changes(changes) => changes.iter().fold(bits, |bits, change| change.of(bits, is_folder)),
        }
    }
}

impl Change {
    fn of(self, bits: u32, is_folder: bool) -> u32 {
        let wanted = self.who
            & match self.what {
                What::Bits { bits: wanted, execute } if execute && (is_folder || bits & EXECUTE != 0) => {
                    wanted | EXECUTE
                }
                What::Bits { bits: wanted, .. } => wanted,
                What::Copy(shift) => (bits >> shift & 0o7) * EXECUTE,
            };
        match self.operator {
            '+' => bits | wanted,
            '-' => bits & !wanted,
            _ => bits & !self.who | wanted,
        }
    }
}

/// One clause: those it is about, and one or more changes; `None` if it is malformed.
fn changes(clause: &str) -> Option<Vec<Change>> {
    let operator = |c: char| matches!(c, '+' | '-' | '=');
    let (names, mut rest) = clause.split_at(clause.find(operator)?);
    let mut who = if names.is_empty() { ALL } else { 0 };
    for name in names.chars() {
        who |= match name {
            'u' => 0o4700,
            'g' => 0o2070,
            'o' => 0o1007,
            'a' => ALL,
            _ => return None,
        };
    }
    let mut changes = Vec::new();
    while let Some(operator_here) = rest.chars().next() {
        let end = rest[1..].find(operator).map_or(rest.len(), |end| end + 1);
        changes.push(Change { who, operator: operator_here, what: what(&rest[1..end])? });
        rest = &rest[end..];
    }
    Some(changes)
}

fn what(letters: &str) -> Option<What> {
    match letters {
        "u" => return Some(What::Copy(6)),
        "g" => return Some(What::Copy(3)),
        "o" => return Some(What::Copy(0)),
        _ => {}
    }
    let (mut bits, mut execute) = (0, false);
    for letter in letters.chars() {
        bits |= match letter {
            'r' => 0o444,
            'w' => 0o222,
            'x' => EXECUTE,
            's' => 0o6000,
            't' => 0o1000,
            'X' => {
                execute = true;
                0
            }
            _ => return None,
        };
    }
    Some(What::Bits { bits, execute })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() -> Result<()> {
        for (text, bits, is_folder, expected) in [
            ("", 0o644, false, 0o644),
            ("0755", 0o644, false, 0o755),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, true, 0o755),
            ("+x", 0o644, false, 0o755),
            ("a-w+t", 0o666, true, 0o1444),
            ("g=u,o=", 0o751, false, 0o770),
            ("u+s", 0o755, false, 0o4755),
            ("go-rwx", 0o4777, false, 0o4700),
        ] {
            assert_eq!(Mode::parse(text)?.of(bits, is_folder), expected, "{text} {bits:o}");
        }
        for wrong in ["888", "17777", "x", "u", "z+x", "u+q", "u+x,", "+u+"] {
            assert_eq!(Mode::parse(wrong).is_err(), wrong != "+u+", "{wrong}");
        }
        Ok(())
    }
}
