//! API 1.20, Docker 1.8.

use super::shapes::host_config;
use crate::exchange::{NAMES_FIRST_HEADER, Response};
use crate::json::{Object, default, each, object, remove, text};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{
    ContainerArchiveGet, ContainerArchiveHead, ContainerArchivePut, ContainerAttachWs, ContainerCreate,
    ContainerInspect, ContainerKill, ContainerList, Events, ImageDelete,
};
use serde_json::{Map, Value};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 20),
    release: "1.8",
    changes: &[
        Change::to(
            &[ImageDelete],
            "Nothing goes if an image cannot be removed; before, its name went first and stayed gone. Conflicts say more.",
        )
        .up(|request| {
            request.set_header(NAMES_FIRST_HEADER, "1");
            Ok(())
        }),
        Change::added(
            &[ContainerArchiveGet, ContainerArchiveHead, ContainerArchivePut],
            "`/containers/{name}/archive` copies files to and from a container.",
        ),
        Change::to(&[], "Responses carry `Server`.").traits(|traits| traits.server_header = false),
        Change::to(&[], "Web pages of other origins may use `HEAD`.")
            .traits(|traits| traits.cors_methods = "GET, POST, DELETE, PUT, OPTIONS"),
        Change::to(&[ContainerAttachWs], "`attach/ws` does not ask for an `Origin` any more.")
            .traits(|traits| traits.ws_origin = true),
        Change::to(&[ContainerKill], "Kill of a container that does not run is an error; before nothing happened.")
            .answer(kill_of_stopped),
        Change::to(
            &[ContainerInspect],
            "`Mounts` took the place of `Volumes` and `VolumesRW`; `Memory`, `MemorySwap`, \
             `CpuShares` and `Cpuset` are only in HostConfig.",
        )
        .down(inspect),
        Change::to(&[ContainerList], "`GET /containers/json` lists `HostConfig`.")
            .down(|list, _| each(list, |container| remove(container, &["HostConfig"]))),
        Change::to(&[ContainerCreate], "`GroupAdd` and `MemorySwappiness` are honoured.").up(|request| {
            host_config(request).into_iter().for_each(|config| remove(config, BROUGHT));
            Ok(())
        }),
        Change::to(
            &[Events],
            "New events: `attach`, `commit`, `copy`, `rename`, `resize`, `top`; `import` and \
             `push` of images.",
        )
        .message(|event, _| {
            drop_statuses(
                event,
                &[
                    "archive-path",
                    "attach",
                    "commit",
                    "copy",
                    "extract-to-dir",
                    "import",
                    "mount",
                    "push",
                    "rename",
                    "resize",
                    "top",
                ],
            )
        }),
    ],
};

const BROUGHT: &[&str] = &["GroupAdd", "MemorySwappiness"];

/// Drops events by their flat status, as far as a colon.
pub(super) fn drop_statuses(event: &mut Value, statuses: &[&str]) {
    let Some(fields) = event.as_object() else { return };
    let status = text(fields, "status");
    if statuses.contains(&status.split_once(':').map_or(status, |(status, _)| status)) {
        *event = Value::Null;
    }
}

fn kill_of_stopped(response: &mut Response, _: &Asked) {
    let stopped = response
        .message()
        .is_some_and(|text| text.starts_with("cannot kill container") && text.ends_with("is not running"));
    if response.is_error() && stopped {
        *response = Response::empty(204);
    }
}

fn inspect(container: &mut Value, _: &Asked) {
    let flat = object(container, &["HostConfig"]).map(|config| {
        remove(config, BROUGHT);
        [("Memory", "Memory"), ("MemorySwap", "MemorySwap"), ("CpuShares", "CpuShares"), ("CpusetCpus", "Cpuset")]
            .map(|(from, to)| (to, config.get(from).cloned()))
    });
    if let (Some(flat), Some(config)) = (flat, object(container, &["Config"])) {
        for (key, value) in flat {
            if let Some(value) = value {
                default(config, key, value);
            }
        }
    }
    let Some(container) = container.as_object_mut() else { return };
    object_of_state(container, &["Dead"]);
    let mounts = container.remove("Mounts").unwrap_or_default();
    let (mut volumes, mut writable) = (Map::new(), Map::new());
    for mount in mounts.as_array().into_iter().flatten().filter_map(Value::as_object) {
        let destination = text(mount, "Destination").to_owned();
        volumes.insert(destination.clone(), text(mount, "Source").into());
        writable.insert(destination, mount.get("RW").cloned().unwrap_or(Value::Bool(true)));
    }
    container.insert("Volumes".into(), Value::Object(volumes));
    container.insert("VolumesRW".into(), Value::Object(writable));
}

fn object_of_state(container: &mut Object, keys: &[&str]) {
    container.get_mut("State").and_then(Value::as_object_mut).into_iter().for_each(|state| remove(state, keys));
}

#[cfg(test)]
mod tests {
    use crate::Response;
    use crate::testing::{answer, down, missing};
    use api::routes::Endpoint::{ContainerArchiveGet, ContainerInspect, ContainerKill};
    use serde_json::json;

    #[test]
    fn websockets_told_their_origin() {
        assert!(crate::traits(crate::Version::new(1, 19)).ws_origin);
        assert!(!crate::traits(crate::Version::new(1, 20)).ws_origin);
    }

    #[test]
    fn mounts_were_volumes() {
        let container = json!({"Mounts": [{"Source": "/a", "Destination": "/b", "RW": false}], "HostConfig": {"Memory": 5, "CpusetCpus": "0"}, "Config": {}, "State": {"Dead": false}});
        let older = json!({"Volumes": {"/b": "/a"}, "VolumesRW": {"/b": false}, "HostConfig": {"Memory": 5, "CpusetCpus": "0"}, "Config": {"Memory": 5, "Cpuset": "0"}, "State": {}});
        assert_eq!(down("1.20", "1.19", ContainerInspect, container), older);
        assert!(missing("1.19", ContainerArchiveGet));
    }

    #[test]
    fn killing_the_dead_was_no_error() {
        let error = Response::error(409, "cannot kill container: a: container 12 is not running");
        assert_eq!(answer("1.19", ContainerKill, error).status, 204);
    }
}
