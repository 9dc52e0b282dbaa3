//! API 1.24, Docker 1.12.

use super::shapes::{drop_events, forget, host_config};
use crate::exchange::{Body, FOLLOW_HEADER, HOST_CONFIG_HEADER, Request, Response};
use crate::json::{Object, is_empty, null_if_empty, object, remove, text};
use crate::lenient::{self, Kind};
use crate::rung::{Asked, Change, OldRoute, Rung};
use crate::version::Version;
use api::routes::Endpoint::{
    ContainerCreate, ContainerInspect, ContainerStart, Events, ImageSearch, ImageTag, Info, NodeDelete, NodeInspect,
    NodeList, NodeUpdate, ServiceCreate, ServiceDelete, ServiceInspect, ServiceList, ServiceUpdate, SwarmInit,
    SwarmInspect, SwarmJoin, SwarmLeave, SwarmUnlock, SwarmUnlockKey, SwarmUpdate, TaskInspect, TaskList,
};
use api::routes::Params;
use serde_json::Value;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 24),
    release: "1.12",
    changes: &[
        Change::to(&[], "Errors are JSON objects with a `message` rather than plain text.")
            .answer(error_as_text)
            .traits(|traits| traits.error_text = true),
        Change::to(
            &[ContainerStart],
            "`POST /containers/{name}/start` takes no HostConfig any more; it belongs to create.",
        )
        .up(host_config_at_start),
        Change::removed(
            &COPY,
            "`POST /containers/{name}/copy` is gone; `GET /containers/{name}/archive` does the same.",
        ),
        Change::to(&[ContainerCreate], "`Warnings` is an empty list rather than null if there are none.").down(
            |created, _| object(created, &[]).into_iter().for_each(|created| null_if_empty(created, &["Warnings"])),
        ),
        Change::to(&[ContainerCreate], "Health checks, sysctls, `StorageOpt` and `Runtime` are honoured.").up(create),
        Change::to(
            &[ContainerInspect],
            "Containers tell `State.Health`, health checks, sysctls, `StorageOpt` and `Runtime`.",
        )
        .down(inspect),
        Change::to(&[ImageTag], "Tag moves an existing name without `force`.")
            .up(|request| forget(request, &["force"])),
        Change::to(&[ImageSearch], "Search takes `limit` and `filters`.")
            .up(|request| forget(request, &["limit", "filters"])),
        Change::to(&[Info], "`GET /info` tells of swarm, runtimes, security options and live restore.").down(
            |info, _| {
                object(info, &[]).into_iter().for_each(|info| {
                    remove(
                        info,
                        &[
                            "Swarm",
                            "Runtimes",
                            "DefaultRuntime",
                            "SecurityOptions",
                            "LiveRestoreEnabled",
                            "Isolation",
                            "InitBinary",
                            "ContainerdCommit",
                            "RuncCommit",
                            "InitCommit",
                            "GenericResources",
                        ],
                    )
                });
            },
        ),
        Change::to(&[Events], "New events: `detach`, `exec_detach`, `health_status`, `reload`, `update`.").message(
            |event, _| drop_events(event, "", &["detach", "exec_detach", "health_status", "reload", "update"]),
        ),
        Change::added(
            &[
                NodeDelete,
                NodeInspect,
                NodeList,
                NodeUpdate,
                ServiceCreate,
                ServiceDelete,
                ServiceInspect,
                ServiceList,
                ServiceUpdate,
                SwarmInit,
                SwarmInspect,
                SwarmJoin,
                SwarmLeave,
                SwarmUnlock,
                SwarmUnlockKey,
                SwarmUpdate,
                TaskInspect,
                TaskList,
            ],
            "Swarm, nodes, services and tasks.",
        ),
    ],
};

fn error_as_text(response: &mut Response, _: &Asked) {
    if response.is_error()
        && let Some(text) = response.message().map(|message| format!("{message}\n"))
    {
        response.body = Body::Text(text);
        response.set_header("Content-Type", "text/plain; charset=utf-8");
    }
}

/// An empty object or null meant: as at the last start.
fn host_config_at_start(request: &mut Request) -> Result<(), Response> {
    match &request.body {
        Body::Json(value) if !is_empty(value) => request.set_header(HOST_CONFIG_HEADER, "start"),
        _ => request.body = Body::Empty,
    }
    Ok(())
}

const BROUGHT: &[&str] = &[
    "Runtime",
    "Sysctls",
    "StorageOpt",
    "DiskQuota",
    "CpuCount",
    "CpuPercent",
    "IOMaximumIOps",
    "IOMaximumBandwidth",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "MaskedPaths",
    "ReadonlyPaths",
];

fn create(request: &mut Request) -> Result<(), Response> {
    request.object().into_iter().for_each(|body| remove(body, &["Healthcheck"]));
    host_config(request).into_iter().for_each(|config| remove(config, BROUGHT));
    Ok(())
}

fn inspect(container: &mut Value, _: &Asked) {
    object(container, &["State"]).into_iter().for_each(|state| remove(state, &["Health"]));
    object(container, &["Config"]).into_iter().for_each(|config| remove(config, &["Healthcheck"]));
    object(container, &["HostConfig"]).into_iter().for_each(|config| remove(config, BROUGHT));
    object(container, &[]).into_iter().for_each(|container| remove(container, &["Platform"]));
}

/// The archive of a path; unlike the archive of today it followed a link to its target.
static COPY: OldRoute = OldRoute {
    method: "POST",
    pattern: "/containers/{name}/copy",
    // Brought by 1.4, but the daemon of 1.14 answered it below, too.
    since: Version::new(1, 0),
    alias: false,
    up: |request, params: &Params| {
        let kind = request.header("Content-Type").unwrap_or_default();
        if kind.split(';').next() != Some("application/json") {
            return Err(Response::error(500, &format!("Content-Type not supported: {kind}")));
        }
        let sent = lenient::object(&request.body)?;
        let resource = resource(&sent);
        if resource.is_empty() {
            return Err(Response::error(500, "Path cannot be empty"));
        }
        request.method = "GET".into();
        request.path = format!("/containers/{}/archive", params.first());
        request.query = vec![("path".into(), model::path::clean(&format!("/{resource}")))];
        request.set_header(FOLLOW_HEADER, "links");
        request.body = Body::Empty;
        Ok(())
    },
    answer: Some(|response, asked| {
        response.remove_header("X-Docker-Container-Path-Stat");
        if response.is_error() {
            let missing = response.message().is_some_and(|text| text.starts_with("Could not find the file"));
            let resource = asked.body().as_object().map(resource).unwrap_or_default();
            match missing {
                true => {
                    response.status = 500;
                    response.set_message(&format!("Could not find the file {resource} in container {}", asked.name()));
                }
                false if response.status == 404 => *response = Response::empty(404),
                false => {}
            }
        } else {
            response.set_header("Content-Type", "application/octet-stream");
        }
    }),
    message: None,
};

/// The path that is asked for.
fn resource(sent: &Object) -> String {
    let read = lenient::fields(sent, &[("Resource", Kind::Text)]);
    text(&read, "Resource").to_owned()
}

#[cfg(test)]
mod tests {
    use crate::testing::{ask, climbed, down, up};
    use crate::{Body, Response};
    use api::routes::Endpoint::{ContainerArchiveGet, ContainerCreate, ContainerStart};
    use serde_json::{Value, json};

    #[test]
    fn a_start_with_host_config_is_marked() {
        let request = up("1.23", ContainerStart, "", json!({"Binds": ["/a:/b"]}));
        assert_eq!(request.header(crate::HOST_CONFIG_HEADER), Some("start"));
        assert_eq!(up("1.23", ContainerStart, "", json!({})).body, Body::Empty);
        assert_eq!(up("1.23", ContainerStart, "", Value::Null).header(crate::HOST_CONFIG_HEADER), None);
    }

    #[test]
    fn copy_became_archive() {
        let mut request = ask("POST", "/containers/web/copy", "", json!({"Resource": "etc/hosts"}));
        request.set_header("Content-Type", "application/json");
        let (request, endpoint, descent) = climbed("1.14", request);
        assert_eq!(
            (endpoint, request.parameter("path"), request.path.as_str()),
            (ContainerArchiveGet, Some("/etc/hosts"), "/containers/web/archive")
        );
        let answer = descent.response(Response::error(404, "Could not find the file /etc/hosts in container web"));
        assert_eq!(
            (answer.status, answer.message()),
            (500, Some("Could not find the file etc/hosts in container web"))
        );
    }

    #[test]
    fn no_warnings_were_null() {
        assert_eq!(
            down("1.24", "1.23", ContainerCreate, json!({"Id": "a", "Warnings": []})),
            json!({"Id": "a", "Warnings": null})
        );
    }

    #[test]
    fn errors_were_text() {
        let answer = crate::error_for(crate::Version::new(1, 23), Response::error(404, "No such container: a"));
        assert_eq!(answer, Response::text(404, "No such container: a\n"));
    }
}
