//! One connection: HTTP/1.1 driven by hand, so that a route can take the socket over.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::Server;
use crate::body::Body;
use crate::exchange;
use crate::handover::{self, Slot, Unanswered};
use crate::own_wakes::OwnWakes;
use crate::transport::{Transport, Wire};

/// How long a client may take to send a request's head; counts between requests as well. Docker's own value.
const HEAD_WITHIN: Duration = Duration::from_secs(5 * 60);

/// Serves a connection until it ends or a route has taken it over and given it away.
pub(crate) async fn serve(server: Arc<Server>, wire: Wire) {
    match timeout(HEAD_WITHIN, wire.readable()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return tracing::debug!(%error, "a connection failed before its first request"),
        Err(_) => return tracing::debug!("a connection sent no request in time"),
    }
    let slot = Arc::new(Slot::default());
    drive(wire, slot.clone(), Requests { server, slot }).await;
}

/// Drives HTTP on a connection; `slot` is where its routes leave a handover.
async fn drive<S>(wire: Wire, slot: Arc<Slot>, requests: S)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Unpin,
    S::Future: Unpin,
{
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(Transport::new(wire, slot.clone())), requests);
    let mut poll = |cx: &mut Context<'_>| match connection.poll_without_shutdown(cx) {
        Poll::Ready(Ok(())) => Poll::Ready(None),
        Poll::Ready(Err(error)) => {
            tracing::debug!(%error, "a connection ended");
            Poll::Ready(None)
        }
        Poll::Pending => match slot.take() {
            Some(handover) => Poll::Ready(Some(handover)),
            None => Poll::Pending,
        },
    };
    let own_wakes = OwnWakes::new();
    let taken = poll_fn(|cx| own_wakes.poll(cx, &mut poll)).await;
    let parts = connection.into_parts();
    let Transport { mut wire, unread, .. } = parts.io.into_inner();
    let outcome = match taken {
        Some(handover) => handover.carry_out(wire, [&*parts.read_buf, &unread].concat()).await,
        None => wire.shutdown().await,
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a client left");
    }
}

/// The requests of one connection.
struct Requests {
    server: Arc<Server>,
    slot: Arc<Slot>,
}

impl Service<Request<Incoming>> for Requests {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        // Now, not in the future: the HTTP library looks at the socket again before it polls that.
        self.slot.keep_end(handover::possible(request.method(), request.uri().path()));
        let unanswered = Unanswered::new(self.slot.clone());
        let (server, slot) = (self.server.clone(), self.slot.clone());
        Box::pin(async move {
            let mut response = exchange::answer(server, &slot, request).await;
            slot.keep_end(false);
            response.body_mut().holds(unanswered);
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests;
