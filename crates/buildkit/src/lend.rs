//! What a session's client lends: secrets, SSH agents, credentials for registries.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use build::{Agent, Error, Result, Secrets};
use engine::{Credentials, Keys};
use http::{HeaderMap, HeaderValue};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::grpc::{Code, Status};
use crate::message::{
    BytesMessage, CheckAgentRequest, CredentialsRequest, CredentialsResponse, Empty, GetSecretRequest,
    GetSecretResponse,
};
use crate::session::Session;

const GET_SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
const CREDENTIALS: &str = "/moby.filesync.v1.Auth/Credentials";
/// Docker Hub, by its names in references and in BuildKit's protocol.
const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");
const CHECK_AGENT: &str = "/moby.sshforward.v1.SSH/CheckAgent";
const FORWARD_AGENT: &str = "/moby.sshforward.v1.SSH/ForwardAgent";
/// The agent that is lent without a name.
const DEFAULT_AGENT: &str = "default";
/// Bytes of an agent's conversation that are carried at once.
const PIECE_BYTES: usize = 32 * 1024;
/// Connections to one agent at a time.
const CONNECTIONS: usize = 64;

/// A client that lends; without a session it lends nothing.
#[derive(Debug)]
pub(crate) struct Lender {
    pub(crate) session: Option<Arc<Session>>,
    pub(crate) handle: Handle,
    pub(crate) cancelled: CancellationToken,
    /// Where the sockets of agents are made.
    pub(crate) temporary: PathBuf,
}

impl Lender {
    fn wait<T>(&self, work: impl Future<Output = Result<T, Status>>) -> Result<Result<T, Status>> {
        self.handle.block_on(self.cancelled.run_until_cancelled(work)).ok_or(Error::Cancelled)
    }

    fn session(&self, method: &str) -> Option<&Arc<Session>> {
        self.session.as_ref().filter(|session| session.has(method))
    }
}

/// `None` if the client has not got it.
fn found<T>(outcome: Result<T, Status>) -> Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(status) if matches!(status.code(), Code::NotFound | Code::Unimplemented) => Ok(None),
        Err(status) => Err(Error::Step(status.to_string())),
    }
}

impl Secrets for Lender {
    fn secret(&self, id: &str) -> Result<Option<Vec<u8>>> {
        let Some(session) = self.session(GET_SECRET) else { return Ok(None) };
        let request = GetSecretRequest { id: id.to_owned(), ..GetSecretRequest::default() };
        let answer = self.wait(session.channel.ask::<GetSecretResponse>(GET_SECRET, &request))?;
        Ok(found(answer)?.map(|answer| answer.data))
    }

    fn agent(&self, id: &str) -> Result<Option<Box<dyn Agent>>> {
        let Some(session) = self.session(FORWARD_AGENT) else { return Ok(None) };
        let id = if id.is_empty() { DEFAULT_AGENT } else { id };
        let request = CheckAgentRequest { id: id.to_owned() };
        if found(self.wait(session.channel.ask::<Empty>(CHECK_AGENT, &request))?)?.is_none() {
            return Ok(None);
        }
        let agent = LentAgent::listen(session.clone(), id, self)
            .map_err(|source| Error::Io { action: "making a socket for the SSH agent", source })?;
        Ok(Some(Box::new(agent)))
    }
}

impl Keys for Lender {
    fn for_registry(&self, host: &str) -> Credentials {
        let Some(session) = self.session(CREDENTIALS) else { return Credentials::default() };
        let host = if host == HUB.0 { HUB.1 } else { host }.to_owned();
        let request = CredentialsRequest { host };
        match self.wait(session.channel.ask::<CredentialsResponse>(CREDENTIALS, &request)) {
            // A secret of nobody is a token to get tokens with.
            Ok(Ok(CredentialsResponse { username, secret })) if username.is_empty() => {
                Credentials { identitytoken: secret, ..Credentials::default() }
            }
            Ok(Ok(CredentialsResponse { username, secret })) => {
                Credentials { username, password: secret, ..Credentials::default() }
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "a client has no credentials for a registry");
                Credentials::default()
            }
            // The pull itself will notice that the build is over.
            Err(_) => Credentials::default(),
        }
    }
}

/// An agent's socket on this host.
#[derive(Debug)]
struct LentAgent {
    socket: PathBuf,
    _folder: TempDir,
    /// Ends the task that listens, and its conversations.
    _over: DropGuard,
}

impl Agent for LentAgent {
    fn socket(&self) -> &Path {
        &self.socket
    }
}

impl LentAgent {
    fn listen(session: Arc<Session>, id: &str, lender: &Lender) -> std::io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("agent-").tempdir_in(&lender.temporary)?;
        let socket = folder.path().join("agent.sock");
        let _runtime = lender.handle.enter();
        // By its folder's descriptor: the address of a socket is shorter than paths may be.
        let handle = File::open(folder.path())?;
        let listener = UnixListener::bind(format!("/proc/self/fd/{}/agent.sock", handle.as_raw_fd()))?;
        let over = lender.cancelled.child_token();
        let mut metadata = HeaderMap::new();
        let id =
            HeaderValue::try_from(id).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))?;
        metadata.insert("buildkit.ssh.id", id);
        lender.handle.spawn(over.clone().run_until_cancelled_owned(serve(listener, session, metadata)));
        Ok(Self { socket, _folder: folder, _over: over.drop_guard() })
    }
}

/// Lets everyone who connects talk with the client's agent.
async fn serve(listener: UnixListener, session: Arc<Session>, metadata: HeaderMap) {
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if conversations.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => drop(conversations.spawn(converse(stream, session.clone(), metadata.clone()))),
                Err(error) => return tracing::warn!(%error, "an SSH agent's socket broke"),
            },
            Some(_) = conversations.join_next() => {}
        }
    }
}

async fn converse(stream: UnixStream, session: Arc<Session>, metadata: HeaderMap) {
    let (questions, mut responses) = match session.channel.converse(FORWARD_AGENT, metadata) {
        Ok(call) => call,
        Err(error) => return tracing::debug!(%error, "an SSH agent cannot be reached"),
    };
    let (mut input, mut output) = stream.into_split();
    let asked = async {
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(length @ 1..) = input.read(&mut piece).await {
            if !questions.send(&BytesMessage { data: piece[..length].to_vec().into() }).await {
                return;
            }
        }
    };
    let answered = async {
        while let Ok(Some(BytesMessage { data })) = responses.next().await {
            if output.write_all(&data).await.is_err() {
                return;
            }
        }
    };
    // One side that ends ends the conversation: an agent has nothing to say unasked.
    tokio::select! {
        () = asked => {}
        () = answered => {}
    }
}
