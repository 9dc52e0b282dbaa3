//! API 1.14, Docker 1.2.0.

use crate::rung::{Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 14),
    release: "1.2.0",
    changes: &[
        Change::note(
            "Restart policies, capabilities and devices can be given at start; they are \
             honoured below too.",
        ),
        Change::note("`repo:tag` may be written in one at pull and import."),
        Change::note("Removal of a running container with `force` kills it at once."),
        Change::note("`GET /containers/json` takes the filter `exited`."),
    ],
};
