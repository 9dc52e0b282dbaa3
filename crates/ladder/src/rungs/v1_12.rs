//! API 1.12, Docker 1.0.0.

use super::insert;
use crate::json::{Object, each, is_empty, remove, rename};
use crate::rung::{Asked, Change, OldRoute, Rung};
use crate::version::Version;
use api::routes::Endpoint::{Build, ContainerInspect, ImageInspect, ImageSearch};
use serde_json::{Value, json};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 12),
    release: "1.0.0",
    changes: &[
        Change::to(
            &[ContainerInspect],
            "Inspect of a container says `Id` rather than `ID`, and leaves out `RestartCount`.",
        )
        .down(raw_container),
        Change::to(&[ImageInspect], "Inspect of an image has keys in capitals, all of them.").down(raw_image),
        Change::to(&[Build], "Build removes its containers, unless `rm=0`; before only with `rm=1`.").up(|request| {
            let rm = request.flag("rm");
            request.set_parameter("rm", if rm { "1" } else { "0" });
            Ok(())
        }),
        Change::to(&[ImageSearch], "Search says `is_automated`; before only `is_trusted`.")
            .down(|results, _| each(results, |result| remove(result, &["is_automated"]))),
        Change::removed(&INSERT, "`POST /images/{name}/insert` is gone; a Dockerfile with `ADD` does the same."),
        Change::note("Containers can be paused; images take the filter `dangling`."),
    ],
};

fn raw_container(container: &mut Value, asked: &Asked) {
    let Some(container) = container.as_object_mut() else { return };
    rename(container, "Id", "ID");
    container.insert("RestartCount".into(), asked.recall("RestartCount").unwrap_or_else(|| json!(0)));
    quote(container, "Path", asked);
    // Links lay elsewhere, and only the form of 1.12 gathered them.
    if let Some(config) = container.get_mut("HostConfig").and_then(Value::as_object_mut) {
        config.insert("Links".into(), Value::Null);
    }
}

/// The raw form never lost its quotes.
fn quote(object: &mut Object, key: &str, asked: &Asked) {
    if let Some(text) = asked.recall(key).filter(|_| object.contains_key(key)) {
        object.insert(key.to_owned(), text);
    }
}

/// The form in which images were stored, and went to registries.
fn raw_image(image: &mut Value, asked: &Asked) {
    const KEYS: &[(&str, &str)] = &[
        ("Id", "id"),
        ("Parent", "parent"),
        ("Comment", "comment"),
        ("Created", "created"),
        ("Container", "container"),
        ("ContainerConfig", "container_config"),
        ("DockerVersion", "docker_version"),
        ("Author", "author"),
        ("Config", "config"),
        ("Architecture", "architecture"),
        ("Os", "os"),
    ];
    let Some(image) = image.as_object_mut() else { return };
    for key in ["Author", "Comment"] {
        quote(image, key, asked);
    }
    for (key, raw) in KEYS {
        if image.get(*key).is_some_and(is_empty) {
            remove(image, &[key]);
        }
        rename(image, key, raw);
    }
}

static INSERT: OldRoute = OldRoute {
    method: "POST",
    pattern: "/images/{name}/insert",
    since: Version::new(1, 0),
    alias: false,
    up: insert::up,
    answer: Some(insert::answer),
    message: Some(insert::message),
};

#[cfg(test)]
mod tests {
    use crate::Body;
    use crate::testing::{ask, climbed, down};
    use api::routes::Endpoint::{Build, ContainerInspect, ImageInspect};
    use serde_json::{Value, json};

    #[test]
    fn inspect_was_raw() {
        let container = down("1.51", "1.11", ContainerInspect, json!({"Id": "12", "Path": "true", "RestartCount": 2}));
        assert_eq!(
            (&container["ID"], &container["Path"], &container["RestartCount"], container.get("Id")),
            (&json!("12"), &json!("true"), &json!(2), None)
        );
        let image =
            down("1.51", "1.11", ImageInspect, json!({"Id": "sha256:12", "Comment": "", "Author": "7", "Size": 3}));
        assert_eq!(
            (&image["id"], image.get("comment"), &image["author"], &image["Size"], image.get("config")),
            (&json!("12"), None, &json!("7"), &json!(3), None)
        );
    }

    #[test]
    fn insert_is_a_build() {
        let (request, endpoint, descent) =
            climbed("1.7", ask("POST", "/images/busybox/insert", "url=http://a/b&path=/c", Value::Null));
        let Body::Bytes(tar) = request.body else { panic!("no archive") };
        assert!(
            endpoint == Build
                && tar.starts_with(b"Dockerfile\0")
                && String::from_utf8_lossy(&tar).contains("ADD http://a/b /c\n")
        );
        assert_eq!(
            descent.message(json!({"stream": "Successfully built 0123456789ab\n"})),
            b"{\"status\":\"0123456789ab\"}\r\n"
        );
    }
}
