//! API 1.10, Docker 0.9.0.

use crate::rung::{Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 10),
    release: "0.9.0",
    changes: &[
        Change::note("Removal takes `force`, removal of images `noprune`, push `tag`."),
        Change::note("`Dns` and `VolumesFrom` moved from Config to HostConfig."),
    ],
};
