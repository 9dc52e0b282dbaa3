//! API 1.26, Docker 1.13.1.

use crate::rung::{Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::PluginUpgrade;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 26),
    release: "1.13.1",
    changes: &[Change::added(&[PluginUpgrade], "`POST /plugins/{name}/upgrade` upgrades a plugin.")],
};
