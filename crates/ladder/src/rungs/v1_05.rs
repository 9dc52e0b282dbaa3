//! API 1.5, Docker 0.6.2.

use super::v1_15_inspect::unquote;
use crate::exchange::{Body, Response};
use crate::json::{Object, each, number, text};
use crate::rung::{Asked, Change, OldRoute, Rung};
use crate::version::Version;
use api::routes::Endpoint::ContainerList;
use serde_json::{Value, json};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 5),
    release: "0.6.2",
    changes: &[
        Change::to(&[ContainerList], "Ports of a container are a list rather than text.").down(ports_as_text),
        Change::removed(&GET_CACHE, "`POST /images/getCache`, which clients that built asked, is gone."),
        Change::note("Credentials for pull and push come in `X-Registry-Auth`."),
    ],
};

fn ports_as_text(list: &mut Value, _: &Asked) {
    each(list, |container| {
        let mut ports: Vec<&Object> = container
            .get("Ports")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .collect();
        ports.sort_by_key(|port| number(port, "PublicPort"));
        let written = ports.into_iter().map(|port| match text(port, "IP") {
            "" => format!("{}/{}", number(port, "PrivatePort"), text(port, "Type")),
            ip => {
                format!("{ip}:{}->{}/{}", number(port, "PublicPort"), number(port, "PrivatePort"), text(port, "Type"))
            }
        });
        let written = written.collect::<Vec<_>>().join(", ");
        container.insert("Ports".into(), json!(written));
        // This form was built from texts.
        unquote(container, &["Command", "Image", "Status"]);
    });
}

/// Nothing found is always a right answer of a cache.
static GET_CACHE: OldRoute = OldRoute {
    method: "POST",
    pattern: "/images/getCache",
    since: Version::new(1, 0),
    alias: false,
    up: |_, _| Err(Response { body: Body::Empty, ..Response::empty(404) }),
    answer: None,
    message: None,
};

#[cfg(test)]
mod tests {
    use crate::testing::down;
    use api::routes::Endpoint::ContainerList;
    use serde_json::json;

    #[test]
    fn ports_were_text() {
        let list = json!([{"Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}, {"PrivatePort": 53, "Type": "udp"}]}, {"Ports": []}]);
        assert_eq!(
            down("1.5", "1.4", ContainerList, list),
            json!([{"Ports": "53/udp, 0.0.0.0:8080->80/tcp"}, {"Ports": ""}])
        );
        let list = json!([{"Command": "true", "Image": "a:latest"}]);
        assert_eq!(
            down("1.5", "1.4", ContainerList, list),
            json!([{"Command": true, "Image": "a:latest", "Ports": ""}])
        );
    }
}
