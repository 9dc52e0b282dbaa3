//! A list goes down item by item to the same answer as all at once.

use ladder::{Body, Climbed, RUNGS, Request, Response, climb};
use serde_json::{Value, json};

fn containers() -> Value {
    let item = |id: &str, status: &str, ports: Value| {
        json!({
            "Id": id, "Names": ["/web", "/db/web"], "Image": "busybox", "ImageID": format!("sha256:{id}"),
            "Command": "true", "Created": 1, "Ports": ports, "Labels": {"a": "b"}, "State": "exited", "Status": status,
            "HostConfig": {"NetworkMode": "bridge"}, "Mounts": [], "ImageManifestDescriptor": null,
            "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2", "DNSNames": null, "GwPriority": 0}}},
        })
    };
    let published = |ip: &str| json!({"IP": ip, "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"});
    json!([
        item("1", "Created", json!([])),
        item("2", "Exited (137) 2 hours ago", Value::Null),
        item("3", "Up 2 minutes (healthy)", json!([published("0.0.0.0"), published("::")])),
    ])
}

#[test]
fn item_by_item_is_all_at_once_at_every_version() {
    for rung in RUNGS {
        for query in [vec![], vec![("filters".to_owned(), r#"{"exited":["137"]}"#.to_owned())]] {
            let request = Request {
                method: "GET".into(),
                path: "/containers/json".into(),
                query,
                headers: Vec::new(),
                body: Body::Empty,
            };
            let Climbed::Forward { descent, .. } = climb(rung.version, request) else { continue };
            assert!(descent.lowers_items());
            let answer = descent.response(Response::json(200, containers()));
            let items = containers().as_array().unwrap().iter().filter_map(|item| descent.item(item.clone())).collect();
            assert_eq!(answer.body, Body::Json(Value::Array(items)), "{}", rung.version);
        }
    }
}
