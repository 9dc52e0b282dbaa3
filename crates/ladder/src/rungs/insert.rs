//! `POST /images/{name}/insert` of 1.0 to 1.11: fetches a file into an image. A build of two instructions does just that.

use super::tar;
use super::v1_08::{plain_text, plain_type};
use crate::exchange::{Body, Request, Response};
use crate::rung::Asked;
use crate::version::Version;
use api::routes::Params;
use serde_json::{Value, json};

/// The request as a build.
pub(super) fn up(request: &mut Request, params: &Params) -> Result<(), Response> {
    let (url, path) = (
        request.parameter("url").unwrap_or_default().to_owned(),
        request.parameter("path").unwrap_or_default().to_owned(),
    );
    if url.is_empty() || path.is_empty() || [params.first(), &url].iter().any(|word| word.contains(char::is_whitespace))
    {
        return Err(Response::error(500, "Bad parameter: url and path are needed"));
    }
    // What is no line would be another instruction.
    if path.contains(char::is_control) {
        return Err(Response::error(500, "Bad parameter: path holds control characters"));
    }
    let dockerfile = format!("FROM {}\nADD {url} {path}\n", params.first());
    *request = Request {
        method: "POST".into(),
        path: "/build".into(),
        query: vec![("rm".into(), "1".into()), ("forcerm".into(), "1".into())],
        headers: vec![("Content-Type".into(), "application/x-tar".into())],
        body: Body::Bytes(tar::archive("Dockerfile", dockerfile.as_bytes())),
    };
    Ok(())
}

/// The answer was text below 1.1.
pub(super) fn answer(response: &mut Response, asked: &Asked) {
    if asked.version < Version::new(1, 1) {
        plain_type(response, asked);
    }
}

/// A message of the build as one of the insert; the last tells the image's id, from 1.1 to 1.6 a second time.
pub(super) fn message(message: &mut Value, asked: &Asked) {
    if let Some(line) = message.get("stream").and_then(Value::as_str) {
        let line = line.trim();
        *message = match line.strip_prefix("Successfully built ") {
            Some(id) if (Version::new(1, 1)..Version::new(1, 7)).contains(&asked.version) => {
                return *message = json!([{ "status": id }, { "Id": id }]);
            }
            Some(id) => json!({ "status": id }),
            None if line.is_empty() => return *message = Value::Null,
            None => json!({ "status": line }),
        };
    }
    if asked.version < Version::new(1, 1) {
        plain_text(message, asked);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{ask, climbed};
    use serde_json::{Value, json};

    #[test]
    fn the_last_message_was_the_id() {
        for (version, told) in [
            ("1.0", "0123\r\n"),
            ("1.6", "{\"status\":\"0123\"}\r\n{\"Id\":\"0123\"}\r\n"),
            ("1.7", "{\"status\":\"0123\"}\r\n"),
        ] {
            let insert = ask("POST", "/images/busybox/insert", "url=http://a/b&path=/c", Value::Null);
            let (_, _, descent) = climbed(version, insert);
            let message = descent.message(json!({"stream": "Successfully built 0123\n"}));
            assert_eq!(String::from_utf8(message).unwrap(), told);
        }
    }
}
