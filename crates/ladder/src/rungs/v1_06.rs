//! API 1.6, Docker 0.6.4.

use super::v1_10::{keep, move_over};
use crate::rung::{Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{ContainerCreate, ContainerStart};

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
        Change::to(&[ContainerCreate], "`Privileged` moved from Config to HostConfig.").up(|request| {
            request.object().into_iter().for_each(|body| move_over(body, &["Privileged"]));
            Ok(())
        }),
        Change::to(&[ContainerStart], "A start says `Privileged`; before it left what create had said.")
            .up(|request| keep(request, &["Privileged"])),
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
