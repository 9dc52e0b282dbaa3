//! API 1.45, Docker 26.0.

use api::routes::Endpoint::{ContainerCreate, ContainerInspect, ImageInspect};
use serde_json::{Value, json};

use super::shapes::{empty_config, endpoints, mounts};
use crate::exchange::{IMAGE_CONTAINER_HEADER, Request, Response};
use crate::json::{default, text};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 45),
    release: "26.0",
    changes: &[
        Change::to(&[ContainerCreate], "A directory of a volume can be mounted (`VolumeOptions.Subpath`).")
            .up(no_subpath),
        Change::to(
            &[ImageInspect],
            "Images no longer tell the container they were made from (`Container`, \
             `ContainerConfig`).",
        )
        .up(|request| {
            request.set_header(IMAGE_CONTAINER_HEADER, "1");
            Ok(())
        })
        .down(container_of_image),
        Change::to(&[ContainerInspect], "`Aliases` of an endpoint no longer hold the short id of the container.")
            .down(short_id_alias),
    ],
};

fn no_subpath(request: &mut Request) -> Result<(), Response> {
    if mounts(request)
        .iter()
        .any(|mount| mount["VolumeOptions"]["Subpath"].as_str().is_some_and(|path| !path.is_empty()))
    {
        return Err(Response::error(400, "VolumeOptions.Subpath needs API v1.45 or newer"));
    }
    Ok(())
}

fn container_of_image(image: &mut Value, _: &Asked) {
    let Some(image) = image.as_object_mut() else { return };
    default(image, "Container", json!(""));
    default(image, "ContainerConfig", empty_config());
}

fn short_id_alias(container: &mut Value, _: &Asked) {
    let Some(id) = container.as_object().map(|container| text(container, "Id").chars().take(12).collect::<String>())
    else {
        return;
    };
    let default_network = container
        .pointer("/HostConfig/NetworkMode")
        .and_then(Value::as_str)
        .is_some_and(|mode| matches!(mode, "default" | "bridge" | "host" | "none"));
    endpoints(container, |endpoint| match endpoint.get_mut("Aliases") {
        Some(Value::Array(aliases)) if !aliases.iter().any(|alias| *alias == id) => aliases.push(json!(id)),
        // Docker's own networks have no aliases at all.
        Some(aliases @ Value::Null) if !default_network => *aliases = json!([id]),
        _ => {}
    });
}

#[cfg(test)]
mod tests {
    use crate::testing::{down, refused};
    use api::routes::Endpoint::{ContainerCreate, ContainerInspect, ImageInspect};
    use serde_json::json;

    #[test]
    fn images_told_their_container() {
        let image = down("1.45", "1.44", ImageInspect, json!({"Id": "sha256:1"}));
        assert_eq!(image["Container"], json!(""));
        assert_eq!(image["ContainerConfig"]["Tty"], json!(false));
    }

    #[test]
    fn aliases_held_the_short_id() {
        let container = json!({"Id": "0123456789abcdef", "HostConfig": {"NetworkMode": "net"}, "NetworkSettings": {"Networks": {"net": {"Aliases": ["db"]}}}});
        let older = down("1.45", "1.44", ContainerInspect, container);
        assert_eq!(older["NetworkSettings"]["Networks"]["net"]["Aliases"], json!(["db", "0123456789ab"]));
    }

    #[test]
    fn subpath_is_refused() {
        let body = json!({"HostConfig": {"Mounts": [{"Type": "volume", "VolumeOptions": {"Subpath": "a"}}]}});
        assert_eq!(refused("1.44", ContainerCreate, body).status, 400);
    }
}
