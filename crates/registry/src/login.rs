//! Whether credentials are good.

use http::{HeaderMap, Method, StatusCode};

use crate::auth::Challenge;
use crate::error::{Error, Failure};
use crate::registries::Access;
use crate::session::{Protocol, Session};
use crate::settings::HUB;
use crate::{Credentials, Registries, Result, v1};

/// What a registry says to credentials that are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// A token to keep instead of the secret; empty if the registry has none.
    pub identity_token: String,
    /// What to tell the client.
    pub status: String,
}

impl Default for Login {
    fn default() -> Self {
        Self { identity_token: String::new(), status: "Login Succeeded".to_owned() }
    }
}

impl Registries {
    /// Asks a registry whether credentials are good.
    ///
    /// # Errors
    /// They are not (unauthorized), or the registry does not answer.
    pub async fn login(&self, credentials: &Credentials) -> Result<Login> {
        let access = Access { credentials: credentials.clone(), ..Access::default() };
        let domain = domain(&credentials.serveraddress);
        let session = self.addresses(&domain, false, access).await.next().await?;
        match session.protocol {
            Protocol::V1 { .. } => v1::log_in(&session, credentials).await,
            Protocol::V2 => try_login(&session, credentials).await,
        }
    }
}

async fn try_login(session: &Session, credentials: &Credentials) -> Result<Login> {
    let url = session.url("");
    let refused =
        |reason: String| Error::Request { method: "Get", url: url.clone(), reason, failure: Failure::Credentials };
    let wrong = || refused("unauthorized: incorrect username or password".to_owned());
    let mut login = Login::default();
    if let Challenge::Bearer(bearer) = session.challenge() {
        let token = bearer.token(&session.client, credentials, &[], true).await;
        let token = token.map_err(|error| match error {
            Error::Request { failure: Failure::Credentials, reason, .. } => refused(reason),
            other => other,
        })?;
        login.identity_token = token.refresh;
    }
    let answer = session.get(Method::GET, &url, &[], &HeaderMap::new()).await;
    let answer = answer.map_err(|error| match error {
        Error::Request { failure: Failure::Credentials, .. } => wrong(),
        other => other,
    })?;
    match answer.status {
        StatusCode::UNAUTHORIZED => Err(wrong()),
        status if status.is_success() => Ok(login),
        _ => Err(Error::Refused(answer.complaint().await)),
    }
}

/// The registry that an address in credentials means: `https://index.docker.io/v1/` stands for the default one.
pub(crate) fn domain(address: &str) -> String {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://")).unwrap_or(address);
    let host = rest.split('/').next().unwrap_or_default();
    match host {
        "" | "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => HUB.to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (address, wanted) in [
            ("", HUB),
            ("https://index.docker.io/v1/", HUB),
            ("docker.io", HUB),
            ("localhost:5000", "localhost:5000"),
            ("https://r.test/v2/", "r.test"),
        ] {
            assert_eq!(domain(address), wanted);
        }
    }
}
