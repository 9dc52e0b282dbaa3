//! One registry's connections, and requests over them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue, LOCATION, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, Method, Request, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::answer::{Answer, dialled, reason};
use super::body::Body;
use super::dial::{Dial, proxy_authorization};
use super::proxies::{Proxies, ProxyVariables};
use super::tls;
use crate::error::Failure;
use crate::settings::{Endpoint, Settings};
use crate::{Error, Result};

/// How long connecting may take, and to a mirror.
const CONNECT: Duration = Duration::from_secs(15);
const CONNECT_MIRROR: Duration = Duration::from_secs(3);
/// How long the head of an answer may take, and a mirror's.
const HEAD: Duration = Duration::from_secs(60);
const HEAD_MIRROR: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);
const REDIRECTS: usize = 10;

type Pool = legacy::Client<HttpsConnector<Dial>, Body>;

/// The connections to all registries.
#[derive(Debug)]
pub(crate) struct Clients {
    certificates: PathBuf,
    user_agent: HeaderValue,
    proxies: Arc<Proxies>,
    pools: Mutex<HashMap<(String, bool, bool), Pool>>,
}

impl Clients {
    /// Through the proxies that the environment names.
    pub(crate) fn new(settings: &Settings) -> Result<Self> {
        Self::with_proxies(settings, &ProxyVariables::from_env())
    }

    pub(crate) fn with_proxies(settings: &Settings, proxies: &ProxyVariables) -> Result<Self> {
        let malformed = |_| Error::Invalid(format!("a malformed user agent: {:?}", settings.user_agent));
        Ok(Self {
            certificates: settings.certificates.clone(),
            user_agent: settings.user_agent.parse().map_err(malformed)?,
            proxies: Arc::new(Proxies::new(proxies)),
            pools: Mutex::default(),
        })
    }

    /// The client for an endpoint. Folders of certificates are read when a registry is first met with no connection open.
    ///
    /// # Errors
    /// Its folder of certificates is of no use.
    pub(crate) fn client(&self, endpoint: &Endpoint, meta: &HeaderMap) -> Result<Client> {
        let key = (endpoint.authority.clone(), endpoint.lenient, endpoint.mirror);
        let known = self.pools.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let pool = match known {
            Some(pool) => pool,
            None => {
                let pool = self.pool(endpoint)?;
                self.pools.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(pool).clone()
            }
        };
        Ok(Client {
            pool,
            user_agent: self.user_agent.clone(),
            proxies: Arc::clone(&self.proxies),
            meta: meta.clone(),
            secure: endpoint.secure,
            lenient: endpoint.lenient,
            patience: if endpoint.mirror { HEAD_MIRROR } else { HEAD },
        })
    }

    /// Forgets the connections to a registry, so that its certificates are read again.
    pub(crate) fn forget(&self, endpoint: &Endpoint) {
        let key = (endpoint.authority.clone(), endpoint.lenient, endpoint.mirror);
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    fn pool(&self, endpoint: &Endpoint) -> Result<Pool> {
        let config = tls::config(&self.certificates.join(&endpoint.authority), endpoint.lenient)?;
        let timeout = if endpoint.mirror { CONNECT_MIRROR } else { CONNECT };
        let dial = Dial::new(Arc::clone(&self.proxies), self.certificates.clone(), timeout);
        let connector =
            hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
        Ok(legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector.wrap_connector(dial)))
    }
}

/// A way to one registry.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pool: Pool,
    user_agent: HeaderValue,
    proxies: Arc<Proxies>,
    meta: HeaderMap,
    secure: bool,
    /// Credentials may go over plain HTTP.
    pub(crate) lenient: bool,
    patience: Duration,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// The answer comes after a body that takes as long as it takes.
    pub(crate) unhurried: bool,
}

impl Call {
    pub(crate) fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: HeaderMap::new(), body: Body::empty(), unhurried: false }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Result<Self> {
        let malformed = |_| Error::Invalid(format!("a malformed value of header {name}"));
        self.headers.insert(name.clone(), value.parse().map_err(malformed)?);
        Ok(self)
    }
}

impl Client {
    /// Whether name and secret may go this way.
    pub(crate) fn may_carry_secrets(&self) -> bool {
        self.secure || self.lenient
    }

    /// The client's own headers.
    pub(crate) fn meta(&self) -> &HeaderMap {
        &self.meta
    }

    /// Whether TLS is spoken.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Sends one request and waits for the head of its answer.
    ///
    /// # Errors
    /// There was none.
    pub(crate) async fn send(&self, call: Call) -> Result<Answer> {
        let method = go_method(&call.method);
        let failed = |failure, reason: String| Error::Request { method, url: call.url.clone(), reason, failure };
        let uri: Uri = call.url.parse().map_err(|error| failed(Failure::Nonsense, format!("{error}")))?;
        let host = uri.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default();
        let proxy = proxy_authorization(&self.proxies, &uri);
        let mut request = Request::builder().method(call.method.clone()).uri(uri);
        if let Some(headers) = request.headers_mut() {
            *headers = call.headers;
            headers.insert(USER_AGENT, self.user_agent.clone());
            headers.extend(proxy.map(|secret| (PROXY_AUTHORIZATION, secret)));
        }
        let request = request.body(call.body).map_err(|error| failed(Failure::Nonsense, error.to_string()))?;
        let answer = self.pool.request(request);
        let answer = if call.unhurried {
            answer.await
        } else {
            let late = |_| failed(Failure::Broken, "context deadline exceeded while awaiting headers".to_owned());
            tokio::time::timeout(self.patience, answer).await.map_err(late)?
        };
        let answer = answer.map_err(|error| {
            let (failure, words) = reason(&error);
            failed(failure, dialled(words, &host))
        })?;
        let (head, body) = answer.into_parts();
        Ok(Answer { method, url: call.url, status: head.status, headers: head.headers, body })
    }

    /// As [`Client::send`] for a request without a body, to the registry itself (with the client's `X-Meta-` headers),
    /// following redirects. What goes to another host goes without credentials; from HTTPS never to HTTP.
    ///
    /// # Errors
    /// There was no answer, or too many redirects.
    pub(crate) async fn follow(&self, method: Method, url: String, mut headers: HeaderMap) -> Result<Answer> {
        headers.extend(self.meta.clone());
        let mut url = url;
        for _ in 0..REDIRECTS {
            let mut call = Call::new(method.clone(), url.clone());
            call.headers = headers.clone();
            let answer = self.send(call).await?;
            if !answer.status.is_redirection() || !answer.headers.contains_key(LOCATION) {
                return Ok(answer);
            }
            let next = resolve(&url, answer.header(LOCATION))
                .ok_or_else(|| answer.nonsense("a redirect to nowhere".into()))?;
            if self.secure && !self.lenient && next.starts_with("http:") {
                return Err(answer.nonsense("refusing to be redirected from HTTPS to HTTP".into()));
            }
            if origin(&next) != origin(&url) {
                for name in headers.keys().cloned().collect::<Vec<_>>() {
                    if name == AUTHORIZATION || name.as_str().starts_with("x-meta-") {
                        headers.remove(name);
                    }
                }
            }
            url = next;
        }
        let reason = format!("stopped after {REDIRECTS} redirects");
        Err(Error::Request { method: go_method(&method), url, reason, failure: Failure::Nonsense })
    }
}

/// Scheme and authority of an address.
pub(crate) fn origin(url: &str) -> Option<&str> {
    let start = url.find("://")? + 3;
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    Some(&url[..end])
}

/// An address as a header names it, which may be a path alone.
pub(crate) fn resolve(base: &str, location: &str) -> Option<String> {
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    if let Some(rest) = location.strip_prefix("//") {
        let scheme = &base[..base.find("://")?];
        return Some(format!("{scheme}://{rest}"));
    }
    if location.starts_with('/') {
        return Some(format!("{}{location}", origin(base)?));
    }
    let path_end = base.find(['?', '#']).unwrap_or(base.len());
    let folder = base[..path_end].rfind('/')?;
    (folder >= origin(base)?.len() && !location.is_empty()).then(|| format!("{}/{location}", &base[..folder]))
}

fn go_method(method: &Method) -> &'static str {
    match *method {
        Method::HEAD => "Head",
        Method::POST => "Post",
        Method::PUT => "Put",
        Method::PATCH => "Patch",
        _ => "Get",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn locations() {
        let base = "https://a.test:5000/v2/x/blobs/uploads/?a=b/c";
        for (location, wanted) in [
            ("http://b.test/y?z", Some("http://b.test/y?z")),
            ("/y", Some("https://a.test:5000/y")),
            ("//b.test/y", Some("https://b.test/y")),
            ("y", Some("https://a.test:5000/v2/x/blobs/uploads/y")),
            ("", None),
        ] {
            assert_eq!(resolve(base, location).as_deref(), wanted, "{location}");
        }
        assert_eq!(origin("https://a:1?x"), Some("https://a:1"));
        assert_ne!(origin("https://a/x"), origin("http://a/x"));
    }

    proptest! {
        #[test]
        fn never_panics(base in ".{0,40}", location in ".{0,40}") {
            let _ = resolve(&base, &location);
            let _ = origin(&base);
        }
    }
}
