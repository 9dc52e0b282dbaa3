//! System call numbers of the architectures one kernel serves.

use std::collections::HashMap;
use std::sync::OnceLock;

/// The three calling conventions of an x86-64 kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arch {
    X86_64,
    X32,
    X86,
}

/// Marks an x32 call in its number.
pub(super) const X32_BIT: u32 = 0x4000_0000;

impl Arch {
    /// The architecture's name in a profile (`SCMP_ARCH_X86_64`); `None` for those this kernel does not serve.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "SCMP_ARCH_X86_64" => Some(Self::X86_64),
            "SCMP_ARCH_X32" => Some(Self::X32),
            "SCMP_ARCH_X86" => Some(Self::X86),
            _ => None,
        }
    }

    /// The number a filter sees, the x32 mark included.
    pub(super) fn number(self, name: &str) -> Option<u32> {
        let [x86_64, x32, x86] = *table().get(name)?;
        match self {
            Self::X86_64 => x86_64,
            Self::X32 => x32.map(|number| number | X32_BIT),
            Self::X86 => x86,
        }
    }
}

type Numbers = [Option<u32>; 3];

fn table() -> &'static HashMap<&'static str, Numbers> {
    static TABLE: OnceLock<HashMap<&'static str, Numbers>> = OnceLock::new();
    TABLE.get_or_init(|| include_str!("syscalls.txt").lines().filter_map(entry).collect())
}

fn entry(line: &'static str) -> Option<(&'static str, Numbers)> {
    let mut words = line.split(' ');
    let name = words.next().filter(|name| !name.starts_with('#'))?;
    let mut number = || words.next().and_then(|word| word.parse().ok());
    Some((name, [number(), number(), number()]))
}

/// Whether any architecture has a call of this name.
#[cfg(test)]
pub(super) fn is_known(name: &str) -> bool {
    table().contains_key(name)
}
