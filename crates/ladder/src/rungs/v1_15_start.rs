//! Starts that fail, as clients below 1.15 were told.

use serde_json::Value;

use crate::exchange::{Body, Response};
use crate::lenient::{self, Kind};
use crate::rung::Asked;
use crate::wording::Wording;

/// Why a start failed, in words of the time.
pub(super) const WORDS: &[Wording] = &[
    Wording::with_status("*exec: \"*: unknown", "Cannot start container {name}: exec: \"{2}", 500),
    Wording::with_status("*exec: \"*", "Cannot start container {name}: exec: \"{2}", 500),
    Wording::with_status(
        "*Bind for * failed: port is already allocated*",
        "Cannot start container {name}: Bind for {2} failed: port is already allocated",
        500,
    ),
    Wording::with_status(
        "error gathering device information *",
        "Cannot start container {name}: error gathering device information {1}",
        500,
    ),
    Wording::with_status(
        "*unable to find user *: *",
        "Cannot start container {name}: finalize namespace setup user get supplementary \
             groups Unable to find user {2}",
        500,
    ),
    Wording::with_status(
        "*unable to find group *: *",
        "Cannot start container {name}: finalize namespace setup user get supplementary \
             groups Unable to find group {2}",
        500,
    ),
    Wording::with_status(
        "uids and gids must be in range *",
        "Cannot start container {name}: finalize namespace setup user get supplementary \
             groups Uids and gids must be in range {1}",
        500,
    ),
    Wording::with_status("*host name: *: *", "Cannot start container {name}: sethostname {3}", 500),
    Wording::with_status("*Cannot mkdir: *", "Cannot start container {name}: Cannot mkdir: {2}", 500),
    Wording::with_status("invalid environment variable: *", "Cannot start container {name}: no such process", 500),
    Wording::with_status("Cannot link to *", "Cannot start container {name}: Cannot link to {1}", 500),
    Wording::with_status(
        "cannot bind mount volume: *",
        "Cannot start container {name}: cannot bind mount volume: {1}",
        500,
    ),
    Wording::with_status(
        "Illegal bind destination: *",
        "Cannot start container {name}: Illegal bind destination: {1}",
        500,
    ),
    Wording::with_status(
        "Invalid volume specification: *",
        "Cannot start container {name}: Invalid volume specification: {1}",
        500,
    ),
    Wording::with_status("could not get container for *: *", "Could not find entity for {1}", 500),
    Wording::with_status("could not get container for *: No such container: *", "Could not find entity for {1}", 500),
    Wording::with_status(
        "Invalid network mode: invalid container format *",
        "Cannot start container {name}: no such container to join network: ",
        500,
    ),
    Wording::with_status(
        "cannot make the working directory *: *",
        "Cannot start container {name}: Cannot mkdir: {1} is not a directory",
        500,
    ),
    Wording::with_status(
        "bad format for links: *",
        "Invalid format to parse.  {1} should match template name:alias",
        500,
    ),
    Wording::with_status(
        "failed to set up container networking: network * not found",
        "Cannot start container {name}: invalid network mode: {1}",
        500,
    ),
    Wording::with_status(
        "invalid mode: *",
        "Cannot start container {name}: Malformed volumes-from specification: {1}",
        500,
    ),
];

/// A container that is paused runs.
pub(super) fn paused(response: &mut Response, _: &Asked) {
    if response.is_error() && response.message().is_some_and(|text| text.starts_with("cannot start a paused container"))
    {
        *response = Response { status: 304, headers: Vec::new(), body: Body::Empty };
    }
}

const CANNOT: &str = "Cannot start container ";

/// Whatever the machine refused began with the same words.
pub(super) fn failed(response: &mut Response, asked: &Asked) {
    // What was wrong before the start began was told bare.
    let bare = |text: &str| text.starts_with(CANNOT) || text.starts_with("Could not create local directory");
    let Some(text) = response.message().filter(|text| response.status == 500 && !bare(text)) else { return };
    let text = format!("{CANNOT}{}: {}", asked.name(), errno(text));
    response.set_message(&text);
}

/// `writing "99" to FILE: Invalid argument (os error 22)` as the time had it: `write FILE: invalid argument`.
fn errno(text: &str) -> String {
    let Some((what, reason)) = text
        .rsplit_once(" (os error ")
        .filter(|(_, number)| number.ends_with(')'))
        .and_then(|(text, _)| text.rsplit_once(": "))
    else {
        return text.to_owned();
    };
    let file = what.strip_prefix("writing ").and_then(|what| what.rsplit_once(" to ")).map(|(_, file)| file);
    let what = file.map_or_else(|| what.to_owned(), |file| format!("write {file}"));
    format!("{what}: {}", reason.to_ascii_lowercase())
}

/// A capability that does not exist was told with what was to be done with it, and as it was written.
pub(super) fn unknown_capability(response: &mut Response, asked: &Asked) {
    let Some((key, unknown)) = response
        .message()
        .and_then(|text| text.strip_prefix("invalid ")?.split_once(": unknown capability: "))
        .filter(|_| response.is_error())
    else {
        return;
    };
    let unknown = unknown.trim_matches('"');
    let unknown = unknown.strip_prefix("CAP_").unwrap_or(unknown);
    let body = lenient::object(&asked.request.body).unwrap_or_default();
    let body = lenient::fields(&body, &[("CapAdd", Kind::Texts), ("CapDrop", Kind::Texts)]);
    let mut names = body.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let name = names.find(|name| name.eq_ignore_ascii_case(unknown)).unwrap_or(unknown);
    let what = if key == "CapAdd" { "to add" } else { "drop" };
    let text = format!("{CANNOT}{}: Unknown capability {what}: \"{name}\"", asked.name());
    response.set_message(&text);
}

/// A restart told of the start that it is.
pub(super) fn restart(response: &mut Response, _: &Asked) {
    let Some(why) = response.message().and_then(|text| text.strip_prefix(CANNOT)).filter(|_| response.is_error())
    else {
        return;
    };
    let text = format!("Cannot restart container {why}");
    response.set_message(&text);
}

#[cfg(test)]
mod tests {
    use crate::Response;
    use crate::testing::answer;
    use api::routes::Endpoint::{ContainerRestart, ContainerStart};

    #[test]
    fn what_the_machine_refused() {
        let text = "writing \"x\" to /sys/fs/cgroup/cpuset/a/cpuset.cpus: Invalid argument (os error 22)";
        let older = answer("1.14", ContainerStart, Response::error(500, text));
        let wanted = "write /sys/fs/cgroup/cpuset/a/cpuset.cpus: invalid argument";
        assert!(
            older.message().is_some_and(|text| text.starts_with("Cannot start container ") && text.ends_with(wanted))
        );
        let missing = answer("1.14", ContainerStart, Response::error(404, "No such container: web"));
        assert_eq!(missing.message(), Some("No such container: web"));
    }

    #[test]
    fn a_paused_container_was_started_already() {
        let error = || Response::error(409, "cannot start a paused container, try unpause instead");
        assert_eq!(answer("1.14", ContainerStart, error()).status, 304);
        assert_eq!(answer("1.15", ContainerStart, error()).status, 409);
    }

    #[test]
    fn a_restart_fails_as_a_start_does() {
        let error = || Response::error(400, "x: exec: \"/etc\": is a directory: unknown");
        let words = |endpoint| answer("1.14", endpoint, error()).message().unwrap_or_default().to_owned();
        assert!(words(ContainerStart).ends_with("exec: \"/etc\": is a directory"), "{}", words(ContainerStart));
        assert_eq!(words(ContainerRestart), words(ContainerStart).replace("start", "restart"));
    }
}
