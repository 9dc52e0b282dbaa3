//! Taking a connection over leans on behaviour of the HTTP library that it does not promise: these tests hold it to it.

use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use super::*;
use crate::handover::{Framing, Handover, Taker};

/// How long anything here may take.
const SOON: Duration = Duration::from_secs(60);
/// How long a client looks for bytes that should not come.
const A_MOMENT: Duration = Duration::from_millis(50);

/// Tells when it is dropped.
struct Alarm(Option<oneshot::Sender<()>>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(alarm) = self.0.take() {
            // Whether anybody listens is not the stream's business.
            let _ = alarm.send(());
        }
    }
}

/// `/attach` gives its stream to a "container" that answers in capitals, `/attach-missing` refuses, `/wait` never
/// answers, `/pages` streams for ever, the rest says OK.
struct Tiny {
    slot: Arc<Slot>,
    cancelled: Mutex<Option<oneshot::Sender<()>>>,
}

impl Service<Request<Incoming>> for Tiny {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.slot.keep_end(request.uri().path().starts_with("/attach"));
        let slot = self.slot.clone();
        let unanswered = Unanswered::new(slot.clone());
        let alarm = match request.uri().path() {
            "/wait" | "/pages" => self.cancelled.lock().unwrap().take(),
            _ => None,
        };
        Box::pin(async move {
            let mut response = respond(request, &slot, Alarm(alarm)).await;
            slot.keep_end(false);
            response.body_mut().holds(unanswered);
            Ok(response)
        })
    }
}

async fn respond(request: Request<Incoming>, slot: &Slot, alarm: Alarm) -> Response<Body> {
    match request.uri().path() {
        "/attach" => {
            let upgrade = request.headers().contains_key("upgrade");
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let head = if upgrade { "HTTP/1.1 101 UPGRADED\r\n\r\n" } else { "HTTP/1.1 200 OK\r\n\r\n" };
            let taker = Taker::socket(Framing::Raw, move |client| capitals(client, body.len()));
            let handover = Handover { head: head.as_bytes().to_vec(), taker };
            match slot.hand_over(handover).await {}
        }
        "/attach-missing" => {
            let mut response = Response::new(Body::whole("no such container"));
            *response.status_mut() = http::StatusCode::NOT_FOUND;
            response
        }
        "/wait" => {
            std::future::pending::<()>().await;
            drop(alarm);
            Response::new(Body::empty())
        }
        "/pages" => {
            let pages = futures_util::stream::unfold(alarm, async |alarm| {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Some((Ok(Bytes::from_static(b"page")), alarm))
            });
            Response::new(Body::stream(pages))
        }
        "/slow" => {
            tokio::time::sleep(A_MOMENT).await;
            Response::new(Body::whole("OK"))
        }
        "/long" => {
            let pieces = (0..200).map(|_| Ok(Bytes::from(vec![b'x'; 32 * 1024])));
            Response::new(Body::stream(futures_util::stream::iter(pieces)))
        }
        _ => Response::new(Body::whole("OK")),
    }
}

async fn capitals(client: engine::ClientStream, body: usize) -> Result<(), engine::Error> {
    let mut stream = UnixStream::from_std(client.socket.into()).unwrap();
    let early = client.early.len();
    stream.write_all(format!("body={body} early={early}\n").as_bytes()).await.unwrap();
    stream.write_all(&client.early.to_ascii_uppercase()).await.unwrap();
    let (mut buffer, mut total) = ([0; 4096], early);
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => break,
            length => {
                total += length;
                stream.write_all(&buffer[..length].to_ascii_uppercase()).await.unwrap();
            }
        }
    }
    // Output after the end of standard input arrives as well.
    stream.write_all(format!("\n[end after {total}]").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    Ok(())
}

/// A client, and what is told when a waiting route is cancelled.
fn connect() -> (UnixStream, oneshot::Receiver<()>) {
    let (client, ours) = UnixStream::pair().unwrap();
    let (alarm, cancelled) = oneshot::channel();
    let slot = Arc::new(Slot::default());
    let tiny = Tiny { slot: slot.clone(), cancelled: Mutex::new(Some(alarm)) };
    tokio::spawn(drive(Wire::Unix(ours), slot, tiny));
    (client, cancelled)
}

/// Sends `first`, then `later` once something came back, then ends its sending half; everything received.
async fn talk(first: &str, later: &str) -> String {
    let (mut client, _cancelled) = connect();
    client.write_all(first.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    if !later.is_empty() {
        let mut buffer = [0; 4096];
        let length = timeout(SOON, client.read(&mut buffer)).await.unwrap().unwrap();
        received.extend_from_slice(&buffer[..length]);
        for piece in later.as_bytes().chunks(4) {
            client.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
    }
    client.shutdown().await.unwrap();
    timeout(SOON, client.read_to_end(&mut received)).await.expect("the server ends").unwrap();
    String::from_utf8(received).unwrap()
}

const OK: &str = "HTTP/1.1 200 OK\r\n\r\n";

#[tokio::test]
async fn a_stream_without_upgrade() {
    let got = talk("POST /attach HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n", "some input").await;
    assert_eq!(got, format!("{OK}body=0 early=0\nSOME INPUT\n[end after 10]"));
}

/// Some clients throw away what comes with the head.
#[tokio::test(start_paused = true)]
async fn a_client_that_takes_its_time_gets_the_head_alone() {
    let (mut client, _cancelled) = connect();
    client.write_all(b"POST /attach HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut buffer = [0; 4096];
    let length = client.read(&mut buffer).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&buffer[..length]), OK);
}

#[tokio::test]
async fn input_in_the_packet_of_the_head() {
    let got = talk("POST /attach HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\nearly ", "late").await;
    assert_eq!(got, format!("{OK}body=0 early=6\nEARLY LATE\n[end after 10]"));
}

#[tokio::test]
async fn input_ends_before_the_answer() {
    let got = talk("POST /attach HTTP/1.1\r\nHost: d\r\n\r\nall of it", "").await;
    assert_eq!(got, format!("{OK}body=0 early=9\nALL OF IT\n[end after 9]"));
    let got = talk("POST /attach HTTP/1.1\r\nHost: d\r\n\r\n", "").await;
    assert_eq!(got, format!("{OK}body=0 early=0\n\n[end after 0]"));
}

#[tokio::test]
async fn an_upgrade_with_a_body_and_input_behind_it() {
    let head = "POST /attach HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 14\r\n\r\n";
    let got = talk(&format!("{head}{{\"Tty\": false}}early"), "late").await;
    assert_eq!(got, "HTTP/1.1 101 UPGRADED\r\n\r\nbody=14 early=5\nEARLYLATE\n[end after 9]");
}

#[tokio::test]
async fn a_chunked_body() {
    let head = "POST /attach HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n";
    let got = talk(&format!("{head}e\r\n{{\"Tty\": false}}\r\n0\r\n\r\nearly"), "late").await;
    assert_eq!(got, format!("{OK}body=14 early=5\nEARLYLATE\n[end after 9]"));
}

#[tokio::test]
async fn old_and_closing_clients() {
    for head in ["POST /attach HTTP/1.0\r\n", "POST /attach HTTP/1.1\r\nConnection: close\r\n"] {
        let got = talk(&format!("{head}Host: d\r\nContent-Length: 0\r\n\r\n"), "in").await;
        assert_eq!(got, format!("{OK}body=0 early=0\nIN\n[end after 2]"), "{head}");
    }
}

#[tokio::test]
async fn a_kept_connection_becomes_a_stream() {
    let (mut client, _cancelled) = connect();
    let mut buffer = [0; 4096];
    for _ in 0..3 {
        client.write_all(b"GET /ping HTTP/1.1\r\nHost: d\r\n\r\n").await.unwrap();
        let length = timeout(SOON, client.read(&mut buffer)).await.unwrap().unwrap();
        assert!(buffer[..length].ends_with(b"\r\n\r\nOK"));
    }
    client.write_all(b"POST /attach HTTP/1.1\r\nHost: d\r\n\r\nabc").await.unwrap();
    client.shutdown().await.unwrap();
    let mut rest = String::new();
    timeout(SOON, client.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert!(rest.ends_with("ABC\n[end after 3]"), "{rest}");
}

#[tokio::test]
async fn a_refused_stream_leaves_the_connection_in_order() {
    let requests =
        "POST /attach-missing HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\nGET /ping HTTP/1.1\r\nHost: d\r\n\r\n";
    let got = talk(requests, "").await;
    assert!(got.starts_with("HTTP/1.1 404 Not Found") && got.ends_with("\r\n\r\nOK"), "{got}");
    let got = talk("POST /attach-missing HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n", "").await;
    assert!(got.ends_with("no such container"), "{got}");
}

/// The clock of such tests stands still but for what is waited for: no patience is tried by a busy machine.
#[tokio::test(start_paused = true)]
async fn a_client_that_ended_its_sending_half_is_answered() {
    for page in ["/ping", "/slow"] {
        let got = talk(&format!("GET {page} HTTP/1.1\r\nHost: d\r\n\r\n"), "").await;
        assert!(got.ends_with("\r\n\r\nOK"), "{page}: {got}");
    }
    let got = talk("GET /long HTTP/1.1\r\nHost: d\r\n\r\n", "").await;
    assert!(got.len() > 200 * 32 * 1024 && got.ends_with("0\r\n\r\n"), "{}", got.len());
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_that_leaves_is_forgotten_at_once() {
    let (client, ours) = UnixStream::pair().unwrap();
    let slot = Arc::new(Slot::default());
    let driven = tokio::spawn(drive(Wire::Unix(ours), slot.clone(), Tiny { slot, cancelled: Mutex::new(None) }));
    drop(client);
    timeout(A_MOMENT, driven).await.expect("the connection ends").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_cancels_its_route() {
    for page in ["/wait", "/pages"] {
        let (mut client, cancelled) = connect();
        client.write_all(format!("GET {page} HTTP/1.1\r\nHost: d\r\n\r\n").as_bytes()).await.unwrap();
        let mut cancelled = Box::pin(cancelled);
        assert!(timeout(A_MOMENT, &mut cancelled).await.is_err(), "{page} goes on while the client stays");
        drop(client);
        timeout(SOON, cancelled).await.expect("the route is dropped").unwrap();
    }
}

#[tokio::test]
async fn rubbish_is_answered_and_ends_the_connection() {
    for rubbish in ["\x16\x03\x01\x02 hello\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let got = talk(rubbish, "").await;
        assert!(got.is_empty() || got.starts_with("HTTP/1.1 400"), "{rubbish:?}: {got}");
    }
}
