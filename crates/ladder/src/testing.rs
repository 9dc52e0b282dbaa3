//! What the tests of rungs say: take this JSON down these rungs, this request up.

use api::routes::{Endpoint, Params, resolve};
use serde_json::Value;

use crate::climb::{Climbed, Descent, climb, descend, descend_message};
use crate::exchange::{Body, Request, Response};
use crate::rung::Asked;
use crate::version::{NEWEST, Version};

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

/// A request with parameters as in a URL.
pub(crate) fn ask(method: &str, path: &str, query: &str, body: Value) -> Request {
    let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    Request {
        method: method.into(),
        path: path.into(),
        query: query.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        headers: Vec::new(),
        body: if body.is_null() { Body::Empty } else { Body::Json(body) },
    }
}

fn ask_endpoint(endpoint: Endpoint, query: &str, body: Value) -> Request {
    let route = endpoint.route();
    ask(route.method, &route.pattern.replace("{name}", "web").replace("{id}", "web"), query, body)
}

fn asked(endpoint: Endpoint) -> Asked {
    let request = ask_endpoint(endpoint, "", Value::Null);
    let params = resolve(&request.method, &request.path).map_or_else(Params::default, |(_, params)| params);
    Asked::new(NEWEST, endpoint, request, params)
}

/// Takes the JSON of an answer from one version to an older.
pub(crate) fn down(from: &str, to: &str, endpoint: Endpoint, value: Value) -> Value {
    let mut response = Response::json(200, value);
    descend(version(from), version(to), &mut response, &asked(endpoint));
    match response.body {
        Body::Json(value) => value,
        other => panic!("no JSON but {other:?}"),
    }
}

/// Takes a message of a stream from one version to an older.
pub(crate) fn message(from: &str, to: &str, endpoint: Endpoint, value: Value) -> String {
    String::from_utf8(descend_message(version(from), version(to), value, &asked(endpoint))).unwrap()
}

/// Climbs with a request; it must arrive.
pub(crate) fn climbed(from: &str, request: Request) -> (Request, Endpoint, Box<Descent>) {
    match climb(version(from), request) {
        Climbed::Forward { request, endpoint, descent, .. } => (request, endpoint, descent),
        Climbed::Answer(answer) => panic!("refused: {answer:?}"),
    }
}

/// Climbs with a request of a version to the newest; it must arrive.
pub(crate) fn up(from: &str, endpoint: Endpoint, query: &str, body: Value) -> Request {
    climbed(from, ask_endpoint(endpoint, query, body)).0
}

/// Climbs with a request that the ladder must answer itself.
pub(crate) fn refused(from: &str, endpoint: Endpoint, body: Value) -> Response {
    refusal(from, ask_endpoint(endpoint, "", body))
}

/// Climbs with a request that the ladder must answer itself.
pub(crate) fn refusal(from: &str, request: Request) -> Response {
    match climb(version(from), request) {
        Climbed::Answer(answer) => answer,
        Climbed::Forward { request, .. } => panic!("not refused: {request:?}"),
    }
}

/// Whether a version has no such page.
pub(crate) fn missing(at: &str, endpoint: Endpoint) -> bool {
    matches!(climb(version(at), ask_endpoint(endpoint, "", Value::Null)), Climbed::Answer(answer) if answer.status == 404)
}

/// Takes the newest version's answer down to a version.
pub(crate) fn answer(to: &str, endpoint: Endpoint, response: Response) -> Response {
    climbed(to, ask_endpoint(endpoint, "", Value::Null)).2.response(response)
}
