//! Requests and responses as the ladder sees them: already parsed HTTP, without a connection.

use serde_json::{Map, Value, json};

/// What the names of the headers begin with by which the ladder and the server talk. The server removes all such headers from what
/// clients send and from what it answers.
pub const INTERNAL_PREFIX: &str = "x-longshore-";

/// On a climbed `POST /containers/{name}/start`: the body is a HostConfig (clients below 1.24 sent one). Each key that it has
/// replaces the container's own; keys that it has not stay as they are.
pub const HOST_CONFIG_HEADER: &str = "x-longshore-host-config";

/// On a climbed `GET /containers/{name}/archive`: a path that is a link is followed, and the archive named after its target, as
/// `POST /containers/{name}/copy` of old did.
pub const FOLLOW_HEADER: &str = "x-longshore-follow";

/// On a climbed `GET /containers/json`: images are shown by the names that they have now, as below 1.17.
pub const IMAGE_NAMES_HEADER: &str = "x-longshore-image-names";

/// On a climbed inspect, list or wait: a process that a signal ended is told by the code -1, so that it cannot be taken for one that
/// chose a code above 128 itself (below 1.17).
pub const SIGNALS_APART_HEADER: &str = "x-longshore-signals-apart";

/// On a climbed `GET /containers/{name}/changes`: directories count only if they changed themselves, not if only a file in them
/// was written to (below 1.16).
pub const OWN_CHANGES_HEADER: &str = "x-longshore-own-changes";

/// On a climbed save of images: the archive has the form of before 2016 (below 1.22).
pub const OLD_ARCHIVE_HEADER: &str = "x-longshore-old-archive";

/// On a climbed `DELETE /images/{name}`: only images are told, not layers (below 1.22).
pub const IMAGES_ONLY_HEADER: &str = "x-longshore-images-only";

/// On a climbed `DELETE /images/{name}`: a name goes first, and stays gone even if the image behind it must stay (below 1.20).
pub const NAMES_FIRST_HEADER: &str = "x-longshore-names-first";

/// On a climbed request: sentences for the daemon's log, because its answer has no place for them.
pub const WARNINGS_HEADER: &str = "x-longshore-warnings";

/// Among the attributes of a container's event: it is part of another, and was none below 1.22: the `stop` of a restart, the
/// `pause` and `unpause` of a commit. Sent only where [`Traits::event_marks`](crate::Traits) asks for it.
pub const QUIET_MARK: &str = "x-longshore-quiet";

/// Among the attributes of a container's `start` event: the start failed. Such events are sent only where
/// [`Traits::failed_starts`](crate::Traits) asks for them, and without the attribute.
pub const FAILED_MARK: &str = "x-longshore-failed";

/// On the way to a new name of an image: any text may be one that can be told apart again.
pub const OLD_NAME_HEADER: &str = "x-longshore-old-name";

/// On a climbed `POST /build`: the Dockerfile is read by the rules of 2014, step by step, unknown instructions skipped (below 1.15).
pub const OLD_BUILD_HEADER: &str = "x-longshore-old-build";

/// On a climbed `POST /build`: progress is told in the words of the first builder, and the body may be a Dockerfile alone (below 1.3).
pub const FIRST_BUILD_HEADER: &str = "x-longshore-first-build";

/// On a climbed `POST /build` with `q`: only what commands write is kept back, not all of the build's progress (below 1.22).
pub const QUIET_COMMANDS_HEADER: &str = "x-longshore-quiet-commands";

/// On a climbed `GET /images/{name}/json` or `GET /images/json`: configurations are wanted as they are stored, with all that a container's had, and
/// `Size` as that of the image's own layer beside `VirtualSize` of all (below 1.22).
pub const STORED_IMAGE_HEADER: &str = "x-longshore-stored-image";

/// On a climbed `GET /images/{name}/json`: the container that the image was made from is wanted, and its configuration (below 1.45).
pub const IMAGE_CONTAINER_HEADER: &str = "x-longshore-image-container";

/// On a climbed push: a registry that does not answer is a refusal rather than a message, and the first message tells how many tags
/// there are as `aux.Tags` (below 1.15).
pub const ENDPOINT_FIRST_HEADER: &str = "x-longshore-endpoint-first";

/// Below 1.2 the daemon kept the credentials of the last login. On a climbed `POST /auth`: `keep` them if they are good, or only `show`
/// those that are kept; on a climbed pull or push: `use` them.
pub const KEPT_CREDENTIALS_HEADER: &str = "x-longshore-kept-credentials";

/// On the answer to `POST /containers/{name}/wait`, set by the server: the container's process never ran, so that older versions
/// know no exit code of it.
pub const NEVER_STARTED_HEADER: &str = "x-longshore-never-started";

/// What a client asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The method in capitals.
    pub method: String,
    /// The path, decoded, without its version prefix.
    pub path: String,
    /// The decoded parameters in order; the first of a name counts where only one is wanted.
    pub query: Vec<(String, String)>,
    /// The headers in order; names in any case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers in order; names in any case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

/// The body of a request or of a response.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// No body.
    Empty,
    /// A JSON document.
    Json(Value),
    /// Text that is not JSON (plain answers) or not valid JSON (kept word for word).
    Text(String),
    /// Bytes that were collected because [`reads`](crate::reads) asked for them, or that the ladder made.
    Bytes(Vec<u8>),
    /// Messages of a stream that has ended already. Only between rungs: what leaves the ladder is text.
    Messages(Vec<Value>),
    /// Bytes that the ladder never looks at: archives, terminals, streams of messages.
    Stream,
}

impl Body {
    /// The JSON document.
    pub fn json(&mut self) -> Option<&mut Value> {
        match self {
            Self::Json(value) => Some(value),
            _ => None,
        }
    }
}

impl Request {
    /// The first value of parameter `name`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        first(&self.query, name)
    }

    /// Whether parameter `name` is true in Docker's words: present and not empty, `0`, `no`, `false` or `none`.
    pub fn flag(&self, name: &str) -> bool {
        self.parameter(name).is_some_and(truth)
    }

    /// Sets parameter `name` to one value.
    pub fn set_parameter(&mut self, name: &str, value: impl Into<String>) {
        self.remove_parameter(name);
        self.query.push((name.to_owned(), value.into()));
    }

    /// Removes every value of parameter `name`.
    pub fn remove_parameter(&mut self, name: &str) {
        self.query.retain(|(key, _)| key != name);
    }

    /// The first header `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Sets header `name` to one value.
    pub fn set_header(&mut self, name: &str, value: &str) {
        set_header(&mut self.headers, name, value);
    }

    /// The body, if it is a JSON object.
    pub fn object(&mut self) -> Option<&mut Map<String, Value>> {
        self.body.json().and_then(Value::as_object_mut)
    }
}

impl Response {
    /// A response without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Empty }
    }

    /// A response with a JSON document.
    pub fn json(status: u16, value: Value) -> Self {
        Self { status, headers: vec![("Content-Type".into(), "application/json".into())], body: Body::Json(value) }
    }

    /// An error in the form of the newest version.
    pub fn error(status: u16, message: &str) -> Self {
        Self::json(status, json!({ "message": message }))
    }

    /// A stream of these messages.
    pub fn messages(messages: Vec<Value>) -> Self {
        let headers = vec![("Content-Type".into(), "application/json".into())];
        Self { status: 200, headers, body: Body::Messages(messages) }
    }

    /// A response with plain text.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".into(), "text/plain; charset=utf-8".into())],
            body: Body::Text(text.into()),
        }
    }

    /// The first header `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Sets header `name` to one value.
    pub fn set_header(&mut self, name: &str, value: &str) {
        set_header(&mut self.headers, name, value);
    }

    /// Removes header `name`.
    pub fn remove_header(&mut self, name: &str) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    /// Whether this is an error: status 400 or above.
    pub fn is_error(&self) -> bool {
        self.status >= 400
    }

    /// Replaces the message of an error, in the form that it has.
    pub fn set_message(&mut self, text: &str) {
        self.body = match self.body {
            Body::Json(_) => Body::Json(json!({ "message": text })),
            _ => Body::Text(format!("{text}\n")),
        };
    }

    /// The message of an error in the newest form or as text, without its final newline.
    pub fn message(&self) -> Option<&str> {
        match &self.body {
            Body::Json(value) => value.get("message")?.as_str(),
            Body::Text(text) => Some(text.trim_end_matches('\n')),
            _ => None,
        }
    }
}

/// Whether a text is true in Docker's words.
pub fn truth(text: &str) -> bool {
    !matches!(text.trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
}

fn first<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn set_header(headers: &mut Vec<(String, String)>, name: &str, value: &str) {
    headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    headers.push((name.to_owned(), value.to_owned()));
}
