//! Manifests as registries have them.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use model::{Digest, Platform, Reference};

use crate::auth::scope;
use crate::error::Error;
use crate::manifest::{self, Descriptor, Manifest};
use crate::registries::Access;
use crate::session::{Protocol, Session};
use crate::{Credentials, Registries, Result};

/// Largest manifest that is read.
const MANIFEST_BYTES: usize = 4 << 20;
/// Largest config that is read.
const CONFIG_BYTES: u64 = 8 << 20;
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What a registry has under a name.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// The manifest or index.
    pub descriptor: Descriptor,
    /// What it runs on.
    pub platforms: Vec<Platform>,
}

/// A manifest and its bytes.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) bytes: Vec<u8>,
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) manifest: Manifest,
}

/// Gets a manifest by tag or digest and verifies its digest.
///
/// # Errors
/// The registry refuses; it is no manifest, or another one than asked for.
pub(crate) async fn manifest(session: &Session, path: &str, wanted: &str) -> Result<Document> {
    let url = session.url(&format!("{path}/manifests/{wanted}"));
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(manifest::ACCEPT));
    let mut answer = session.fetch(Method::GET, &url, &[scope(path, false)], &headers).await?;
    let bytes = answer.document(MANIFEST_BYTES).await?;
    let digest = image::digest(&bytes);
    let (manifest, media_type) = Manifest::parse(answer.header(CONTENT_TYPE), &bytes)?;
    // The digest of a signed manifest of schema 1 leaves its signature out; nothing else may be off.
    let digest = match &manifest {
        Manifest::Schema1(one) => one.digest(&bytes),
        _ => digest,
    };
    for expected in [wanted.parse().ok(), answer.header(CONTENT_DIGEST).parse::<Digest>().ok()].into_iter().flatten() {
        if expected != digest {
            return Err(Error::Digest { what: "manifest", expected, found: digest });
        }
    }
    Ok(Document { bytes, media_type, digest, manifest })
}

/// Gets a small blob as a whole and verifies it.
///
/// # Errors
/// The registry refuses; it is too large, or not what its digest says.
pub(crate) async fn document(session: &Session, path: &str, wanted: &Descriptor) -> Result<Vec<u8>> {
    let size =
        |found| Error::Size { what: "config", name: wanted.digest.to_string(), expected: wanted.size_bytes, found };
    if wanted.size_bytes > CONFIG_BYTES {
        return Err(Error::Document { what: "config", reason: format!("it is longer than {CONFIG_BYTES} bytes") });
    }
    let url = session.url(&format!("{path}/blobs/{}", wanted.digest));
    let mut answer = session.fetch(Method::GET, &url, &[scope(path, false)], &HeaderMap::new()).await?;
    let limit = usize::try_from(wanted.size_bytes).unwrap_or(usize::MAX);
    let bytes = answer.document(limit).await?;
    if bytes.len() as u64 != wanted.size_bytes {
        return Err(size(bytes.len() as u64));
    }
    let found = image::digest(&bytes);
    if found != wanted.digest {
        return Err(Error::Digest { what: "config", expected: wanted.digest, found });
    }
    Ok(bytes)
}

impl Registries {
    /// What a registry has under a name; nothing is pulled.
    ///
    /// # Errors
    /// The registry does not answer or refuses.
    pub async fn distribution(&self, reference: &Reference, credentials: &Credentials) -> Result<Distribution> {
        let access = Access { credentials: credentials.clone(), ..Access::default() };
        let mut addresses = self.addresses(reference.domain(), true, access).await;
        loop {
            let session = addresses.next().await?;
            if session.protocol != Protocol::V2 {
                let reason = "this registry only speaks the first protocol, which has no manifests";
                return Err(Error::Unsupported(reason.to_owned()));
            }
            match look(&session, reference).await {
                Ok(found) => return Ok(found),
                Err(error) => addresses.failed(crate::pull::translate(error, reference))?,
            }
        }
    }
}

async fn look(session: &Session, reference: &Reference) -> Result<Distribution> {
    let path = reference.path();
    let found = manifest(session, path, &manifest::wanted(reference)).await?;
    let platforms = match &found.manifest {
        Manifest::Index(entries) => {
            entries.iter().filter(|entry| entry.is_image()).filter_map(|entry| entry.platform.clone()).collect()
        }
        Manifest::Image(image) => {
            let config = document(session, path, &image.config).await?;
            let malformed = |error: serde_json::Error| Error::Document { what: "config", reason: error.to_string() };
            vec![serde_json::from_slice(&config).map_err(malformed)?]
        }
        Manifest::Schema1(_) => vec![Platform::native()],
    };
    let size_bytes = found.bytes.len() as u64;
    let descriptor = Descriptor { media_type: found.media_type, size_bytes, digest: found.digest };
    Ok(Distribution { descriptor, platforms })
}
