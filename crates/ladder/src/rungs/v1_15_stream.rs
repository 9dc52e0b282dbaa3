//! Small things of 1.15: resize, tag, events of kill.

use serde_json::{Value, json};

use crate::exchange::{Body, Request, Response};
use crate::json::text;
use crate::rung::Asked;

/// Sizes were numbers with a sign, cut to sixteen bits.
pub(super) fn resize(request: &mut Request) -> Result<(), Response> {
    for name in ["h", "w"] {
        let size = request.parameter(name).unwrap_or_default();
        let Ok(number) = size.parse::<i64>() else {
            return Err(Response::error(500, &format!("strconv.ParseInt: parsing {size:?}: invalid syntax")));
        };
        request.set_parameter(name, (number & 0xffff).to_string());
    }
    Ok(())
}

pub(super) fn seconds(request: &mut Request) -> Result<(), Response> {
    if request.parameter("t").is_some_and(|seconds| seconds.trim().parse::<i64>().is_err()) {
        request.set_parameter("t", "0");
    }
    Ok(())
}

pub(super) fn times(request: &mut Request) -> Result<(), Response> {
    for name in ["since", "until"] {
        if request.parameter(name).is_some_and(|time| time.trim().parse::<i64>().is_err()) {
            request.remove_parameter(name);
        }
    }
    Ok(())
}

/// What followed a blank was to `ps` part of the same argument, which it did not understand.
pub(super) fn one_argument(request: &mut Request) -> Result<(), Response> {
    match request.parameter("ps_args") {
        Some(arguments) if arguments.contains(char::is_whitespace) => {
            Err(Response::error(500, "Error running ps: exit status 1"))
        }
        _ => Ok(()),
    }
}

pub(super) fn missing_link(response: &mut Response, asked: &Asked) {
    if !asked.request.flag("link") || !response.is_error() {
        return;
    }
    let message = response.message().unwrap_or_default();
    let (status, text) = if message.starts_with("No such container: ") {
        (404, format!("No such link: {}", asked.name()))
    } else if message.starts_with("Conflict, cannot remove the default link name") {
        (409, "Conflict, cannot remove the default name of the container".to_owned())
    } else {
        return;
    };
    response.status = status;
    response.set_message(&text);
}

/// A colon without a tag behind it meant the usual one.
pub(super) fn latest(request: &mut Request) -> Result<(), Response> {
    if let Some((name, page)) = request.path.rsplit_once('/')
        && let Some(bare) = name.strip_suffix(':')
    {
        request.path = format!("{bare}/{page}");
    }
    Ok(())
}

/// Only what parts a tag from the rest of a name could not stand in it.
pub(super) fn illegal_tag(response: &mut Response, asked: &Asked) {
    if response.is_error() && response.message().is_some_and(|text| text.starts_with("invalid tag format")) {
        let text = format!("Illegal tag name: {}", asked.request.parameter("tag").unwrap_or_default());
        response.status = 500;
        response.set_message(&text);
    }
}

pub(super) fn tag(request: &mut Request) -> Result<(), Response> {
    if request.parameter("repo").unwrap_or_default().is_empty() {
        return Err(Response::error(500, "Repository name can't be empty"));
    }
    Ok(())
}

pub(super) fn something_to_import(request: &mut Request) -> Result<(), Response> {
    let import = request.parameter("fromImage").unwrap_or_default().is_empty();
    match request.body {
        Body::Empty if import && request.parameter("fromSrc") == Some("-") => Err(Response::error(500, "EOF")),
        _ => Ok(()),
    }
}

/// Only SIGKILL of kill was an event: neither other signals nor those that stop and restart send.
pub(super) fn one_kill(event: &mut Value, asked: &Asked) {
    let Some(fields) = event.as_object() else { return };
    let stopping = format!("stopping {}", text(fields, "id"));
    match text(fields, "status") {
        "kill" => {
            let signal = asked.recall("signal").unwrap_or_default();
            let killed = signal.is_null() || signal == "9" || signal == "KILL" || signal == "SIGKILL";
            if signal == "15" {
                asked.note(&stopping, json!(true));
            }
            let stopped = killed && asked.recall(&stopping).is_some();
            if stopped || !killed {
                *event = Value::Null;
            }
        }
        "die" => {
            asked.recall(&stopping);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{ask, climbed, refusal, refused, up};
    use crate::{Body, Climbed, Response, Version, climb};
    use api::routes::Endpoint::{Commit, ContainerResize, ImageCreate, ImageTag};
    use serde_json::{Value, json};

    #[test]
    fn only_kill_itself_was_an_event() {
        let (_, _, descent) = climbed("1.14", ask("GET", "/events", "", Value::Null));
        let mut statuses = String::new();
        for (action, signal) in [("kill", "15"), ("kill", "9"), ("die", ""), ("stop", ""), ("kill", "9"), ("die", "")] {
            let event = json!({"Type": "container", "Action": action, "Actor": {"ID": "c", "Attributes": {"image": "a", "signal": signal}}});
            let message = String::from_utf8(descent.message(event)).unwrap();
            statuses += message.split("\"status\":").nth(1).unwrap_or_default();
        }
        assert_eq!(statuses, "\"die\"}\n\"stop\"}\n\"kill\"}\n\"die\"}\n");
    }

    #[test]
    fn links_and_tags_were_told_in_other_words() {
        let answered = |method: &str, path: &str, query: &str, status: u16, text: &str| {
            let (_, _, descent) = climbed("1.14", ask(method, path, query, Value::Null));
            let older = descent.response(crate::Response::error(status, text));
            (older.status, older.message().unwrap_or_default().to_owned())
        };
        let missing = answered("DELETE", "/containers/x", "link=1", 404, "No such container: x");
        assert_eq!(missing, (404, "No such link: x".into()));
        let text = "Conflict, cannot remove the default link name of the container";
        let conflict = answered("DELETE", "/containers/x", "link=1", 400, text);
        assert_eq!(conflict, (409, "Conflict, cannot remove the default name of the container".into()));
        let tag = answered("POST", "/images/x/tag", "repo=y&tag=a:b", 400, "invalid tag format");
        assert_eq!(tag, (500, "Illegal tag name: a:b".into()));
    }

    #[test]
    fn any_name_would_do() {
        for endpoint in [Commit, ImageCreate, ImageTag] {
            let marked =
                |version| up(version, endpoint, "repo=A", Value::Null).header(crate::OLD_NAME_HEADER).is_some();
            assert_eq!((marked("1.14"), marked("1.15")), (true, false), "{endpoint:?}");
        }
    }

    #[test]
    fn nothing_could_not_be_imported() {
        let import = |query| climb(Version::new(1, 14), ask("POST", "/images/create", query, Value::Null));
        assert!(matches!(import("fromSrc=-"), Climbed::Answer(Response { status: 500, .. })));
        assert!(matches!(import("fromSrc=http://a/b"), Climbed::Forward { .. }));
    }

    #[test]
    fn a_commit_of_junk_was_a_commit() {
        let mut request = ask("POST", "/commit", "container=a", Value::Null);
        request.body = Body::Text("{".into());
        let request = climbed("1.14", request).0;
        assert_eq!((&request.body, request.header("Content-Type")), (&Body::Json(json!({})), Some("application/json")));
        let sent = json!({"Cmd": ["a"], "PortSpecs": ["80"], "Labels": {}, "OnBuild": ["RUN x"]});
        let read = json!({"Cmd": ["a"], "ExposedPorts": {"80/tcp": {}}, "OnBuild": ["RUN x"]});
        assert_eq!(climbed("1.14", ask("POST", "/commit", "container=a", sent)).0.body, Body::Json(read));
        assert_eq!(refusal("1.14", ask("POST", "/commit", "container=a", json!({"Cmd": "a"}))).status, 500);
    }

    #[test]
    fn sizes_and_names_are_looked_at_first() {
        assert_eq!(up("1.14", ContainerResize, "h=-1&w=5", Value::Null).parameter("h"), Some("65535"));
        assert_eq!(refused("1.14", ImageTag, Value::Null).message(), Some("Repository name can't be empty"));
    }
}
