//! Against Debian's `docker-registry`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::fake::Cutting;
use super::place::{Place, Real, USER, credentials, digest, follow, pull, says, tag};
use crate::manifest::{self, Manifest};
use model::{ErrorKind, Platform};

use crate::{Credentials, Settings};

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back() {
    let (real, place) = (Real::start(false).await, Place::new());
    let name = real.name("team/app:1");
    let id = place.image(&name, 3 << 20);
    let (messages, outcome) = place.push(&name).await;
    outcome.unwrap();
    assert_eq!(messages[0].status, format!("The push refers to repository [{}]", real.name("team/app")));
    assert!(says(&messages, "Preparing") && says(&messages, "Pushed"), "{messages:?}");
    let pushed = digest(&messages);
    assert_eq!(messages.last().unwrap().aux.as_ref().unwrap()["Digest"], format!("sha256:{pushed}"));
    assert_eq!(place.images.snapshot().digests(&id), [format!("{}@sha256:{pushed}", real.name("team/app"))]);

    place.remove(&id.to_string());
    let (messages, outcome) = place.pull(&name).await;
    outcome.unwrap();
    assert_eq!((messages[0].id.as_str(), messages[0].status.as_str()), ("1", "Pulling from team/app"));
    for status in ["Pulling fs layer", "Verifying Checksum", "Download complete", "Pull complete"] {
        assert!(says(&messages, status), "{status}: {messages:?}");
    }
    assert_eq!(digest(&messages), pushed);
    assert!(says(&messages, &format!("Status: Downloaded newer image for {name}")));
    let snapshot = place.images.snapshot();
    assert_eq!(snapshot.get(&id).unwrap().id, id);
    assert_eq!(snapshot.tags(&id), [name.as_str()]);

    let (messages, outcome) = place.pull(&name).await;
    outcome.unwrap();
    assert!(says(&messages, &format!("Status: Image is up to date for {name}")), "{messages:?}");
    let (messages, outcome) = place.push(&name).await;
    outcome.unwrap();
    assert!(says(&messages, "Layer already exists"), "{messages:?}");
    assert_eq!(digest(&messages), pushed);

    let by_digest = format!("{}@sha256:{pushed}", real.name("team/app"));
    place.remove(&id.to_string());
    place.pull(&by_digest).await.1.unwrap();
    assert_eq!(place.images.snapshot().digests(&id), [by_digest]);
    assert!(place.images.snapshot().tags(&id).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_is_mounted_from_another_repository() {
    let (real, place) = (Real::start(false).await, Place::new());
    let (one, two) = (real.name("one:1"), real.name("two:1"));
    let id = place.image(&one, 1 << 20);
    let (messages, outcome) = place.push(&one).await;
    outcome.unwrap();
    let pushed = digest(&messages);
    // As pulled, so that what is known of it comes from the pull.
    place.remove(&id.to_string());
    place.pull(&one).await.1.unwrap();
    tag(&place, &one, &two);
    let (messages, outcome) = place.push(&two).await;
    outcome.unwrap();
    assert!(says(&messages, "Mounted from one"), "{messages:?}");
    assert_eq!(digest(&messages), pushed);
    // A registry that lost everything gets it all anew.
    let other = Real::start(false).await;
    let three = other.name("three:1");
    tag(&place, &one, &three);
    let (messages, outcome) = place.push(&three).await;
    outcome.unwrap();
    assert!(says(&messages, "Pushed"), "{messages:?}");
    assert_eq!(digest(&messages), pushed, "compressed again, the layer is the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_upload_goes_on() {
    let (real, place) = (Real::start(false).await, Place::new());
    let cutting = Cutting::start(real.port, 2, 3 << 20).await;
    let name = format!("127.0.0.1:{}/app:1", cutting.port);
    let id = place.image(&name, 12 << 20);
    let (messages, outcome) = place.push(&name).await;
    outcome.unwrap();
    assert_eq!(cutting.cuts.load(Ordering::SeqCst), 2);
    let pushed = digest(&messages);
    place.remove(&id.to_string());
    let (messages, outcome) = place.pull(&real.name("app:1")).await;
    outcome.unwrap();
    assert_eq!(digest(&messages), pushed);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_secrets() {
    let (real, place) = (Real::start(true).await, Place::new());
    let name = real.name("private:1");
    let id = place.image(&name, 1 << 10);
    let good = credentials(USER.0, USER.1);
    let url = format!("http://127.0.0.1:{}/v2/", real.port);

    let address =
        |credentials: Credentials| Credentials { serveraddress: format!("127.0.0.1:{}", real.port), ..credentials };
    place.registries.login(&address(good.clone())).await.unwrap();
    let refused = place.registries.login(&address(credentials(USER.0, "wrong"))).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("Get \"{url}\": unauthorized: incorrect username or password"));
    assert_eq!(refused.kind(), ErrorKind::Unauthorized);

    let error = place.push(&name).await.1.unwrap_err();
    assert!(error.to_string().ends_with("no basic auth credentials"), "{error}");
    place.push_as(&name, good.clone()).await.1.unwrap();
    place.remove(&id.to_string());
    let error = place.pull(&name).await.1.unwrap_err();
    assert!(error.to_string().ends_with("no basic auth credentials"), "{error}");
    let error = place.pull_as(&name, credentials("joe", "x")).await.1.unwrap_err();
    assert_eq!(error.to_string(), "unauthorized: authentication required");
    place.pull_as(&name, good.clone()).await.1.unwrap();

    let found = place.registries.distribution(&name.parse().unwrap(), &good).await.unwrap();
    assert_eq!(found.descriptor.media_type, manifest::DOCKER_MANIFEST);
    assert_eq!(found.platforms[0].architecture, Platform::native().architecture);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there() {
    let (real, place) = (Real::start(false).await, Place::new());
    let name = real.name("nothing:1");
    let error = place.pull(&name).await.1.unwrap_err();
    assert_eq!(error.to_string(), format!("manifest for {name} not found: manifest unknown: manifest unknown"));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let port = real.port;
    drop(real);
    let error = place.pull(&name).await.1.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("Get \"http://127.0.0.1:{port}/v2/\": dial tcp 127.0.0.1:{port}: connect: connection refused")
    );
    place.remains_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_helps_and_a_dead_one_does_not_hinder() {
    let real = Real::start(false).await;
    let maker = Place::new();
    let id = maker.image(&real.name("library/longshore-test:1"), 1 << 10);
    maker.push(&real.name("library/longshore-test:1")).await.1.unwrap();
    let mirrors = ["http://127.0.0.1:1".to_owned(), format!("http://127.0.0.1:{}", real.port)];
    let place = Place::with(Settings::parse(&mirrors, &[]).unwrap());
    let (messages, outcome) = place.pull("longshore-test:1").await;
    outcome.unwrap();
    assert_eq!(messages[0].status, "Pulling from library/longshore-test");
    assert_eq!(place.images.snapshot().tags(&id), ["longshore-test:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_registry_can_be_the_default() {
    let real = Real::start(true).await;
    let host = format!("127.0.0.1:{}", real.port);
    let place = Place::with(Settings::default().with_default(&host).unwrap());
    let id = place.image("longshore-test:1", 1 << 10);
    let good = credentials(USER.0, USER.1);
    place.registries.login(&good).await.unwrap();
    let (messages, outcome) = place.push_as("longshore-test:1", good.clone()).await;
    outcome.unwrap();
    assert_eq!(messages[0].status, "The push refers to repository [docker.io/library/longshore-test]");
    place.remove(&id.to_string());
    place.pull_as("longshore-test:1", good).await.1.unwrap();
    assert_eq!(place.images.snapshot().tags(&id), ["longshore-test:1"]);
    assert!(Settings::default().with_default("https://host/").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_falls_silent_is_waited_for_once() {
    let real = Real::start(false).await;
    let maker = Place::new();
    let id = maker.image(&real.name("library/longshore-test:1"), 1 << 10);
    maker.push(&real.name("library/longshore-test:1")).await.1.unwrap();
    // Connections come about, and nobody ever answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mirrors = [silent.local_addr().unwrap().port(), real.port].map(|port| format!("http://127.0.0.1:{port}"));
    let place = Place::with(Settings::parse(&mirrors, &[]).unwrap());
    silent.set_nonblocking(true).unwrap();
    let asked = || std::iter::from_fn(|| silent.accept().ok()).count();
    for asks in [true, false] {
        place.pull("longshore-test:1").await.1.unwrap();
        place.remove(&id.to_string());
        assert_eq!(asked() > 0, asks);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tags() {
    let (real, place) = (Real::start(false).await, Place::new());
    let ids = ["a:1", "a:2", "a:3"].map(|name| place.image(&real.name(name), 1 << 10));
    place.push(&real.name("a")).await.1.unwrap();
    for id in ids {
        place.remove(&id.to_string());
    }
    let all = crate::Pull { all_tags: true, ..pull(&real.name("a"), Credentials::default()) };
    follow(place.registries.pull(all)).await.1.unwrap();
    for id in ids {
        assert_eq!(place.images.snapshot().tags(&id).len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_image_has_the_manifest_it_came_with() {
    let (real, place) = (Real::start(false).await, Place::new());
    let name = real.name("app:1");
    let id = place.image(&name, 1 << 10);
    place.push(&name).await.1.unwrap();
    // As somebody else might have written it: another order, no indentation, an annotation.
    let reference = name.parse().unwrap();
    let found = place.registries.distribution(&reference, &Credentials::default()).await.unwrap();
    let session = place.registries.addresses(reference.domain(), true, Default::default()).await;
    let session = {
        let mut addresses = session;
        addresses.next().await.unwrap()
    };
    let known = crate::distribution::manifest(&session, "app", &found.descriptor.digest.to_string()).await.unwrap();
    let Manifest::Image(image) = known.manifest else { panic!("an index") };
    let own = serde_json::json!({"annotations": {"a": "b"}, "schemaVersion": 2, "mediaType": manifest::OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": image.config.digest, "size": image.config.size_bytes},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": image.layers[0].digest, "size": image.layers[0].size_bytes}]});
    let mut put = crate::http::Call::new(http::Method::PUT, session.url("app/manifests/2"));
    put.body = crate::http::Body::whole(own.to_string());
    let put = put.with(http::header::CONTENT_TYPE, manifest::OCI_MANIFEST).unwrap();
    assert!(session.send(put, &[]).await.unwrap().status.is_success());

    place.remove(&id.to_string());
    let (messages, outcome) = place.pull(&real.name("app:2")).await;
    outcome.unwrap();
    let pulled = digest(&messages);
    assert_eq!(pulled, image::digest(own.to_string().as_bytes()).hex());
    tag(&place, &id.to_string(), &real.name("copy:1"));
    let (messages, outcome) = place.push(&real.name("copy:1")).await;
    outcome.unwrap();
    assert_eq!(digest(&messages), pulled);
    drop(Arc::clone(&place.images));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_was_changed_on_disk_is_not_published() {
    let (real, place) = (Real::start(false).await, Place::new());
    let name = real.name("changed:1");
    place.image(&name, 3 << 20);
    let folder = place.remains().into_iter().find(|path| path.join("diff").exists()).unwrap();
    let file = folder.join("diff/file");
    let whole = std::fs::read(&file).unwrap();
    let mut changed = whole.clone();
    changed[2 << 20] ^= 1;
    std::fs::write(&file, changed).unwrap();
    let error = place.push(&name).await.1.unwrap_err();
    assert!(causes(&*error).contains("has been changed on disk"), "{}", causes(&*error));
    let other = Place::new();
    assert!(other.pull(&name).await.1.is_err(), "it was published");
    std::fs::write(&file, whole).unwrap();
    place.push(&name).await.1.unwrap();
    other.pull(&name).await.1.unwrap();
}

/// An error with all that it tells of its causes.
fn causes(error: &dyn std::error::Error) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
