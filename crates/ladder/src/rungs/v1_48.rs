//! API 1.48, Docker 28.0.

use api::routes::Endpoint::{
    ContainerCreate, ContainerInspect, ContainerList, ImageHistory, ImageInspect, ImageList, ImageLoad, ImageSave,
    ImageSaveMany, NetworkInspect, NetworkList,
};
use serde_json::Value;

use super::shapes::{endpoints, mounts, networks};
use crate::exchange::{Request, Response};
use crate::json::{each, remove};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 48),
    release: "28.0",
    changes: &[
        Change::to(&[ContainerCreate], "An image can be mounted (`Mounts` of type `image`).").up(no_image_mounts),
        Change::to(
            &[ContainerInspect, ContainerList],
            "Endpoints have `GwPriority`; containers tell the `ImageManifestDescriptor`.",
        )
        .down(container),
        Change::to(&[NetworkList, NetworkInspect], "Networks tell `EnableIPv4`.")
            .down(|list, _| networks(list, |network| remove(network, &["EnableIPv4"]))),
        Change::to(&[ImageList, ImageInspect], "Images tell their `Descriptor`.").down(|images, _| {
            each(images, |image| remove(image, &["Descriptor"]));
            images.as_object_mut().into_iter().for_each(|image| remove(image, &["Descriptor"]));
        }),
        Change::to(&[ImageInspect], "`GET /images/{name}/json` takes `manifests` and then tells `Manifests`.").up(
            |request| {
                request.remove_parameter("manifests");
                Ok(())
            },
        ),
        Change::to(&[ImageHistory, ImageLoad, ImageSave, ImageSaveMany], "History, load and save take `platform`.").up(
            |request| {
                request.remove_parameter("platform");
                Ok(())
            },
        ),
    ],
};

fn no_image_mounts(request: &mut Request) -> Result<(), Response> {
    if mounts(request).iter().any(|mount| mount["Type"] == "image") {
        return Err(Response::error(400, "Mount type \"Image\" needs API v1.48 or newer"));
    }
    Ok(())
}

fn container(value: &mut Value, _: &Asked) {
    endpoints(value, |endpoint| remove(endpoint, &["GwPriority"]));
    each(value, |container| remove(container, &["ImageManifestDescriptor"]));
    value.as_object_mut().into_iter().for_each(|container| remove(container, &["ImageManifestDescriptor"]));
}

#[cfg(test)]
mod tests {
    use crate::testing::{down, refused};
    use api::routes::Endpoint::{ContainerCreate, ContainerInspect};
    use serde_json::json;

    #[test]
    fn endpoints_had_no_gateway_priority() {
        let container =
            json!({"NetworkSettings": {"Networks": {"bridge": {"GwPriority": 0, "Gateway": "172.17.0.1"}}}});
        assert_eq!(
            down("1.48", "1.47", ContainerInspect, container),
            json!({"NetworkSettings": {"Networks": {"bridge": {"Gateway": "172.17.0.1"}}}})
        );
    }

    #[test]
    fn images_could_not_be_mounted() {
        let answer =
            refused("1.47", ContainerCreate, json!({"HostConfig": {"Mounts": [{"Type": "image", "Target": "/x"}]}}));
        assert_eq!((answer.status, answer.message()), (400, Some("Mount type \"Image\" needs API v1.48 or newer")));
    }
}
