//! Layers that are carried from one registry to another, and what becomes of them when they cannot be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::fake::{Fake, Reply, Wire, reply};
use super::place::{Place, Real, USER, credentials, digest, tag};

/// What is wrong with where a layer came from.
const FAULTS: [&str; 4] = ["nothing", "other bytes", "gone", "cut"];

/// A registry that falls ill at the blob of the layer.
async fn falls_ill(wire: Wire, fault: Arc<AtomicUsize>) -> Fake {
    let blob = format!("/blobs/{}", wire.layer_digest());
    Fake::start(move |asked| {
        let honest = wire.honest(asked);
        match FAULTS[fault.load(Ordering::SeqCst)] {
            _ if !asked.path.ends_with(&blob) => honest,
            "other bytes" => reply(200, vec![7; wire.layer.len()]),
            "gone" => reply(404, ""),
            "cut" => Reply { cut: Some(honest.body.len() / 2), ..honest },
            _ => honest,
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_keeps_its_digest_at_another_registry_if_it_can_be_had() {
    let real = Real::start(true).await;
    let good = credentials(USER.0, USER.1);
    for (number, fault) in FAULTS.iter().enumerate() {
        let wire = Wire::new(fault, 300 << 10);
        let original = image::digest(wire.manifest.to_string().as_bytes()).hex();
        let state = Arc::<AtomicUsize>::default();
        let fake = falls_ill(wire.clone(), Arc::clone(&state)).await;
        let (place, name) = (Place::new(), real.name(&format!("app{number}:1")));
        place.pull(&fake.name("app:1")).await.1.unwrap();
        tag(&place, &fake.name("app:1"), &name);
        state.store(number, Ordering::SeqCst);
        let (messages, outcome) = place.push_as(&name, good.clone()).await;
        outcome.unwrap();
        let anew = messages.iter().any(|message| message.status.contains("compressed anew"));
        assert_eq!((digest(&messages) != original, anew), (number > 0, number > 0), "{fault}: {messages:?}");
        // Nobody but the registry that is pushed to sees what the client showed.
        assert!(fake.asked.lock().unwrap().iter().all(|asked| !asked.headers.contains_key("authorization")), "{fault}");
        place.remove(&image::digest(&wire.config).to_string());
        place.pull_as(&name, good.clone()).await.1.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_engine_compressed_is_not_asked_for_again() {
    let (one, other, place) = (Real::start(false).await, Real::start(false).await, Place::new());
    let first = one.name("app:1");
    place.image(&first, 1 << 20);
    let (messages, outcome) = place.push(&first).await;
    outcome.unwrap();
    drop(one);
    tag(&place, &first, &other.name("app:1"));
    let (again, outcome) = place.push(&other.name("app:1")).await;
    outcome.unwrap();
    assert_eq!(digest(&again), digest(&messages));
    assert!(!again.iter().any(|message| message.status.contains("cannot be had")), "{again:?}");
}
