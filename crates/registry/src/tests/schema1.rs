//! Manifests of schema 1, as registries before 2016 have them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::Digest;
use serde_json::json;

use super::fake::{Asked, Fake, Reply, reply};
use super::place::{Place, digest, tar};

const SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// An image of two layers, an empty one, and a step without a layer.
struct Old {
    /// Lowest first; the last is named by the manifest, but not needed.
    blobs: [Vec<u8>; 4],
    payload: String,
    signed: String,
}

impl Old {
    fn new() -> Self {
        let blobs = [tar("first", 3000), tar("second", 5000), vec![0; 1024], b"not needed".to_vec()];
        let documents = [
            json!({"id": "1", "container_config": {"Cmd": ["ADD", "first"]}, "created": "2014-01-01T00:00:00Z"}),
            json!({"id": "2", "parent": "1", "author": "joe"}),
            json!({"id": "3", "parent": "2"}),
            json!({"id": "4", "parent": "3", "throwaway": true, "os": "linux", "architecture": "amd64",
                "created": "2014-01-02T00:00:00Z", "config": {"Cmd": ["sh"]}}),
        ];
        let layers: Vec<_> = blobs.iter().rev().map(|blob| json!({"blobSum": image::digest(blob)})).collect();
        let history: Vec<_> = documents.iter().rev().map(|one| json!({"v1Compatibility": one.to_string()})).collect();
        let body = json!({"schemaVersion": 1, "name": "app", "tag": "1", "architecture": "amd64", "fsLayers": layers,
            "history": history});
        let payload = body.to_string();
        let open = payload.trim_end_matches('}');
        let tail = &payload[open.len()..];
        let protected = json!({"formatLength": open.len(), "formatTail": URL_SAFE_NO_PAD.encode(tail)}).to_string();
        let signature = json!([{"protected": URL_SAFE_NO_PAD.encode(protected), "signature": "x"}]);
        let signed = format!("{open},\"signatures\":{signature}{tail}");
        Self { blobs, payload, signed }
    }

    fn digest(&self) -> Digest {
        image::digest(self.payload.as_bytes())
    }

    async fn serve(self, lie: impl Fn(&Asked, Reply) -> Reply + Send + Sync + 'static) -> Fake {
        Fake::start(move |asked| {
            let wanted = asked.path.rsplit('/').next().unwrap_or_default();
            let blob = self.blobs[..3].iter().find(|blob| image::digest(blob).to_string() == wanted);
            let honest = match blob {
                _ if asked.path == "/v2/" => reply(200, "{}"),
                _ if asked.path.contains("/manifests/") => reply(200, self.signed.clone())
                    .with("content-type", SIGNED)
                    .with("docker-content-digest", self.digest().to_string()),
                Some(blob) => reply(200, blob.clone()),
                None => reply(404, "{}"),
            };
            lie(asked, honest)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_put_together() {
    let old = Old::new();
    let (manifest, diffs) = (old.digest(), [0, 1, 2].map(|number| image::digest(&old.blobs[number])));
    let fake = old.serve(|_, honest| honest).await;
    let place = Place::new();
    for name in ["app:1".to_owned(), format!("app@{manifest}")] {
        let (messages, outcome) = place.pull(&fake.name(&name)).await;
        outcome.unwrap();
        assert_eq!(format!("sha256:{}", digest(&messages)), manifest.to_string());
    }
    let image = place.images.resolve(&fake.name("app:1")).unwrap();
    assert_eq!(image.config.rootfs.diff_ids.iter().map(|diff| diff.0).collect::<Vec<_>>(), diffs);
    let steps: Vec<_> = image.config.history.iter().map(|step| (&*step.created_by, step.empty_layer)).collect();
    assert_eq!(steps, [("ADD first", false), ("", false), ("", false), ("", true)]);
    assert_eq!(image.config.config.as_ref().and_then(|run| run.cmd.clone()), Some(vec!["sh".to_owned()]));
    assert_eq!(place.images.snapshot().digests(&image.id), [format!("{}@{manifest}", fake.name("app"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_leave_nothing() {
    let fails = async |fake: Fake, words: &str| {
        let place = Place::new();
        let error = place.pull(&fake.name("app:1")).await.1.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        place.remains_nothing().await;
    };
    let top = image::digest(&Old::new().blobs[1]).to_string();
    let swapped = move |asked: &Asked, honest| {
        if asked.path.ends_with(&top) { reply(200, tar("another", 5000)) } else { honest }
    };
    fails(Old::new().serve(swapped).await, "filesystem layer verification failed for digest").await;
    let other = |asked: &Asked, mut honest: Reply| {
        if asked.path.contains("/manifests/") {
            honest.body = String::from_utf8(honest.body).unwrap().replace("joe", "eve").into_bytes();
        }
        honest
    };
    fails(Old::new().serve(other).await, "manifest verification failed for digest").await;
}
