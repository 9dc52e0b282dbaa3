//! Where the daemon listens.

mod address;
mod unix;

pub use address::{Address, InvalidAddress};

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{AddressFamily, getsockname};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::Server;
use crate::connection;
use crate::transport::Wire;

/// How long a client may take for the TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(30);
/// How long to wait when no connection can be accepted (no more open files).
const PAUSE: Duration = Duration::from_millis(100);

/// Why the daemon cannot listen somewhere.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Plain text over a network that others can reach.
    #[error(
        "refusing to listen without TLS on {0}: anyone who reaches it is root on this host; use --tlsverify with \
         --tlscacert, --tlscert and --tlskey, an address of the loopback, or say --tls=false to do it nevertheless"
    )]
    Plain(SocketAddr),
    /// The group named for the socket does not exist.
    #[error("group {0} not found: create it or choose another one with --group")]
    NoGroup(String),
    /// Somebody answers on the socket already.
    #[error("another daemon is listening on {}: stop it or choose another --host", .0.display())]
    Taken(PathBuf),
    /// `fd://` without sockets from systemd.
    #[error(
        "no sockets found via socket activation: make sure the service was started by systemd, or name another --host"
    )]
    NotActivated,
    /// Something else.
    #[error("cannot listen on {0}: {1}")]
    Io(String, #[source] io::Error),
}

/// How connections are secured.
#[derive(Clone, Default)]
pub struct Security {
    /// TLS for TCP connections.
    pub tls: Option<TlsAcceptor>,
    /// Plain TCP beyond the loopback was asked for in so many words.
    pub plain_allowed: bool,
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security")
            .field("tls", &self.tls.is_some())
            .field("plain_allowed", &self.plain_allowed)
            .finish()
    }
}

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    /// Removed at the end; only of sockets that we made.
    path: Option<PathBuf>,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::debug!(path = %path.display(), %error, "the socket could not be removed");
        }
    }
}

/// Binds `address`; several sockets for a name with several addresses, and for `fd://`.
///
/// `inherited` are the sockets that systemd handed over, `group` the group of a Unix socket: `None` is `docker` if it
/// exists, an empty one leaves the socket's group as it is.
///
/// # Errors
/// See [`ListenError`].
pub fn listen(
    address: &Address,
    group: Option<&str>,
    security: &Security,
    inherited: &mut Vec<OwnedFd>,
) -> Result<Vec<Listener>, ListenError> {
    let failed = |error| ListenError::Io(address.to_string(), error);
    match address {
        Address::Unix(path) => {
            let socket = unix::bind(path, group)?;
            let socket = UnixListener::from_std(socket).map_err(failed)?;
            Ok(vec![Listener { socket: Socket::Unix(socket), path: Some(path.clone()) }])
        }
        Address::Tcp { host, port } => {
            let port = port.unwrap_or(if security.tls.is_some() { 2376 } else { 2375 });
            let addresses = (host.as_str(), port).to_socket_addrs().map_err(failed)?;
            addresses.map(|address| tcp(address, security)).collect()
        }
        Address::Activated(which) => {
            let sockets: Vec<OwnedFd> = match which {
                None => std::mem::take(inherited),
                // The first inherited socket is file 3.
                Some(number) => {
                    let at = number.checked_sub(3).map(|at| at as usize).filter(|at| *at < inherited.len());
                    at.map(|at| inherited.swap_remove(at)).into_iter().collect()
                }
            };
            if sockets.is_empty() {
                return Err(ListenError::NotActivated);
            }
            sockets.into_iter().map(|socket| activated(socket, security).map_err(failed)).collect()
        }
    }
}

fn tcp(address: SocketAddr, security: &Security) -> Result<Listener, ListenError> {
    if security.tls.is_none() && !address.ip().is_loopback() {
        if !security.plain_allowed {
            return Err(ListenError::Plain(address));
        }
        tracing::warn!(%address, "listening without TLS: anyone who reaches this address is root on this host");
    }
    let bound = std::net::TcpListener::bind(address).and_then(|socket| {
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket)
    });
    match bound {
        Ok(socket) => Ok(Listener { socket: Socket::Tcp(socket), path: None }),
        Err(error) => Err(ListenError::Io(address.to_string(), error)),
    }
}

fn activated(socket: OwnedFd, security: &Security) -> io::Result<Listener> {
    let family = getsockname(socket.as_fd())?.address_family();
    let socket = if family == AddressFamily::UNIX {
        let socket = std::os::unix::net::UnixListener::from(socket);
        socket.set_nonblocking(true)?;
        Socket::Unix(UnixListener::from_std(socket)?)
    } else {
        let socket = std::net::TcpListener::from(socket);
        let address = socket.local_addr()?;
        if security.tls.is_none() && !address.ip().is_loopback() && !security.plain_allowed {
            return Err(io::Error::other(ListenError::Plain(address)));
        }
        socket.set_nonblocking(true)?;
        Socket::Tcp(TcpListener::from_std(socket)?)
    };
    Ok(Listener { socket, path: None })
}

/// Accepts connections for ever, each served by its own task.
pub async fn serve(listener: Listener, server: Arc<Server>, security: Security) {
    loop {
        let accepted = match &listener.socket {
            Socket::Unix(socket) => socket.accept().await.map(|(stream, _)| Wire::Unix(stream)),
            Socket::Tcp(socket) => socket.accept().await.map(|(stream, _)| Wire::Tcp(stream)),
        };
        match accepted {
            Ok(wire) => {
                tokio::spawn(welcome(server.clone(), wire, security.tls.clone()));
            }
            Err(error) => {
                // Too many open files: those that end make room again.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn welcome(server: Arc<Server>, wire: Wire, tls: Option<TlsAcceptor>) {
    let Wire::Tcp(stream) = wire else { return connection::serve(server, wire).await };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection could not be told to send at once");
    }
    let Some(tls) = tls else { return connection::serve(server, Wire::Tcp(stream)).await };
    match timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
        Ok(Ok(stream)) => connection::serve(server, Wire::Tls(Box::new(stream))).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}
