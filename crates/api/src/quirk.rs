//! Ways of older engines that a container can be given: what it sees inside, and what its start forgives.
//!
//! A container that a client of an old version makes or starts must find what that client's engine gave it. Which ways
//! those are is the ladder's affair; it notes them in an annotation, and the engine follows the container's annotation.

use crate::StringMap;

/// The annotation of a container that lists its quirks, separated by blanks.
pub const ANNOTATION: &str = "longshore.quirks";

/// The annotation of a container that names the host name of its next starts, in place of its configuration's (`lxc.utsname`).
pub const HOSTNAME: &str = "longshore.hostname";

/// One way of an older engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// A port may be published at an address that the host does not have.
    AnyAddress,
    /// The name may be a single character, and may begin with `_`, `.` or `-`.
    OldNames,
    /// `/etc/hosts` begins with the container's own address, and names linked containers by their aliases alone;
    /// `/etc/hostname` has the domain too. The host name is what the environment says.
    OldHosts,
    /// A start fails if the environment has an entry without `=`, which otherwise removes a variable, or without a name; create
    /// looks at neither environment nor host name nor processors.
    StrictEnvironment,
}

impl Quirk {
    /// Its word in the annotation.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AnyAddress => "any-address",
            Self::OldNames => "old-names",
            Self::OldHosts => "old-hosts",
            Self::StrictEnvironment => "strict-environment",
        }
    }

    /// Whether the annotations of a container list it.
    pub fn is_in(self, annotations: Option<&StringMap>) -> bool {
        let words = annotations.and_then(|annotations| annotations.get(ANNOTATION));
        words.is_some_and(|words| words.split(' ').any(|word| word == self.word()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirks_are_listed() {
        let annotations: StringMap = [(ANNOTATION.to_owned(), "old-names any-address".to_owned())].into();
        assert!(Quirk::AnyAddress.is_in(Some(&annotations)) && Quirk::OldNames.is_in(Some(&annotations)));
        assert!(!Quirk::OldHosts.is_in(Some(&annotations)) && !Quirk::OldHosts.is_in(None));
    }
}
