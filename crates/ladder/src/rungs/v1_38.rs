//! API 1.38, Docker 18.06.

use crate::rung::{Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::BuildCancel;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 38),
    release: "18.06",
    changes: &[Change::added(&[BuildCancel], "`POST /build/cancel` stops a build.")],
};
