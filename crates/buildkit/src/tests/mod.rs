//! The daemon's side of a session against clients of every kind.

mod client;

use std::sync::Arc;
use std::time::Duration;

use build::{Caches, ContextSource, Secrets};
use dockerfile::Ignore;
use engine::Keys;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use self::client::{Client, Files, file, folder, open};
use crate::grpc::{self, Answer, Call, Channel, Code, Service, Status};
use crate::hijack;
use crate::job::{Jobs, Running};
use crate::lend::Lender;
use crate::message::{BytesMessage, GetSecretRequest, GetSecretResponse, Packet};
use crate::place::Folders;
use crate::progress::Recorder;
use crate::session::{Session, Sessions};
use crate::source::{DIFF_COPY, Local, Locals, SessionFiles};

/// Everything that fetching files needs, and what must live as long.
struct Fixture {
    files: Arc<SessionFiles>,
    cancelled: CancellationToken,
    temporary: tempfile::TempDir,
    _running: Running,
}

/// Caches in a folder that goes with them.
fn caches() -> (tempfile::TempDir, Arc<Caches>) {
    let folder = tempfile::tempdir().unwrap();
    let caches = Arc::new(Caches::open(folder.path().to_owned()).unwrap());
    (folder, caches)
}

async fn fixture(client: Client) -> Fixture {
    fixture_with(client, &caches().1).await
}

async fn fixture_with(client: Client, caches: &Arc<Caches>) -> Fixture {
    let (session, _) = open(client).await;
    let jobs = Arc::new(Jobs::default());
    let (running, _) = jobs.begin("build", "").unwrap();
    let local = |name: &str| Local { name: name.to_owned(), session: Some(session.clone()) };
    let locals = Locals { dockerfile: local("dockerfile"), context: local("context"), ..Locals::default() };
    let recorder = Arc::new(Recorder::new(running.job.trace().unwrap()));
    let cancelled = CancellationToken::new();
    let temporary = tempfile::tempdir().unwrap();
    let folders = Folders { caches: caches.clone(), temporary: temporary.path().to_owned() };
    let files = SessionFiles::new(locals, None, recorder, cancelled.clone(), folders);
    Fixture { files: Arc::new(files), cancelled, temporary, _running: running }
}

impl Fixture {
    /// Fetches the context, in a blocking thread as the builder does.
    async fn fetch(&self) -> Result<Arc<sys::root::Root>, String> {
        let files = self.files.clone();
        let fetch = move || {
            let fetched = files.files(&Ignore::parse("*.log\nä").unwrap());
            fetched.map(|files| files.root).map_err(|error| error.to_string())
        };
        tokio::time::timeout(Duration::from_secs(20), tokio::task::spawn_blocking(fetch)).await.unwrap().unwrap()
    }

    async fn read(&self, path: &'static str, limit_bytes: usize) -> Result<Option<Vec<u8>>, String> {
        let files = self.files.clone();
        let read = move || files.read(path, limit_bytes).map_err(|error| error.to_string());
        tokio::task::spawn_blocking(read).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_is_fetched_whole() {
    let large: &'static [u8] = vec![7; 3_000_000].leak();
    let mut tree = vec![file("Dockerfile", b"FROM x\n"), folder("d"), file("d/large", large)];
    tree.extend((0..200).map(|number| file(&format!("e{number:03}"), b"small")));
    let fixture = fixture(Client { files: Files::Tree(tree), ..Client::default() }).await;
    assert_eq!(fixture.read("Dockerfile", 100).await.unwrap().unwrap(), b"FROM x\n");
    assert_eq!(fixture.read("Dockerfile.dockerignore", 100).await.unwrap(), None);
    assert!(fixture.read("Dockerfile", 3).await.unwrap_err().contains("longer than 3 bytes"));
    let root = fixture.fetch().await.unwrap();
    assert_eq!(root.read("d/large", 4_000_000).unwrap(), large);
    assert_eq!(root.read_dir("").unwrap().len(), 202);
    drop(root);
    let Fixture { files, temporary, .. } = fixture;
    drop(files);
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_is_kept_for_the_client_s_next_build() {
    let (_folder, caches) = caches();
    let build = async |key, tree| fixture_with(Client { files: Files::Tree(tree), key }, &caches).await;
    let contents = |root: &sys::root::Root, path| root.read(path, 100).unwrap();
    let first = build("one", vec![file("f", b"first"), file("g", b"first")]).await;
    let root = first.fetch().await.unwrap();
    // Another build at the same time has a folder of its own.
    let beside = build("one", vec![file("f", b"other")]).await;
    assert_eq!(contents(&beside.fetch().await.unwrap(), "f"), b"other");
    assert_eq!(contents(&root, "f"), b"first");
    assert_eq!(caches.list().unwrap().iter().filter(|cache| caches.is_used(&cache.name)).count(), 2);
    drop((first, beside));
    // What looks the same is not asked for, and what is gone goes.
    let second = build("one", vec![file("f", b"other"), file("h", b"h")]).await;
    let root = second.fetch().await.unwrap();
    assert_eq!((contents(&root, "f"), contents(&root, "h")), (b"first".to_vec(), b"h".to_vec()));
    assert!(root.lookup("g").unwrap().is_none());
    let stranger = build("two", vec![file("f", b"other")]).await;
    assert_eq!(contents(&stranger.fetch().await.unwrap(), "f"), b"other");
    let broken = fixture_with(Client { files: Files::Vanishes, key: "two" }, &caches).await;
    drop(stranger);
    assert!(broken.fetch().await.is_err());
    drop((second, broken));
    assert!(caches.list().unwrap().iter().all(|cache| !caches.is_used(&cache.name)));
}

/// A client tells of its files one by one, and as fast as it can; we may be looking at something else.
#[tokio::test(flavor = "multi_thread")]
async fn many_small_messages_wait_until_they_are_read() {
    const FILES: usize = 30_000;
    let tree = (0..FILES).map(|number| file(format!("{number}").leak(), b"")).collect();
    let (session, _) = open(Client { files: Files::Tree(tree), ..Client::default() }).await;
    let (_questions, mut packets) = session.channel.converse(DIFF_COPY, HeaderMap::new()).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let read = async {
        let mut told = 0;
        while packets.next::<Packet>().await.unwrap().unwrap().stat.is_some() {
            told += 1;
        }
        told
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(60), read).await.unwrap(), FILES);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_keep_to_it() {
    for (files, words) in [
        (Files::Tree(vec![file("../out", b"x")]), "../out"),
        (Files::Tree(vec![file("/etc/passwd", b"x")]), "/etc/passwd"),
        (Files::Tree(vec![client::link("l", "/tmp"), file("l/escaped", b"x")]), "escaped"),
        (Files::Unasked, "not asked for"),
        (Files::Fails("no such folder".to_owned()), "no such folder"),
        (Files::Endless, "at most"),
        (Files::Vanishes, ""),
    ] {
        let fixture = fixture(Client { files, ..Client::default() }).await;
        let error = fixture.fetch().await.unwrap_err();
        assert!(error.contains(words), "{words:?} in {error}");
    }
    assert!(!std::path::Path::new("/tmp/escaped").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_is_left_when_the_build_is_cancelled() {
    let fixture = fixture(Client { files: Files::Silent, ..Client::default() }).await;
    let cancelled = fixture.cancelled.clone();
    let (fetched, ()) = tokio::join!(fixture.fetch(), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        cancelled.cancel();
    });
    assert_eq!(fetched.unwrap_err(), build::Error::Cancelled.to_string());
}

fn lender(session: Arc<Session>, temporary: &std::path::Path) -> Arc<Lender> {
    let handle = Handle::current();
    let temporary = temporary.to_owned();
    Arc::new(Lender { session: Some(session), handle, cancelled: CancellationToken::new(), temporary })
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_credentials_and_agents() {
    let (session, _) = open(Client::default()).await;
    // Longer than the address of a socket may be.
    let temporary = tempfile::Builder::new().prefix(&"deep-".repeat(30)).tempdir().unwrap();
    let lender = lender(session, temporary.path());
    let asked = tokio::task::spawn_blocking(move || {
        assert_eq!(lender.secret("known").unwrap().unwrap(), b"secret");
        assert_eq!(lender.secret("unknown").unwrap(), None);
        let credentials = lender.for_registry("docker.io");
        assert_eq!((&*credentials.username, &*credentials.password), ("registry-1.docker.io", "word"));
        assert_eq!(lender.for_registry("token.example").identitytoken, "word");
        assert!(lender.agent("unknown").unwrap().is_none());
        lender.agent("").unwrap().unwrap()
    });
    let agent = asked.await.unwrap();
    let folder = std::fs::File::open(agent.socket().parent().unwrap()).unwrap();
    let address = format!("/proc/self/fd/{}/agent.sock", std::os::fd::AsRawFd::as_raw_fd(&folder));
    let mut stream = tokio::net::UnixStream::connect(address).await.unwrap();
    stream.write_all(b"question").await.unwrap();
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"QUESTION");
    let socket = agent.socket().to_owned();
    drop(agent);
    assert!(!socket.exists());
    assert_eq!(stream.read(&mut answer).await.unwrap_or(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_with_their_connections() {
    let sessions = Arc::new(Sessions::default());
    let (client, server) = tokio::io::duplex(1024);
    let offer = sessions.read(&client::headers("one")).unwrap();
    let carried = tokio::spawn(offer.carry(server));
    let answering = tokio::spawn(grpc::serve(client, Arc::new(Client::default())));
    assert!(sessions.find("shared:one").await.unwrap().has("/moby.filesync.v1.FileSync/DiffCopy"));
    assert_eq!(sessions.read(&client::headers("one")).unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(sessions.read(&http::HeaderMap::new()).unwrap_err().code(), Code::InvalidArgument);
    answering.abort();
    // However it ends.
    drop(carried.await.unwrap());
    assert!(sessions.read(&client::headers("one")).is_ok());
}

/// Offers every call a session.
struct Gate(Arc<Sessions>);

impl Service for Gate {
    fn call(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Answer, Status>> {
        async move { Ok(hijack::carry(self.0.read(&call.metadata)?, call.requests)) }.boxed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_within_calls() {
    let sessions = Arc::new(Sessions::default());
    let (near, far) = tokio::io::duplex(1024);
    let serving = tokio::spawn(grpc::serve(far, Arc::new(Gate(sessions.clone()))));
    let (channel, connection) = Channel::open(near).await.unwrap();
    tokio::spawn(connection);
    let method = "/moby.buildkit.v1.Control/Session";
    let (questions, mut responses) = channel.converse(method, client::headers("within")).unwrap();
    let (near, far) = tokio::io::duplex(1024);
    tokio::spawn(grpc::serve(near, Arc::new(Client::default())));
    let (mut read, mut write) = tokio::io::split(far);
    tokio::spawn(async move {
        let mut piece = [0; 100];
        while let Ok(length @ 1..) = read.read(&mut piece).await {
            questions.send(&BytesMessage { data: piece[..length].to_vec().into() }).await;
        }
    });
    tokio::spawn(async move {
        while let Ok(Some(BytesMessage { data })) = responses.next().await {
            write.write_all(&data).await.unwrap();
        }
    });
    let session = sessions.find("within").await.unwrap();
    let request = GetSecretRequest { id: "known".to_owned(), ..GetSecretRequest::default() };
    let answer: GetSecretResponse =
        session.channel.ask("/moby.buildkit.secrets.v1.Secrets/GetSecret", &request).await.unwrap();
    assert_eq!(answer.data, b"secret");
    // It ends with the connection that its call is on.
    serving.abort();
    let ended = async {
        while sessions.read(&client::headers("within")).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
}
