//! API 1.3, Docker 0.4.5.

use super::tar;
use crate::exchange::{Body, FIRST_BUILD_HEADER, Request, Response};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{Build, ContainerTop};
use serde_json::{Value, json};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 3),
    release: "0.4.5",
    changes: &[
        Change::to(&[Build], "The body of build is an archive rather than a form with `Dockerfile` and `Context`.")
            .up(form)
            .message(bare),
        Change::to(&[ContainerTop], "Top tells the processes of a container.")
            .up(|_| Err(Response::error(500, "top was improved a lot since 1.3, Please upgrade your docker client."))),
        Change::note("A start takes HostConfig; `Entrypoint`; events."),
    ],
};

/// What a compressed archive begins with.
const COMPRESSED: &[&[u8]] = &[b"BZh", b"\x1f\x8b\x08", b"\xfd7zXZ\0"];

/// The Dockerfile of the form goes first into its context. A compressed context is taken as it is: clients put the same
/// Dockerfile into it.
fn form(request: &mut Request) -> Result<(), Response> {
    let kind = request.header("Content-Type").unwrap_or_default();
    // Whoever sends an archive was made for 1.3 and reads its words, whatever prefix it puts (docker-py 0.1).
    if matches!(kind, "application/tar" | "application/x-tar") {
        return Ok(());
    }
    let kind = kind.to_owned();
    request.set_header(FIRST_BUILD_HEADER, "1");
    let Some(boundary) = kind.strip_prefix("multipart/form-data").and_then(boundary) else { return Ok(()) };
    let Body::Bytes(form) = &request.body else { return Ok(()) };
    let Some(dockerfile) = part(form, &boundary, "Dockerfile") else {
        return Err(Response::error(500, "http: no such file"));
    };
    let context = part(form, &boundary, "Context").unwrap_or_default();
    let archive = match COMPRESSED.iter().any(|magic| context.starts_with(magic)) {
        true => context.to_vec(),
        false => tar::prepend("Dockerfile", dockerfile, context),
    };
    request.body = Body::Bytes(archive);
    request.set_header("Content-Type", "application/x-tar");
    Ok(())
}

/// A build that failed said so in its own words, and what was told had no returns. By here a message is text.
fn bare(message: &mut Value, _: &Asked) {
    let Some(text) = message.as_str() else { return };
    *message = match text.strip_prefix("Error: ") {
        Some(reason) => json!(format!("Error build: {}\n", reason.trim_end())),
        None => json!(text.strip_suffix('\r').unwrap_or(text)),
    };
}

fn boundary(parameters: &str) -> Option<String> {
    let boundary =
        parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("boundary="))?.trim_matches('"');
    (!boundary.is_empty()).then(|| format!("--{boundary}"))
}

/// The content of the part with a name.
fn part<'a>(form: &'a [u8], boundary: &str, name: &str) -> Option<&'a [u8]> {
    let mut rest = &form[find(form, boundary.as_bytes())? + boundary.len()..];
    while let Some(end) = find(rest, boundary.as_bytes()) {
        let part = &rest[..end];
        rest = &rest[end + boundary.len()..];
        let Some(head_end) = find(part, b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&part[..head_end]);
        if head.contains(&format!("name=\"{name}\"")) {
            let content = &part[head_end + 4..];
            return Some(content.strip_suffix(b"\r\n").unwrap_or(content));
        }
    }
    None
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::FIRST_BUILD_HEADER;
    use crate::Body;
    use crate::testing::{ask, climbed, refused};
    use api::routes::Endpoint::ContainerTop;
    use serde_json::Value;

    #[test]
    fn a_form_is_an_archive() {
        let mut request = ask("POST", "/build", "t=a", Value::Null);
        request.set_header("Content-Type", "multipart/form-data; boundary=x");
        request.body = Body::Bytes(b"--x\r\nContent-Disposition: form-data; name=\"Dockerfile\"; filename=\"Dockerfile\"\r\n\r\nFROM a\n\r\n--x--\r\n".to_vec());
        let Body::Bytes(archive) = climbed("1.2", request).0.body else { panic!("no archive") };
        assert!(archive.starts_with(b"Dockerfile\0") && archive[512..].starts_with(b"FROM a\n\0"));
    }

    #[test]
    fn an_archive_gets_the_words_of_1_3() {
        for (kind, first) in [("application/tar", None), ("text/plain", Some("1"))] {
            let mut request = ask("POST", "/build", "t=a", Value::Null);
            request.set_header("Content-Type", kind);
            request.body = Body::Bytes(b"FROM a\n".to_vec());
            assert_eq!(climbed("1.2", request).0.header(FIRST_BUILD_HEADER), first, "{kind}");
        }
    }

    #[test]
    fn there_was_no_top() {
        assert_eq!(refused("1.2", ContainerTop, Value::Null).status, 500);
    }
}
