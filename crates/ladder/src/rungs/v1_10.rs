//! API 1.10, Docker 0.9.0.

use super::v1_15_create::{KEPT_HEADER, MOVED};
use crate::exchange::{Request, Response};
use crate::json::{Object, child, is_empty, text};
use crate::rung::{Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{ContainerCreate, ContainerStart};
use serde_json::json;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 10),
    release: "0.9.0",
    changes: &[
        Change::note("Removal takes `force`, removal of images `noprune`, push `tag`."),
        Change::to(&[ContainerCreate], "`Dns` and `VolumesFrom` moved from Config to HostConfig.").up(moved),
        Change::to(&[ContainerStart], "A start says `Dns` and `VolumesFrom`; before it left what create had said.")
            .up(|request| keep(request, &["Dns", "VolumesFrom"])),
    ],
};

/// `VolumesFrom` was a text, `id[:ro],id`.
fn moved(request: &mut Request) -> Result<(), Response> {
    let Some(body) = request.object() else { return Ok(()) };
    if !text(body, "VolumesFrom").is_empty() {
        let from: Vec<&str> =
            text(body, "VolumesFrom").split(',').map(str::trim).filter(|from| !from.is_empty()).collect();
        let from = json!(from);
        body.insert("VolumesFrom".into(), from);
    }
    move_over(body, &["Dns", "VolumesFrom"]);
    Ok(())
}

/// Moves keys to where create finds what belongs to HostConfig today.
pub(super) fn move_over(body: &mut Object, keys: &[&str]) {
    for key in keys {
        if let Some(value) = body.remove(*key).filter(|value| !is_empty(value))
            && let Some(moved) = child(body, MOVED)
        {
            moved.insert((*key).to_owned(), value);
        }
    }
}

/// Notes keys of HostConfig that a start leaves alone if it does not name them.
pub(super) fn keep(request: &mut Request, keys: &[&str]) -> Result<(), Response> {
    let kept = [request.header(KEPT_HEADER).unwrap_or_default(), &keys.join(" ")].join(" ");
    request.set_header(KEPT_HEADER, &kept);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::Body;
    use crate::testing::{ask, climbed, up};
    use api::routes::Endpoint::ContainerCreate;
    use serde_json::{Value, json};

    fn created(version: &str, body: Value) -> Value {
        match up(version, ContainerCreate, "", body).body {
            Body::Json(body) => body["HostConfig"].clone(),
            other => panic!("no JSON but {other:?}"),
        }
    }

    #[test]
    fn fields_came_from_where_their_version_had_them() {
        let body = json!({"Image": "a", "Dns": ["192.0.2.1"], "VolumesFrom": "one:ro, two"});
        let older = created("1.9", body.clone());
        assert_eq!((&older["Dns"], &older["VolumesFrom"]), (&json!(["192.0.2.1"]), &json!(["one:ro", "two"])));
        let newer = created("1.10", body);
        assert_eq!((newer.get("Dns"), newer.get("VolumesFrom")), (None, None));
        assert_eq!(created("1.9", json!({"Image": "a", "Dns": [], "VolumesFrom": ""})).get("Dns"), None);
    }

    #[test]
    fn a_start_left_them() {
        let start = |version: &str| {
            let mut request = ask("POST", "/containers/web/start", "", json!({"Binds": ["/a:/b"]}));
            request.set_header("Content-Type", "application/json");
            match climbed(version, request).0.body {
                Body::Json(body) => (body.get("Dns").cloned(), body.get("Privileged").cloned()),
                other => panic!("no JSON but {other:?}"),
            }
        };
        assert_eq!(start("1.5"), (None, None));
        assert_eq!(start("1.9"), (None, Some(json!(false))));
        assert_eq!(start("1.10"), (Some(Value::Null), Some(json!(false))));
    }
}
