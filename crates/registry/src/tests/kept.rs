//! Blobs that are kept of layers that could not be fetched again.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::fake::{Cutting, Fake, Wire, reply};
use super::place::{Place, Real, USER, credentials, digest, tag};
use crate::{Credentials, KeepBlobs};

/// Whom a registry wants to see something from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    Nobody,
    /// Whoever asks for its root.
    Root,
    Everybody,
}

async fn guarded(wire: Wire, guard: Guard) -> Fake {
    Fake::start(move |asked| {
        let is_guarded = guard == Guard::Everybody || guard == Guard::Root && asked.path == "/v2/";
        if is_guarded && !asked.headers.contains_key("authorization") {
            return reply(401, "").with("www-authenticate", "Basic realm=\"x\"");
        }
        wire.honest(asked)
    })
    .await
}

/// The blobs that are kept, and not dropped.
fn blobs(place: &Place) -> Vec<PathBuf> {
    let paths = place.remains().into_iter().map(|path| path.join("blob"));
    paths.filter(|path| path.metadata().is_ok_and(|file| file.len() > 0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_credentials_is_kept_and_pushed_as_it_came() {
    let real = Real::start(false).await;
    let (mine, none) = (credentials(USER.0, USER.1), Credentials::default());
    for (number, (keep, guard, shown, kept)) in [
        (KeepBlobs::Private, Guard::Everybody, &mine, true),
        (KeepBlobs::Private, Guard::Root, &mine, false),
        (KeepBlobs::Private, Guard::Nobody, &mine, false),
        (KeepBlobs::None, Guard::Everybody, &mine, false),
        (KeepBlobs::All, Guard::Nobody, &none, true),
    ]
    .into_iter()
    .enumerate()
    {
        let case = format!("{keep:?} {guard:?}");
        let wire = Wire::new(&case, 300 << 10);
        let (original, place) = (image::digest(wire.manifest.to_string().as_bytes()).hex(), Place::keeping(keep));
        let fake = guarded(wire, guard).await;
        let (name, copy) = (fake.name("app:1"), real.name(&format!("copy{number}:1")));
        place.pull_as(&name, shown.clone()).await.1.unwrap();
        assert_eq!(blobs(&place).len(), usize::from(kept), "{case}");
        drop(fake);
        tag(&place, &name, &copy);
        let (messages, outcome) = place.push(&copy).await;
        outcome.unwrap();
        let anew = messages.iter().any(|message| message.status.contains("compressed anew"));
        assert_eq!((digest(&messages) == original, anew), (kept, !kept), "{case}: {messages:?}");
        place.remove(&name);
        place.remove(&copy);
        place.remains_nothing().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_blob_goes_on_where_its_upload_broke_off_and_a_damaged_one_is_dropped() {
    let (real, place) = (Real::start(false).await, Place::keeping(KeepBlobs::All));
    let wire = Wire::new("cut", 12 << 20);
    let original = image::digest(wire.manifest.to_string().as_bytes()).hex();
    let fake = guarded(wire, Guard::Nobody).await;
    let first = fake.name("app:1");
    place.pull(&first).await.1.unwrap();
    drop(fake);
    let cutting = Cutting::start(real.port, 2, 3 << 20).await;
    let copy = format!("127.0.0.1:{}/app:1", cutting.port);
    tag(&place, &first, &copy);
    let (messages, outcome) = place.push(&copy).await;
    outcome.unwrap();
    assert_eq!((digest(&messages), cutting.cuts.load(Ordering::SeqCst)), (original.clone(), 2));

    let path = blobs(&place).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[6 << 20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    drop((cutting, real));
    let other = Real::start(false).await;
    let second = other.name("app:1");
    tag(&place, &first, &second);
    let (messages, outcome) = place.push(&second).await;
    outcome.unwrap();
    for words in ["the blob that was kept of it is damaged: its digest is sha256:", "compressed anew"] {
        assert!(messages.iter().any(|message| message.status.contains(words)), "{words}: {messages:?}");
    }
    assert_ne!(digest(&messages), original);
    assert!(path.exists() && blobs(&place).is_empty(), "it is dropped");
    place.remove(&image_of(&place, &first));
    place.pull(&second).await.1.unwrap();
}

fn image_of(place: &Place, name: &str) -> String {
    place.images.resolve(name).unwrap().id.to_string()
}
