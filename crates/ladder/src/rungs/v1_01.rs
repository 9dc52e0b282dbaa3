//! API 1.1, Docker 0.3.4.

use super::v1_08::{plain_text, plain_type};
use crate::rung::{Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{ImageCreate, ImagePush, ImageSave};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 1),
    release: "0.3.4",
    changes: &[
        Change::to(&[ImageCreate, ImagePush], "Pull, import and push answer with JSON messages rather than text.")
            .answer(plain_type)
            .message(plain_text)
            .traits(|traits| traits.bare_transfers = true),
        Change::note("Insert answers with JSON messages rather than text."),
        Change::to(&[ImageSave], "A saved image has the type `application/x-tar`.").answer(|response, _| {
            if !response.is_error() {
                response.set_header("Content-Type", "application/octet-stream");
            }
        }),
    ],
};

#[cfg(test)]
mod tests {
    use crate::testing::message;
    use api::routes::Endpoint::ImageCreate;
    use serde_json::json;

    #[test]
    fn pull_was_text() {
        assert_eq!(message("1.51", "1.0", ImageCreate, json!({"status": "sha256:12"})), "12\r\n");
        assert_eq!(message("1.51", "1.1", ImageCreate, json!({"status": "sha256:12"})), "{\"status\":\"12\"}\r\n");
    }
}
