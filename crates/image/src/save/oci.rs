//! The OCI layout and `manifest.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use model::{DiffId, Digest};
use serde_json::{Value, json};
use storage::Layer;
use store::StoredManifest;

use super::{Chosen, member::Members};
use crate::image::digest;
use crate::{Error, Image, Result, Snapshot};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Where content lies in the archive.
pub(super) fn blob(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Writes layout, index, `manifest.json` and all blobs.
pub(super) fn write<W: Write>(
    members: &mut Members<'_, W>,
    snapshot: &Snapshot,
    chosen: &[Chosen],
    layers: &BTreeMap<DiffId, Layer>,
) -> Result<()> {
    let manifests: Vec<Vec<u8>> = chosen.iter().map(|one| manifest(&one.image, layers)).collect::<Result<_>>()?;
    members.json("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}))?;
    members.json("index.json", &index(chosen, &manifests))?;
    members.json("manifest.json", &chosen.iter().map(docker_manifest).collect::<Vec<_>>())?;
    members.directory("blobs/")?;
    members.directory("blobs/sha256/")?;
    let mut written = BTreeSet::new();
    for bytes in manifests.iter().map(Vec::as_slice).chain(configs(snapshot, chosen)) {
        let digest = digest(bytes);
        if written.insert(digest) {
            members.file(&blob(digest), bytes)?;
        }
    }
    for layer in layers.values() {
        members.layer(&blob(layer.diff_id.0), layer)?;
    }
    Ok(())
}

/// Configs of the images and of the images they were made from here: with those a load restores the parents too.
fn configs<'a>(snapshot: &'a Snapshot, chosen: &'a [Chosen]) -> impl Iterator<Item = &'a [u8]> {
    let line = |image: &'a Image| {
        std::iter::successors(Some(image), |image| snapshot.get(&image.parent()?).map(AsRef::as_ref))
    };
    chosen.iter().flat_map(move |one| line(&one.image)).map(|image| image.bytes.as_slice())
}

fn descriptor(media_type: &str, digest: Digest, size: u64) -> Value {
    json!({"mediaType": media_type, "digest": digest, "size": size})
}

/// An image's manifest and what it is.
pub(super) fn stored(image: &Image, layers: &BTreeMap<DiffId, Layer>) -> Result<StoredManifest> {
    let document = String::from_utf8_lossy(&manifest(image, layers)?).into_owned();
    Ok(StoredManifest { media_type: MANIFEST.to_owned(), document })
}

fn manifest(image: &Image, layers: &BTreeMap<DiffId, Layer>) -> Result<Vec<u8>> {
    let layers: Vec<Value> = image
        .config
        .rootfs
        .diff_ids
        .iter()
        .filter_map(|diff| layers.get(diff))
        .map(|layer| descriptor(LAYER, layer.diff_id.0, layer.tar_bytes))
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, image.id.0, image.bytes.len() as u64),
        "layers": layers,
    });
    serde_json::to_vec(&manifest).map_err(|source| Error::Document { member: "manifest".to_owned(), source })
}

/// An entry a name; an image without names has one without annotations.
fn index(chosen: &[Chosen], manifests: &[Vec<u8>]) -> Value {
    let mut entries = Vec::new();
    for (one, bytes) in chosen.iter().zip(manifests) {
        let entry = || descriptor(MANIFEST, digest(bytes), bytes.len() as u64);
        if one.names.is_empty() {
            entries.push(entry());
        }
        for name in &one.names {
            let mut entry = entry();
            entry["annotations"] = json!({
                "io.containerd.image.name": name.to_string(),
                "org.opencontainers.image.ref.name": name.tag(),
            });
            entries.push(entry);
        }
    }
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
}

fn docker_manifest(one: &Chosen) -> Value {
    let names: Vec<String> = one.names.iter().map(model::Reference::familiar).collect();
    let layers: Vec<String> = one.image.config.rootfs.diff_ids.iter().map(|diff| blob(diff.0)).collect();
    json!({
        "Config": blob(one.image.id.0),
        "RepoTags": if names.is_empty() { Value::Null } else { json!(names) },
        "Layers": layers,
    })
}
