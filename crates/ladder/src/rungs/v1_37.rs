//! API 1.37, Docker 18.03.

use crate::rung::{Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 37),
    release: "18.03",
    changes: &[Change::note("Ports of SCTP can be exposed and published.")],
};
