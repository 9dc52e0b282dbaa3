//! API 1.2, Docker 0.4.1.

use crate::exchange::Response;
use crate::rung::{Change, OldRoute, Rung};
use crate::version::Version;
use serde_json::json;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 2),
    release: "0.4.1",
    changes: &[
        Change::removed(&AUTH, "`GET /auth` is gone, because the daemon keeps no credentials."),
        Change::note(
            "Removal of an image tells what it removed, with status 200 rather than 204; so it \
             does below.",
        ),
        Change::note("Cross-origin requests and OPTIONS; sizes in lists."),
    ],
};

/// The credentials that the daemon keeps: none.
static AUTH: OldRoute = OldRoute {
    method: "GET",
    pattern: "/auth",
    since: Version::new(1, 0),
    alias: false,
    up: |_, _| Err(Response::json(200, json!({"username": "", "password": "", "email": ""}))),
    answer: None,
    message: None,
};

#[cfg(test)]
mod tests {
    use crate::testing::{ask, refusal};
    use serde_json::Value;

    #[test]
    fn the_daemon_told_credentials() {
        assert_eq!(refusal("1.1", ask("GET", "/auth", "", Value::Null)).status, 200);
        assert_eq!(refusal("1.2", ask("GET", "/auth", "", Value::Null)).status, 404);
    }
}
