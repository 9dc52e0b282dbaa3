//! API 1.12, Docker 1.0.0.

use super::tar;
use crate::exchange::{Body, Request, Response};
use crate::json::{is_empty, remove, rename};
use crate::rung::{Asked, Change, OldRoute, Rung};
use crate::version::Version;
use api::routes::Endpoint::{Build, ContainerInspect, ImageInspect};
use api::routes::Params;
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
        Change::removed(&INSERT, "`POST /images/{name}/insert` is gone; a Dockerfile with `ADD` does the same."),
        Change::note("Containers can be paused; images take the filter `dangling`."),
    ],
};

fn raw_container(container: &mut Value, asked: &Asked) {
    let Some(container) = container.as_object_mut() else { return };
    rename(container, "Id", "ID");
    container.insert("RestartCount".into(), asked.recall("RestartCount").unwrap_or_else(|| json!(0)));
    quote(container.get_mut("Path"));
    // Links lay elsewhere, and only the form of 1.12 gathered them.
    if let Some(config) = container.get_mut("HostConfig").and_then(Value::as_object_mut) {
        config.insert("Links".into(), Value::Null);
    }
}

/// The raw form never lost its quotes.
fn quote(value: Option<&mut Value>) {
    if let Some(value) = value.filter(|value| !value.is_string()) {
        *value = json!(value.to_string());
    }
}

/// The form in which images were stored, and went to registries.
fn raw_image(image: &mut Value, _: &Asked) {
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
        quote(image.get_mut(key));
    }
    for (key, raw) in KEYS {
        if image.get(*key).is_some_and(is_empty) {
            remove(image, &[key]);
        }
        rename(image, key, raw);
    }
}

/// Fetches a file into an image. A build of two instructions does just that.
static INSERT: OldRoute = OldRoute {
    method: "POST",
    pattern: "/images/{name}/insert",
    since: Version::new(1, 0),
    alias: false,
    up: |request, params: &Params| {
        let (url, path) = (
            request.parameter("url").unwrap_or_default().to_owned(),
            request.parameter("path").unwrap_or_default().to_owned(),
        );
        if url.is_empty() || path.is_empty() || params.first().contains(char::is_whitespace) {
            return Err(Response::error(500, "Bad parameter: url and path are needed"));
        }
        let dockerfile = format!("FROM {}\nADD {}\n", params.first(), json!([url, path]));
        *request = Request {
            method: "POST".into(),
            path: "/build".into(),
            query: vec![("rm".into(), "1".into()), ("forcerm".into(), "1".into())],
            headers: vec![("Content-Type".into(), "application/x-tar".into())],
            body: Body::Bytes(tar::archive("Dockerfile", dockerfile.as_bytes())),
        };
        Ok(())
    },
    answer: Some(|_, _| {}),
    message: Some(|message, _| {
        let Some(line) = message.get("stream").and_then(Value::as_str) else { return };
        let line = line.trim();
        *message = match line.strip_prefix("Successfully built ") {
            Some(id) => json!({ "status": id }),
            None if line.is_empty() => Value::Null,
            None => json!({ "status": line }),
        };
    }),
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
            climbed("1.5", ask("POST", "/images/busybox/insert", "url=http://a/b&path=/c", Value::Null));
        let Body::Bytes(tar) = request.body else { panic!("no archive") };
        assert!(
            endpoint == Build
                && tar.starts_with(b"Dockerfile\0")
                && String::from_utf8_lossy(&tar).contains("ADD [\"http://a/b\",\"/c\"]")
        );
        assert_eq!(
            descent.message(json!({"stream": "Successfully built 0123456789ab\n"})),
            b"{\"status\":\"0123456789ab\"}\r\n"
        );
    }
}
