//! API 1.46, Docker 27.0.

use api::routes::Endpoint::{ContainerList, Events, ImagePush, Info};

use super::shapes::drop_events;
use crate::json::{each, object, remove};
use crate::rung::{Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 46),
    release: "27.0",
    changes: &[
        Change::to(&[Info], "`GET /info` tells where `Containerd` is reached.").down(|info, _| {
            object(info, &[]).into_iter().for_each(|info| remove(info, &["Containerd"]));
        }),
        Change::to(&[ContainerList], "`GET /containers/json` lists `Annotations`.").down(|list, _| {
            each(list, |container| {
                container
                    .get_mut("HostConfig")
                    .and_then(|config| config.as_object_mut())
                    .into_iter()
                    .for_each(|config| remove(config, &["Annotations"]));
            });
        }),
        Change::to(&[Events], "Images have the event `create`.")
            .message(|event, _| drop_events(event, "image", &["create"])),
        Change::to(&[ImagePush], "Push takes `platform`.").up(|request| {
            request.remove_parameter("platform");
            Ok(())
        }),
    ],
};

#[cfg(test)]
mod tests {
    use crate::testing::{down, message};
    use api::routes::Endpoint::{ContainerList, Events};
    use serde_json::json;

    #[test]
    fn annotations_were_not_listed() {
        let list = json!([{"HostConfig": {"NetworkMode": "bridge", "Annotations": {"a": "b"}}}]);
        assert_eq!(down("1.46", "1.45", ContainerList, list), json!([{"HostConfig": {"NetworkMode": "bridge"}}]));
    }

    #[test]
    fn the_making_of_an_image_was_no_event() {
        assert_eq!(message("1.46", "1.45", Events, json!({"Type": "image", "Action": "create"})), "");
        assert_ne!(message("1.46", "1.45", Events, json!({"Type": "container", "Action": "create"})), "");
    }
}
