//! API 1.11, Docker 0.11.0.

use crate::rung::{Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 11),
    release: "0.11.0",
    changes: &[
        Change::note("Logs, `GET /_ping`, and `until` of events."),
        Change::note("Stopped containers are `Exited (0) 2 hours ago` rather than `Exit 0`; so they are below."),
    ],
};
