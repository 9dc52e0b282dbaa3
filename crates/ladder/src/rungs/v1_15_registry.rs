//! Registries below 1.15: which names could be one, and what Docker 1.2 said while it spoke to them.

use api::routes::Endpoint::{self, Auth, ImageCreate, ImagePush, ImageSearch};
use api::routes::resolve;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};

use crate::exchange::{Body, ENDPOINT_FIRST_HEADER, Request, Response};
use crate::rung::{Asked, Change};
use crate::wording::{Wording, reworded};

pub(super) const NAMES: Change = Change::to(
    &[ImageCreate, ImagePush, ImageSearch],
    "Names in registries follow the grammar of names; before, a namespace had 4 to 30 letters of `[a-z0-9_]`, a \
     repository letters of `[a-z0-9-_.]`.",
)
.up(names);

pub(super) const WORDS: Change = Change::to(
    &[ImageCreate, ImagePush, ImageSearch, Auth],
    "What a registry refuses is told by status if nothing was told before; before only a registry that does not answer \
     was, all else came after a first message.",
)
.answer(answer)
.message(message);

pub(super) const CREDENTIALS: Change =
    Change::to(&[ImagePush], "The body of push holds no credentials any more.").up(push);

pub(super) const LOGINS: Change =
    Change::to(&[Auth], "The body of auth is read strictly; before, what cannot be read did not count.").up(login);

const NO_CREDENTIALS: &str = "EOF";
const BAD_CREDENTIALS: &str = "invalid character in credentials";

/// Refusals before the first message.
const BEFORE: &[&str] = &[
    "Invalid Registry endpoint: ",
    "Invalid namespace name (",
    "Invalid repository name",
    NO_CREDENTIALS,
    BAD_CREDENTIALS,
];

const LOGIN: &[Wording] = &[
    Wording::new("Get \"*\": unauthorized: *", "Wrong login/password, please try again"),
    Wording::new("Get \"*\": no basic auth credentials", "Wrong login/password, please try again"),
    Wording::new("Wrong login/password*", "Wrong login/password{1}"),
    Wording::new(
        "Get \"https://registry-1.docker.io/v2/\": *",
        "Server Error: Post https://index.docker.io/v1/users/: {1}",
    ),
];

pub(super) const TRANSFER: &[Wording] = &[
    Wording::new("Get \"*\": unauthorized: *", "Authentication is required."),
    Wording::new("Get \"*\": no basic auth credentials", "Authentication is required."),
    Wording::new("unauthorized: *", "Authentication is required."),
    Wording::new(
        "pull access denied for *, repository does not exist or may require 'docker login': *",
        "Error: image {1} not found",
    ),
    Wording::new("repository * not found: *", "Error: image {1} not found"),
    Wording::new("An image does not exist locally with the tag: *", "No such id: {1}"),
    // Nobody knocked at the default registry.
    Wording::new("Get \"https://registry-1.docker.io/v2/\": *", "Get https://index.docker.io/v1/repositories/: {1}"),
];

/// What came of knocking at a registry, which was always of the first protocol.
pub(super) const KNOCK: &[Wording] = &[
    Wording::new(
        "Get \"*/v2/\": dial tcp *: connect: *",
        "Invalid Registry endpoint: Get {1}/v1/_ping: dial tcp {2}: {3}",
    ),
    Wording::new(
        "Get \"*/v1/_ping\": dial tcp *: connect: *",
        "Invalid Registry endpoint: Get {1}/v1/_ping: dial tcp {2}: {3}",
    ),
    Wording::new("Get \"*/v2/\": *", "Invalid Registry endpoint: Get {1}/v1/_ping: {2}"),
    Wording::new("Get \"*/v1/_ping\": *", "Invalid Registry endpoint: Get {1}/v1/_ping: {2}"),
];

pub(super) const IMPORT: &[Wording] = &[
    Wording::new("Get \"*\": dial tcp *: connect: *", "Get {1}: dial tcp {2}: {3}"),
    Wording::new(
        "\"*://*\": an address such as http://host/file is wanted",
        "Get \"{1}://{2}\": unsupported protocol scheme \"{1}\"",
    ),
    Wording::new("received unexpected HTTP status: *", "Got HTTP status code >= 400: {1}"),
];

/// The parameter, unless it is empty.
fn given<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.parameter(name).filter(|value| !value.is_empty())
}

/// The name that a request means in a registry.
fn name(endpoint: Endpoint, request: &Request, path_name: &str) -> Option<String> {
    match endpoint {
        ImagePush => Some(path_name.to_owned()),
        ImageSearch => given(request, "term").map(str::to_owned),
        _ => {
            let name = given(request, "fromImage")?;
            let bare = match name.rsplit_once(':') {
                Some((bare, tag)) if given(request, "tag").is_none() && !tag.contains('/') => bare,
                _ => name,
            };
            Some(bare.to_owned())
        }
    }
}

fn names(request: &mut Request) -> Result<(), Response> {
    let Some((endpoint, params)) = resolve(&request.method, &request.path) else { return Ok(()) };
    match name(endpoint, request, params.first()).as_deref().map(check) {
        Some(Err(reason)) => Err(Response::error(500, &reason)),
        _ => Ok(()),
    }
}

/// Whether a name could be one in a registry.
pub(super) fn check(name: &str) -> Result<(), String> {
    if name.contains("://") {
        return Err("Invalid repository name (ex: \"registry.domain.tld/myrepos\")".to_owned());
    }
    let remote = match name.split_once('/') {
        Some((host, remote)) if host.contains("index.docker.io") => {
            return Err(format!("Invalid repository name, try \"{remote}\" instead"));
        }
        Some((host, remote)) if host.contains(['.', ':']) || host == "localhost" => remote,
        _ => name,
    };
    let (namespace, repository) = remote.split_once('/').unwrap_or(("library", remote));
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !(4..=30).contains(&namespace.len()) || !namespace.bytes().all(letter) {
        return Err(format!("Invalid namespace name ({namespace}), only [a-z0-9_] are allowed, size between 4 and 30"));
    }
    if repository.is_empty() || !repository.bytes().all(|byte| letter(byte) || b"-.".contains(&byte)) {
        return Err(format!("Invalid repository name ({repository}), only [a-z0-9-_.] are allowed"));
    }
    Ok(())
}

/// Credentials came in a header or, if that was missing, in the body, which then had to be JSON.
fn push(request: &mut Request) -> Result<(), Response> {
    if request.header("X-Registry-Auth").is_none() {
        let credentials = match &request.body {
            Body::Json(credentials) => credentials.to_string(),
            Body::Empty => return Err(Response::error(500, NO_CREDENTIALS)),
            _ => return Err(Response::error(500, BAD_CREDENTIALS)),
        };
        request.set_header("X-Registry-Auth", &URL_SAFE.encode(credentials));
    }
    request.body = Body::Empty;
    request.set_header(ENDPOINT_FIRST_HEADER, "1");
    Ok(())
}

fn login(request: &mut Request) -> Result<(), Response> {
    const KEYS: [&str; 5] = ["username", "password", "auth", "email", "serveraddress"];
    let sent = request.body.json().and_then(|body| body.as_object()).cloned().unwrap_or_default();
    let known = |key: &str| KEYS.into_iter().find(|known| known.eq_ignore_ascii_case(key));
    let read = sent.into_iter().filter(|(_, value)| value.is_string());
    let read = read.filter_map(|(key, value)| Some((known(&key)?.to_owned(), value)));
    request.body = Body::Json(Value::Object(read.collect()));
    request.set_header("Content-Type", "application/json");
    Ok(())
}

/// An error in the words of the time.
fn worded(text: &str, asked: &Asked) -> String {
    let tables: &[&[Wording]] = match asked.endpoint {
        Auth => &[LOGIN, KNOCK],
        ImageCreate if given(&asked.request, "fromImage").is_none() => &[IMPORT],
        _ => &[TRANSFER, KNOCK],
    };
    // The tag is what follows the last colon, and no wording takes as much as it can.
    if let Some((name, tag)) = missing_tag(text) {
        return format!("Tag {tag} not found in repository {name}");
    }
    tables.iter().find_map(|table| reworded(text, table)).unwrap_or_else(|| text.to_owned())
}

fn missing_tag(text: &str) -> Option<(&str, &str)> {
    let (reference, _) = text.strip_prefix("manifest for ")?.split_once(" not found: ")?;
    reference.rsplit_once(':')
}

/// What had been said before an error of the engine came.
fn first(error: &str, asked: &Asked) -> Option<String> {
    if BEFORE.iter().any(|refusal| error.starts_with(refusal)) {
        return None;
    }
    match asked.endpoint {
        ImagePush => Some(pushing(asked, 0)),
        ImageCreate => match (name(ImageCreate, &asked.request, ""), given(&asked.request, "fromSrc")) {
            (Some(name), _) => Some(format!("Pulling repository {name}")),
            (None, Some("-")) => None,
            (None, None) => Some("Downloading from http:".to_owned()),
            (None, Some(address)) if address.contains("://") => Some(format!("Downloading from {address}")),
            (None, Some(address)) => Some(format!("Downloading from http://{address}")),
        },
        _ => None,
    }
}

/// A push began with how many tags there were, known or not if one was asked for.
fn pushing(asked: &Asked, tags: u64) -> String {
    let tags = if given(&asked.request, "tag").is_some() { 1 } else { tags };
    format!("The push refers to a repository [{}] (len: {tags})", asked.name())
}

fn answer(response: &mut Response, asked: &Asked) {
    let Some(text) = response.message().filter(|_| response.is_error()) else { return };
    let text = worded(text, asked);
    let Some(status) = first(&text, asked) else { return response.set_message(&text) };
    let failure = json!({"errorDetail": {"message": text}, "error": text});
    *response = Response::messages(vec![json!({ "status": status }), failure]);
}

fn message(message: &mut Value, asked: &Asked) {
    if let Some(error) = message.get("error").and_then(Value::as_str) {
        let text = worded(error, asked);
        *message = json!({"errorDetail": {"message": text}, "error": text});
        return;
    }
    let Some(status) = message.get("status").and_then(Value::as_str) else {
        // Documents for programs.
        *message = Value::Null;
        return;
    };
    let tags = message.get("aux").and_then(|aux| aux.get("Tags")).and_then(Value::as_u64);
    if status.starts_with("The push refers to repository [") {
        *message = json!({ "status": pushing(asked, tags.unwrap_or_default()) });
    } else if status.starts_with("Pulling from ") {
        let name = name(ImageCreate, &asked.request, "").filter(|_| asked.recall("pulling").is_none());
        *message = name.map_or(Value::Null, |name| json!({"status": format!("Pulling repository {name}")}));
        asked.note("pulling", json!(true));
    } else if status.starts_with("Digest: sha256:")
        || status.starts_with("Status: ")
        || status.contains(": digest: sha256:")
    {
        *message = Value::Null;
    }
}

#[cfg(test)]
mod tests {
    use super::{check, name};
    use crate::testing::{ask, climbed, refusal, refused, up};
    use crate::{Body, Response};
    use api::routes::Endpoint::{Auth, ImageCreate, ImagePush};
    use serde_json::{Value, json};

    #[test]
    fn names_of_the_time() {
        for good in ["busybox", "team/app", "localhost/x", "r.test/busybox", "h:5000/team/a-b.c_d"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, words) in [
            ("http://x/y", "Invalid repository name (ex: \"registry.domain.tld/myrepos\")"),
            ("index.docker.io/x", "Invalid repository name, try \"x\" instead"),
            ("abc/x", "Invalid namespace name (abc), only [a-z0-9_] are allowed, size between 4 and 30"),
            ("h:1/a-bc/x", "Invalid namespace name (a-bc), only [a-z0-9_] are allowed, size between 4 and 30"),
            ("x:v1", "Invalid repository name (x:v1), only [a-z0-9-_.] are allowed"),
            ("", "Invalid repository name (), only [a-z0-9-_.] are allowed"),
        ] {
            assert_eq!(check(bad), Err(words.to_owned()));
        }
        let pulled = |query| name(ImageCreate, &ask("POST", "/images/create", query, Value::Null), "").unwrap();
        assert_eq!(pulled("fromImage=h:5/x:v1"), "h:5/x");
        assert_eq!(pulled("fromImage=h:5/x"), "h:5/x");
        assert_eq!(pulled("fromImage=x:v1&tag=v2"), "x:v1");
    }

    fn told(version: &str, method: &str, path: &str, query: &str, error: &str) -> (u16, String) {
        let (_, _, descent) = climbed(version, ask(method, path, query, json!({})));
        match descent.response(Response::error(404, error)) {
            Response { status, body: Body::Text(text), .. } => (status, text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn most_refusals_came_after_a_first_message() {
        let pull = |version, error| told(version, "POST", "/images/create", "fromImage=h:5/x&tag=1", error);
        let knock = "Get \"http://h:5/v2/\": dial tcp h:5: connect: connection refused";
        let refused = "Invalid Registry endpoint: Get http://h:5/v1/_ping: dial tcp h:5: connection refused\n";
        assert_eq!(pull("1.14", knock), (500, refused.to_owned()));
        let missing = "manifest for h:5/x:1 not found: manifest unknown: manifest unknown";
        let (status, text) = pull("1.14", missing);
        assert_eq!(status, 200);
        let stream = "{\"status\":\"Pulling repository h:5/x\"}\r\n{\"error\":\"Tag 1 not found in repository h:5/x\"";
        assert!(text.starts_with(stream) && text.ends_with("}\r\n"), "{text}");
        let text = "Pulling repository h:5/x\r\nError: Tag 1 not found in repository h:5/x\r\n";
        assert_eq!(pull("1.0", missing), (200, text.to_owned()));
        let nothing = "An image does not exist locally with the tag: x";
        let text = "The push refers to a repository [x] (len: 0)\r\nError: No such id: x\r\n";
        assert_eq!(told("1.0", "POST", "/images/x/push", "", nothing), (200, text.to_owned()));
        let wrong = "Get \"http://h:5/v2/\": unauthorized: incorrect username or password";
        let old = (401, "Wrong login/password, please try again\n".to_owned());
        assert_eq!(told("1.14", "POST", "/auth", "", wrong), old);
    }

    #[test]
    fn messages_of_the_time() {
        let (_, _, descent) = climbed("1.14", ask("POST", "/images/create", "fromImage=x&tag=1", Value::Null));
        let told = |message: Value| String::from_utf8(descent.message(message)).unwrap();
        let pulling = json!({"status": "Pulling from library/x", "id": "1"});
        assert_eq!(told(pulling.clone()), "{\"status\":\"Pulling repository x\"}\r\n");
        for dropped in [pulling, json!({"status": "Digest: sha256:12"}), json!({"status": "Status: Downloaded"})] {
            assert_eq!(told(dropped), "");
        }
        let (_, _, descent) = climbed("1.14", ask("POST", "/images/h:5/x/push", "", json!({})));
        let message = json!({"status": "The push refers to repository [h:5/x]", "aux": {"Tags": 3}});
        let told = String::from_utf8(descent.message(message)).unwrap();
        assert_eq!(told, "{\"status\":\"The push refers to a repository [h:5/x] (len: 3)\"}\r\n");
    }

    #[test]
    fn logins_of_junk_were_logins() {
        let request = up("1.14", Auth, "", json!({"Username": "u", "password": 1, "x": "y"}));
        assert_eq!(request.body, Body::Json(json!({"username": "u"})));
        assert_eq!(up("1.14", Auth, "", json!([])).body, Body::Json(json!({})));
    }

    #[test]
    fn credentials_could_be_the_body() {
        let request = up("1.14", ImagePush, "", json!({"username": "u"}));
        assert_eq!(request.header("X-Registry-Auth"), Some("eyJ1c2VybmFtZSI6InUifQ=="));
        assert_eq!(refused("1.14", ImagePush, Value::Null).status, 500);
        let pull = ask("POST", "/images/create", "fromImage=Bad/x", Value::Null);
        assert_eq!(refusal("1.14", pull).status, 500);
    }
}
