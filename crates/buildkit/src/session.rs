//! Sessions: connections on which a client answers while its builds run.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::directory::{Directory, Refused};
use crate::grpc::{Channel, Code, Status};

/// Sessions at a time.
const SESSIONS: usize = 256;
/// Methods that a client may say it has.
const METHODS: usize = 64;
/// How long a build waits for the session that it names: both are opened side by side.
const ARRIVES_WITHIN: Duration = Duration::from_secs(5);

const ID: &str = "x-docker-expose-session-uuid";
/// The same for all builds of one folder by one client.
const SHARED_KEY: &str = "x-docker-expose-session-sharedkey";
const METHOD: &str = "x-docker-expose-session-grpc-method";

/// A client that answers.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) channel: Channel,
    /// What its folders are known by to the client's next build, if it says so.
    pub(crate) shared_key: Option<String>,
    methods: HashSet<String>,
}

impl Session {
    /// Whether the client has a method.
    pub(crate) fn has(&self, method: &str) -> bool {
        self.methods.contains(&method.to_ascii_lowercase())
    }
}

/// All sessions of a daemon.
#[derive(Debug)]
pub(crate) struct Sessions(Directory<Arc<Session>>);

/// The offer of a session in a request's headers.
#[derive(Debug)]
pub struct Offer {
    sessions: Arc<Sessions>,
    id: String,
    shared_key: Option<String>,
    methods: HashSet<String>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self(Directory::new(SESSIONS))
    }
}

impl Sessions {
    /// What a request's headers offer.
    ///
    /// # Errors
    /// There is no id, or it is taken.
    pub(crate) fn read(self: &Arc<Self>, headers: &HeaderMap) -> Result<Offer, Status> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let (id, shared_key) = (text(ID), Some(text(SHARED_KEY)).filter(|key| !key.is_empty()));
        let methods = headers.get_all(METHOD).iter().take(METHODS);
        let methods = methods.filter_map(|method| Some(method.to_str().ok()?.to_ascii_lowercase())).collect();
        let offer = Offer { sessions: self.clone(), id, shared_key, methods };
        match self.0.get(&offer.id) {
            Some(_) => Err(offer.refused(Refused::Taken)),
            None if offer.id.is_empty() => Err(offer.refused(Refused::Id)),
            None => Ok(offer),
        }
    }

    /// A session that is there or comes within a moment. What stands before a colon in its id tells builds apart.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn find(&self, id: &str) -> Result<Arc<Session>, Status> {
        let id = id.split_once(':').map_or(id, |(_, id)| id);
        let missing = || Status::new(Code::NotFound, format!("no active session for {id}: context deadline exceeded"));
        self.0.find(id, ARRIVES_WITHIN).await.ok_or_else(missing)
    }

    /// The session of a build, if it has one.
    ///
    /// # Errors
    /// It names one that is not there.
    pub(crate) async fn of(&self, id: &str) -> Result<Option<Arc<Session>>, Status> {
        if id.is_empty() { Ok(None) } else { self.find(id).await.map(Some) }
    }
}

impl Offer {
    /// Carries the session on its connection, until either side ends it.
    ///
    /// # Errors
    /// The client does not speak HTTP/2, or left in disorder; its id is taken; there are too many sessions.
    pub async fn carry(self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<(), Status> {
        let (channel, connection) = Channel::open(io).await?;
        let session = Arc::new(Session { channel, shared_key: self.shared_key.clone(), methods: self.methods.clone() });
        self.sessions.0.insert(&self.id, session).map_err(|refused| self.refused(refused))?;
        let _listed = Listed(&self);
        connection.await.map_err(|error| Status::new(Code::Unavailable, "a session ended in disorder").caused_by(error))
    }

    fn refused(&self, refused: Refused) -> Status {
        match refused {
            Refused::Id => {
                Status::new(Code::InvalidArgument, format!("the session has no id, or too long a one ({ID})"))
            }
            Refused::Taken => Status::new(Code::AlreadyExists, format!("session {} already exists", self.id)),
            Refused::Full => Status::new(Code::ResourceExhausted, format!("there are {SESSIONS} sessions already")),
        }
    }
}

/// Takes the session off the list when its connection ends, however it does.
struct Listed<'a>(&'a Offer);

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.0.sessions.0.remove(&self.0.id);
    }
}
