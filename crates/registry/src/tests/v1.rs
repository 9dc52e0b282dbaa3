//! The first protocol, against a small registry of it (`tests/old_registry/server.py`) and against hostile ones.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use image::Commit;
use model::{ErrorKind, ImageId};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::fake::{Asked, Fake, Reply, reply};
use super::place::{Place, credentials, follow, pull, says, tag, tar};
use crate::{Credentials, Search, Settings};

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/old_registry/server.py");

/// The registry in a process of its own.
struct Old {
    child: Child,
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Old {
    fn start(flags: &[&str]) -> Self {
        let mut child = Command::new("python3")
            .arg(SERVER)
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split(' ').next().unwrap().parse().unwrap();
        let (asked, told) = (Arc::<Mutex<Vec<String>>>::default(), child.stderr.take().unwrap());
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            BufReader::new(told).lines().map_while(Result::ok).for_each(|line| seen.lock().unwrap().push(line));
        });
        Self { child, port, asked }
    }

    fn name(&self, rest: &str) -> String {
        format!("127.0.0.1:{}/{rest}", self.port)
    }

    /// How often something was asked. What it was asked comes through a pipe: all has come when this last question has.
    fn count(&self, part: &str) -> usize {
        let count = |part: &str| self.asked.lock().unwrap().iter().filter(|line| line.contains(part)).count();
        let (last, before) = ("/is-that-all", count("/is-that-all"));
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        connection.write_all(format!("GET {last} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
        let late = Instant::now() + Duration::from_secs(60);
        while count(last) == before {
            assert!(Instant::now() < late, "the registry does not say what it was asked");
            std::thread::sleep(Duration::from_millis(5));
        }
        count(part)
    }
}

impl Drop for Old {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An image of three steps: a layer, nothing but configuration, a layer.
fn three_steps(place: &Place, name: &str) -> ImageId {
    let mut commit = Commit { parent: Some(place.image(name, 1 << 20)), ..Commit::default() };
    let lease = place.images.lease();
    commit.config.env = Some(vec!["A=b".to_owned()]);
    let below = place.images.append(&lease, &commit, None).unwrap();
    commit.parent = Some(below.id);
    let layer = lease.import(tar("top", 3000).as_slice(), below.top().as_ref()).unwrap();
    let top = place.images.append(&lease, &commit, Some(&layer)).unwrap().id;
    tag(place, &top.to_string(), name);
    top
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back() {
    let (old, place) = (Old::start(&[]), Place::new());
    let name = old.name("team/app:1");
    let id = three_steps(&place, &name);
    let (messages, outcome) = place.push(&name).await;
    outcome.unwrap();
    for status in ["Sending image list", "Image successfully pushed"] {
        assert!(says(&messages, status), "{status}: {messages:?}");
    }
    let (messages, outcome) = place.push(&name).await;
    outcome.unwrap();
    assert!(says(&messages, "Image already pushed, skipping"), "{messages:?}");

    let other = Place::new();
    let (messages, outcome) = other.pull(&name).await;
    outcome.unwrap();
    assert_eq!(messages[0].status, format!("Pulling repository {}", old.name("team/app")));
    for status in ["Pulling dependent layers", "Pulling metadata", "Pulling fs layer", "Pull complete"] {
        assert!(says(&messages, status), "{status}: {messages:?}");
    }
    assert_eq!(other.images.snapshot().tags(&id), [name.as_str()], "the image is the one that was pushed");
    let (messages, outcome) = other.pull(&name).await;
    outcome.unwrap();
    assert!(says(&messages, &format!("Status: Image is up to date for {name}")), "{messages:?}");
    assert_eq!(old.count("/layer"), 6, "three up, three down");
    let snapshot = other.images.snapshot();
    let steps = snapshot.history(snapshot.get(&id).unwrap()).unwrap();
    assert!(steps.iter().all(|step| step.id.is_some()), "each step is an image: {steps:?}");

    let error = other.pull(&old.name("team/app:none")).await.1.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("Tag none not found in repository"), "{error}");
    let error = other.pull(&old.name("team/none:1")).await.1.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let search = Search { term: old.name("app"), ..Search::default() };
    assert_eq!(other.registries.search(&search).await.unwrap()[0].name, "team/app");
    tag(&other, &id.to_string(), &old.name("team/app:2"));
    other.push(&old.name("team/app")).await.1.unwrap();
    let all = crate::Pull { all_tags: true, ..pull(&old.name("team/app"), Credentials::default()) };
    let third = Place::new();
    follow(third.registries.pull(all)).await.1.unwrap();
    assert_eq!(third.images.snapshot().tags(&id).len(), 2);
    let digested = format!("{}@sha256:{}", old.name("team/app"), "a".repeat(64));
    assert!(third.pull(&digested).await.1.unwrap_err().to_string().contains("knows no digests"));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_secrets() {
    for flags in [&["--user", "joe:secret"][..], &["--user", "joe:secret", "--apart"]] {
        let (old, place) = (Old::start(flags), Place::new());
        let name = old.name("team/private:1");
        place.image(&name, 1 << 10);
        let good = credentials("joe", "secret");
        let login = async |credentials: Credentials| {
            let serveraddress = format!("http://127.0.0.1:{}/v1/", old.port);
            place.registries.login(&Credentials { serveraddress, ..credentials }).await
        };
        assert_eq!(login(good.clone()).await.unwrap().status, "Login Succeeded");
        let error = login(credentials("joe", "wrong")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(error.to_string().ends_with("unauthorized: incorrect username or password"), "{error}");
        let error = place.push(&name).await.1.unwrap_err();
        assert!(error.to_string().ends_with("no basic auth credentials"), "{error}");
        let error = place.push_as(&name, credentials("joe", "wrong")).await.1.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
        place.push_as(&name, good.clone()).await.1.unwrap();
        let other = Place::new();
        let error = other.pull_as(&name, credentials("joe", "wrong")).await.1.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
        other.pull_as(&name, good).await.1.unwrap();
        // The registry apart sees the token and never the secret.
        let apart = flags.len() > 2;
        assert_eq!((old.count("/layer Token"), old.count("/layer Basic")), if apart { (2, 0) } else { (0, 2) });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_made_only_with_an_address_for_mail() {
    let (old, place) = (Old::start(&["--user", "joe:secret"]), Place::new());
    let login = async |username: &str, email: &str| {
        let serveraddress = format!("127.0.0.1:{}", old.port);
        let credentials = Credentials { serveraddress, email: email.into(), ..credentials(username, "secret") };
        place.registries.login(&credentials).await.map(|login| login.status).map_err(|error| error.to_string())
    };
    assert!(login("jane", "").await.unwrap_err().contains("incorrect username or password"));
    assert!(login("x", "x@y").await.unwrap_err().starts_with("Registration: "));
    assert!(login("jane", "jane@y").await.unwrap().starts_with("Account created."));
    assert!(login("jane", "jane@y").await.unwrap_err().contains("Account is not Active"));
    assert_eq!(login("joe", "joe@y").await.unwrap(), "Login Succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_where_it_is_allowed() {
    let (old, mut settings) = (Old::start(&[]), Settings::default());
    settings.legacy = false;
    let error = Place::with(settings).pull(&old.name("app:1")).await.1.unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    assert_eq!(old.count("/v1/"), 0);
}

/// What an honest registry says of an image of two layers.
struct Line {
    ids: [String; 2],
    layers: [Vec<u8>; 2],
}

impl Line {
    fn new() -> Self {
        Self { ids: ["a", "b"].map(|digit| digit.repeat(64)), layers: ["one", "two"].map(|seed| tar(seed, 2000)) }
    }

    fn honest(&self, asked: &Asked) -> Reply {
        let at = usize::from(asked.path.contains(&self.ids[1]));
        match asked.path.rsplit('/').next().unwrap_or_default() {
            "_ping" => reply(200, "true"),
            "images" => reply(200, "[]"),
            "tags" => reply(200, json!({"1": self.ids[1]}).to_string()),
            "ancestry" => reply(200, json!([self.ids[1], self.ids[0]]).to_string()),
            "json" => {
                let mut sum = Sha256::new_with_prefix(self.document(at));
                sum.update(b"\n");
                sum.update(&self.layers[at]);
                let sum = model::Digest::new(sum.finalize().into());
                reply(200, self.document(at)).with("x-docker-checksum-payload", sum.to_string())
            }
            "layer" => reply(200, self.layers[at].clone()),
            _ => reply(404, "{}"),
        }
    }

    fn document(&self, at: usize) -> String {
        let parent = if at == 1 { self.ids[0].as_str() } else { "" };
        json!({"id": self.ids[at], "parent": parent, "os": "linux", "config": {"Cmd": "sh"}}).to_string()
    }
}

/// Pulls from a registry that is honest but for what `lie` says; expects a failure that says this, and that nothing stays.
async fn fails(lie: impl Fn(&Line, &Asked, Reply) -> Reply + Send + Sync + 'static, words: &str) {
    let line = Line::new();
    let fake = Fake::start(move |asked| lie(&line, asked, line.honest(asked))).await;
    let place = Place::new();
    let error = place.pull(&fake.name("app:1")).await.1.unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
    assert_eq!(place.images.snapshot().images().count(), 0);
    place.remains_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_about_the_line() {
    let honest = Fake::start(|asked| Line::new().honest(asked)).await;
    Place::new().pull(&honest.name("app:1")).await.1.unwrap();
    let says = |part: &'static str, document: serde_json::Value| {
        move |_: &Line, asked: &Asked, honest: Reply| {
            if asked.path.ends_with(part) { reply(200, document.to_string()) } else { honest }
        }
    };
    let (a, b) = ("a".repeat(64), "b".repeat(64));
    fails(says("ancestry", json!([a])), "does not begin with it").await;
    fails(says("ancestry", json!([b, a, b])), "its own ancestor").await;
    fails(says("ancestry", json!([b, "../../etc"])), "is not 64 hexadecimal digits").await;
    fails(says("ancestry", json!([b, "c".repeat(64), a])), "the document of cccccccccccc").await;
    fails(says("ancestry", json!([b])), "another parent than its ancestry").await;
    let many: Vec<String> = std::iter::once(b.clone()).chain((0..600).map(|n| format!("{n:064x}"))).collect();
    fails(says("ancestry", json!(many)), "601 layers").await;
    fails(says("ancestry", json!({"a": 1})), "ancestry").await;
    fails(says("tags", json!({"1": "../x"})), "is not 64 hexadecimal digits").await;
    fails(says("/json", json!({"id": a, "parent": a})), "is another's").await;
    fails(says("json", json!([])), "is another's").await;
    let garbage = |_: &Line, asked: &Asked, honest: Reply| {
        if asked.path.ends_with("json") { reply(200, "\u{0}garbage") } else { honest }
    };
    fails(garbage, "the document of").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_about_the_layer() {
    let other = |_: &Line, asked: &Asked, mut honest: Reply| {
        if asked.path.ends_with("/layer") {
            honest.body[1000] ^= 1;
        }
        honest
    };
    fails(other, "filesystem layer verification failed for digest").await;
    let endless = |_: &Line, asked: &Asked, mut honest: Reply| {
        honest.endless = asked.path.ends_with("/layer");
        honest
    };
    fails(endless, "does not say how long the layer is").await;
    let elsewhere = |_: &Line, asked: &Asked, honest: Reply| {
        if asked.path.ends_with("/images") { honest.with("x-docker-endpoints", "u:p@evil/") } else { honest }
    };
    fails(elsewhere, "an address that makes no sense").await;
}
