//! Against registries that stumble, lie or pry.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use model::ErrorKind;
use serde_json::json;

use super::fake::{Asked, Fake, Reply, Wire, reply};
use super::place::{Place, credentials, follow, pull, says};
use crate::manifest::{DOCKER_LIST, OCI_INDEX};
use crate::{Credentials, KeepBlobs, Search};

const MIB: usize = 1 << 20;

/// A registry that is honest but for what `lie` says.
async fn lying(wire: &Wire, lie: impl Fn(&Asked, Reply) -> Reply + Send + Sync + 'static) -> Fake {
    let wire = wire.clone();
    Fake::start(move |asked| lie(asked, wire.honest(asked))).await
}

fn is_layer(wire: &Wire, asked: &Asked) -> bool {
    asked.path.ends_with(&wire.layer_digest().to_string())
}

/// Pulls, expects a failure that says this, and that nothing stays.
async fn fails(fake: &Fake, words: &str) {
    for keep in [KeepBlobs::None, KeepBlobs::All] {
        let place = Place::keeping(keep);
        let error = place.pull(&fake.name("app:1")).await.1.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(place.images.snapshot().images().count(), 0);
        place.remains_nothing().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_where_it_broke_off() {
    let wire = Wire::new("resume", 20 * MIB);
    let known = wire.clone();
    let starts = Arc::<Mutex<Vec<usize>>>::default();
    let seen = Arc::clone(&starts);
    let fake = lying(&wire, move |asked, mut honest| {
        if is_layer(&known, asked) {
            let mut seen = seen.lock().unwrap();
            seen.push(asked.range_start().unwrap_or(0));
            honest.cut = (seen.len() < 4).then_some(5 * MIB);
        }
        honest
    })
    .await;
    let place = Place::new();
    let (messages, outcome) = place.pull(&fake.name("app:1")).await;
    outcome.unwrap();
    assert!(says(&messages, "Pull complete"));
    let starts = starts.lock().unwrap().clone();
    assert_eq!(starts.len(), 4);
    assert!(starts.is_sorted() && starts[3] > 10 * MIB, "{starts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_ranges_is_read_from_the_start() {
    let wire = Wire::new("whole", 4 * MIB);
    let known = wire.clone();
    let tries = AtomicUsize::new(0);
    let fake = lying(&wire, move |asked, mut honest| {
        if is_layer(&known, asked) {
            honest = reply(200, known.layer.clone());
            honest.cut = (tries.fetch_add(1, Ordering::SeqCst) == 0).then_some(MIB);
        }
        honest
    })
    .await;
    Place::new().pull(&fake.name("app:1")).await.1.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_about_the_layer() {
    let wire = Wire::new("lies", MIB);
    let known = wire.clone();
    let other = lying(&wire, move |asked, mut honest| {
        if is_layer(&known, asked) {
            honest.body[5000] ^= 1;
        }
        honest
    })
    .await;
    fails(&other, "filesystem layer verification failed for digest").await;

    let known = wire.clone();
    let longer = lying(&wire, move |asked, mut honest| {
        if is_layer(&known, asked) {
            honest.body.push(0);
        }
        honest
    })
    .await;
    fails(&longer, "is not as long as announced").await;

    let known = wire.clone();
    let endless = lying(&wire, move |asked, mut honest| {
        honest.endless = is_layer(&known, asked);
        honest
    })
    .await;
    fails(&endless, "is not as long as announced").await;

    // The blob is what the manifest says, but not what the config says.
    let mut swapped = wire.clone();
    let mut config: serde_json::Value = serde_json::from_slice(&wire.config).unwrap();
    config["rootfs"]["diff_ids"] = json!([format!("sha256:{}", "a".repeat(64))]);
    swapped.config = config.to_string().into_bytes();
    swapped.manifest["config"]["digest"] = json!(image::digest(&swapped.config));
    swapped.manifest["config"]["size"] = json!(swapped.config.len());
    fails(&lying(&swapped, |_, honest| honest).await, "unpacked layer verification failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_about_the_manifest() {
    let wire = Wire::new("manifest", 1000);
    let other = lying(&wire, |asked, mut honest| {
        if asked.path.contains("/manifests/") {
            honest.body.push(b' ');
        }
        honest
    })
    .await;
    fails(&other, "manifest verification failed for digest").await;
    for (garbage, words) in [
        (&b"garbage"[..], "invalid manifest"),
        (b"{}", "invalid manifest"),
        (br#"{"schemaVersion":1}"#, "invalid manifest"),
        (br#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#, "invalid manifest of schema 1"),
    ] {
        let fake = lying(
            &wire,
            move |asked, honest| {
                if asked.path.contains("/manifests/") { reply(200, garbage) } else { honest }
            },
        )
        .await;
        fails(&fake, words).await;
    }
    let huge = lying(&wire, |asked, honest| {
        let endless = asked.path.contains("/manifests/");
        if endless { Reply { endless, ..reply(200, vec![b' '; 4096]) } } else { honest }
    })
    .await;
    fails(&huge, "the answer is longer than").await;
    let mut many = wire.clone();
    many.manifest["layers"] = json!(vec![wire.manifest["layers"][0].clone(); 2000]);
    fails(&lying(&many, |_, honest| honest).await, "2000 layers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_lies() {
    let wire = Wire::new("config", 1000);
    let size = wire.config.len();
    let other = lying(&wire, move |asked, mut honest| {
        if honest.body.len() == size && asked.path.contains("/blobs/") {
            honest.body[3] ^= 1;
        }
        honest
    })
    .await;
    fails(&other, "config verification failed").await;
    let mut windows = wire.clone();
    windows.config = br#"{"os":"windows","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}"#.to_vec();
    windows.manifest["config"]["digest"] = json!(image::digest(&windows.config));
    windows.manifest["config"]["size"] = json!(windows.config.len());
    fails(&lying(&windows, |_, honest| honest).await, "cannot be used on this platform").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_read_by_platform() {
    let wire = Wire::new("index", 1000);
    let text = wire.manifest.to_string();
    let digest = image::digest(text.as_bytes()).to_string();
    let native = model::Platform::native();
    let list = |architecture: &str| {
        json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
            {"mediaType": DOCKER_LIST, "size": 1, "digest": format!("sha256:{}", "b".repeat(64)), "platform": {"os": "windows", "architecture": "amd64"}},
            {"mediaType": "application/vnd.docker.distribution.manifest.v2+json", "size": text.len(), "digest": digest,
                "platform": {"os": "linux", "architecture": architecture}}]})
        .to_string()
    };
    for (architecture, fits) in [(native.architecture.as_str(), true), ("s390x", false)] {
        let index = list(architecture);
        let whole = image::digest(index.as_bytes());
        let fake = lying(&wire, move |asked, honest| {
            if asked.path.ends_with("/manifests/1") {
                reply(200, index.clone()).with("content-type", OCI_INDEX)
            } else {
                honest
            }
        })
        .await;
        if fits {
            let place = Place::new();
            let (messages, outcome) = place.pull(&fake.name("app:1")).await;
            outcome.unwrap();
            assert!(says(&messages, &format!("Digest: {whole}")), "{messages:?}");
        } else {
            fails(&fake, "no matching manifest for").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_that_break_off_or_lie_are_passed_over() {
    let wire = Wire::new("mirrored", 2 * MIB);
    let honest = lying(&wire, |_, honest| honest).await;
    let known = wire.clone();
    let lacks =
        lying(&wire, move |asked, honest| if is_layer(&known, asked) { reply(404, "{}") } else { honest }).await;
    let known = wire.clone();
    let lies = lying(&wire, move |asked, mut honest| {
        if is_layer(&known, asked) {
            honest.body[5000] ^= 1;
        }
        honest
    })
    .await;
    let mirrors = [&lacks, &lies, &honest].map(|fake| format!("http://127.0.0.1:{}", fake.port));
    let place = Place::with(crate::Settings::parse(&mirrors, &[]).unwrap());
    place.pull_as("longshore-test:1", credentials("joe", "secret")).await.1.unwrap();
    for fake in [&lacks, &lies, &honest] {
        assert_eq!(fake.count("GET", &wire.layer_digest().to_string()), 1);
        // Credentials are for the registry, not for its mirrors.
        assert!(fake.asked.lock().unwrap().iter().all(|one| !one.headers.contains_key("authorization")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_carry_no_credentials() {
    let wire = Wire::new("redirect", 1000);
    let known = wire.clone();
    let storage = Fake::start(move |asked| known.part(asked)).await;
    let elsewhere = format!("http://localhost:{}/somewhere", storage.port);
    let known = wire.clone();
    let fake = lying(&wire, move |asked, honest| match asked.headers.get("authorization") {
        None => reply(401, "{}").with("www-authenticate", "Basic realm=x"),
        Some(_) if is_layer(&known, asked) => reply(307, "").with("location", elsewhere.clone()),
        Some(_) => honest,
    })
    .await;
    // Nobody asks what the registry gives to strangers.
    let place = Place::keeping(KeepBlobs::None);
    let wanted = crate::Pull {
        meta: vec![("X-Meta-Secret".into(), "s".into())],
        ..pull(&fake.name("app:1"), credentials("a", "b"))
    };
    follow(place.registries.pull(wanted)).await.1.unwrap();
    let asked = storage.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].headers.contains_key("authorization") && !asked[0].headers.contains_key("x-meta-secret"));
    assert!(fake.asked.lock().unwrap().iter().all(|one| one.headers.contains_key("x-meta-secret")));
    let round = Fake::start(|asked| reply(302, "").with("location", asked.path.clone())).await;
    fails(&round, "redirects").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens() {
    let wire = Wire::new("token", 1000);
    let server = Fake::start(|asked| match asked.headers.get("authorization").map(String::as_str) {
        Some(basic) if basic == format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("joe:good")) => {
            reply(200, r#"{"token":"for-joe","refresh_token":"again"}"#)
        }
        Some(_) => reply(401, r#"{"details":"incorrect username or password"}"#),
        None if asked.method == "POST" => reply(200, r#"{"access_token":"for-joe"}"#),
        None => reply(200, r#"{"token":"for-anybody"}"#),
    })
    .await;
    let realm = format!("http://127.0.0.1:{}/token", server.port);
    let fake = lying(&wire, move |asked, honest| match asked.headers.get("authorization").map(String::as_str) {
        Some("Bearer for-joe") => honest,
        Some("Bearer for-anybody") if asked.path != "/v2/" => reply(401, "{}")
            .with("www-authenticate", format!("Bearer realm=\"{realm}\",service=\"s\",error=\"insufficient_scope\"")),
        _ => reply(401, "{}").with("www-authenticate", format!("Bearer realm=\"{realm}\",service=\"s\"")),
    })
    .await;
    // Nobody asks what the registry gives to strangers.
    let place = Place::keeping(KeepBlobs::None);
    let name = fake.name("app:1");
    place.pull_as(&name, credentials("joe", "good")).await.1.unwrap();
    let asked = server.asked.lock().unwrap().clone();
    let wanted = "/token?service=s&scope=repository%3Aapp%3Apull&account=joe";
    assert!(asked.iter().all(|one| one.path == wanted), "{asked:?}");
    assert_eq!(asked.len(), 1, "a token is used as long as it is good");
    let again = Credentials { identitytoken: "again".into(), ..Credentials::default() };
    place.pull_as(&name, again).await.1.unwrap();

    let error = place.pull(&name).await.1.unwrap_err();
    let familiar = fake.name("app");
    assert_eq!(
        error.to_string(),
        format!(
            "pull access denied for {familiar}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"
        )
    );
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = place.pull_as(&name, credentials("joe", "bad")).await.1.unwrap_err();
    assert!(error.to_string().ends_with("unauthorized: incorrect username or password"), "{error}");
    let address = Credentials { serveraddress: format!("127.0.0.1:{}", fake.port), ..credentials("joe", "good") };
    assert_eq!(place.registries.login(&address).await.unwrap().identity_token, "again");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pulls_are_one_and_a_client_that_leaves_cancels() {
    let wire = Wire::new("shared", 8 * MIB);
    let known = wire.clone();
    let fake = lying(&wire, move |asked, mut honest| {
        if is_layer(&known, asked) {
            // Slow enough for the second to come.
            std::thread::sleep(Duration::from_millis(300));
            honest.cut = (asked.range_start().is_none()).then_some(MIB);
        }
        honest
    })
    .await;
    let place = Place::new();
    let name = fake.name("app:1");
    let (one, two) = tokio::join!(place.pull(&name), place.pull(&name));
    one.1.unwrap();
    two.1.unwrap();
    assert_eq!(one.0.last(), two.0.last());
    assert_eq!(fake.count("GET", "/manifests/1"), 1);

    let known = wire.clone();
    let slow = lying(&wire, move |asked, mut honest| {
        honest.drip = is_layer(&known, asked).then_some(Duration::from_millis(10));
        honest
    })
    .await;
    let place = Place::new();
    let mut following = place.registries.pull(pull(&slow.name("app:1"), Credentials::default()));
    while following.next().await.unwrap().status != "Downloading" {}
    drop(following);
    place.remains_nothing().await;
    assert_eq!(place.images.snapshot().images().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_images_share_a_layer_on_its_way() {
    let wire = Wire::new("layer", 4 * MIB);
    let known = wire.clone();
    let fake = lying(&wire, move |asked, honest| {
        if is_layer(&known, asked) {
            std::thread::sleep(Duration::from_millis(300));
        }
        honest
    })
    .await;
    let place = Place::new();
    let (one, two) = (fake.name("one:1"), fake.name("two:1"));
    let (one, two) = tokio::join!(place.pull(&one), place.pull(&two));
    one.1.unwrap();
    two.1.unwrap();
    assert_eq!(fake.count("GET", &wire.layer_digest().to_string()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_has_an_end() {
    let tries = AtomicUsize::new(0);
    let wire = Wire::new("busy", 1000);
    let busy = lying(&wire, move |asked, honest| {
        let first = [429, 499, 503];
        let number =
            if asked.path.contains("/manifests/") { tries.fetch_add(1, Ordering::SeqCst) } else { first.len() };
        first.get(number).map_or(honest, |status| reply(*status, ""))
    })
    .await;
    Place::new().pull(&busy.name("app:1")).await.1.unwrap();
    assert_eq!(busy.count("GET", "/manifests/1"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn searching() {
    let fake = Fake::start(|asked| {
        if asked.path == "/v1/_ping" {
            return reply(200, "true");
        }
        assert_eq!(asked.path, "/v1/search?q=a%20b&n=25");
        let results = json!({"results": [{"name": "x", "star_count": 1, "is_trusted": true, "is_automated": true},
            {"name": "y", "star_count": 5, "description": null, "is_official": true}]});
        reply(200, results.to_string())
    })
    .await;
    let place = Place::new();
    let search = Search { term: fake.name("a b"), ..Search::default() };
    let found = place.registries.search(&search).await.unwrap();
    assert_eq!((found[0].name.as_str(), found[1].name.as_str(), found[1].is_automated), ("y", "x", true));
}

/// The clock of this test stands still but for what is waited for, so that minutes pass at once.
#[tokio::test(start_paused = true)]
async fn drips_have_an_end() {
    let wire = Wire::new("drip", 4000);
    let known = wire.clone();
    let fake = lying(&wire, move |asked, mut honest| {
        honest.drip = is_layer(&known, asked).then_some(Duration::from_secs(20));
        honest
    })
    .await;
    let clients = crate::http::Clients::new(&crate::Settings::default()).unwrap();
    let authority = format!("127.0.0.1:{}", fake.port);
    let endpoint = crate::settings::Endpoint {
        secure: false,
        authority,
        prefix: String::new(),
        mirror: false,
        lenient: true,
        legacy: false,
    };
    let (nobody, meta) = (Credentials::default(), http::HeaderMap::new());
    let session = crate::session::Session::open(&clients, &endpoint, &nobody, &meta).await.unwrap();
    let plan = crate::pull::Plan {
        size_bytes: Some(wire.layer.len() as u64),
        ..crate::pull::Plan::blob(&session, "app", wire.layer_digest())
    };
    let board = crate::board::Board::default();
    let (writer, reader) = crate::pipe::pipe(std::path::Path::new("/dev/shm"));
    let begun = tokio::time::Instant::now();
    let (session, plan, scopes, board) = (&session, &plan, &[][..], &board);
    let blob = crate::pull::Blob { session, plan, scopes, board, is_dispensable: false };
    let error = blob.fetch(writer).await.unwrap_err().to_string();
    assert!(error.ends_with("the registry is too slow"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(600), "{:?}", begun.elapsed());
    assert!(!reader.is_whole());
}
