//! What a version documented it gets: whatever the newest version answers, an answer taken down to a version has that version's
//! fields with their types, and a request taken up has the newest version's.
//!
//! `documented/answers.txt` lists, route by route, fields of answers: path, type (`?`: or null), first and last minor version.
//! Up to 1.14 it is what Docker 1.2.0 sent, from 1.25 on what the published schemas say; between them stands what both agree on.
//! Fields that a version leaves out where they are empty are not listed, nor what a schema says by mistake.
//! `documented/requests.txt` lists fields of bodies: path, path at the newest version, kind, first and last minor version.

use std::collections::BTreeMap;

use ladder::{Body, Climbed, Descent, Request, Response, Version, climb};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Routes that answer with a list of what is documented.
const LISTS: &[&str] = &[
    "GET /containers/json",
    "GET /containers/{id}/changes",
    "GET /images/json",
    "GET /images/search",
    "GET /images/{name}/history",
    "GET /networks",
    "DELETE /images/{name}",
];

/// Values of texts. None reads as a number or a flag: Docker 1.2.0 sent such a text as what it reads as.
const TEXTS: &[&str] = &[
    "",
    "web",
    "/web",
    "busybox:latest",
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "2014-08-20T18:01:02.5Z",
    "0001-01-01T00:00:00Z",
    "Up 2 minutes",
    "Exited (3) 2 hours ago",
    "running",
    "bridge",
    "172.17.0.2",
];

const TIMES: &[&str] = &["2014-08-20T18:01:02.5Z", "0001-01-01T00:00:00Z"];

/// A documented field.
#[derive(Debug)]
struct Field {
    path: Vec<String>,
    kind: String,
    minors: std::ops::RangeInclusive<u32>,
}

/// Fields by route.
fn documented() -> BTreeMap<&'static str, Vec<Field>> {
    let mut routes: BTreeMap<&str, Vec<Field>> = BTreeMap::new();
    let mut route = "";
    for line in include_str!("documented/answers.txt").lines() {
        let Some(field) = line.strip_prefix("  ") else {
            route = line;
            continue;
        };
        let words: Vec<&str> = field.split(' ').collect();
        let [path, kind, minors] = words[..] else { panic!("no field: {line}") };
        let (first, last) = minors.split_once('-').unwrap();
        let minors = first.parse().unwrap()..=last.parse().unwrap();
        let path = path.split('.').map(str::to_owned).collect();
        routes.entry(route).or_default().push(Field { path, kind: kind.to_owned(), minors });
    }
    routes
}

/// What fields of an object, or of the objects in a list, may be.
#[derive(Debug, Default)]
struct Shape {
    kind: String,
    fields: BTreeMap<String, Shape>,
}

/// The shape of a route's answer at the newest version.
fn newest(fields: &[Field]) -> Shape {
    let mut shape = Shape { kind: "object".into(), ..Shape::default() };
    for field in fields.iter().filter(|field| field.minors.contains(&ladder::NEWEST.minor)) {
        let mut place = &mut shape;
        for step in &field.path {
            place = place.fields.entry(step.trim_end_matches("[]").to_owned()).or_default();
        }
        place.kind.clone_from(&field.kind);
    }
    shape
}

fn text() -> impl Strategy<Value = Value> {
    prop::sample::select(TEXTS).prop_map(Value::from)
}

fn object(shape: &Shape) -> BoxedStrategy<Value> {
    let fields: Vec<_> = shape
        .fields
        .iter()
        .map(|(key, shape)| {
            value(shape).prop_map({
                let key = key.clone();
                move |value| (key.clone(), value)
            })
        })
        .collect();
    fields.prop_map(|fields| Value::Object(fields.into_iter().collect())).boxed()
}

fn value(shape: &Shape) -> BoxedStrategy<Value> {
    match shape.kind.trim_end_matches('?') {
        "text" => text().boxed(),
        "id" => "[0-9a-f]{64}".prop_map(Value::from).boxed(),
        "time" => prop::sample::select(TIMES).prop_map(Value::from).boxed(),
        "number" => (-1i64..100_000).prop_map(Value::from).boxed(),
        "flag" => any::<bool>().prop_map(Value::from).boxed(),
        "list" if shape.fields.is_empty() => {
            prop_oneof![Just(Value::Null), prop::collection::vec(text(), 0..3).prop_map(Value::from)].boxed()
        }
        "list" => {
            prop_oneof![Just(Value::Null), prop::collection::vec(object(shape), 0..3).prop_map(Value::from)].boxed()
        }
        "object" if shape.fields.is_empty() => {
            prop_oneof![Just(Value::Null), Just(json!({})), text().prop_map(|text| json!({"key": text}))].boxed()
        }
        _ => object(shape),
    }
}

fn fits(value: &Value, kind: &str) -> bool {
    match (value, kind.trim_end_matches('?')) {
        (Value::Null, bare) => bare != kind,
        (Value::String(_), "text" | "id" | "time") | (Value::Number(_), "number") | (Value::Bool(_), "flag") => true,
        (Value::Array(_), "list") | (Value::Object(_), "object") => true,
        _ => false,
    }
}

/// What is wrong with a field; fields of what is not there are left to the field that it is itself.
fn wrong(value: &Value, path: &[String], kind: &str) -> Option<String> {
    let Value::Object(object) = value else { return None };
    let (step, rest) = path.split_first()?;
    let (key, item) = (step.trim_end_matches("[]"), step.ends_with("[]"));
    let Some(found) = object.get(key) else { return rest.is_empty().then(|| "it is missing".to_owned()) };
    match found {
        found if rest.is_empty() => (!fits(found, kind)).then(|| format!("it is {found}")),
        Value::Array(items) if item => items.iter().find_map(|item| wrong(item, rest, kind)),
        found => wrong(found, rest, kind),
    }
}

/// A request of a version for a route; None if the version has no such page, or refuses all.
fn ask(minor: u32, route: &str, body: Body) -> Option<(Request, Box<Descent>)> {
    let (method, pattern) = route.split_once(' ').unwrap();
    let path = pattern.replace("{id}", "web").replace("{name}", "web");
    let mut request = Request { method: method.into(), path, query: Vec::new(), headers: Vec::new(), body };
    request.set_header("Content-Type", "application/json");
    match climb(Version::new(1, minor), request) {
        Climbed::Forward { request, descent, .. } => Some((request, descent)),
        Climbed::Answer(_) => None,
    }
}

/// An answer of the newest version, at an older one.
fn lowered(minor: u32, route: &str, answer: Value) -> Option<Value> {
    let body = if route.starts_with("POST") { Body::Json(json!({"Image": "a", "username": "a"})) } else { Body::Empty };
    let (_, descent) = ask(minor, route, body)?;
    if route == "GET /events" {
        return serde_json::from_slice(&descent.message(answer)).ok();
    }
    match descent.response(Response::json(200, answer)).body {
        Body::Json(answer) => Some(answer),
        other => panic!("{route} at 1.{minor} answers {other:?}"),
    }
}

/// An answer of the newest version to every route.
fn answers() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let routes = documented().into_iter();
    routes.map(|(route, fields)| object(&newest(&fields)).prop_map(move |answer| (route, answer))).collect::<Vec<_>>()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) })]

    #[test]
    fn answers_keep_what_their_version_documents(answers in answers()) {
        let documented = documented();
        let mut wrongs: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (route, answer) in answers {
            for minor in 0..=ladder::NEWEST.minor {
                let sent = if LISTS.contains(&route) { json!([answer.clone()]) } else { answer.clone() };
                let items = match lowered(minor, route, sent) {
                    Some(Value::Array(items)) => items,
                    item => Vec::from_iter(item),
                };
                for field in documented[route].iter().filter(|field| field.minors.contains(&minor)) {
                    if let Some(wrong) = items.iter().find_map(|item| wrong(item, &field.path, &field.kind)) {
                        let what = format!("{route}: {} ({}): {wrong}", field.path.join("."), field.kind);
                        wrongs.entry(what).or_default().push(minor);
                    }
                }
            }
        }
        prop_assert!(wrongs.is_empty(), "{wrongs:#?}");
    }
}

/// A documented field of a request, and where it stands at the newest version.
struct Sent {
    route: &'static str,
    path: &'static str,
    newest: &'static str,
    kind: &'static str,
    minors: std::ops::RangeInclusive<u32>,
}

fn requests() -> Vec<Sent> {
    let mut route = "";
    let mut sent = Vec::new();
    for line in include_str!("documented/requests.txt").lines() {
        let Some(field) = line.strip_prefix("  ") else {
            route = line;
            continue;
        };
        let words: Vec<&str> = field.split(' ').collect();
        let [path, newest, kind, minors] = words[..] else { panic!("no field: {line}") };
        let (first, last) = minors.split_once('-').unwrap();
        sent.push(Sent { route, path, newest, kind, minors: first.parse().unwrap()..=last.parse().unwrap() });
    }
    sent
}

/// Something that a field may be asked to be, and that no version takes for something else.
fn wanted(kind: &str) -> BoxedStrategy<Value> {
    match kind {
        "text" => "[a-z]{1,8}".prop_map(Value::from).boxed(),
        "path" => "(/[a-z]{1,8}){1,3}".prop_map(Value::from).boxed(),
        "number" => (8_388_608i64..1 << 40).prop_map(Value::from).boxed(),
        // Never below the memory.
        "swap" => (1i64 << 40..1 << 50).prop_map(Value::from).boxed(),
        "shares" => (2i64..=262_144).prop_map(Value::from).boxed(),
        "flag" => any::<bool>().prop_map(Value::from).boxed(),
        "list" => prop::collection::vec("[a-z]{1,8}", 1..4).prop_map(Value::from).boxed(),
        "links" => ("[a-z]{1,8}", "[a-z]{1,8}").prop_map(|(name, alias)| json!([format!("{name}:{alias}")])).boxed(),
        "binds" => "[a-z]{1,8}".prop_map(|name| json!([format!("/{name}:/{name}")])).boxed(),
        "ports" => (1u16..).prop_map(|port| json!({format!("{port}/tcp"): {}})).boxed(),
        "object" => "[a-z]{1,8}".prop_map(|key| json!({key: {}})).boxed(),
        kind => panic!("no kind: {kind}"),
    }
}

/// Puts a value at a path of a body.
fn put(body: &mut Value, path: &str, value: &Value) {
    match path.split_once('.') {
        Some((step, rest)) => {
            if body[step].is_null() {
                body[step] = json!({});
            }
            put(&mut body[step], rest, value);
        }
        None => body[path] = value.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn requests_keep_what_their_version_documents(values in requests().iter().map(|sent| wanted(sent.kind)).collect::<Vec<_>>()) {
        let fields = requests();
        let routes: std::collections::BTreeSet<_> = fields.iter().map(|sent| sent.route).collect();
        let mut wrongs: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (route, minor) in routes.into_iter().flat_map(|route| (0..=ladder::NEWEST.minor).map(move |minor| (route, minor))) {
            let sent = || fields.iter().zip(&values).filter(|(sent, _)| sent.route == route && sent.minors.contains(&minor));
            let mut body = json!({});
            sent().for_each(|(sent, value)| put(&mut body, sent.path, value));
            if sent().count() == 0 {
                continue;
            }
            if route == "POST /containers/create" {
                body["Image"] = json!("busybox");
            }
            let climbed = ask(minor, route, Body::Json(body)).map(|(request, _)| request.body);
            let Some(Body::Json(got)) = climbed else { panic!("{route} at 1.{minor} came to {climbed:?}") };
            for (sent, value) in sent() {
                let found = got.pointer(&format!("/{}", sent.newest.replace('.', "/"))).unwrap_or(&Value::Null);
                if found != value {
                    wrongs.entry(format!("{route}: {}: sent {value}, got {found}", sent.path)).or_default().push(minor);
                }
            }
        }
        prop_assert!(wrongs.is_empty(), "{wrongs:#?}");
    }
}
