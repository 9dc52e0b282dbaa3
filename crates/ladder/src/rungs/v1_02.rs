//! API 1.2, Docker 0.4.1.

use crate::exchange::{Body, KEPT_CREDENTIALS_HEADER};
use crate::rung::{Change, OldRoute, Rung};
use crate::version::Version;
use api::routes::Endpoint::{Auth, ImageCreate, ImagePush};
use serde_json::json;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 2),
    release: "0.4.1",
    changes: &[
        Change::removed(&AUTH, "`GET /auth` is gone, because the daemon keeps no credentials."),
        Change::to(&[Auth], "A login is not kept by the daemon.").up(|request| {
            request.set_header(KEPT_CREDENTIALS_HEADER, "keep");
            Ok(())
        }),
        Change::to(
            &[ImageCreate, ImagePush],
            "Pull and push bring credentials along; before they used those of the last login, at the registry of that login.",
        )
        .up(|request| {
            let none = !matches!(request.body, Body::Json(_)) && request.header("X-Registry-Auth").is_none();
            if none {
                request.set_header(KEPT_CREDENTIALS_HEADER, "use");
                request.set_header("X-Registry-Auth", "");
            }
            Ok(())
        }),
        Change::note(
            "Removal of an image tells what it removed, with status 200 rather than 204; so it \
             does below.",
        ),
        Change::note("Cross-origin requests and OPTIONS; sizes in lists."),
    ],
};

/// The credentials that the daemon keeps.
static AUTH: OldRoute = OldRoute {
    method: "GET",
    pattern: "/auth",
    since: Version::new(1, 0),
    alias: false,
    up: |request, _| {
        request.method = "POST".into();
        request.set_header("Content-Type", "application/json");
        request.set_header(KEPT_CREDENTIALS_HEADER, "show");
        request.body = Body::Json(json!({}));
        Ok(())
    },
    answer: None,
    message: None,
};

#[cfg(test)]
mod tests {
    use crate::KEPT_CREDENTIALS_HEADER;
    use crate::testing::{ask, climbed, refusal, up};
    use api::routes::Endpoint::{Auth, ImageCreate, ImagePush};
    use serde_json::{Value, json};

    #[test]
    fn the_daemon_told_credentials() {
        let (request, endpoint, _) = climbed("1.1", ask("GET", "/auth", "", Value::Null));
        assert_eq!((endpoint, request.header(KEPT_CREDENTIALS_HEADER)), (Auth, Some("show")));
        assert_eq!(refusal("1.2", ask("GET", "/auth", "", Value::Null)).status, 404);
    }

    #[test]
    fn a_login_was_kept() {
        let kept = |version, endpoint, body: Value| {
            up(version, endpoint, "", body).header(KEPT_CREDENTIALS_HEADER).map(str::to_owned)
        };
        assert_eq!(kept("1.1", Auth, json!({})).as_deref(), Some("keep"));
        assert_eq!(kept("1.1", ImagePush, Value::Null).as_deref(), Some("use"));
        assert_eq!(kept("1.0", ImageCreate, Value::Null).as_deref(), Some("use"));
        assert_eq!(kept("1.1", ImagePush, json!({"username": "u"})), None);
        assert_eq!((kept("1.2", Auth, json!({})), kept("1.2", ImageCreate, Value::Null)), (None, None));
    }
}
