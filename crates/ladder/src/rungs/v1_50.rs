//! API 1.50, Docker 28.2.

use api::routes::Endpoint::{ImageDelete, ImageInspect, Info};
use serde_json::{Value, json};

use crate::json::{default, object, remove};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 50),
    release: "28.2",
    changes: &[
        Change::to(
            &[Info],
            "`GET /info` lists `DiscoveredDevices`, and no longer says `BridgeNfIptables` and \
             `BridgeNfIp6tables`.",
        )
        .down(bridge_filter),
        Change::to(
            &[ImageInspect],
            "`Config` of `GET /images/{name}/json` holds only what an image's configuration can hold.",
        )
        .down(container_fields),
        Change::to(&[ImageDelete], "`DELETE /images/{name}` takes `platforms`.").up(|request| {
            request.remove_parameter("platforms");
            Ok(())
        }),
    ],
};

fn bridge_filter(info: &mut Value, _: &Asked) {
    let Some(info) = info.as_object_mut() else { return };
    remove(info, &["DiscoveredDevices"]);
    default(info, "BridgeNfIptables", json!(false));
    default(info, "BridgeNfIp6tables", json!(false));
}

/// An image's configuration once had every field of a container's; those that it cannot set were empty.
fn container_fields(image: &mut Value, _: &Asked) {
    let Some(config) = object(image, &["Config"]) else { return };
    for key in ["Hostname", "Domainname", "User", "Image", "WorkingDir"] {
        default(config, key, json!(""));
    }
    for key in ["AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"] {
        default(config, key, json!(false));
    }
    for key in ["Env", "Cmd", "Volumes", "Entrypoint", "OnBuild", "Labels"] {
        default(config, key, Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::down;
    use api::routes::Endpoint::{ImageInspect, Info};
    use serde_json::json;

    #[test]
    fn info_told_of_the_bridge_filter() {
        let info = json!({"DiscoveredDevices": [], "NCPU": 2});
        assert_eq!(
            down("1.50", "1.49", Info, info),
            json!({"NCPU": 2, "BridgeNfIptables": false, "BridgeNfIp6tables": false})
        );
    }

    #[test]
    fn image_configuration_had_the_fields_of_a_container() {
        let image = down("1.50", "1.49", ImageInspect, json!({"Config": {"Cmd": ["sh"]}}));
        assert_eq!(image["Config"]["Cmd"], json!(["sh"]));
        assert_eq!(image["Config"]["Tty"], json!(false));
        assert_eq!(image["Config"]["Hostname"], json!(""));
    }
}
