//! Connections, directly or through the proxies that the environment names.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::answer::{dialled, reason};
use super::proxies::Proxies;
use super::tls;
use crate::error::Failure;

/// How long it may take until a proxy has done its part: it may have to look up a name and to wait for who is behind it.
const THROUGH: Duration = Duration::from_secs(30);
/// Where a SOCKS proxy answers that is named without a port.
const SOCKS_PORT: u16 = 1080;

type Failed = Box<dyn std::error::Error + Send + Sync>;
/// A connection to a registry or to a proxy; to a proxy perhaps by TLS.
type Link = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Makes connections.
#[derive(Debug, Clone)]
pub(crate) struct Dial {
    tcp: HttpConnector,
    proxies: Arc<Proxies>,
    /// Folder with a folder of certificates for each host, proxies among them.
    certificates: PathBuf,
}

/// A proxy is of no use; in Go's words.
#[derive(Debug, thiserror::Error)]
#[error("proxyconnect tcp: {reason}")]
pub(crate) struct ProxyFailure {
    pub(crate) failure: Failure,
    reason: String,
}

impl ProxyFailure {
    fn of(error: &(dyn std::error::Error + 'static), proxy: &str) -> Self {
        let (failure, words) = reason(error);
        // What no broken connection is behind is the proxy's word, which it stands by.
        let failure =
            if error.source().is_none() && !error.is::<std::io::Error>() { Failure::Connect } else { failure };
        Self { failure, reason: dialled(words, proxy) }
    }
}

impl Dial {
    /// Connections that come about within `timeout` or not at all.
    pub(crate) fn new(proxies: Arc<Proxies>, certificates: PathBuf, timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        tcp.set_connect_timeout(Some(timeout));
        Self { tcp, proxies, certificates }
    }

    /// Connects through a proxy.
    async fn through(mut self, proxy: &Intercept, target: Uri) -> Result<Stream, Failed> {
        let scheme = proxy.uri().scheme_str().unwrap_or_default();
        let link = match scheme {
            "socks5" | "socks5h" => {
                let place = with_port(proxy.uri(), SOCKS_PORT)?;
                let link = self.tcp.call(place.clone()).await?;
                // The proxy looks up names, whichever of the two it is: so it is with programs in Go.
                let mut socks = SocksV5::new(place, Reached(Some(link.into())));
                if let Some((user, secret)) = proxy.raw_auth() {
                    socks = socks.with_auth(user.to_owned(), secret.to_owned());
                }
                let port = if target.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
                socks.call(with_port(&target, port)?).await?
            }
            "http" | "https" => {
                let link = self.reach(proxy.uri()).await?;
                if target.scheme() != Some(&Scheme::HTTPS) {
                    return Ok(Stream { link, proxied: true });
                }
                let mut tunnel = Tunnel::new(proxy.uri().clone(), Reached(Some(link)));
                if let Some(secret) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(secret.clone());
                }
                tunnel.call(target).await?
            }
            _ => return Err(format!("a proxy must be http, https, socks5 or socks5h, not {scheme}").into()),
        };
        Ok(Stream { link, proxied: false })
    }

    /// Connects to a proxy that speaks HTTP.
    async fn reach(&mut self, proxy: &Uri) -> Result<Link, Failed> {
        if proxy.scheme() != Some(&Scheme::HTTPS) {
            return Ok(self.tcp.call(proxy.clone()).await?.into());
        }
        let authority = proxy.authority().map_or("", Authority::as_str);
        let config = tls::config(&self.certificates.join(authority), false)?;
        let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1();
        builder.wrap_connector(self.tcp.clone()).call(proxy.clone()).await
    }
}

/// An address with its port, or this one.
fn with_port(uri: &Uri, port: u16) -> Result<Uri, http::Error> {
    let authority = match uri.port() {
        Some(_) => uri.authority().map_or("", Authority::as_str).to_owned(),
        None => format!("{}:{port}", uri.host().unwrap_or_default()),
    };
    Uri::builder().scheme(uri.scheme_str().unwrap_or_default()).authority(authority).path_and_query("/").build()
}

/// A connection that is there already, for what speaks to proxies over connections that it makes itself.
struct Reached(Option<Link>);

impl Service<Uri> for Reached {
    type Response = Link;
    type Error = std::io::Error;
    type Future = std::future::Ready<std::io::Result<Link>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _proxy: Uri) -> Self::Future {
        std::future::ready(self.0.take().ok_or_else(|| std::io::ErrorKind::NotConnected.into()))
    }
}

/// What a proxy wants to see in a request that it carries itself; a tunnel was paid for when it was dug.
pub(crate) fn proxy_authorization(proxies: &Proxies, uri: &Uri) -> Option<HeaderValue> {
    if uri.scheme_str() != Some("http") {
        return None;
    }
    // One that cannot be used fails when it is dialled.
    proxies.for_address(uri).ok()??.basic_auth().cloned()
}

impl Service<Uri> for Dial {
    type Response = Stream;
    type Error = Failed;
    type Future = BoxFuture<'static, Result<Stream, Failed>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (mut dial, proxy) = (self.clone(), self.proxies.for_address(&uri));
        Box::pin(async move {
            let broken = |reason| ProxyFailure { failure: Failure::Connect, reason };
            let Some(proxy) = proxy.map_err(broken)? else {
                return Ok(Stream { link: dial.tcp.call(uri).await?.into(), proxied: false });
            };
            let place = proxy.uri().authority().map_or("", Authority::as_str);
            match tokio::time::timeout(THROUGH, dial.through(&proxy, uri)).await {
                Ok(outcome) => outcome.map_err(|error| ProxyFailure::of(&*error, place).into()),
                Err(_) => Err(broken(format!("{place} does not answer")).into()),
            }
        })
    }
}

/// A connection; `proxied`: requests must name their host in the first line.
#[derive(Debug)]
pub(crate) struct Stream {
    link: Link,
    proxied: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.link.connected().proxy(self.proxied)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.link).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.link).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.link).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        ready!(Pin::new(&mut self.link).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.link.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.link).poll_write_vectored(cx, slices)
    }
}
