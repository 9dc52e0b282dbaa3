//! A registry that does as a test says, and a proxy that cuts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::Digest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::manifest::{DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST};

/// A request as the fake sees it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: HashMap<String, String>,
}

impl Asked {
    pub(super) fn range_start(&self) -> Option<usize> {
        self.headers.get("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// What the fake answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// The connection ends after so many bytes of the body, whatever was announced.
    pub(super) cut: Option<usize>,
    /// The body is repeated for ever, with no length announced.
    pub(super) endless: bool,
    /// The body comes byte by byte with this pause between two.
    pub(super) drip: Option<Duration>,
}

pub(super) fn reply(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    Reply { status, body: body.into(), ..Reply::default() }
}

impl Reply {
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

type Answer = dyn Fn(&Asked) -> Reply + Send + Sync;

/// The registry.
pub(super) struct Fake {
    pub(super) port: u16,
    pub(super) asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    pub(super) async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (answer, seen): (Arc<Answer>, _) = (Arc::new(answer), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&answer), Arc::clone(&seen)));
            }
        });
        Self { port, asked, task }
    }

    pub(super) fn name(&self, rest: &str) -> String {
        format!("127.0.0.1:{}/{rest}", self.port)
    }

    pub(super) fn count(&self, method: &str, part: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|one| one.method == method && one.path.contains(part)).count()
    }
}

async fn serve(mut socket: TcpStream, answer: Arc<Answer>, seen: Arc<Mutex<Vec<Asked>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            // A client that tries TLS first hears that there is none.
            Ok(22) if head.is_empty() => return drop(socket.write_all(b"HTTP/1.1 400 X\r\n\r\n").await),
            Ok(byte) if head.len() < 64 * 1024 => head.push(byte),
            _ => return,
        }
    }
    let Ok(text) = String::from_utf8(head) else { return };
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let asked = Asked { method, path, headers: headers.collect() };
    seen.lock().unwrap().push(asked.clone());
    let reply = answer(&asked);
    let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !reply.endless && !reply.headers.iter().any(|(name, _)| name == "content-length") {
        head += &format!("content-length: {}\r\n", reply.body.len());
    }
    head += "\r\n";
    let body = if asked.method == "HEAD" { &[][..] } else { &reply.body[..reply.cut.unwrap_or(reply.body.len())] };
    if socket.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    if let Some(pause) = reply.drip {
        for byte in body {
            tokio::time::sleep(pause).await;
            if socket.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    } else if socket.write_all(body).await.is_err() {
        return;
    }
    while reply.endless && socket.write_all(body).await.is_ok() {}
    // What the client still sends is read, so that it sees the answer and no reset.
    drop(socket.shutdown().await);
    drop(tokio::time::timeout(Duration::from_secs(5), tokio::io::copy(&mut socket, &mut tokio::io::sink())).await);
}

/// An image of one layer as a registry has it.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    pub(super) manifest: Value,
    pub(super) config: Vec<u8>,
    pub(super) layer: Vec<u8>,
}

impl Wire {
    pub(super) fn new(seed: &str, bytes: usize) -> Self {
        let layer = super::place::tar(seed, bytes);
        let diff = image::digest(&layer);
        let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff]},
            "history": [{"created_by": seed}]});
        let config = config.to_string().into_bytes();
        let descriptor =
            |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "size": bytes.len(), "digest": image::digest(bytes)});
        let manifest = json!({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST,
            "config": descriptor(DOCKER_CONFIG, &config), "layers": [descriptor(DOCKER_LAYER, &layer)]});
        Self { manifest, config, layer }
    }

    pub(super) fn layer_digest(&self) -> Digest {
        image::digest(&self.layer)
    }

    /// What an honest registry answers.
    pub(super) fn honest(&self, asked: &Asked) -> Reply {
        let manifest = self.manifest.to_string().into_bytes();
        let blob = asked.path.rsplit('/').next().unwrap_or_default();
        if asked.path == "/v2/" {
            return reply(200, "{}");
        } else if asked.path.contains("/manifests/") {
            let digest = image::digest(&manifest).to_string();
            return reply(200, manifest).with("content-type", DOCKER_MANIFEST).with("docker-content-digest", digest);
        } else if blob == image::digest(&self.config).to_string() {
            return reply(200, self.config.clone());
        } else if blob == self.layer_digest().to_string() {
            return self.part(asked);
        }
        reply(404, r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#)
    }

    /// The layer, or what is asked for of it.
    pub(super) fn part(&self, asked: &Asked) -> Reply {
        match asked.range_start() {
            Some(start) => {
                let range = format!("bytes {start}-{}/{}", self.layer.len() - 1, self.layer.len());
                reply(206, &self.layer[start..]).with("content-range", range)
            }
            None => reply(200, self.layer.clone()),
        }
    }
}

/// A proxy in front of a registry that cuts connections in the middle of uploads.
pub(super) struct Cutting {
    pub(super) port: u16,
    pub(super) cuts: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Cutting {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cutting {
    /// Cuts the first `times` uploads after so many bytes.
    pub(super) async fn start(to: u16, times: usize, after_bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cuts = Arc::<AtomicUsize>::default();
        let made = Arc::clone(&cuts);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, to, Arc::clone(&made), times, after_bytes));
            }
        });
        Self { port, cuts, task }
    }
}

async fn relay(client: TcpStream, to: u16, cuts: Arc<AtomicUsize>, times: usize, after_bytes: usize) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut buffer = vec![0; 64 * 1024];
    let mut uploaded = None;
    while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
        let piece = &buffer[..length];
        if piece.starts_with(b"PATCH ") && cuts.load(Ordering::SeqCst) < times {
            uploaded = Some(0);
        }
        if to_server.write_all(piece).await.is_err() {
            break;
        }
        if let Some(uploaded) = &mut uploaded {
            *uploaded += length;
            if *uploaded > after_bytes {
                cuts.fetch_add(1, Ordering::SeqCst);
                break;
            }
        }
    }
    drop(to_server);
    back.abort();
}
