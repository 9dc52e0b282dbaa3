//! Arbitrary requests and answers go up and down every rung without a panic, and without growing out of proportion.

use api::routes::ROUTES;
use ladder::{Body, Climbed, Request, Response, Version};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Keys that some rung looks at, so that arbitrary JSON is likely to hold them.
const KEYS: &[&str] = &[
    "Actor",
    "Aliases",
    "Annotations",
    "Binds",
    "CapAdd",
    "Config",
    "ContainerConfig",
    "Containers",
    "CpuShares",
    "Devices",
    "EndpointsConfig",
    "ExitCode",
    "ExposedPorts",
    "Healthcheck",
    "HostConfig",
    "Id",
    "Image",
    "Images",
    "Links",
    "Memory",
    "MemorySwap",
    "Mounts",
    "NetworkMode",
    "NetworkSettings",
    "Networks",
    "NetworkingConfig",
    "Path",
    "PortBindings",
    "PortSpecs",
    "Ports",
    "Processes",
    "RepoTags",
    "Resource",
    "RestartPolicy",
    "Runtimes",
    "SecurityOptions",
    "Size",
    "StartedAt",
    "State",
    "Status",
    "StatusCode",
    "Titles",
    "Type",
    "Action",
    "Volumes",
    "bridge",
    "error",
    "id",
    "message",
    "networks",
    "progress",
    "status",
    "stream",
];

const TEXTS: &[&str] = &[
    "",
    "a:b",
    "sha256:12",
    "Exited (137) 1 second ago",
    "/a:/b:ro",
    "0001-01-01T00:00:00Z",
    "container",
    "kill",
    "No such container: x",
    "exec: \"x",
    "Bind for é",
    "80/tcp",
    "é",
    "Conflict. The container name \"/x\" is already in use by container \"y\". You have to remove (or rename) that container to be able to reuse that name.",
    "[1,2]",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![prop::sample::select(TEXTS).prop_map(str::to_owned), "\\PC{0,12}"]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from)
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        let key = prop_oneof![prop::sample::select(KEYS).prop_map(str::to_owned), text()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..8)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>()))
        ]
    })
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        Just(Body::Empty),
        Just(Body::Stream),
        value().prop_map(Body::Json),
        text().prop_map(Body::Text),
        prop::collection::vec(any::<u8>(), 0..64).prop_map(Body::Bytes)
    ]
}

fn version() -> impl Strategy<Value = Version> {
    (0u32..=52).prop_map(|minor| Version::new(1, minor))
}

fn path() -> impl Strategy<Value = (String, String)> {
    let known = (0..ROUTES.len(), text()).prop_map(|(index, name)| {
        let route = ROUTES[index];
        let pattern = route.pattern.replace("{name}", &name).replace("{id}", &name);
        (route.method.to_owned(), pattern)
    });
    let old = prop::sample::select(
        &[
            ("GET", "/containers/ps"),
            ("POST", "/containers/x/copy"),
            ("GET", "/images/viz"),
            ("POST", "/images/x/insert"),
            ("GET", "/auth"),
        ][..],
    )
    .prop_map(|(method, path)| (method.to_owned(), path.to_owned()));
    prop_oneof![8 => known, 2 => old, 1 => ("[A-Z]{1,6}", "\\PC{0,20}")]
}

fn request() -> impl Strategy<Value = Request> {
    let parameter = prop::sample::select(
        &["filters", "filter", "all", "limit", "since", "before", "t", "h", "w", "repo", "rm", "pause", "url", "path"]
            [..],
    );
    let content_type =
        prop::sample::select(&["application/json", "multipart/form-data; boundary=x", "text/plain", ""][..]);
    (
        path(),
        prop::collection::vec((parameter, prop_oneof![text(), value().prop_map(|value| value.to_string())]), 0..4),
        content_type,
        body(),
    )
        .prop_map(|((method, path), query, content_type, body)| Request {
            method,
            path,
            query: query.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            body,
        })
}

fn size(body: &Body) -> usize {
    match body {
        Body::Json(value) => value.to_string().len(),
        Body::Text(text) => text.len(),
        Body::Bytes(bytes) => bytes.len(),
        Body::Empty | Body::Stream | Body::Messages(_) => 0,
    }
}

/// No rung makes more of an answer than this many times its size and this many bytes.
const FACTOR: usize = 20;
const BYTES: usize = 8_192;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_panics_or_explodes(version in version(), request in request(), status in prop::sample::select(&[200u16, 201, 204, 304, 400, 404, 409, 500][..]), answer in body(), messages in prop::collection::vec(value(), 0..4)) {
        let asked = size(&request.body) + request.query.iter().map(|(_, value)| value.len()).sum::<usize>();
        match ladder::climb(version, request) {
            Climbed::Answer(answer) => prop_assert!(size(&answer.body) <= FACTOR * asked + BYTES),
            Climbed::Forward { request, descent, .. } => {
                prop_assert!(size(&request.body) <= FACTOR * asked + BYTES);
                let before = size(&answer) + asked;
                let after = descent.response(Response { status, headers: Vec::new(), body: answer });
                prop_assert!(size(&after.body) <= FACTOR * before + BYTES, "{} from {before}", size(&after.body));
                for message in messages {
                    let before = message.to_string().len();
                    prop_assert!(descent.message(message).len() <= FACTOR * before + BYTES);
                }
            }
        }
    }
}

proptest! {
    // Each case goes through every route at seven versions.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_rung_takes_every_json(value in value()) {
        for minor in [0, 4, 6, 11, 14, 23, 43] {
            for route in ROUTES {
                let path = route.pattern.replace("{name}", "web").replace("{id}", "web");
                let request = Request { method: route.method.into(), path, query: Vec::new(), headers: Vec::new(), body: Body::Json(value.clone()) };
                if let Climbed::Forward { descent, .. } = ladder::climb(Version::new(1, minor), request) {
                    descent.response(Response::json(200, value.clone()));
                    descent.response(Response::json(500, json!({ "message": value })));
                    descent.message(value.clone());
                }
            }
        }
    }
}

#[test]
fn the_newest_version_is_left_alone() {
    assert!(ladder::at_newest(Version::new(1, 51)) && !ladder::at_newest(Version::new(1, 50)));
    let request = Request {
        method: "GET".into(),
        path: "/containers/json".into(),
        query: Vec::new(),
        headers: Vec::new(),
        body: Body::Empty,
    };
    let Climbed::Forward { descent, .. } = ladder::climb(Version::new(1, 51), request) else { panic!("not forwarded") };
    let list = Response::json(200, json!([{"Id": "a", "NoSuchKeyYet": 1}]));
    assert_eq!(descent.response(list.clone()), list);
    assert!(!descent.buffers_body() && !descent.buffers_messages());
}
