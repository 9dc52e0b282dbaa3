//! API 1.22, Docker 1.10.

use super::lxc;
use super::shapes::{host_config, plain_id};
use crate::exchange::{
    Body, IMAGES_ONLY_HEADER, OLD_ARCHIVE_HEADER, QUIET_COMMANDS_HEADER, QUIET_MARK, Request, Response,
    STORED_IMAGE_HEADER, WARNINGS_HEADER,
};
use crate::json::{Object, child, default, each, map_text, object, remove, text};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{
    Build, Commit, ContainerCreate, ContainerInspect, ContainerList, ContainerStart, ContainerUpdate, Events,
    ExecStart, ImageCreate, ImageDelete, ImageHistory, ImageInspect, ImageList, ImageLoad, ImageSave, ImageSaveMany,
    Info, Version as GetVersion,
};
use serde_json::{Value, json};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 22),
    release: "1.10",
    changes: &[
        Change::to(
            &[ContainerInspect, ContainerList, ImageList, ImageInspect, ImageHistory, ImageDelete, Commit],
            "Ids of images are digests of their content, `sha256:<hex>` rather than `<hex>`.",
        )
        .down(plain_ids),
        Change::to(&[ImageDelete], "Layers that went with an image are told.").up(|request| {
            request.set_header(IMAGES_ONLY_HEADER, "1");
            Ok(())
        }),
        Change::to(&[ImageSave, ImageSaveMany], "Archives of images have a `manifest.json`.").up(|request| {
            request.set_header(OLD_ARCHIVE_HEADER, "1");
            Ok(())
        }),
        Change::to(&[ImageLoad], "Load of an archive without images is an error; before nothing happened.")
            .up(something_to_load)
            .answer(nothing_loaded),
        Change::to(&[ImageCreate, Build], "Ids of images in messages are digests too.")
            .message(|message, _| map_text(message.get_mut("status"), plain_id)),
        Change::to(
            &[ImageInspect, ImageList],
            "`Size` of an image is that of all its layers; before it was that of its own.",
        )
        .up(|request| {
            request.set_header(STORED_IMAGE_HEADER, "1");
            Ok(())
        }),
        Change::to(
            &[ImageInspect, ImageList, ImageHistory],
            "Only images have ids; before each layer of an image is one, with a parent, and is shown by its id.",
        )
        .up(|request| {
            request.set_header(STORED_IMAGE_HEADER, "1");
            Ok(())
        }),
        Change::to(&[Build], "A quiet build tells only the image; before everything but what commands write.").up(
            |request| {
                request.set_header(QUIET_COMMANDS_HEADER, "1");
                Ok(())
            },
        ),
        Change::to(&[Events], "A restart tells `stop` as well, and a commit `pause` and `unpause`.")
            .traits(|traits| traits.event_marks = true)
            .message(no_parts),
        Change::to(&[Events], "Events tell `Type`, `Action` and `Actor`, also of networks, volumes and the daemon.")
            .message(flat_event),
        Change::added(&[ContainerUpdate], "`POST /containers/{name}/update` changes resources of a container."),
        Change::to(&[ContainerList], "`GET /containers/json` lists `NetworkSettings`.")
            .down(|list, _| each(list, |container| remove(container, &["NetworkSettings"])))
            .traits(|traits| traits.list_networks = false),
        Change::to(
            &[ContainerCreate],
            "`NetworkingConfig`, `ShmSize`, `Tmpfs`, `IsolationOf` and limits of devices are \
             honoured.",
        )
        .up(create),
        Change::to(&[ContainerInspect], "`LxcConf` and `ExecDriver` are gone.").down(inspect),
        Change::to(&[ContainerCreate], "`LxcConf` has no effect any more; what of it means nothing is a warning.")
            .up(lxc_at_create)
            .down(lxc_warnings),
        Change::to(&[ContainerStart], "`LxcConf` has no effect any more at start either.").up(lxc_at_start),
        Change::to(&[ExecStart], "Exec start wants a JSON `Content-Type`.").up(|request| {
            request.set_header("Content-Type", "application/json");
            Ok(())
        }),
        Change::to(
            &[Info],
            "`GET /info` tells `OSType`, `Architecture`, plugins and how many containers run; \
             `ExecutionDriver` is gone.",
        )
        .down(info),
        Change::to(&[GetVersion], "`GET /version` tells `BuildTime`.")
            .down(|value, _| object(value, &[]).into_iter().for_each(|value| remove(value, &["BuildTime"]))),
    ],
};

fn lxc_at_create(request: &mut Request) -> Result<(), Response> {
    let Some(body) = request.object() else { return Ok(()) };
    let config = body.get_mut("HostConfig").and_then(Value::as_object_mut);
    if let Some(hostname) = config.and_then(|config| lxc::apply(config).hostname) {
        body.insert("Hostname".into(), json!(hostname));
    }
    Ok(())
}

fn lxc_warnings(created: &mut Value, asked: &Asked) {
    let Some(mut config) = asked.body().get("HostConfig").and_then(Value::as_object).cloned() else { return };
    let warnings = lxc::apply(&mut config).warnings.into_iter().map(Value::from);
    if let Some(created) = created.as_object_mut() {
        let told = created.get("Warnings").and_then(Value::as_array).cloned().unwrap_or_default();
        let all: Vec<Value> = told.into_iter().chain(warnings).collect();
        if !all.is_empty() {
            created.insert("Warnings".into(), all.into());
        }
    }
}

/// The name lies in Config, which a start does not change: it is noted in an annotation.
fn lxc_at_start(request: &mut Request) -> Result<(), Response> {
    let Some(config) = request.object() else { return Ok(()) };
    if !config.contains_key("LxcConf") {
        return Ok(());
    }
    let applied = lxc::apply(config);
    if let Some(annotations) = child(config, "Annotations") {
        // Also none, in place of an earlier start's.
        annotations.insert(api::quirk::HOSTNAME.into(), json!(applied.hostname.unwrap_or_default()));
    }
    if !applied.warnings.is_empty() {
        request.set_header(WARNINGS_HEADER, &applied.warnings.join("; ").replace(|c: char| c.is_control(), " "));
    }
    Ok(())
}

const BROUGHT: &[&str] = &[
    "ShmSize",
    "Tmpfs",
    "BlkioWeightDevice",
    "BlkioDeviceReadBps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteIOps",
    "OomScoreAdj",
];

/// An empty body was no archive, whereas one without images was.
fn something_to_load(request: &mut Request) -> Result<(), Response> {
    match request.body {
        Body::Empty => Err(Response::error(500, "EOF")),
        _ => Ok(()),
    }
}

fn nothing_loaded(response: &mut Response, _: &Asked) {
    if response.is_error() && response.message() == Some("invalid archive: it holds no image") {
        *response = Response::empty(200);
    }
}

fn plain_ids(value: &mut Value, _: &Asked) {
    match value {
        Value::Array(items) => items.iter_mut().filter_map(Value::as_object_mut).for_each(plain),
        Value::Object(item) => plain(item),
        _ => {}
    }
}

fn plain(item: &mut Object) {
    for key in ["Id", "Parent", "ParentId", "Image", "ImageID", "Deleted", "Untagged"] {
        map_text(item.get_mut(key), plain_id);
    }
    for key in ["Config", "ContainerConfig"] {
        map_text(item.get_mut(key).and_then(|config| config.get_mut("Image")), plain_id);
    }
}

fn no_parts(event: &mut Value, _: &Asked) {
    if object(event, &["Actor", "Attributes"]).is_some_and(|attributes| attributes.contains_key(QUIET_MARK)) {
        *event = Value::Null;
    }
}

/// Only containers and images had events, with the fields that the newest version still repeats for them.
fn flat_event(event: &mut Value, asked: &Asked) {
    let Some(fields) = event.as_object_mut() else { return };
    let attributes = fields.get("Actor").and_then(|actor| actor.get("Attributes")).cloned().unwrap_or_default();
    let id = fields.get("Actor").and_then(|actor| actor.get("ID")).cloned().unwrap_or_default();
    match text(fields, "Type") {
        "container" => {
            default(fields, "from", attributes["image"].clone());
        }
        "image" => {}
        _ => {
            *event = Value::Null;
            return;
        }
    }
    let action = text(fields, "Action").to_owned();
    default(fields, "status", json!(action));
    default(fields, "id", id);
    if text(fields, "status") == "kill" {
        // For the rung below which only SIGKILL was an event.
        asked.note("signal", attributes["signal"].clone());
    }
    map_text(fields.get_mut("id"), plain_id);
    map_text(fields.get_mut("from"), plain_id);
    remove(fields, &["Type", "Action", "Actor", "scope"]);
}

fn create(request: &mut Request) -> Result<(), Response> {
    request.object().into_iter().for_each(|body| remove(body, &["NetworkingConfig"]));
    host_config(request).into_iter().for_each(|config| remove(config, BROUGHT));
    Ok(())
}

fn inspect(container: &mut Value, _: &Asked) {
    if let Some(config) = object(container, &["HostConfig"]) {
        remove(config, BROUGHT);
        default(config, "LxcConf", json!([]));
    }
    object(container, &[]).into_iter().for_each(|container| default(container, "ExecDriver", json!("native-0.2")));
}

fn info(info: &mut Value, _: &Asked) {
    let Some(info) = info.as_object_mut() else { return };
    remove(
        info,
        &[
            "OSType",
            "Architecture",
            "Plugins",
            "ContainersRunning",
            "ContainersPaused",
            "ContainersStopped",
            "SystemStatus",
        ],
    );
    default(info, "ExecutionDriver", json!("native-0.2"));
}

#[cfg(test)]
mod tests {
    use crate::testing::{ask, climbed, down, message, refusal, up};
    use crate::{Body, Response};
    use api::routes::Endpoint::{ContainerInspect, Events, ImageCreate, ImageDelete, ImageSave};
    use serde_json::{Value, json};

    #[test]
    fn settings_of_lxc_take_effect_or_are_told() {
        let settings = json!([{"Key": "lxc.utsname", "Value": "box"}, {"Key": "lxc.tty", "Value": "4"}]);
        let body = json!({"Image": "a", "HostConfig": {"LxcConf": settings}});
        let (request, _, descent) = climbed("1.21", ask("POST", "/containers/create", "", body));
        let Body::Json(body) = request.body else { panic!("no JSON") };
        assert_eq!((&body["Hostname"], body["HostConfig"].get("LxcConf")), (&json!("box"), None));
        let Body::Json(created) = descent.response(Response::json(201, json!({"Id": "1", "Warnings": []}))).body else {
            panic!("no JSON")
        };
        assert!(created["Warnings"][0].as_str().is_some_and(|text| text.contains("lxc.tty=4")), "{created}");
        let mut request = ask("POST", "/containers/web/start", "", json!({"LxcConf": settings}));
        request.set_header("Content-Type", "application/json");
        for version in ["1.4", "1.14", "1.21"] {
            let (request, _, _) = climbed(version, request.clone());
            assert!(request.header(crate::WARNINGS_HEADER).is_some_and(|text| text.contains("lxc.tty=4")), "{version}");
            let Body::Json(body) = request.body else { panic!("no JSON") };
            assert_eq!(body["Annotations"][api::quirk::HOSTNAME], json!("box"), "{version}");
        }
    }

    #[test]
    fn restarts_did_not_stop() {
        let event = |attributes: Value| json!({"Type": "container", "Action": "stop", "Actor": {"ID": "c", "Attributes": attributes}});
        assert_eq!(message("1.22", "1.21", Events, event(json!({"image": "a", crate::QUIET_MARK: "1"}))), "");
        assert!(message("1.22", "1.21", Events, event(json!({"image": "a"}))).contains("\"stop\""));
    }

    #[test]
    fn old_archives_and_removals_are_asked_for() {
        assert!(up("1.21", ImageDelete, "", Value::Null).header(crate::IMAGES_ONLY_HEADER).is_some());
        assert!(up("1.21", ImageSave, "", Value::Null).header(crate::OLD_ARCHIVE_HEADER).is_some());
        assert!(up("1.22", ImageSave, "", Value::Null).header(crate::OLD_ARCHIVE_HEADER).is_none());
    }

    #[test]
    fn an_archive_without_images_was_loaded() {
        let mut request = ask("POST", "/images/load", "", Value::Null);
        assert_eq!(refusal("1.21", request.clone()).message(), Some("EOF"));
        request.body = Body::Stream;
        let descent = climbed("1.21", request).2;
        let empty = descent.response(Response::error(500, "invalid archive: it holds no image"));
        assert_eq!(empty, Response::empty(200));
        assert_eq!(descent.response(Response::error(500, "no space")).status, 500);
    }

    #[test]
    fn ids_were_plain() {
        assert_eq!(
            down("1.22", "1.21", ImageDelete, json!([{"Untagged": "a:latest"}, {"Deleted": "sha256:12"}])),
            json!([{"Untagged": "a:latest"}, {"Deleted": "12"}])
        );
        assert_eq!(message("1.22", "1.21", ImageCreate, json!({"status": "sha256:12"})), "{\"status\":\"12\"}\r\n");
        let container =
            down("1.22", "1.21", ContainerInspect, json!({"Image": "sha256:12", "HostConfig": {"ShmSize": 1}}));
        assert_eq!(container, json!({"Image": "12", "ExecDriver": "native-0.2", "HostConfig": {"LxcConf": []}}));
    }

    #[test]
    fn events_were_flat() {
        let event = json!({"Type": "container", "Action": "start", "Actor": {"ID": "c", "Attributes": {"image": "busybox"}}, "time": 1});
        assert_eq!(
            message("1.22", "1.21", Events, event),
            "{\"from\":\"busybox\",\"id\":\"c\",\"status\":\"start\",\"time\":1}\n"
        );
        assert_eq!(message("1.22", "1.21", Events, json!({"Type": "network", "Action": "create"})), "");
    }
}
