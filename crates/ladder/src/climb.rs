//! The way up of a request and the way down of its answer.

use api::routes::{self, Endpoint, Params};
use serde_json::Value;

use crate::exchange::{Body, Request, Response};
use crate::rung::{Asked, Change, Message, OldRoute, Rung};
use crate::rungs::RUNGS;
use crate::traits::Traits;
use crate::version::{NEWEST, Version};
use crate::wording::reword;

/// What came of a request on its way up.
#[derive(Debug)]
pub enum Climbed {
    /// It is now a request of the newest version.
    Forward {
        /// The request in the newest form; its path fits the endpoint's pattern.
        request: Request,
        /// The operation it asks for.
        endpoint: Endpoint,
        /// The variable parts of the climbed request's path.
        params: Params,
        /// The way down for the answer.
        descent: Box<Descent>,
    },
    /// The ladder answers itself: there is no such page at that version, or the request is refused. Already in the version's form.
    Answer(Response),
}

/// How much of a request's body the ladder must see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Nothing: hand it over as [`Body::Stream`] (or [`Body::Empty`]) and keep it.
    Nothing,
    /// The whole body, as [`Body::Json`] if it is valid JSON, else as [`Body::Text`]; [`Body::Empty`] if there is none.
    Json,
    /// The whole body as [`Body::Bytes`], up to the limit of a build context (`POST /build` as multipart form, below 1.3).
    Bytes,
}

/// Whether requests of this version touch no rung: the server then skips the ladder wholly.
pub fn at_newest(version: Version) -> bool {
    version >= NEWEST
}

/// How the connection behaves at a version.
pub fn traits(version: Version) -> Traits {
    let mut traits = Traits::default();
    for change in above(version).flat_map(|rung| rung.changes) {
        if let Some(lower) = change.traits {
            lower(&mut traits);
        }
    }
    traits
}

/// What the server must collect of a request's body before it climbs.
pub fn reads(version: Version, method: &str, path: &str, content_type: Option<&str>) -> Reads {
    if !matches!(method, "POST" | "PUT") {
        return Reads::Nothing;
    }
    let endpoint = match old_route(version, method, path) {
        Some(_) => return Reads::Json,
        None => routes::resolve(method, path).map(|(endpoint, _)| endpoint),
    };
    match endpoint {
        Some(Endpoint::Build) if content_type.is_some_and(|kind| kind.starts_with("multipart/")) => Reads::Bytes,
        Some(
            Endpoint::Build
            | Endpoint::ContainerArchivePut
            | Endpoint::ContainerAttach
            | Endpoint::Grpc
            | Endpoint::ImageCreate
            | Endpoint::ImageLoad
            | Endpoint::PluginCreate
            | Endpoint::Session,
        )
        | None => Reads::Nothing,
        Some(_) => Reads::Json,
    }
}

/// Takes a request of a version up to the newest.
pub fn climb(version: Version, mut request: Request) -> Climbed {
    let asked = as_asked(&request);
    let old = old_route(version, &request.method, &request.path);
    if let Some(old) = &old
        && let Err(answer) = (old.route.up)(&mut request, &old.params)
    {
        return Climbed::Answer(error_for(version, answer));
    }
    let Some((endpoint, params)) = routes::resolve(&request.method, &request.path) else {
        return Climbed::Answer(no_such_page(version));
    };
    // A route that was removed does not change below its removal, but errors do.
    let lowest = old.as_ref().filter(|old| !old.route.alias).map_or(version, |old| old.removed_at);
    let concerns =
        |rung: &Rung, change: &Change| change.routes.is_empty() || (rung.version > lowest && change.touches(endpoint));
    let changes: Vec<&'static Change> =
        above(version).flat_map(|rung| rung.changes.iter().filter(move |change| concerns(rung, change))).collect();
    if old.is_none() && changes.iter().any(|change| change.adds) {
        return Climbed::Answer(no_such_page(version));
    }
    let asked_params = old.as_ref().map_or_else(|| params.clone(), |old| old.params.clone());
    let descent = Box::new(Descent {
        changes,
        old: old.map(|old| old.route),
        asked: Asked::new(version, endpoint, asked, asked_params),
        traits: traits(version),
    });
    for up in descent.changes.iter().rev().filter_map(|change| change.up) {
        if let Err(answer) = up(&mut request) {
            return Climbed::Answer(descent.response(answer));
        }
    }
    // A change may have put another name into the path.
    let params = routes::resolve(&request.method, &request.path).map_or(params, |(_, params)| params);
    Climbed::Forward { request, endpoint, params, descent }
}

/// Takes an error that belongs to no operation (no such page, a refused version) down to a version.
pub fn error_for(version: Version, mut response: Response) -> Response {
    let asked = Asked::new(version, Endpoint::Ping, nothing(), Params::default());
    for change in above(version).flat_map(|rung| rung.changes).filter(|change| change.routes.is_empty()) {
        lower(change, &mut response, &asked);
    }
    response
}

/// The way down for one request's answer.
#[derive(Debug)]
pub struct Descent {
    changes: Vec<&'static Change>,
    old: Option<&'static OldRoute>,
    asked: Asked,
    traits: Traits,
}

impl Descent {
    /// Whether the JSON body of a successful response must be collected, because it changes on the way.
    /// If not, hand its head over with [`Body::Stream`]. Errors are always handed over whole.
    pub fn buffers_body(&self) -> bool {
        self.changes.iter().any(|change| change.down.is_some())
            || self.old.is_some_and(|old| old.answer.is_some() && old.message.is_none())
    }

    /// Whether the answer is a list whose items go down one by one with [`Descent::item`], whatever the others are. Hand over
    /// the head of a successful response with [`Body::Stream`] then.
    pub fn lowers_items(&self) -> bool {
        let request = &self.asked.request;
        // Below 1.15 a limit counts what a filter leaves.
        let counts = request.parameter("limit").is_some() && request.parameter("filters").is_some();
        let items = matches!(self.asked.endpoint, Endpoint::ContainerList) && !counts;
        items && self.old.is_none_or(|old| old.answer.is_none())
    }

    /// Takes one item of a list down. `None` if older clients were not shown it.
    pub fn item(&self, item: Value) -> Option<Value> {
        let mut list = Value::Array(vec![item]);
        for down in self.changes.iter().filter_map(|change| change.down) {
            down(&mut list, &self.asked);
        }
        list.as_array_mut()?.pop()
    }

    /// Whether the messages of a streamed response must be collected into one JSON list, to be handed over as the body.
    pub fn buffers_messages(&self) -> bool {
        self.changes.iter().any(|change| change.collects)
    }

    /// Takes a whole answer down, errors included.
    pub fn response(&self, mut response: Response) -> Response {
        for change in &self.changes {
            lower(change, &mut response, &self.asked);
        }
        if let Some(answer) = self.old.and_then(|old| old.answer) {
            answer(&mut response, &self.asked);
        }
        if let Body::Messages(messages) = &mut response.body {
            let messages = std::mem::take(messages);
            let text = messages.into_iter().map(|message| encode(message, self.asked.endpoint)).collect();
            response.body = Body::Text(text);
        }
        response
    }

    /// Takes one message of a stream down, and encodes what it becomes: nothing if older clients never saw such a message, or
    /// several. Each belongs into a chunk of its own, because there are clients that read chunk by chunk.
    pub fn messages(&self, message: Value) -> Vec<Vec<u8>> {
        let steps = self.changes.iter().filter_map(|change| change.message).chain(self.old.and_then(|old| old.message));
        lower_message(steps, message, &self.asked)
    }

    /// The same, all in one.
    pub fn message(&self, message: Value) -> Vec<u8> {
        self.messages(message).concat()
    }

    /// What the client asked.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Whether the same was asked at the same version. The ladder is pure: the same answer becomes the same then.
    pub fn is_like(&self, other: &Self) -> bool {
        self.asked.version == other.asked.version && self.asked.request == other.asked.request
    }

    /// How the connection behaves.
    pub fn traits(&self) -> &Traits {
        &self.traits
    }
}

/// Takes a response one change down.
fn lower(change: &Change, response: &mut Response, asked: &Asked) {
    if let (Some(step), Body::Messages(messages)) = (change.message, &mut response.body) {
        *messages = lowered(step, std::mem::take(messages), asked);
    }
    if response.is_error() {
        reword(response, change.wordings, asked);
    } else if let (Some(down), Body::Json(value)) = (change.down, &mut response.body) {
        down(value, asked);
    }
    if let Some(answer) = change.answer {
        answer(response, asked);
    }
}

/// Takes a message down steps, and encodes it. A step may make several of one, or none.
fn lower_message(steps: impl Iterator<Item = Message>, message: Value, asked: &Asked) -> Vec<Vec<u8>> {
    let messages = steps.fold(vec![message], |messages, step| lowered(step, messages, asked));
    let encoded = messages.into_iter().flat_map(several).map(|message| encode(message, asked.endpoint).into_bytes());
    encoded.filter(|message| !message.is_empty()).collect()
}

/// Takes messages down one step.
fn lowered(step: Message, mut messages: Vec<Value>, asked: &Asked) -> Vec<Value> {
    messages.iter_mut().for_each(|message| step(message, asked));
    messages.into_iter().flat_map(several).collect()
}

/// A message as it goes out.
fn encode(message: Value, endpoint: Endpoint) -> String {
    let end = if matches!(endpoint, Endpoint::Events | Endpoint::ContainerStats) { "\n" } else { "\r\n" };
    match message {
        // A rung where messages were plain text leaves the text.
        Value::String(text) => text,
        message => format!("{message}{end}"),
    }
}

/// The messages that a step left: none for null, those of a list.
fn several(message: Value) -> Vec<Value> {
    match message {
        Value::Null => Vec::new(),
        Value::Array(messages) => messages,
        message => vec![message],
    }
}

/// Takes a response down the rungs between two versions.
#[cfg(test)]
pub(crate) fn descend(from: Version, to: Version, response: &mut Response, asked: &Asked) {
    for change in above(to)
        .filter(|rung| rung.version <= from)
        .flat_map(|rung| rung.changes)
        .filter(|change| change.touches(asked.endpoint))
    {
        lower(change, response, asked);
    }
}

/// Takes a message down the rungs between two versions.
#[cfg(test)]
pub(crate) fn descend_message(from: Version, to: Version, message: Value, asked: &Asked) -> Vec<u8> {
    let changes = above(to)
        .filter(|rung| rung.version <= from)
        .flat_map(|rung| rung.changes)
        .filter(|change| change.touches(asked.endpoint));
    lower_message(changes.filter_map(|change| change.message), message, asked).concat()
}

/// The rungs above a version, newest first.
fn above(version: Version) -> impl Iterator<Item = &'static Rung> {
    RUNGS.iter().copied().take_while(move |rung| rung.version > version)
}

/// The route that a later version removed, if the request means one that its version had.
fn old_route(version: Version, method: &str, path: &str) -> Option<Removed> {
    above(version)
        .flat_map(|rung| rung.changes.iter().filter_map(|change| Some((rung.version, change.removes?))))
        .filter(|(_, route)| route.since <= version && route.method == method)
        .find_map(|(removed_at, route)| {
            Some(Removed { removed_at, route, params: routes::matches(route.pattern, path)? })
        })
}

/// A route that is no more, as a request means it.
struct Removed {
    removed_at: Version,
    route: &'static OldRoute,
    params: Params,
}

fn no_such_page(version: Version) -> Response {
    error_for(version, Response::error(404, "page not found"))
}

fn as_asked(request: &Request) -> Request {
    let body = match &request.body {
        body @ (Body::Json(_) | Body::Text(_)) => body.clone(),
        _ => Body::Empty,
    };
    Request {
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        headers: request.headers.clone(),
        body,
    }
}

fn nothing() -> Request {
    Request { method: String::new(), path: String::new(), query: Vec::new(), headers: Vec::new(), body: Body::Empty }
}
