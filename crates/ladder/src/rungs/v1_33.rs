//! API 1.33, Docker 17.10.

use crate::rung::{Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 33),
    release: "17.10",
    changes: &[Change::note("Events can be filtered by service, node, secret and config.")],
};
