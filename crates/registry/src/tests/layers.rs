//! Layers of one image that are unpacked at the same time.

use model::Digest;
use serde_json::json;

use super::fake::{Asked, Fake, Reply, reply};
use super::place::{Place, tar};
use crate::Settings;
use crate::manifest::{DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST};

/// An image of several layers; the lowest takes longest.
struct Tower {
    layers: Vec<Vec<u8>>,
    config: Vec<u8>,
    manifest: Vec<u8>,
}

impl Tower {
    fn new() -> Self {
        let layers: Vec<_> = (0..8_usize).map(|number| tar(&format!("layer {number}"), (9 - number) << 18)).collect();
        let diffs: Vec<Digest> = layers.iter().map(|layer| image::digest(layer)).collect();
        let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diffs}});
        let config = config.to_string().into_bytes();
        let descriptor =
            |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "size": bytes.len(), "digest": image::digest(bytes)});
        let described: Vec<_> = layers.iter().map(|layer| descriptor(DOCKER_LAYER, layer)).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST,
            "config": descriptor(DOCKER_CONFIG, &config), "layers": described});
        Self { layers, config, manifest: manifest.to_string().into_bytes() }
    }

    fn answer(&self, asked: &Asked) -> Reply {
        let wanted = asked.path.rsplit('/').next().unwrap_or_default();
        let found = self.layers.iter().chain([&self.config]).find(|blob| image::digest(blob).to_string() == wanted);
        match found {
            _ if asked.path == "/v2/" => reply(200, "{}"),
            _ if asked.path.contains("/manifests/") => {
                reply(200, self.manifest.clone()).with("content-type", DOCKER_MANIFEST)
            }
            Some(blob) => reply(200, blob.clone()),
            None => reply(404, ""),
        }
    }
}

fn place() -> Place {
    let mut settings = Settings::default();
    settings.unpackings = 4;
    Place::with(settings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn layers_are_unpacked_at_the_same_time() {
    let tower = Tower::new();
    let (id, count) = (image::digest(&tower.config), tower.layers.len());
    let fake = Fake::start(move |asked| tower.answer(asked)).await;
    // Two pulls of other names share layers, whichever of them is ahead.
    let place = place();
    let (one, other) = (fake.name("one:1"), fake.name("other:1"));
    let (first, second) = tokio::join!(place.pull(&one), place.pull(&other));
    first.1.unwrap();
    second.1.unwrap();
    let image = place.images.snapshot().referenced(&one.parse().unwrap()).cloned().unwrap();
    assert_eq!((image.id.0, image.layers.len()), (id, count));
    let configs = fake.count("GET", &format!("/blobs/{id}"));
    assert_eq!(fake.count("GET", "/blobs/") - configs, count, "each layer once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_layer_that_does_not_come_takes_those_above_with_it() {
    for missing in [0, 3, 7] {
        let mut tower = Tower::new();
        let fake = {
            tower.layers.remove(missing);
            Fake::start(move |asked| tower.answer(asked)).await
        };
        let place = place();
        let error = place.pull(&fake.name("app:1")).await.1.unwrap_err().to_string();
        assert!(error.contains("not found"), "{error}");
        place.remains_nothing().await;
    }
}
