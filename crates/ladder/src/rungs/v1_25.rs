//! API 1.25, Docker 1.13.0.

use super::shapes::{forget, host_config, networks};
use crate::exchange::{Body, Request, Response};
use crate::json::{map_text, object, remove, text};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;
use crate::wording::Wording;
use api::routes::Endpoint::{
    Build, ContainerAttach, ContainerCreate, ContainerInspect, ContainerList, ContainerLogs, ContainerPrune,
    ContainerStart, DiskUsage, ExecCreate, ExecInspect, ImagePrune, Info, NetworkInspect, NetworkList, NetworkPrune,
    PluginCreate, PluginDelete, PluginDisable, PluginEnable, PluginInspect, PluginList, PluginPrivileges, PluginPull,
    PluginPush, PluginSet, SecretCreate, SecretDelete, SecretInspect, SecretList, SecretUpdate, ServiceLogs, TaskLogs,
    Version as GetVersion, VolumeDelete, VolumeInspect, VolumePrune,
};
use serde_json::{Value, json};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 25),
    release: "1.13.0",
    changes: &[
        Change::to(
            &[],
            "Responses carry `Api-Version`, `Docker-Experimental` and `Ostype`; what is not \
             there is `page not found`.",
        )
        .wordings(&[Wording::new("page not found", "404 page not found")])
        .traits(|traits| traits.engine_headers = false),
        Change::to(&[ContainerLogs], "Lines of a log above 16 KiB come in pieces.")
            .traits(|traits| traits.log_whole_lines = true),
        Change::to(&[ContainerAttach], "Attach to a paused container is refused.")
            .traits(|traits| traits.attach_paused = true),
        Change::added(&[ContainerPrune, ImagePrune, NetworkPrune, VolumePrune], "Prune removes what is not used."),
        Change::added(&[DiskUsage], "`GET /system/df` tells what takes space."),
        Change::added(
            &[SecretList, SecretCreate, SecretInspect, SecretUpdate, SecretDelete, ServiceLogs, TaskLogs],
            "Secrets and logs of services.",
        ),
        Change::added(
            &[
                PluginList,
                PluginPrivileges,
                PluginCreate,
                PluginPull,
                PluginInspect,
                PluginDisable,
                PluginEnable,
                PluginPush,
                PluginSet,
                PluginDelete,
            ],
            "Plugins can be installed.",
        ),
        Change::to(
            &[ContainerCreate, ContainerStart],
            "The daemon removes containers with `AutoRemove`; `Mounts`, `NanoCpus`, `Init` and \
             `StopTimeout` are honoured; restart policies are checked.",
        )
        .up(create),
        Change::to(
            &[ContainerInspect],
            "Containers tell `AutoRemove`, `Mounts`, `NanoCpus`, `Init` and `StopTimeout`.",
        )
        .down(inspect),
        Change::to(&[ContainerList], "`since` and `before` of `GET /containers/json` are filters.")
            .up(since_and_before)
            .wordings(&[Wording::with_status(
                "No such container: *",
                "Could not find container with name or id {1}",
                500,
            )]),
        Change::to(&[ExecCreate], "Exec takes `Env`.").up(|request| {
            request.object().into_iter().for_each(|body| remove(body, &["Env"]));
            Ok(())
        }),
        Change::to(&[ExecInspect], "Exec tells its `Pid`.")
            .down(|exec, _| object(exec, &[]).into_iter().for_each(|exec| remove(exec, &["Pid"]))),
        Change::to(&[GetVersion], "`GET /version` has `MinAPIVersion` and `Experimental`.").down(|value, _| {
            object(value, &[]).into_iter().for_each(|value| remove(value, &["MinAPIVersion", "Experimental"]))
        }),
        Change::to(&[Info], "`GET /info` has options in `SecurityOptions` (`name=seccomp,profile=default`).")
            .down(security_options),
        Change::to(&[NetworkList, NetworkInspect], "Networks tell `Created` and `Attachable`.")
            .down(|value, _| networks(value, |network| remove(network, &["Created", "Attachable"]))),
        Change::to(&[VolumeInspect], "Volumes tell their `Options`.")
            .down(|volume, _| object(volume, &[]).into_iter().for_each(|volume| remove(volume, &["Options"]))),
        Change::to(&[VolumeDelete], "Removal of a volume takes `force`.").up(|request| forget(request, &["force"])),
        Change::to(&[Build], "Build numbers its steps with how many there are, `Step 1/3`.").message(|message, _| {
            map_text(message.get_mut("stream"), |line| {
                let (number, rest) = line.strip_prefix("Step ")?.split_once('/')?;
                let (_, instruction) = rest.split_once(" : ")?;
                number.parse::<u32>().ok().map(|number| format!("Step {number} : {instruction}"))
            });
        }),
        Change::to(&[Build], "Build takes `networkmode`, `cachefrom` and `squash`.")
            .up(|request| forget(request, &["networkmode", "cachefrom", "squash"])),
    ],
};

const BROUGHT: &[&str] = &["AutoRemove", "Mounts", "NanoCpus", "Init"];

fn create(request: &mut Request) -> Result<(), Response> {
    request.object().into_iter().for_each(|body| remove(body, &["StopTimeout"]));
    if matches!(request.body, Body::Empty) {
        return Ok(());
    }
    let Some(config) = host_config(request) else { return Ok(()) };
    remove(config, BROUGHT);
    // A policy that nobody knew was none.
    if let Some(policy) = config.get_mut("RestartPolicy").and_then(Value::as_object_mut)
        && !matches!(text(policy, "Name"), "" | "no" | "always" | "on-failure" | "unless-stopped")
    {
        *policy = serde_json::Map::from_iter([("Name".to_owned(), json!("no"))]);
    }
    Ok(())
}

fn inspect(container: &mut Value, _: &Asked) {
    object(container, &["HostConfig"]).into_iter().for_each(|config| remove(config, BROUGHT));
    object(container, &["Config"]).into_iter().for_each(|config| remove(config, &["StopTimeout"]));
}

/// Both chose among all containers, also those that do not run.
fn since_and_before(request: &mut Request) -> Result<(), Response> {
    let mut filters: Value =
        match request.parameter("filters").filter(|text| !text.is_empty()).map(serde_json::from_str) {
            Some(Ok(filters)) => filters,
            Some(Err(_)) => return Ok(()),
            None => json!({}),
        };
    let mut changed = false;
    for name in ["since", "before"] {
        let Some(value) = request.parameter(name).filter(|value| !value.is_empty()).map(str::to_owned) else {
            continue;
        };
        if let Some(filters) = filters.as_object_mut() {
            filters.insert(name.to_owned(), json!([value]));
            changed = true;
        }
        request.remove_parameter(name);
    }
    if changed {
        request.set_parameter("filters", filters.to_string());
        request.set_parameter("all", "1");
    }
    Ok(())
}

fn security_options(info: &mut Value, _: &Asked) {
    for option in info.get_mut("SecurityOptions").and_then(Value::as_array_mut).into_iter().flatten() {
        map_text(Some(option), |text| {
            let name = text.strip_prefix("name=")?;
            Some(name.split_once(',').map_or(name, |(name, _)| name).to_owned())
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{down, missing, up};
    use api::routes::Endpoint::{ContainerCreate, ContainerList, ContainerPrune, Info};
    use serde_json::{Value, json};

    #[test]
    fn logs_and_attach() {
        let (older, newer) = (crate::traits(crate::Version::new(1, 24)), crate::traits(crate::Version::new(1, 25)));
        assert!(older.log_whole_lines && older.attach_paused);
        assert!(!newer.log_whole_lines && !newer.attach_paused);
    }

    #[test]
    fn since_became_a_filter() {
        let request = up("1.24", ContainerList, "since=a&limit=3", Value::Null);
        assert_eq!(
            (request.parameter("filters"), request.parameter("all"), request.parameter("since")),
            (Some(r#"{"since":["a"]}"#), Some("1"), None)
        );
    }

    #[test]
    fn removal_was_the_clients_business() {
        let crate::Body::Json(body) = up(
            "1.24",
            ContainerCreate,
            "",
            json!({"HostConfig": {"AutoRemove": true, "RestartPolicy": {"Name": "banana"}}}),
        )
        .body
        else {
            panic!("no JSON")
        };
        assert_eq!(body["HostConfig"].get("AutoRemove"), None);
        assert_eq!(body["HostConfig"]["RestartPolicy"], json!({"Name": "no"}));
    }

    #[test]
    fn security_options_were_names() {
        assert_eq!(
            down("1.25", "1.24", Info, json!({"SecurityOptions": ["name=seccomp,profile=default"]})),
            json!({"SecurityOptions": ["seccomp"]})
        );
        assert!(missing("1.24", ContainerPrune));
    }
}
