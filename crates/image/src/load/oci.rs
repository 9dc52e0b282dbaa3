//! OCI layouts.

use model::{Digest, Reference, native_architecture};
use serde::Deserialize;
use std::collections::BTreeMap;

use super::{LayerMember, Load, parse};
use crate::image::digest;
use crate::{Error, Result};

/// The member that makes an archive one of these.
pub(super) const INDEX: &str = "index.json";

/// How deep indexes may name indexes.
const MAX_DEPTH: usize = 4;
/// Most images an index may name.
const MAX_IMAGES: usize = 1000;

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    size: u64,
    annotations: Option<BTreeMap<String, String>>,
    platform: Option<Platform>,
}

#[derive(Deserialize, Clone)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

impl Descriptor {
    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.digest.hex())
    }

    fn is_index(&self) -> bool {
        matches!(
            self.media_type.as_str(),
            "application/vnd.oci.image.index.v1+json" | "application/vnd.docker.distribution.manifest.list.v2+json"
        )
    }

    /// Statements about an image, not an image.
    fn is_attestation(&self) -> bool {
        let noted = self.annotations.as_ref().is_some_and(|notes| notes.contains_key("vnd.docker.reference.type"));
        noted || self.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
    }

    /// The name that the index gives an image: in full, or as a tool wrote it if it is more than a bare tag.
    fn name(&self) -> Option<Reference> {
        let notes = self.annotations.as_ref()?;
        let full = notes.get("io.containerd.image.name");
        let short = notes.get("org.opencontainers.image.ref.name").filter(|name| name.contains([':', '/']));
        full.or(short)?.parse().ok().map(Reference::with_default_tag)
    }
}

impl Load<'_> {
    /// Loads every image of `index.json`; of an image for several platforms the one for this machine.
    pub(super) fn oci(&mut self) -> Result<()> {
        let index: Index = parse(INDEX, &self.spool.document(INDEX)?)?;
        if index.manifests.len() > MAX_IMAGES {
            return Err(Error::Limit { what: "the number of images".to_owned(), limit: MAX_IMAGES as u64 });
        }
        for top in index.manifests.iter().filter(|one| !one.is_attestation()) {
            let manifest = self.for_this_machine(top.clone())?;
            self.manifest(&manifest, top.name())?;
        }
        Ok(())
    }

    /// Follows indexes down to a manifest.
    fn for_this_machine(&self, mut descriptor: Descriptor) -> Result<Descriptor> {
        for _ in 0..MAX_DEPTH {
            if !descriptor.is_index() {
                return Ok(descriptor);
            }
            let index: Index = parse(&descriptor.path(), &self.content(&descriptor)?)?;
            let present: Vec<Descriptor> = index
                .manifests
                .into_iter()
                .filter(|one| !one.is_attestation() && self.spool.contains(&one.path()))
                .collect();
            let fits = |one: &&Descriptor| {
                let native =
                    |platform: &Platform| platform.os == "linux" && platform.architecture == native_architecture();
                one.platform.as_ref().is_some_and(native)
            };
            let chosen = present.iter().find(fits).or(present.first());
            descriptor = chosen.cloned().ok_or(Error::NoImage("an index names no image that the archive has"))?;
        }
        Err(Error::Limit { what: "the depth of indexes".to_owned(), limit: MAX_DEPTH as u64 })
    }

    fn manifest(&mut self, descriptor: &Descriptor, name: Option<Reference>) -> Result<()> {
        let manifest: Manifest = parse(&descriptor.path(), &self.content(descriptor)?)?;
        let config = self.content(&manifest.config)?;
        let mut layers = Vec::with_capacity(manifest.layers.len());
        for layer in &manifest.layers {
            layers.push(LayerMember { path: layer.path(), digest: Some(layer.digest) });
        }
        // The index has an entry a name; further ones of the same image only add their name.
        let id = digest(&config);
        match self.found.iter_mut().find(|found| digest(&found.new.config) == id) {
            Some(found) => found.new.names.extend(name),
            None => {
                self.image(config, &layers, name.into_iter().collect())?;
            }
        }
        Ok(())
    }

    /// A document, verified by size and digest.
    fn content(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let path = descriptor.path();
        let bytes = self.spool.document(&path)?;
        let found = digest(&bytes);
        if found != descriptor.digest || bytes.len() as u64 != descriptor.size {
            return Err(Error::Digest { what: path, expected: descriptor.digest, found });
        }
        Ok(bytes)
    }
}
