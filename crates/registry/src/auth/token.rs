//! Tokens of a registry's token server.

use std::fmt;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::credentials::basic;
use crate::error::Failure;
use crate::http::{Answer, Body, Call, Client};
use crate::{Credentials, Error, Result};

/// How we call ourselves to token servers.
const CLIENT: &str = "longshore";
/// How long a token is good that does not say; the least a server may give.
const LIFETIME: u64 = 60;
/// A token is not used any more so long before its end.
const MARGIN: u64 = 10;
const TOKEN_BYTES: usize = 1 << 20;
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A token server, as a registry names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) realm: String,
    pub(crate) service: String,
}

/// A token.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// To get further tokens with, if asked for.
    pub(crate) refresh: String,
    pub(crate) expires: Instant,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires", &self.expires).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Given {
    token: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
    expires_in: Option<u64>,
}

impl Bearer {
    /// Asks for a token; `offline`: for one to get further tokens with as well.
    ///
    /// # Errors
    /// The server refuses, or secrets would go over plain HTTP to a server that was not named as insecure.
    pub(crate) async fn token(
        &self,
        client: &Client,
        credentials: &Credentials,
        scopes: &[String],
        offline: bool,
    ) -> Result<Token> {
        let refused = |reason: String| Error::Request {
            method: "Get",
            url: self.realm.clone(),
            reason,
            failure: Failure::Credentials,
        };
        let has_secrets = credentials.pair().is_some() || !credentials.identitytoken.is_empty();
        if !self.realm.starts_with("https://")
            && !(self.realm.starts_with("http://") && (client.lenient || !has_secrets))
        {
            return Err(refused("refusing to send credentials to a token server without TLS".to_owned()));
        }
        let mut answer = if credentials.identitytoken.is_empty() {
            self.get(client, credentials, scopes, offline).await?
        } else {
            self.post(client, credentials, scopes).await?
        };
        if !answer.status.is_success() {
            return Err(if answer.status.is_client_error() {
                refused(answer.complaint().await.to_string())
            } else {
                Error::Refused(answer.complaint().await)
            });
        }
        let document = answer.document(TOKEN_BYTES).await?;
        let given: Given = serde_json::from_slice(&document)
            .map_err(|error| answer.nonsense(format!("unable to decode token response: {error}")))?;
        let text = given.token.or(given.access_token).filter(|token| !token.is_empty());
        let Some(text) = text else {
            return Err(answer.nonsense("authorization server did not include a token".into()));
        };
        let lifetime = given.expires_in.unwrap_or(LIFETIME).clamp(LIFETIME, 24 * 3600) - MARGIN;
        let expires = Instant::now() + Duration::from_secs(lifetime);
        Ok(Token { text, refresh: given.refresh_token.unwrap_or_default(), expires })
    }

    async fn get(
        &self,
        client: &Client,
        credentials: &Credentials,
        scopes: &[String],
        offline: bool,
    ) -> Result<Answer> {
        let mut query = vec![("service", self.service.as_str())];
        query.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
        let pair = credentials.pair();
        if let Some((username, _)) = &pair {
            query.push(("account", username));
        }
        if offline {
            query.extend([("client_id", CLIENT), ("offline_token", "true")]);
        }
        let joint = if self.realm.contains('?') { '&' } else { '?' };
        let url = format!("{}{joint}{}", self.realm, form(&query));
        let mut headers = HeaderMap::new();
        if let Some(pair) = &pair {
            let malformed = |_| Error::Invalid("malformed credentials".to_owned());
            headers.insert(AUTHORIZATION, basic(pair).parse().map_err(malformed)?);
        }
        client.follow(Method::GET, url, headers).await
    }

    async fn post(&self, client: &Client, credentials: &Credentials, scopes: &[String]) -> Result<Answer> {
        let scope = scopes.join(" ");
        let fields = [
            ("grant_type", "refresh_token"),
            ("service", &self.service),
            ("client_id", CLIENT),
            ("scope", &scope),
            ("refresh_token", &credentials.identitytoken),
        ];
        let mut call = Call::new(Method::POST, self.realm.clone());
        call.body = Body::whole(form(&fields));
        client.send(call.with(CONTENT_TYPE, "application/x-www-form-urlencoded")?).await
    }
}

/// Names and values as in a query.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, UNRESERVED));
    fields.iter().map(field).collect::<Vec<_>>().join("&")
}
