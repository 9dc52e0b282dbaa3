//! API 1.9, Docker 0.8.0.

use crate::exchange::{Request, Response};
use crate::rung::{Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::Build;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 9),
    release: "0.8.0",
    changes: &[
        Change::to(
            &[Build],
            "Build takes credentials of several registries in `X-Registry-Config`; before of \
             one in `X-Registry-Auth`.",
        )
        .up(one_registry),
        Change::note("Booleans may be written in many ways."),
    ],
};

fn one_registry(request: &mut Request) -> Result<(), Response> {
    if request.header("X-Registry-Config").is_none()
        && let Some(header) = request.header("X-Registry-Auth")
        && let Some(credentials) = URL_SAFE
            .decode(header)
            .or_else(|_| STANDARD.decode(header))
            .ok()
            .and_then(|text| serde_json::from_slice::<Value>(&text).ok())
    {
        let server = credentials["serveraddress"]
            .as_str()
            .filter(|server| !server.is_empty())
            .unwrap_or("https://index.docker.io/v1/")
            .to_owned();
        request.set_header("X-Registry-Config", &URL_SAFE.encode(json!({ server: credentials }).to_string()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{ask, climbed};
    use serde_json::Value;

    #[test]
    fn credentials_of_one_registry() {
        let mut request = ask("POST", "/build", "", Value::Null);
        request.set_header("X-Registry-Auth", "eyJ1c2VybmFtZSI6InUifQ==");
        let (request, _, _) = climbed("1.8", request);
        assert_eq!(
            request.header("x-registry-config"),
            Some("eyJodHRwczovL2luZGV4LmRvY2tlci5pby92MS8iOnsidXNlcm5hbWUiOiJ1In19")
        );
    }
}
