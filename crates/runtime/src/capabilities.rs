//! Capabilities: Docker's default set, what a client adds and drops, and what this machine grants.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Names by number, without the `CAP_` prefix.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A set of capabilities, one bit each by the kernel's number.
pub type CapabilitySet = u64;

/// Every capability this program knows.
pub const ALL: CapabilitySet = (1 << NAMES.len()) - 1;

/// Docker's default set of fourteen.
pub const DEFAULT: CapabilitySet = bit(0)
    | bit(1)
    | bit(3)
    | bit(4)
    | bit(5)
    | bit(6)
    | bit(7)
    | bit(8)
    | bit(10)
    | bit(13)
    | bit(18)
    | bit(27)
    | bit(29)
    | bit(31);

const fn bit(number: u32) -> CapabilitySet {
    1 << number
}

/// The five sets of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Upper bound of what can be gained by executing files.
    pub bounding: CapabilitySet,
    /// In force.
    pub effective: CapabilitySet,
    /// May be put in force.
    pub permitted: CapabilitySet,
    /// Kept across an exec by files that ask for it.
    pub inheritable: CapabilitySet,
    /// Kept across an exec by ordinary files.
    pub ambient: CapabilitySet,
}

impl Capabilities {
    /// The sets Docker gives a process of user `uid`: root holds `set`, others only have it as their bound.
    pub fn for_user(set: CapabilitySet, uid: u32) -> Self {
        let held = if uid == 0 { set } else { 0 };
        Self { bounding: set, effective: held, permitted: held, inheritable: 0, ambient: 0 }
    }

    /// The same sets without what `granted` lacks.
    pub fn clamp(self, granted: CapabilitySet) -> Self {
        let permitted = self.permitted & granted;
        let inheritable = self.inheritable & granted;
        Self {
            bounding: self.bounding & granted,
            effective: self.effective & permitted,
            permitted,
            inheritable,
            ambient: self.ambient & permitted & inheritable,
        }
    }
}

/// Capability bits of `name` (`NET_ADMIN` or `CAP_NET_ADMIN`, any case), without `ALL`.
pub fn parse(name: &str) -> Result<CapabilitySet> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    match NAMES.iter().position(|known| *known == bare) {
        Some(number) => Ok(1 << number),
        None => {
            let shown = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
            Err(Error::Invalid(format!("unknown capability: {shown:?}")))
        }
    }
}

/// Name of capability `number` as the API prints it (`CAP_CHOWN`).
pub fn name(number: u32) -> Option<String> {
    NAMES.get(number as usize).map(|name| format!("CAP_{name}"))
}

/// Names in `set`, as the API prints them, in the kernel's order.
pub fn names(set: CapabilitySet) -> Vec<String> {
    (0..NAMES.len() as u32).filter(|number| set & bit(*number) != 0).filter_map(name).collect()
}

/// The set a container gets: everything if `privileged`; else the default with `drop` taken away and `add` put in.
///
/// `ALL` in `add` starts from everything, minus the dropped ones; `ALL` in `drop` starts from nothing, plus the added
/// ones
/// (Docker's rules). Unknown names are an error worded as Docker 28 words it.
pub fn resolve(add: &[String], drop: &[String], privileged: bool) -> Result<CapabilitySet> {
    let (all_added, added) = collect("CapAdd", add)?;
    let (all_dropped, dropped) = collect("CapDrop", drop)?;
    Ok(if privileged {
        ALL
    } else if all_added && all_dropped {
        added & !dropped
    } else if all_added {
        ALL & !dropped
    } else if all_dropped {
        added
    } else {
        (DEFAULT & !dropped) | added
    })
}

fn collect(field: &str, list: &[String]) -> Result<(bool, CapabilitySet)> {
    let mut all = false;
    let mut set = 0;
    for name in list {
        if name.eq_ignore_ascii_case("ALL") || name.eq_ignore_ascii_case("CAP_ALL") {
            all = true;
        } else {
            set |= parse(name).map_err(|error| Error::Invalid(format!("invalid {field}: {error}")))?;
        }
    }
    Ok((all, set))
}

/// What this process may hand on: its permitted and bounding sets together, as they were when it was first asked, it or the
/// process that forked it.
pub fn granted() -> CapabilitySet {
    static GRANTED: OnceLock<CapabilitySet> = OnceLock::new();
    *GRANTED.get_or_init(|| {
        let permitted = rustix::thread::capabilities(None).map_or(0, |sets| sets.permitted.bits());
        (0..NAMES.len() as u32)
            .filter(|number| sys::process::in_bounding_set(*number))
            .fold(0, |set, number| set | bit(number))
            & permitted
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(add: &[&str], drop: &[&str]) -> CapabilitySet {
        let owned = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        resolve(&owned(add), &owned(drop), false).unwrap()
    }

    #[test]
    fn default_is_dockers() {
        assert_eq!(DEFAULT, 0xa804_25fb);
        assert_eq!(names(DEFAULT).len(), 14);
    }

    #[test]
    fn adding_and_dropping() {
        let net_admin = parse("NET_ADMIN").unwrap();
        assert_eq!(set(&["cap_net_admin"], &[]), DEFAULT | net_admin);
        assert_eq!(set(&[], &["CHOWN"]), DEFAULT & !1);
        assert_eq!(set(&["ALL"], &["CAP_CHOWN"]), ALL & !1);
        assert_eq!(set(&["chown"], &["all"]), 1);
        assert_eq!(set(&[], &["ALL"]), 0);
        assert_eq!(resolve(&[], &[], true).unwrap(), ALL);
    }

    #[test]
    fn unknown_ones_are_named() {
        for name in ["BANANA", "cap_banana"] {
            assert_eq!(parse(name).unwrap_err().to_string(), "unknown capability: \"CAP_BANANA\"");
        }
    }

    #[test]
    fn clamped_sets_stay_consistent() {
        let sets = Capabilities { bounding: ALL, effective: 7, permitted: 7, inheritable: 6, ambient: 6 };
        let clamped = sets.clamp(0b101);
        assert_eq!(clamped, Capabilities { bounding: 5, effective: 5, permitted: 5, inheritable: 4, ambient: 4 });
        assert_eq!(Capabilities::for_user(DEFAULT, 1000).effective, 0);
    }

    proptest! {
        #[test]
        fn names_and_numbers_agree(bits in 0..=ALL) {
            let back = names(bits).iter().map(|name| parse(name).unwrap()).fold(0, |all, bit| all | bit);
            prop_assert_eq!(back, bits);
        }
    }
}
