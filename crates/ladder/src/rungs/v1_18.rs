//! API 1.18, Docker 1.6.

use super::shapes::{forget, host_config};
use super::v1_20::drop_statuses;
use crate::exchange::{Request, Response};
use crate::json::{each, null_if_empty, object, remove, text};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{
    Build, ContainerCreate, ContainerInspect, Events, ExecCreate, ImageCreate, ImageDelete, ImageInspect, ImageList,
    Info,
};
use serde_json::Value;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 18),
    release: "1.6",
    changes: &[
        Change::to(
            &[ContainerCreate],
            "`Memory`, `MemorySwap`, `CpuShares` and `Cpuset` (now `CpusetCpus`) moved from \
             Config to HostConfig; `Ulimits`, `CgroupParent` and `LogConfig` are honoured.",
        )
        .up(create),
        Change::to(
            &[ContainerInspect],
            "HostConfig tells `Memory`, `MemorySwap`, `CpuShares`, `CpusetCpus`, `Ulimits`, \
             `CgroupParent` and `LogConfig`.",
        )
        .down(inspect),
        Change::to(&[ImageList], "Images list their `RepoDigests`.")
            .down(|images, _| each(images, |image| remove(image, &["RepoDigests"]))),
        Change::to(&[ImageInspect], "Images tell their `VirtualSize`.")
            .down(|image, _| object(image, &[]).into_iter().for_each(|image| remove(image, &["VirtualSize"]))),
        Change::to(&[ImageDelete], "Removal of an image tells the digests that it lost.").down(no_digests),
        Change::to(&[ImageCreate], "Import takes `changes`.").up(|request| forget(request, &["changes"])),
        Change::to(&[Build], "Build takes limits of resources.")
            .up(|request| forget(request, &["memory", "memswap", "cpushares", "cpusetcpus", "cpuperiod", "cpuquota"])),
        Change::to(&[ExecCreate], "Exec create tells `Warnings`.")
            .down(|exec, _| object(exec, &[]).into_iter().for_each(|exec| remove(exec, &["Warnings"]))),
        Change::to(&[Info], "`GET /info` tells `SystemTime`, `HttpProxy`, `HttpsProxy` and `NoProxy`.").down(
            |info, _| {
                object(info, &[]).into_iter().for_each(|info| {
                    remove(
                        info,
                        &["SystemTime", "HttpProxy", "HttpsProxy", "NoProxy", "LoggingDriver", "RegistryConfig"],
                    )
                })
            },
        ),
        Change::to(&[Events], "Pulling and tagging images are events; events can be filtered.")
            .message(|event, _| drop_statuses(event, &["pull", "tag"]))
            .up(|request| forget(request, &["filters"])),
    ],
};

const MOVED: &[(&str, &str)] =
    &[("Memory", "Memory"), ("MemorySwap", "MemorySwap"), ("CpuShares", "CpuShares"), ("Cpuset", "CpusetCpus")];
const BROUGHT: &[&str] = &["Ulimits", "CgroupParent", "LogConfig", "CpusetMems"];

fn create(request: &mut Request) -> Result<(), Response> {
    let Some(body) = request.object() else { return Ok(()) };
    let moved: Vec<_> = MOVED.iter().filter_map(|(from, to)| Some((*to, body.remove(*from)?))).collect();
    let Some(config) = host_config(request) else { return Ok(()) };
    remove(config, BROUGHT);
    for (key, value) in moved {
        config.entry(key).or_insert(value);
    }
    Ok(())
}

fn inspect(container: &mut Value, _: &Asked) {
    let Some(config) = object(container, &["HostConfig"]) else { return };
    remove(config, BROUGHT);
    remove(config, &["Memory", "MemorySwap", "CpuShares", "CpusetCpus", "MemoryReservation", "ShmSize"]);
    null_if_empty(config, &["Dns", "DnsSearch"]);
}

fn no_digests(items: &mut Value, _: &Asked) {
    if let Some(items) = items.as_array_mut() {
        items.retain(|item| !item.as_object().is_some_and(|item| text(item, "Untagged").contains('@')));
    }
}

#[cfg(test)]
mod tests {
    use crate::Body;
    use crate::testing::{down, up};
    use api::routes::Endpoint::{ContainerCreate, ImageCreate, ImageDelete};
    use serde_json::{Value, json};

    #[test]
    fn import_knew_no_changes() {
        let parameter = |version| up(version, ImageCreate, "changes=CMD", Value::Null).parameter("changes").is_some();
        assert_eq!((parameter("1.17"), parameter("1.18")), (false, true));
    }

    #[test]
    fn limits_were_in_config() {
        let Body::Json(body) =
            up("1.17", ContainerCreate, "", json!({"Memory": 33554432, "Cpuset": "0", "HostConfig": {}})).body
        else {
            panic!("no JSON")
        };
        assert_eq!((&body["HostConfig"]["Memory"], &body["HostConfig"]["CpusetCpus"]), (&json!(33554432), &json!("0")));
        assert_eq!(body.get("Memory"), None);
    }

    #[test]
    fn digests_were_not_told() {
        assert_eq!(
            down("1.18", "1.17", ImageDelete, json!([{"Untagged": "a:1"}, {"Untagged": "a@sha256:1"}])),
            json!([{"Untagged": "a:1"}])
        );
    }
}
