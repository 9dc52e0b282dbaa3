//! Authorisation at a registry: the challenge it poses, and the header that answers it.

mod challenge;
mod token;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

pub(crate) use challenge::Challenge;
pub use challenge::realm;
pub(crate) use token::{Token, form};

use crate::credentials::basic;
use crate::http::Client;
use crate::{Credentials, Result};

/// Answers challenges of one registry for one client.
#[derive(Debug)]
pub(crate) struct Authorizer {
    credentials: Credentials,
    challenge: Mutex<Challenge>,
    /// Tokens by what they are good for.
    tokens: Mutex<HashMap<String, Token>>,
}

impl Authorizer {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self { credentials, challenge: Mutex::new(Challenge::None), tokens: Mutex::default() }
    }

    /// Another for the same client.
    pub(crate) fn same_client(&self) -> Self {
        Self::new(self.credentials.clone())
    }

    /// Whether there are name and secret.
    pub(crate) fn has_pair(&self) -> bool {
        self.credentials.pair().is_some()
    }

    /// Whether there is anything to show.
    pub(crate) fn has_credentials(&self) -> bool {
        self.has_pair() || !self.credentials.registrytoken.is_empty() || !self.credentials.identitytoken.is_empty()
    }

    /// Takes note of a challenge; tokens obtained before are of no use any more.
    pub(crate) fn challenged(&self, challenge: Challenge) {
        *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = challenge;
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What the registry wants to see.
    pub(crate) fn challenge(&self) -> Challenge {
        self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The value of `Authorization` for these scopes; `None` if there is nothing to answer, or nothing to answer with.
    ///
    /// # Errors
    /// The token server gives none.
    pub(crate) async fn header(&self, client: &Client, scopes: &[String]) -> Result<Option<String>> {
        match self.challenge() {
            Challenge::None => Ok(None),
            Challenge::Basic => Ok(self.credentials.pair().as_ref().map(basic)),
            Challenge::Token(token) => Ok(Some(format!("Token {token}"))),
            Challenge::Bearer(bearer) => {
                if !self.credentials.registrytoken.is_empty() {
                    return Ok(Some(format!("Bearer {}", self.credentials.registrytoken)));
                }
                let key = scopes.join(" ");
                let known = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
                if let Some(token) = known.filter(|token| token.expires > Instant::now()) {
                    return Ok(Some(format!("Bearer {}", token.text)));
                }
                let token = bearer.token(client, &self.credentials, scopes, false).await?;
                let header = format!("Bearer {}", token.text);
                self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(key, token);
                Ok(Some(header))
            }
        }
    }

    /// Whether the registry wants a name and a secret and there are none.
    pub(crate) fn is_empty_handed(&self) -> bool {
        self.challenge() == Challenge::Basic && self.credentials.pair().is_none()
    }
}

/// The scope of reading a repository, or of changing it.
pub(crate) fn scope(path: &str, push: bool) -> String {
    format!("repository:{path}:{}", if push { "pull,push" } else { "pull" })
}
