//! Builds below 1.15: what the builder of Docker 1.2 said.

use api::routes::Endpoint::Build;
use serde_json::{Value, json};

use super::v1_15_registry::{IMPORT, KNOCK, TRANSFER, check};
use crate::exchange::{OLD_BUILD_HEADER, Request, Response};
use crate::rung::{Asked, Change};
use crate::wording::{Wording, reworded};

pub(super) const CHANGE: Change = Change::to(
    &[Build],
    "A Dockerfile is read as a whole before its first step, and unknown instructions are errors; before it was read step by step.",
)
.up(step_by_step)
.message(errors)
.wordings(REFUSALS);

fn step_by_step(request: &mut Request) -> Result<(), Response> {
    request.set_header(OLD_BUILD_HEADER, "1");
    Ok(())
}

const REFUSALS: &[Wording] = &[
    Wording::with_status("the Dockerfile (*) cannot be empty", "Dockerfile cannot be empty", 500),
    Wording::with_status("Cannot locate specified Dockerfile: *", "Can't build a directory with no Dockerfile", 500),
    // A Dockerfile of comments alone failed without a word.
    Wording::with_status("failed to parse *: file with no instructions", "", 500),
    // The address that `remote` names does not answer.
    Wording::with_status("Get \"*\": dial tcp *: connect: *", "Get {1}: dial tcp {2}: {3}", 500),
];

/// Errors of steps.
const STEPS: &[Wording] = &[
    Wording::new("The command '*' returned a non-zero code: *", "The command [{1}] returned a non-zero code: {2}"),
    Wording::new("source can't be a URL for COPY", "Source can't be an URL for COPY"),
    Wording::new("no command specified", "No command specified"),
    Wording::new("cannot make the working directory *: *", "Cannot mkdir: {1} is not a directory"),
];

/// Why the program of a step did not start; this was written to its standard error as well.
const STARTS: &[Wording] = &[
    Wording::new("*unable to start container process: *exec: \"*: unknown", "exec: \"{3}"),
    Wording::new("*unable to start container process: *exec: \"*", "exec: \"{3}"),
    Wording::new(
        "*unable to find user *: *",
        "finalize namespace setup user get supplementary groups Unable to find user {2}",
    ),
];

/// The exit code of a command was only in the words.
fn errors(message: &mut Value, asked: &Asked) {
    if let Some(step) = message.get("stream").and_then(Value::as_str).and_then(step) {
        asked.note("step", json!(step));
    }
    let Some(error) = message.get("error").and_then(Value::as_str) else { return };
    let step = asked.recall("step").unwrap_or_default();
    if let Some(start) = reworded(error, STARTS).filter(|_| !error.starts_with("The command '")) {
        let written = Some(json!({"stream": format!("\u{1b}[91m{start}\u{1b}[0m")}));
        let written = written.filter(|_| !asked.request.flag("q"));
        *message = Value::Array(written.into_iter().chain([failure(&start)]).collect());
        return;
    }
    // A base image that is fetched, an address that is added.
    let reworded = [STEPS, TRANSFER, KNOCK, IMPORT].into_iter().find_map(|wordings| reworded(error, wordings));
    let impossible = step.as_str().and_then(|step| check(base(step)?).err());
    let text = impossible.or(reworded).unwrap_or_else(|| error.to_owned());
    *message = failure(&text);
}

fn failure(text: &str) -> Value {
    json!({"errorDetail": {"message": text}, "error": text})
}

/// The instruction of `Step 1 : …`.
fn step(line: &str) -> Option<&str> {
    line.strip_prefix("Step ")?.split_once(" : ").map(|(_, instruction)| instruction.trim_end())
}

/// The repository that a `FROM` names.
fn base(instruction: &str) -> Option<&str> {
    let (name, image) = instruction.split_once(' ')?;
    let image = image.trim();
    let bare = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(image, |(bare, _)| bare);
    name.eq_ignore_ascii_case("from").then_some(bare)
}

#[cfg(test)]
mod tests {
    use crate::testing::{ask, climbed, message, up};
    use api::routes::Endpoint::Build;
    use serde_json::{Value, json};

    #[test]
    fn errors_were_worded_otherwise() {
        let lowered = |text: &str| {
            message("1.15", "1.14", Build, json!({"error": text, "errorDetail": {"message": text, "code": 3}}))
        };
        for (newer, older) in [
            (
                "The command '/bin/sh -c exit 3' returned a non-zero code: 3",
                "The command [/bin/sh -c exit 3] returned a non-zero code: 3",
            ),
            ("something else", "something else"),
        ] {
            let document: Value = serde_json::from_str(&lowered(newer)).unwrap();
            assert_eq!(document, json!({"errorDetail": {"message": older}, "error": older}));
        }
    }

    #[test]
    fn programs_that_did_not_start_said_so_themselves() {
        let error = "OCI runtime create failed: unable to start container process: exec: \"/x\": stat /x: no such file or directory: unknown";
        let told = message("1.15", "1.14", Build, json!({"error": error}));
        assert!(
            told.starts_with(
                "{\"stream\":\"\\u001b[91mexec: \\\"/x\\\": stat /x: no such file or directory\\u001b[0m\"}"
            ),
            "{told}"
        );
        assert!(told.contains("\"error\":\"exec: \\\"/x\\\": stat /x: no such file or directory\""), "{told}");
    }

    #[test]
    fn bases_were_names_in_registries() {
        let (_, _, descent) = climbed("1.14", ask("POST", "/build", "", Value::Null));
        descent.message(json!({"stream": "Step 1/2 : FROM Busybox:a\n"}));
        let told = String::from_utf8(descent.message(json!({"error": "no such thing"}))).unwrap();
        assert!(told.contains("Invalid repository name (Busybox), only [a-z0-9-_.] are allowed"), "{told}");
        descent.message(json!({"stream": "Step 1/2 : RUN from\n"}));
        let told = String::from_utf8(descent.message(json!({"error": "no such thing"}))).unwrap();
        assert!(told.contains("\"no such thing\""), "{told}");
    }

    #[test]
    fn the_builder_is_told() {
        assert!(up("1.14", Build, "", Value::Null).header(crate::OLD_BUILD_HEADER).is_some());
        assert!(up("1.15", Build, "", Value::Null).header(crate::OLD_BUILD_HEADER).is_none());
        assert!(up("1.15", Build, "q=1", Value::Null).header(crate::QUIET_COMMANDS_HEADER).is_some());
    }
}
