//! Builds below 1.15: what the builder of Docker 1.2 said.

use api::routes::Endpoint::Build;
use serde_json::{Value, json};

use super::v1_15_registry::{IMPORT, KNOCK};
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

/// Errors of steps. The two forms of "missing" are one: nothing outside of the context was ever looked at.
const STEPS: &[Wording] = &[
    Wording::new("The command '*' returned a non-zero code: *", "The command [{1}] returned a non-zero code: {2}"),
    Wording::new("dockerfile parse error on line *: ENV must have two arguments", "Invalid ENV format"),
    Wording::new("dockerfile parse error on line *: ADD requires at least two arguments, but *", "Invalid ADD format"),
    Wording::new(
        "dockerfile parse error on line *: COPY requires at least two arguments, but *",
        "Invalid COPY format",
    ),
    Wording::new("dockerfile parse error on line *: * requires at least one argument", "Invalid Dockerfile format"),
    Wording::new("dockerfile parse error on line *: * requires exactly one argument", "Invalid Dockerfile format"),
    Wording::new(
        "dockerfile parse error on line *: VOLUME specified can not be an empty string",
        "Volume cannot be empty",
    ),
    Wording::new(
        "dockerfile parse error on line *: no build stage in current context",
        "Please provide a source image with `from` prior to run",
    ),
    Wording::new("dockerfile parse error on line *: *", "{2}"),
    Wording::new(
        "COPY failed: file not found in build context or excluded by .dockerignore: stat *: file does not exist",
        "{1}: no such file or directory",
    ),
    Wording::new("COPY failed: forbidden path outside the build context: * ()", "{1}: no such file or directory"),
    Wording::new("source can't be a URL for COPY", "Source can't be an URL for COPY"),
    Wording::new("invalid containerPort: *", "Invalid containerPort: {1}"),
    Wording::new("invalid proto: *", "Invalid proto: {1}"),
];

/// The exit code of a command was only in the words.
fn errors(message: &mut Value, _: &Asked) {
    let Some(text) = message.get("error").and_then(Value::as_str) else { return };
    // A base image that is fetched, an address that is added.
    let reworded = [STEPS, KNOCK, IMPORT].into_iter().find_map(|wordings| reworded(text, wordings));
    let text = reworded.unwrap_or_else(|| text.to_owned());
    *message = json!({"errorDetail": {"message": text}, "error": text});
}

#[cfg(test)]
mod tests {
    use crate::testing::{message, up};
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
            ("dockerfile parse error on line 2: RUN requires at least one argument", "Invalid Dockerfile format"),
            (
                "dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger",
                "FROM isn't allowed as an ONBUILD trigger",
            ),
            ("something else", "something else"),
        ] {
            let document: Value = serde_json::from_str(&lowered(newer)).unwrap();
            assert_eq!(document, json!({"errorDetail": {"message": older}, "error": older}));
        }
    }

    #[test]
    fn the_builder_is_told() {
        assert!(up("1.14", Build, "", Value::Null).header(crate::OLD_BUILD_HEADER).is_some());
        assert!(up("1.15", Build, "", Value::Null).header(crate::OLD_BUILD_HEADER).is_none());
        assert!(up("1.15", Build, "q=1", Value::Null).header(crate::QUIET_COMMANDS_HEADER).is_some());
    }
}
