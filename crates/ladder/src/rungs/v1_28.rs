//! API 1.28, Docker 17.04.

use super::shapes::{forget, host_config};
use crate::json::{object, remove};
use crate::rung::{Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{Build, ContainerCreate, ContainerInspect, ContainerUpdate};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 28),
    release: "17.04",
    changes: &[
        Change::to(&[], "`GET /containers/{name}/attach/ws` sends binary frames; before text.")
            .traits(|traits| traits.ws_binary = false),
        Change::to(&[ContainerCreate], "`HostConfig.DeviceCgroupRules` is honoured.").up(|request| {
            host_config(request).into_iter().for_each(|config| remove(config, &["DeviceCgroupRules"]));
            Ok(())
        }),
        Change::to(&[ContainerInspect], "Containers tell `HostConfig.DeviceCgroupRules`.").down(|container, _| {
            object(container, &["HostConfig"]).into_iter().for_each(|config| remove(config, &["DeviceCgroupRules"]))
        }),
        Change::to(&[ContainerUpdate], "Update takes `NanoCpus`.").up(|request| {
            request.object().into_iter().for_each(|body| remove(body, &["NanoCpus"]));
            Ok(())
        }),
        Change::to(&[Build], "Build takes `extrahosts`.").up(|request| forget(request, &["extrahosts"])),
        Change::note(
            "`GET /networks` no longer lists the containers of each network; they are left out \
             below too.",
        ),
    ],
};

#[cfg(test)]
mod tests {
    use crate::testing::up;
    use api::routes::Endpoint::ContainerUpdate;
    use serde_json::json;

    #[test]
    fn frames_were_text() {
        assert!(!crate::traits(crate::Version::new(1, 27)).ws_binary);
        assert_eq!(
            up("1.27", ContainerUpdate, "", json!({"NanoCpus": 1, "Memory": 2})).body,
            crate::Body::Json(json!({"Memory": 2}))
        );
    }
}
