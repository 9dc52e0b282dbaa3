//! API 1.40, Docker 19.03.

use api::routes::Endpoint::{Build, ContainerCreate, ContainerInspect, ContainerUpdate, Info, PingHead};
use serde_json::json;

use super::shapes::{forget, host_config};
use crate::exchange::{Request, Response};
use crate::json::{default, object, remove, text};
use crate::rung::{Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 40),
    release: "19.03",
    changes: &[
        Change::added(&[PingHead], "`HEAD /_ping` answers."),
        Change::to(
            &[ContainerCreate],
            "Containers do not share their IPC namespace unless asked to (`IpcMode`); \
             `DeviceRequests`, `Capabilities` and `NonRecursive` binds are honoured.",
        )
        .up(shareable),
        Change::to(&[ContainerInspect], "Containers tell `HostConfig.DeviceRequests`, and no longer `DiskQuota`.")
            .down(|container, _| {
                let Some(config) = object(container, &["HostConfig"]) else { return };
                remove(config, &["DeviceRequests", "KernelMemoryTCP", "Capabilities"]);
                default(config, "DiskQuota", json!(0));
            }),
        Change::to(&[ContainerUpdate], "Update takes `PidsLimit`.").up(|request| {
            request.object().into_iter().for_each(|body| remove(body, &["PidsLimit"]));
            Ok(())
        }),
        Change::to(&[Build], "Build takes `outputs`.").up(|request| forget(request, &["outputs"])),
        Change::to(&[Info], "`GET /info` tells `PidsLimit` and `KernelMemoryTCP`.").down(|info, _| {
            object(info, &[]).into_iter().for_each(|info| remove(info, &["PidsLimit", "KernelMemoryTCP"]));
        }),
    ],
};

fn shareable(request: &mut Request) -> Result<(), Response> {
    if let Some(config) = host_config(request) {
        remove(config, &["DeviceRequests", "KernelMemoryTCP", "Capabilities"]);
        if text(config, "IpcMode").is_empty() {
            remove(config, &["IpcMode"]);
            default(config, "IpcMode", json!("shareable"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{missing, up};
    use api::routes::Endpoint::{ContainerCreate, PingHead};
    use serde_json::json;

    #[test]
    fn ping_had_no_head() {
        assert!(missing("1.39", PingHead));
        assert!(!missing("1.40", PingHead));
    }

    #[test]
    fn ipc_was_shareable() {
        let crate::Body::Json(body) = up("1.39", ContainerCreate, "", json!({"HostConfig": {"IpcMode": ""}})).body
        else {
            panic!("no JSON")
        };
        assert_eq!(body["HostConfig"]["IpcMode"], json!("shareable"));
    }
}
