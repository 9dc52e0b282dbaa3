//! API 1.43, Docker 24.0.

use api::quirk;
use api::routes::Endpoint::{ContainerCreate, ContainerInspect, ImageInspect, ImageList};
use serde_json::{Map, Value, json};

use super::v1_15::AS_WRITTEN;
use crate::exchange::{Request, Response};
use crate::json::{each, is_empty, object, remove, set};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 43),
    release: "24.0",
    changes: &[
        Change::to(&[ContainerCreate, ContainerInspect], "Containers have `HostConfig.Annotations`.")
            .up(no_annotations)
            .down(annotations),
        Change::to(
            &[ImageList],
            "Images without tags or digests have empty `RepoTags` and `RepoDigests` rather than null, and those without both \
             rather than `<none>`.",
        )
        .down(|images, _| each(images, names_of_nameless)),
        Change::to(&[ImageInspect], "`VirtualSize` is deprecated."),
    ],
};

fn names_of_nameless(image: &mut Map<String, Value>) {
    let lacks = |key: &str| image.get(key).is_none_or(is_empty);
    match (lacks("RepoTags"), lacks("RepoDigests")) {
        (true, true) => {
            set(image, "RepoTags", json!(["<none>:<none>"]));
            set(image, "RepoDigests", json!(["<none>@<none>"]));
        }
        (true, false) => set(image, "RepoTags", Value::Null),
        (false, true) => set(image, "RepoDigests", Value::Null),
        (false, false) => {}
    }
}

fn no_annotations(request: &mut Request) -> Result<(), Response> {
    if let Some(annotations) = request.body.json().and_then(|body| object(body, &["HostConfig", "Annotations"])) {
        // What an older rung keeps there is its own.
        annotations.retain(|key, _| key.starts_with(AS_WRITTEN) || key == quirk::ANNOTATION);
    }
    Ok(())
}

fn annotations(container: &mut Value, asked: &Asked) {
    let Some(config) = object(container, &["HostConfig"]) else { return };
    for (key, written) in config.get("Annotations").and_then(Value::as_object).into_iter().flatten() {
        if key.starts_with(AS_WRITTEN) {
            asked.note(key, written.clone());
        }
    }
    remove(config, &["Annotations"]);
}

#[cfg(test)]
mod tests {
    use crate::testing::{down, up};
    use api::routes::Endpoint::{ContainerCreate, ContainerInspect, ImageList};
    use serde_json::json;

    #[test]
    fn images_without_a_name_said_none() {
        let list = json!([{"RepoTags": [], "RepoDigests": []}, {"RepoTags": ["a:1"], "RepoDigests": []}]);
        assert_eq!(
            down("1.43", "1.42", ImageList, list),
            json!([
                {"RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"]},
                {"RepoTags": ["a:1"], "RepoDigests": null},
            ])
        );
    }

    #[test]
    fn there_were_no_annotations() {
        assert_eq!(
            down("1.43", "1.42", ContainerInspect, json!({"HostConfig": {"Annotations": {"a": "b"}}})),
            json!({"HostConfig": {}})
        );
        let request = up("1.42", ContainerCreate, "", json!({"HostConfig": {"Annotations": {"a": "b"}}}));
        assert_eq!(request.body, crate::Body::Json(json!({"HostConfig": {"Annotations": {}}})));
    }
}
