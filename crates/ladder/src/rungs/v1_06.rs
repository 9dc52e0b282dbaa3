//! API 1.6, Docker 0.6.4.

use crate::rung::{Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 6),
    release: "0.6.4",
    changes: &[
        Change::to(
            &[],
            "Output of containers without a terminal comes in frames that tell standard output \
             and error apart; before raw and merged.",
        )
        .traits(|traits| traits.framed = false),
        Change::note(
            "Containers have names and links; kill takes a signal; ports are exposed and bound \
             rather than specified.",
        ),
    ],
};

#[cfg(test)]
mod tests {
    #[test]
    fn output_was_merged() {
        assert!(!crate::traits(crate::Version::new(1, 5)).framed);
        assert!(crate::traits(crate::Version::new(1, 6)).framed);
    }
}
