//! A registry that answered: requests with the authorisation it wants.

use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};

use crate::auth::{Authorizer, Challenge};
use crate::error::Failure;
use crate::http::{Answer, Call, Client, Clients};
use crate::retry::Backoff;
use crate::settings::Endpoint;
use crate::{Credentials, Error, Result};

/// How long to wait for an answer where there is another way.
const KNOCK: Duration = Duration::from_secs(5);
const VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// A registry that answered at one address, for one client.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    base: String,
    authorizer: Authorizer,
    pub(crate) protocol: Protocol,
}

/// What a registry speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Docker's first. `standalone`: it has no index beside it, and wants name and secret itself.
    V1 { standalone: bool },
    /// The OCI's.
    V2,
}

impl Session {
    /// Finds out whether a registry answers there, and what it wants to see.
    ///
    /// # Errors
    /// Nothing answers, or not as a registry does.
    pub(crate) async fn open(
        clients: &Clients,
        endpoint: &Endpoint,
        credentials: &Credentials,
        meta: &HeaderMap,
    ) -> Result<Self> {
        let client = clients.client(endpoint, meta)?;
        let credentials = if endpoint.mirror { Credentials::default() } else { credentials.clone() };
        let base = endpoint.base();
        let mut session = Self { client, base, authorizer: Authorizer::new(credentials), protocol: Protocol::V2 };
        let url = session.url("");
        let answer = match session.ping(&url, endpoint).await {
            Ok(answer) => answer,
            Err(error) => {
                clients.forget(endpoint);
                return Err(error);
            }
        };
        match answer.status {
            StatusCode::OK => {}
            // Some registries have nothing at the root, but say who they are.
            _ if answer.header(VERSION) == "registry/2.0" => {
                if answer.status == StatusCode::UNAUTHORIZED {
                    session.authorizer.challenged(Challenge::of(&answer.headers));
                }
            }
            StatusCode::UNAUTHORIZED => {
                session.authorizer.challenged(Challenge::of(&answer.headers));
                // What guards the door may guard a registry of either kind.
                if endpoint.legacy && session.lacks_root().await {
                    session.protocol = crate::v1::knock(&session).await.unwrap_or(Protocol::V2);
                }
            }
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED if endpoint.legacy => {
                match crate::v1::knock(&session).await {
                    Some(protocol) => session.protocol = protocol,
                    None => return Err(Error::Refused(answer.complaint().await)),
                }
            }
            _ => return Err(Error::Refused(answer.complaint().await)),
        }
        if session.protocol != Protocol::V2 {
            session.authorizer.challenged(if session.client.may_carry_secrets() {
                Challenge::Basic
            } else {
                Challenge::None
            });
        }
        Ok(session)
    }

    /// Whether the second protocol has no root here, for those who are let in.
    async fn lacks_root(&self) -> bool {
        if self.authorizer.is_empty_handed() || matches!(self.challenge(), Challenge::Bearer(_)) {
            return false;
        }
        let answer = self.get(Method::GET, &self.url(""), &[], &HeaderMap::new()).await;
        answer.is_ok_and(|answer| answer.status == StatusCode::NOT_FOUND && answer.header(VERSION).is_empty())
    }

    /// The same registry, or another address of it, for the holder of a token of the first protocol.
    pub(crate) fn with_token(&self, client: Client, base: String, challenge: Challenge) -> Self {
        let authorizer = self.authorizer.same_client();
        authorizer.challenged(challenge);
        Self { client, base, authorizer, protocol: self.protocol }
    }

    /// Whether the registry wanted to see something, and the client gave something to show.
    pub(crate) fn has_shown_credentials(&self) -> bool {
        self.challenge() != Challenge::None && self.authorizer.has_credentials()
    }

    /// Whether the client gave name and secret.
    pub(crate) fn has_pair(&self) -> bool {
        self.authorizer.has_pair()
    }

    /// The registry's root, without a slash at the end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Knocks, and again if it is worth it.
    async fn ping(&self, url: &str, endpoint: &Endpoint) -> Result<Answer> {
        // What does not answer at once is passed over if there is another way: a mirror, TLS where there may be none.
        let is_last = !(endpoint.mirror || endpoint.secure && endpoint.lenient);
        let mut backoff = Backoff::default();
        loop {
            let answer = self.client.follow(Method::GET, url.to_owned(), HeaderMap::new());
            let outcome = if is_last {
                answer.await
            } else {
                let reason = "no answer to speak of".to_owned();
                let late = Error::Request { method: "Get", url: url.to_owned(), reason, failure: Failure::Connect };
                tokio::time::timeout(KNOCK, answer).await.unwrap_or(Err(late))
            };
            match outcome {
                Err(error) if is_last => backoff.wait(error).await?,
                outcome => return outcome,
            }
        }
    }

    /// What the registry wants to see.
    pub(crate) fn challenge(&self) -> Challenge {
        self.authorizer.challenge()
    }

    /// Address of something beneath the registry's root.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/v2/{path}", self.base)
    }

    /// Gets something, with a new token if the one at hand is not good enough. The answer may be a refusal.
    ///
    /// # Errors
    /// There was no answer; no token could be had.
    pub(crate) async fn get(
        &self,
        method: Method,
        url: &str,
        scopes: &[String],
        headers: &HeaderMap,
    ) -> Result<Answer> {
        for fresh in [false, true] {
            let mut headers = headers.clone();
            self.authorize(&mut headers, url, scopes).await?;
            let answer = self.client.follow(method.clone(), url.to_owned(), headers).await?;
            if fresh || !self.shall_retry(&answer)? {
                return Ok(answer);
            }
        }
        Err(self.unauthorized(url))
    }

    /// As [`Session::get`], tried again as long as it may help; a refusal is an error.
    ///
    /// # Errors
    /// There was no answer, or a refusal.
    pub(crate) async fn fetch(
        &self,
        method: Method,
        url: &str,
        scopes: &[String],
        headers: &HeaderMap,
    ) -> Result<Answer> {
        let mut backoff = Backoff::default();
        loop {
            let outcome = match self.get(method.clone(), url, scopes, headers).await {
                Ok(answer) => succeeded(answer).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(answer) => return Ok(answer),
                Err(error) => backoff.wait(error).await?,
            }
        }
    }

    /// Sends something once, with authorisation. Redirects are not followed. The answer may be a refusal.
    ///
    /// # Errors
    /// There was no answer; no token could be had.
    pub(crate) async fn send(&self, mut call: Call, scopes: &[String]) -> Result<Answer> {
        self.authorize(&mut call.headers, &call.url, scopes).await?;
        let answer = self.client.send(call).await?;
        // Noted for the next try.
        self.shall_retry(&answer)?;
        Ok(answer)
    }

    /// Takes note of a new challenge; whether the request should be sent again.
    fn shall_retry(&self, answer: &Answer) -> Result<bool> {
        if answer.status != StatusCode::UNAUTHORIZED
            || crate::http::origin(&answer.url) != crate::http::origin(&self.base)
        {
            return Ok(false);
        }
        let challenge = Challenge::of(&answer.headers);
        if challenge != Challenge::None {
            self.authorizer.challenged(challenge);
        }
        if self.authorizer.is_empty_handed() {
            let (method, url) = (answer.method, answer.url.clone());
            let reason = "no basic auth credentials".to_owned();
            return Err(Error::Request { method, url, reason, failure: Failure::Credentials });
        }
        Ok(true)
    }

    /// Adds credentials to what goes to the registry itself, and to nothing else.
    async fn authorize(&self, headers: &mut HeaderMap, url: &str, scopes: &[String]) -> Result<()> {
        if crate::http::origin(url) != crate::http::origin(&self.base) {
            return Ok(());
        }
        if let Some(value) = self.authorizer.header(&self.client, scopes).await? {
            let malformed = |_| Error::Invalid("malformed credentials".to_owned());
            let mut value: HeaderValue = value.parse().map_err(malformed)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(())
    }

    fn unauthorized(&self, url: &str) -> Error {
        let reason = "unauthorized: authentication required".to_owned();
        Error::Request { method: "Get", url: url.to_owned(), reason, failure: Failure::Credentials }
    }
}

/// The answer if it is a success.
///
/// # Errors
/// What the registry says against it.
pub(crate) async fn succeeded(answer: Answer) -> Result<Answer> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    let lacks_scope = answer.status == StatusCode::UNAUTHORIZED && Challenge::lacks_scope(&answer.headers);
    let mut complaint = answer.complaint().await;
    if lacks_scope {
        complaint.code = "DENIED".to_owned();
        complaint.message = "requested access to the resource is denied".to_owned();
        complaint.status = 403;
    }
    Err(Error::Refused(complaint))
}
