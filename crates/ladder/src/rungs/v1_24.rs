//! API 1.24, Docker 1.12.

use crate::exchange::{Body, Response};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;
use crate::wording::Wording;

/// What 1.24 changed.
pub(crate) const RUNG: Rung = Rung {
    version: Version::new(1, 24),
    release: "1.12",
    changes: &[Change::to(
        &[],
        "Errors are JSON objects with a `message` rather than plain text.",
    )
    .wordings(&[Wording::new("page not found", "404 page not found")])
    .answer(error_as_text)
    .traits(|traits| traits.error_text = true)],
};

fn error_as_text(response: &mut Response, _: &Asked) {
    if response.is_error()
        && let Some(text) = response.message().map(|message| format!("{message}\n"))
    {
        response.body = Body::Text(text);
        response.set_header("Content-Type", "text/plain; charset=utf-8");
    }
}
