//! Connections, directly or through the proxies that the environment names.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::settings::host_of;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Makes connections.
#[derive(Debug, Clone)]
pub(crate) struct Dial {
    tcp: HttpConnector,
    proxies: Arc<Matcher>,
}

impl Dial {
    /// Connections that come about within `timeout` or not at all; `proxies` as `HTTP_PROXY`, `HTTPS_PROXY` and
    /// `NO_PROXY` say.
    pub(crate) fn new(proxies: Arc<Matcher>, timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        tcp.set_connect_timeout(Some(timeout));
        Self { tcp, proxies }
    }
}

/// A registry on this machine is never behind a proxy.
fn is_local(uri: &Uri) -> bool {
    let host = uri.host().map_or("", host_in_uri);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What a proxy wants to see in a request that it carries itself; a tunnel was paid for when it was dug.
pub(crate) fn proxy_authorization(proxies: &Matcher, uri: &Uri) -> Option<HeaderValue> {
    if is_local(uri) || uri.scheme_str() != Some("http") {
        return None;
    }
    proxies.intercept(uri)?.basic_auth().cloned()
}

fn host_in_uri(host: &str) -> &str {
    if host.starts_with('[') { host_of(host) } else { host }
}

impl Service<Uri> for Dial {
    type Response = Stream;
    type Error = Failed;
    type Future = BoxFuture<'static, Result<Stream, Failed>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let proxy = if is_local(&uri) { None } else { self.proxies.intercept(&uri) };
        let mut tcp = self.tcp.clone();
        Box::pin(async move {
            let Some(proxy) = proxy else {
                return Ok(Stream { tcp: tcp.call(uri).await?, proxied: false });
            };
            let scheme = proxy.uri().scheme_str().unwrap_or_default();
            if scheme != "http" {
                return Err(format!("a proxy must be named http://host:port, not {scheme}://").into());
            }
            if uri.scheme_str() == Some("https") {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
                if let Some(secret) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(secret.clone());
                }
                return Ok(Stream { tcp: tunnel.call(uri).await?, proxied: false });
            }
            Ok(Stream { tcp: tcp.call(proxy.uri().clone()).await?, proxied: true })
        })
    }
}

/// A connection; `proxied`: requests must name their host in the first line.
#[derive(Debug)]
pub(crate) struct Stream {
    tcp: TokioIo<TcpStream>,
    proxied: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.tcp.connected().proxy(self.proxied)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        ready!(Pin::new(&mut self.tcp).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_no_proxy() {
        let local = |text: &str| is_local(&text.parse().unwrap());
        assert!(local("http://127.0.0.1:5000/") && local("https://localhost/") && local("http://[::1]:5000/"));
        assert!(!local("http://10.0.0.1:5000/") && !local("https://localhost.example/"));
    }
}
