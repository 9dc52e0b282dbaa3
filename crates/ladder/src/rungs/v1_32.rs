//! API 1.32, Docker 17.09.

use super::shapes::forget;
use crate::rung::{Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{Build, ImageCreate};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 32),
    release: "17.09",
    changes: &[
        Change::to(&[Build, ImageCreate], "Build and pull take `platform`.")
            .up(|request| forget(request, &["platform"])),
        Change::note("`HostConfig.IpcMode` may be `none`, `private` or `shareable`."),
    ],
};
