//! API 1.23, Docker 1.11.

use super::shapes::{drop_events, forget, host_config, networks};
use crate::exchange::{Body, Request, Response};
use crate::json::{each, object, remove};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{
    Auth, ContainerAttach, ContainerAttachWs, ContainerCreate, ContainerInspect, ContainerList, ContainerLogs,
    ContainerStart, ContainerUpdate, Events, ExecCreate, ImageLoad, Info, NetworkCreate, NetworkInspect, NetworkList,
    VolumeCreate, VolumeInspect,
};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 23),
    release: "1.11",
    changes: &[
        Change::to(&[ContainerList], "`GET /containers/json` lists `State` and `Mounts`.")
            .down(|list, _| each(list, |container| remove(container, &["State", "Mounts"]))),
        Change::to(
            &[ImageLoad],
            "Load tells what it loaded in a stream of messages, unless `quiet`; before it \
             answered nothing.",
        )
        .collects()
        .answer(silent_load),
        Change::to(&[ContainerCreate, ContainerStart], "`PidsLimit` and `UsernsMode` are honoured.").up(create),
        Change::to(&[ContainerInspect], "Containers tell `PidsLimit` and `UsernsMode`.").down(|container, _| {
            object(container, &["HostConfig"]).into_iter().for_each(|config| remove(config, BROUGHT))
        }),
        Change::to(&[Auth], "A login tells a token to keep instead of the secret, `IdentityToken`.")
            .down(|told, _| object(told, &[]).into_iter().for_each(|told| remove(told, &["IdentityToken"]))),
        Change::to(&[ContainerUpdate], "Update takes `RestartPolicy`.").up(|request| {
            request.object().into_iter().for_each(|body| remove(body, &["RestartPolicy"]));
            Ok(())
        }),
        Change::to(
            &[ContainerAttach, ContainerAttachWs, ExecCreate],
            "The keys that detach can be chosen, `detachKeys`.",
        )
        .up(|request| {
            request.object().into_iter().for_each(|body| remove(body, &["DetachKeys"]));
            forget(request, &["detachKeys"])
        }),
        Change::to(&[ContainerLogs], "Logs take `details`.").up(|request| forget(request, &["details"])),
        Change::to(&[NetworkCreate, VolumeCreate], "Networks and volumes have labels.").up(|request| {
            request.object().into_iter().for_each(|body| remove(body, &["Labels"]));
            Ok(())
        }),
        Change::to(
            &[NetworkList, NetworkInspect, VolumeInspect],
            "Networks tell `Internal`, `EnableIPv6` and `Labels`; volumes `Labels`.",
        )
        .down(|value, _| networks(value, |network| remove(network, &["Internal", "EnableIPv6", "Labels"]))),
        Change::to(&[Info], "`GET /info` tells `CgroupDriver` and `KernelMemory`.").down(|info, _| {
            object(info, &[]).into_iter().for_each(|info| remove(info, &["CgroupDriver", "KernelMemory"]))
        }),
        Change::to(&[Events], "A start that fails is no event; before it was `start` all the same.")
            .traits(|traits| traits.failed_starts = true),
        Change::to(&[Events], "Loading and saving images are events.")
            .message(|event, _| drop_events(event, "image", &["load", "save"])),
    ],
};

const BROUGHT: &[&str] = &["PidsLimit", "UsernsMode"];

fn create(request: &mut Request) -> Result<(), Response> {
    if !matches!(request.body, Body::Empty) {
        host_config(request).into_iter().for_each(|config| remove(config, BROUGHT));
    }
    Ok(())
}

/// The messages came as a list; an error among them was the answer's status.
fn silent_load(response: &mut Response, _: &Asked) {
    if response.is_error() {
        return;
    }
    let error = response.body.json().and_then(|messages| {
        messages.as_array()?.iter().find_map(|message| Some(message.get("error")?.as_str()?.to_owned()))
    });
    *response = match error {
        Some(text) => Response::text(500, format!("{text}\n")),
        None => Response::empty(200),
    };
}

#[cfg(test)]
mod tests {
    use crate::testing::{ask, climbed, down};
    use crate::{Body, Response};
    use api::routes::Endpoint::ContainerList;
    use serde_json::{Value, json};

    #[test]
    fn lists_had_no_state() {
        assert_eq!(
            down("1.23", "1.22", ContainerList, json!([{"Id": "a", "State": "running", "Mounts": []}])),
            json!([{"Id": "a"}])
        );
    }

    #[test]
    fn load_was_silent() {
        let (_, _, descent) = climbed("1.22", ask("POST", "/images/load", "", Value::Null));
        assert!(descent.buffers_messages());
        assert_eq!(descent.response(Response::json(200, json!([{"stream": "Loaded image: a"}]))), Response::empty(200));
        let answer = descent.response(Response::json(200, json!([{"error": "bad tar"}])));
        assert_eq!((answer.status, answer.body), (500, Body::Text("bad tar\n".into())));
    }
}
