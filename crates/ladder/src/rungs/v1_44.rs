//! API 1.44, Docker 25.0.

use api::routes::Endpoint::{
    ContainerCreate, ContainerInspect, ContainerList, DiskUsage, ImageInspect, ImageList, Info, NetworkCreate,
};
use serde_json::{Value, json};

use super::shapes::endpoints;
use crate::exchange::{Request, Response};
use crate::json::{Object, default, each, each_value, object, remove};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 44),
    release: "25.0",
    changes: &[
        Change::to(
            &[ImageList, ImageInspect, DiskUsage],
            "`VirtualSize`, always the same as `Size`, is gone; `Created` is left out if it is \
             not known.",
        )
        .down(virtual_size),
        Change::to(
            &[ContainerCreate],
            "A container can be made with several endpoints, and its health check with \
             `StartInterval`.",
        )
        .up(one_endpoint),
        Change::to(&[ContainerInspect, ContainerList], "Endpoints tell their `DNSNames`.")
            .down(|value, _| endpoints(value, |endpoint| remove(endpoint, &["DNSNames"]))),
        Change::to(&[Info], "`GET /info` tells the status of runtimes, and `CDISpecDirs`.").down(runtimes),
        Change::to(
            &[NetworkCreate],
            "Two networks of one name are always refused; before only with `CheckDuplicate`, \
             which is not asked for any more.",
        ),
    ],
};

fn virtual_size(value: &mut Value, _: &Asked) {
    let virtual_size = |image: &mut Object| {
        if let Some(size) = image.get("Size").cloned() {
            default(image, "VirtualSize", size);
        }
    };
    each(value, virtual_size);
    if let Some(images) = value.get_mut("Images") {
        each(images, virtual_size);
    } else if let Some(image) = value.as_object_mut() {
        virtual_size(image);
        default(image, "Created", json!("0001-01-01T00:00:00Z"));
    }
}

fn one_endpoint(request: &mut Request) -> Result<(), Response> {
    let Some(body) = request.body.json() else { return Ok(()) };
    if let Some(check) = object(body, &["Healthcheck"]) {
        remove(check, &["StartInterval"]);
    }
    let names: Vec<String> = object(body, &["NetworkingConfig", "EndpointsConfig"])
        .map(|all| all.keys().cloned().collect())
        .unwrap_or_default();
    if names.len() > 1 {
        let text = format!("Container cannot be created with multiple network endpoints: {}", names.join(", "));
        return Err(Response::error(400, &text));
    }
    Ok(())
}

fn runtimes(info: &mut Value, _: &Asked) {
    each_value(info.get_mut("Runtimes"), |runtime| remove(runtime, &["status"]));
    if let Some(info) = info.as_object_mut() {
        remove(info, &["CDISpecDirs"]);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{down, refused};
    use api::routes::Endpoint::{ContainerCreate, ImageList, Info};
    use serde_json::json;

    #[test]
    fn images_had_a_virtual_size() {
        assert_eq!(down("1.44", "1.43", ImageList, json!([{"Size": 5}])), json!([{"Size": 5, "VirtualSize": 5}]));
    }

    #[test]
    fn one_endpoint_was_the_most() {
        let answer =
            refused("1.43", ContainerCreate, json!({"NetworkingConfig": {"EndpointsConfig": {"a": {}, "b": {}}}}));
        assert_eq!(answer.message(), Some("Container cannot be created with multiple network endpoints: a, b"));
    }

    #[test]
    fn runtimes_had_no_status() {
        let info = json!({"Runtimes": {"runc": {"path": "runc", "status": {}}}, "CDISpecDirs": []});
        assert_eq!(down("1.44", "1.43", Info, info), json!({"Runtimes": {"runc": {"path": "runc"}}}));
    }
}
