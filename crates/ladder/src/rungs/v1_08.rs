//! API 1.8, Docker 0.7.1.

use crate::exchange::Response;
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::Build;
use serde_json::{Value, json};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 8),
    release: "0.7.1",
    changes: &[
        Change::to(&[Build], "Build answers with JSON messages rather than text.")
            .answer(plain_type)
            .message(plain_text),
        Change::note("Inspect shows HostConfig; kill takes names of signals."),
    ],
};

pub(super) fn plain_type(response: &mut Response, _: &Asked) {
    if !response.is_error() {
        response.set_header("Content-Type", "text/plain; charset=utf-8");
    }
}

/// Each piece of output ended with a carriage return, an error with a whole line end.
pub(super) fn plain_text(message: &mut Value, _: &Asked) {
    let field = |key: &str| message.get(key).and_then(Value::as_str);
    *message = match (field("error"), field("stream"), field("status")) {
        (Some(error), _, _) => json!(format!("Error: {error}\r\n")),
        (_, Some(text), _) => json!(format!("{text}\r")),
        (_, _, Some(status)) => match field("progress") {
            Some(progress) => json!(format!("{status} {progress}\r")),
            None => json!(format!("{status}\r\n")),
        },
        _ => Value::Null,
    };
}

#[cfg(test)]
mod tests {
    use crate::testing::message;
    use api::routes::Endpoint::Build;
    use serde_json::json;

    #[test]
    fn build_was_text() {
        assert_eq!(message("1.8", "1.7", Build, json!({"stream": "Step 0 : FROM a\n"})), "Step 0 : FROM a\n\r");
        assert_eq!(message("1.8", "1.7", Build, json!({"error": "bad"})), "Error: bad\r\n");
    }
}
