//! API 1.29, Docker 17.05.

use super::shapes::networks;
use crate::json::{object, remove, text};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{Build, ContainerCreate, NetworkCreate, NetworkInspect, NetworkList};
use serde_json::Value;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 29),
    release: "17.05",
    changes: &[
        Change::to(&[NetworkList, NetworkInspect], "Networks tell `Ingress`, `ConfigFrom` and `ConfigOnly`.")
            .down(|value, _| networks(value, |network| remove(network, &["Ingress", "ConfigFrom", "ConfigOnly"]))),
        Change::to(&[NetworkCreate], "Networks can be made with `Ingress`, `ConfigFrom` and `ConfigOnly`.").up(
            |request| {
                request
                    .object()
                    .into_iter()
                    .for_each(|body| remove(body, &["Ingress", "ConfigFrom", "ConfigOnly", "Scope"]));
                Ok(())
            },
        ),
        Change::to(&[ContainerCreate], "Health checks have a `StartPeriod`.").up(|request| {
            request
                .body
                .json()
                .and_then(|body| object(body, &["Healthcheck"]))
                .into_iter()
                .for_each(|check| remove(check, &["StartPeriod"]));
            Ok(())
        }),
        Change::to(&[Build], "Build says which names it gave: `Successfully tagged`.").message(tagged),
    ],
};

fn tagged(message: &mut Value, _: &Asked) {
    if message.as_object().is_some_and(|message| text(message, "stream").starts_with("Successfully tagged ")) {
        *message = Value::Null;
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{down, message};
    use api::routes::Endpoint::{Build, NetworkInspect};
    use serde_json::json;

    #[test]
    fn networks_knew_no_ingress() {
        assert_eq!(down("1.29", "1.28", NetworkInspect, json!({"Name": "a", "Ingress": false})), json!({"Name": "a"}));
    }

    #[test]
    fn build_did_not_say_names() {
        assert_eq!(message("1.29", "1.28", Build, json!({"stream": "Successfully tagged a:latest\n"})), "");
    }
}
