//! A session's client: over our own gRPC, from the other side.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use http::{HeaderMap, HeaderValue};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::grpc::{self, Answer, Call, Code, Service, Status, unary};
use crate::message::{
    BytesMessage, CheckAgentRequest, CredentialsRequest, CredentialsResponse, Empty, GetSecretRequest,
    GetSecretResponse, Packet, PacketType, Stat,
};
use crate::session::{Session, Sessions};

const METHODS: [&str; 4] = [
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.sshforward.v1.SSH/ForwardAgent",
];

/// What a client has, and how it behaves.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) files: Files,
    /// What its builds are known by; empty if it does not say.
    pub(super) key: &'static str,
}

/// How it sends files.
#[derive(Debug, Default)]
pub(super) enum Files {
    /// As it should.
    Tree(Vec<(Stat, &'static [u8])>),
    /// Contents that nobody asked for.
    Unasked,
    /// It says that it cannot.
    Fails(String),
    /// One after the other, for ever.
    Endless,
    /// It is gone in the middle.
    Vanishes,
    /// It says nothing.
    #[default]
    Silent,
}

pub(super) fn file(path: &str, contents: &'static [u8]) -> (Stat, &'static [u8]) {
    let size = contents.len().try_into().unwrap();
    (Stat { path: path.to_owned(), mode: 0o644, size, ..Stat::default() }, contents)
}

pub(super) fn folder(path: &str) -> (Stat, &'static [u8]) {
    (Stat { path: path.to_owned(), mode: 1 << 31 | 0o755, ..Stat::default() }, b"")
}

pub(super) fn link(path: &str, target: &str) -> (Stat, &'static [u8]) {
    (Stat { path: path.to_owned(), mode: 1 << 27, link: target.to_owned(), ..Stat::default() }, b"")
}

/// What a client says about its session.
pub(super) fn headers(id: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-docker-expose-session-uuid", HeaderValue::from_static(id));
    for method in METHODS {
        headers.append("x-docker-expose-session-grpc-method", HeaderValue::from_static(method));
    }
    headers
}

/// Opens a session with a client.
pub(super) async fn open(client: Client) -> (Arc<Session>, JoinHandle<()>) {
    let sessions = Arc::new(Sessions::default());
    let (near, far) = tokio::io::duplex(64 * 1024);
    let mut headers = headers("session");
    headers.insert("x-docker-expose-session-sharedkey", HeaderValue::from_static(client.key));
    let offer = sessions.read(&headers).unwrap();
    tokio::spawn(offer.carry(far));
    let answering = tokio::spawn(async move { drop(grpc::serve(near, Arc::new(client)).await) });
    (sessions.find("session").await.unwrap(), answering)
}

impl Service for Client {
    fn call(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Answer, Status>> {
        async move {
            match call.method.clone().rsplit('/').next().unwrap_or_default() {
                "DiffCopy" => self.send(call),
                "GetSecret" => unary(call, async |request: GetSecretRequest, _| secret(&request)).await,
                "Credentials" => unary(call, async |request, _| Ok(credentials(request))).await,
                "CheckAgent" => {
                    unary(call, async |CheckAgentRequest { id }, _| match id.as_str() {
                        "default" => Ok(Empty {}),
                        _ => Err(Status::new(Code::NotFound, "no such agent")),
                    })
                    .await
                }
                "ForwardAgent" => Ok(shout(call)),
                _ => Err(Status::new(Code::Unimplemented, "no such method")),
            }
        }
        .boxed()
    }
}

fn secret(request: &GetSecretRequest) -> Result<GetSecretResponse, Status> {
    match request.id.as_str() {
        "known" => Ok(GetSecretResponse { data: b"secret".to_vec() }),
        _ => Err(Status::new(Code::NotFound, "no such secret")),
    }
}

fn credentials(request: CredentialsRequest) -> CredentialsResponse {
    let username = if request.host.starts_with("token") { String::new() } else { request.host };
    CredentialsResponse { username, secret: "word".to_owned() }
}

/// Repeats everything in capitals.
fn shout(call: Call) -> Answer {
    let answers = stream::unfold(call.requests, async |mut requests| {
        let BytesMessage { data } = requests.next().await.ok()??;
        Some((Ok(BytesMessage { data: data.to_ascii_uppercase().into() }), requests))
    });
    grpc::stream(answers.boxed())
}

fn packet(kind: PacketType, id: u32, data: impl Into<Bytes>) -> Packet {
    Packet { kind: kind as i32, id, data: data.into(), stat: None }
}

impl Client {
    fn send(self: Arc<Self>, call: Call) -> Result<Answer, Status> {
        let (sender, packets) = mpsc::channel(8);
        let wanted: Vec<String> =
            call.metadata.get_all("followpaths").iter().map(|path| path.to_str().unwrap().to_owned()).collect();
        tokio::spawn(async move {
            match &self.files {
                Files::Tree(tree) => {
                    let tree = tree.iter().filter(|(stat, _)| wanted.is_empty() || wanted.contains(&stat.path));
                    serve(tree.collect(), sender, call).await;
                }
                Files::Unasked => drop(sender.send(Ok(packet(PacketType::Data, 3, &b"x"[..]))).await),
                Files::Fails(reason) => drop(sender.send(Ok(packet(PacketType::Error, 0, reason.clone()))).await),
                Files::Endless => {
                    for number in 0.. {
                        let stat =
                            Stat { path: format!("{}{number}", "n".repeat(4000)), mode: 1 << 26, ..Stat::default() };
                        let packet = Packet { stat: Some(stat), ..Packet::default() };
                        if sender.send(Ok(packet)).await.is_err() {
                            return;
                        }
                    }
                }
                Files::Vanishes => {
                    let stat = Some(file("f", b"").0);
                    drop(sender.send(Ok(Packet { stat, ..Packet::default() })).await);
                    drop(sender.send(Err(Status::new(Code::Unavailable, "gone"))).await);
                }
                Files::Silent => sender.closed().await,
            }
        });
        let packets = stream::unfold(packets, async |mut packets| packets.recv().await.map(|packet| (packet, packets)));
        Ok(grpc::stream(packets.boxed()))
    }
}

/// Sends a tree as BuildKit's clients do.
async fn serve(tree: Vec<&(Stat, &'static [u8])>, sender: mpsc::Sender<Result<Packet, Status>>, mut call: Call) {
    for (stat, _) in &tree {
        drop(sender.send(Ok(Packet { stat: Some(stat.clone()), ..Packet::default() })).await);
    }
    drop(sender.send(Ok(Packet::default())).await);
    while let Ok(Some(asked)) = call.requests.next::<Packet>().await {
        match asked.kind() {
            PacketType::Request => {
                for piece in tree[asked.id as usize].1.chunks(32 * 1024) {
                    drop(sender.send(Ok(packet(PacketType::Data, asked.id, piece))).await);
                }
                drop(sender.send(Ok(packet(PacketType::Data, asked.id, Bytes::new()))).await);
            }
            _ => return drop(sender.send(Ok(packet(PacketType::Finish, 0, Bytes::new()))).await),
        }
    }
}
