//! API 1.17, Docker 1.5.

use super::shapes::{forget, host_config};
use super::v1_20::drop_statuses;
use crate::exchange::{IMAGE_NAMES_HEADER, Request, Response, SIGNALS_APART_HEADER};
use crate::json::{each, map_text, number, object, remove};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;
use crate::wording::Wording;
use api::routes::Endpoint::{
    Build, Commit, ContainerCreate, ContainerDelete, ContainerInspect, ContainerList, ContainerRename, ContainerStats,
    ContainerWait, Events, ImageCreate, ImageInspect, ImageList,
};
use serde_json::{Value, json};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 17),
    release: "1.5",
    changes: &[
        Change::to(&[], "Attach and exec may be upgraded: status 101 for requests with `Upgrade: tcp`.")
            .traits(|traits| traits.upgrade = false),
        Change::added(&[ContainerRename, ContainerStats], "Containers can be renamed, and tell what they use."),
        Change::to(
            &[ContainerInspect, ContainerWait, ContainerList],
            "A container that a signal ended has the exit code 128 and the signal's number; \
             before -1.",
        )
        .up(|request| {
            request.set_header(SIGNALS_APART_HEADER, "1");
            Ok(())
        }),
        Change::to(
            &[ContainerInspect],
            "Containers tell `Labels`, `ExecIDs`, `ReadonlyRootfs`, `AppArmorProfile`, \
             `State.OOMKilled` and `State.Error`.",
        )
        .down(inspect),
        Change::to(&[ContainerList, ImageList, ImageInspect], "Containers and images have labels.").down(labels),
        Change::to(
            &[ContainerList],
            "The image of a container is shown as it was named at create; before by the name that it has now.",
        )
        .up(|request| {
            request.set_header(IMAGE_NAMES_HEADER, "1");
            Ok(())
        })
        .down(|list, _| each(list, |container| map_text(container.get_mut("Image"), with_tag))),
        Change::to(
            &[Events],
            "The image of a container in events is shown as it was named at create; \
             `exec_create`, `exec_start` and `oom` are events.",
        )
        .message(|event, _| {
            drop_statuses(event, &["exec_create", "exec_start", "oom"]);
            map_text(event.get_mut("from"), with_tag);
        }),
        Change::to(&[ContainerCreate], "A container needs more memory; `Labels` and `ReadonlyRootfs` are honoured.")
            .up(create),
        Change::to(&[ContainerDelete], "Removal of a running container is a conflict (409).").wordings(&[
            Wording::with_status(
                "cannot remove container \"*\": container is *",
                "You cannot remove a running container. Stop the container before attempting \
             removal or use -f",
                500,
            ),
        ]),
        Change::to(&[], "A prefix of several ids is an error of its own.").wordings(&[Wording::with_status(
            "Multiple IDs found with provided prefix: *",
            "No such container: {1}",
            404,
        )]),
        Change::to(&[Build], "Build quotes the command that failed, and tells its code.").message(failed_command),
        Change::to(&[Build], "Build takes `dockerfile`.").up(|request| forget(request, &["dockerfile", "labels"])),
        Change::to(&[Commit, ImageCreate], "Commit and import take `changes`.")
            .up(|request| forget(request, &["changes"])),
    ],
};

/// The least memory that a container can have today, in bytes.
const LEAST_MEMORY: i64 = 6 << 20;

/// `busybox` is `busybox:latest`; ids and names with a tag or digest stay.
pub(super) fn with_tag(image: &str) -> Option<String> {
    let last = image.rsplit('/').next()?;
    let id = image.len() >= 12 && image.bytes().all(|byte| byte.is_ascii_hexdigit());
    (!image.is_empty() && !last.contains([':', '@']) && !id).then(|| format!("{image}:latest"))
}

/// `The command '/bin/sh -c false' returned …` had brackets.
fn failed_command(message: &mut Value, _: &Asked) {
    let brackets = |text: &str| {
        let (command, code) = text.strip_prefix("The command '")?.rsplit_once("' returned a non-zero code: ")?;
        Some(format!("The command [{command}] returned a non-zero code: {code}"))
    };
    map_text(message.get_mut("error"), brackets);
    if let Some(detail) = object(message, &["errorDetail"]) {
        map_text(detail.get_mut("message"), brackets);
        remove(detail, &["code"]);
    }
}

fn inspect(container: &mut Value, _: &Asked) {
    object(container, &["State"]).into_iter().for_each(|state| remove(state, &["OOMKilled", "Error"]));
    object(container, &["Config"]).into_iter().for_each(|config| remove(config, &["Labels"]));
    object(container, &["HostConfig"]).into_iter().for_each(|config| remove(config, &["ReadonlyRootfs"]));
    object(container, &[])
        .into_iter()
        .for_each(|container| remove(container, &["ExecIDs", "AppArmorProfile", "LogPath"]));
}

fn labels(value: &mut Value, _: &Asked) {
    each(value, |item| remove(item, &["Labels"]));
    for key in ["Config", "ContainerConfig"] {
        object(value, &[key]).into_iter().for_each(|config| remove(config, &["Labels"]));
    }
}

fn create(request: &mut Request) -> Result<(), Response> {
    request.object().into_iter().for_each(|body| remove(body, &["Labels"]));
    let Some(config) = request.object() else { return Ok(()) };
    let memory = number(config, "Memory");
    if memory != 0 && memory < 524_288 {
        return Err(Response::error(500, "Minimum memory limit allowed is 512k"));
    }
    if memory != 0 {
        config.insert("Memory".into(), json!(memory.max(LEAST_MEMORY)));
    }
    // A limit of swap that cannot be was no limit.
    let swap = number(config, "MemorySwap");
    if swap > 0 && swap < memory.max(1) || memory == 0 {
        config.remove("MemorySwap");
    }
    host_config(request).into_iter().for_each(|config| remove(config, &["ReadonlyRootfs"]));
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{answer, message, refused, up};
    use crate::{Body, Response, SIGNALS_APART_HEADER};
    use api::routes::Endpoint::{
        Build, ContainerCreate, ContainerDelete, ContainerInspect, ContainerList, ContainerWait, Events,
    };
    use serde_json::{Value, json};

    #[test]
    fn signals_were_minus_one() {
        for endpoint in [ContainerInspect, ContainerList, ContainerWait] {
            let apart = |version| up(version, endpoint, "", Value::Null).header(SIGNALS_APART_HEADER).is_some();
            assert_eq!((apart("1.16"), apart("1.17")), (true, false), "{endpoint:?}");
        }
    }

    #[test]
    fn failed_commands_had_brackets() {
        let newest = json!({"errorDetail": {"code": 3, "message": "The command '/bin/sh -c exit 3' returned a non-zero code: 3"}, "error": "The command '/bin/sh -c exit 3' returned a non-zero code: 3"});
        let older = "{\"error\":\"The command [/bin/sh -c exit 3] returned a non-zero code: 3\",\"errorDetail\":{\"message\":\"The command [/bin/sh -c exit 3] returned a non-zero code: 3\"}}\r\n";
        assert_eq!(message("1.17", "1.16", Build, newest), older);
        assert_eq!(
            message("1.51", "1.14", Build, json!({"stream": "Step 1/3 : FROM a\n"})),
            "{\"stream\":\"Step 0 : FROM a\\n\"}\r\n"
        );
    }

    #[test]
    fn names_of_images_had_tags() {
        for (image, older) in [
            ("a", Some("a:latest")),
            ("a:1", None),
            ("host:5000/a", Some("host:5000/a:latest")),
            ("0123456789ab", None),
            ("", None),
        ] {
            assert_eq!(super::with_tag(image).as_deref(), older, "{image}");
        }
        assert_eq!(
            message("1.17", "1.16", Events, json!({"status": "die", "from": "a"})),
            "{\"from\":\"a:latest\",\"status\":\"die\"}\n"
        );
    }

    #[test]
    fn little_memory_was_enough() {
        let Body::Json(body) = up("1.16", ContainerCreate, "", json!({"Memory": 524288, "MemorySwap": -1})).body else {
            panic!("no JSON")
        };
        assert_eq!((&body["HostConfig"]["Memory"], &body["HostConfig"]["MemorySwap"]), (&json!(6 << 20), &json!(-1)));
        assert_eq!(
            refused("1.16", ContainerCreate, json!({"Memory": -1})).message(),
            Some("Minimum memory limit allowed is 512k")
        );
    }

    #[test]
    fn running_containers_were_an_error() {
        let error = Response::error(
            409,
            "cannot remove container \"a\": container is running: stop the container before removing or force remove",
        );
        let older = answer("1.16", ContainerDelete, error);
        assert_eq!(
            (older.status, older.message()),
            (
                500,
                Some("You cannot remove a running container. Stop the container before attempting removal or use -f")
            )
        );
    }
}
