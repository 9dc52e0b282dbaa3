//! A rung of the ladder: what one version changed, as code and as documentation.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use api::routes::{Endpoint, Params};
use serde_json::Value;

use crate::exchange::{Body, Request, Response};
use crate::traits::Traits;
use crate::version::Version;
use crate::wording::Wording;

/// What one version changed. Below it, its changes are undone.
#[derive(Debug)]
pub struct Rung {
    /// The version that brought the changes.
    pub version: Version,
    /// The first release of Docker with this version.
    pub release: &'static str,
    /// The changes, newest concern first; responses are taken down in this order.
    pub changes: &'static [Change],
}

/// Takes a request from the version below up to the rung's; may refuse it.
pub type Up = fn(&mut Request) -> Result<(), Response>;
/// Takes the JSON body of a successful response from the rung's version to the one below.
pub type Down = fn(&mut Value, &Asked);
/// Takes a whole response, of any status, from the rung's version to the one below.
pub type Answer = fn(&mut Response, &Asked);
/// Takes one message of a response stream down; `Value::Null` drops it, a list puts several in its place.
pub type Message = fn(&mut Value, &Asked);

/// One change of a version.
///
/// Made in constants: `Change::to(ROUTES, "What the version brought.").up(f).down(g)`.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// What the version brought, in one sentence; this is the published documentation.
    pub summary: &'static str,
    /// The operations it touches; empty means all of them.
    pub routes: &'static [Endpoint],
    /// The operations did not exist below.
    pub adds: bool,
    /// A route that the version removed; it exists below.
    pub removes: Option<&'static OldRoute>,
    /// The request's way up.
    pub up: Option<Up>,
    /// The way down of a successful response's JSON.
    pub down: Option<Down>,
    /// The way down of a whole response.
    pub answer: Option<Answer>,
    /// The way down of one message of a stream.
    pub message: Option<Message>,
    /// The stream of messages is collected into a JSON list before `answer` sees it.
    pub collects: bool,
    /// Errors that were worded otherwise below.
    pub wordings: &'static [Wording],
    /// What the connection layer does otherwise below.
    pub traits: Option<fn(&mut Traits)>,
}

/// A route that older versions had and the newest has not.
#[derive(Debug)]
pub struct OldRoute {
    /// The method in capitals.
    pub method: &'static str,
    /// The path pattern, as in [`api::routes`].
    pub pattern: &'static str,
    /// The version that brought it.
    pub since: Version,
    /// It is another name of a route that still is, and changed with it. Else only what changed after its removal matters.
    pub alias: bool,
    /// Turns the request into one that the rung's version knows, or answers it.
    pub up: fn(&mut Request, &Params) -> Result<(), Response>,
    /// Turns the answer back, if anything is to be done.
    pub answer: Option<Answer>,
    /// Turns a message of the answer's stream back, if anything is to be done.
    pub message: Option<Message>,
}

/// What the client asked, in its own version's form; for those ways down that depend on it.
#[derive(Debug)]
pub struct Asked {
    /// The client's version.
    pub version: Version,
    /// The operation of the newest API that the request came to.
    pub endpoint: Endpoint,
    /// The request as the client sent it; of its body only JSON.
    pub request: Request,
    /// The variable parts of the path.
    pub params: Params,
    notes: Mutex<BTreeMap<String, Value>>,
}

/// How many things a way down may remember, so that a long stream of events cannot fill the memory.
const NOTES: usize = 1024;

impl Asked {
    pub(crate) fn new(version: Version, endpoint: Endpoint, request: Request, params: Params) -> Self {
        Self { version, endpoint, request, params, notes: Mutex::default() }
    }

    /// The name or id in the path.
    pub fn name(&self) -> &str {
        self.params.first()
    }

    /// The JSON that the client sent, or null.
    pub(crate) fn body(&self) -> &Value {
        match &self.request.body {
            Body::Json(value) => value,
            _ => &Value::Null,
        }
    }

    /// Remembers something for an older rung, or for a later message of the same stream.
    pub(crate) fn note(&self, key: &str, value: Value) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < NOTES || notes.contains_key(key) {
            notes.insert(key.to_owned(), value);
        }
    }

    /// Takes back what was remembered.
    pub(crate) fn recall(&self, key: &str) -> Option<Value> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).remove(key)
    }
}

impl Change {
    /// A change of the given operations; of all if the list is empty.
    pub const fn to(routes: &'static [Endpoint], summary: &'static str) -> Self {
        Self {
            summary,
            routes,
            adds: false,
            removes: None,
            up: None,
            down: None,
            answer: None,
            message: None,
            collects: false,
            wordings: &[],
            traits: None,
        }
    }

    /// A change that only the documentation mentions: what it brought is harmless to clients of older versions.
    pub const fn note(summary: &'static str) -> Self {
        // No operation is touched because no function is there to be called.
        Self::to(&[], summary)
    }

    /// Operations that the version added.
    pub const fn added(routes: &'static [Endpoint], summary: &'static str) -> Self {
        let mut change = Self::to(routes, summary);
        change.adds = true;
        change
    }

    /// A route that the version removed.
    pub const fn removed(route: &'static OldRoute, summary: &'static str) -> Self {
        let mut change = Self::to(&[], summary);
        change.removes = Some(route);
        change
    }

    /// With the request's way up.
    pub const fn up(mut self, up: Up) -> Self {
        self.up = Some(up);
        self
    }

    /// With the way down of a successful response's JSON.
    pub const fn down(mut self, down: Down) -> Self {
        self.down = Some(down);
        self
    }

    /// With the way down of a whole response.
    pub const fn answer(mut self, answer: Answer) -> Self {
        self.answer = Some(answer);
        self
    }

    /// With the way down of one message of a stream.
    pub const fn message(mut self, message: Message) -> Self {
        self.message = Some(message);
        self
    }

    /// With the stream of messages collected into one list for `answer`.
    pub const fn collects(mut self) -> Self {
        self.collects = true;
        self
    }

    /// With errors that were worded otherwise below.
    pub const fn wordings(mut self, wordings: &'static [Wording]) -> Self {
        self.wordings = wordings;
        self
    }

    /// With what the connection layer does otherwise below.
    pub const fn traits(mut self, traits: fn(&mut Traits)) -> Self {
        self.traits = Some(traits);
        self
    }

    /// Whether the change concerns an operation.
    pub(crate) fn touches(&self, endpoint: Endpoint) -> bool {
        self.routes.is_empty() || self.routes.contains(&endpoint)
    }
}
