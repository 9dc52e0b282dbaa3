//! Pulling: tags, manifests, and then the layers.

mod blob;
mod keep;
mod layers;
mod schema1;
mod unpack;

use std::collections::BTreeSet;

use http::{HeaderMap, Method};
use image::{StoredBlob, StoredManifest, chain_ids};
use model::{ImageId, Platform, Reference};
use serde::Deserialize;

pub(crate) use blob::Blob;
pub(crate) use schema1::Schema1;

use self::layers::alone;
pub(crate) use self::layers::{Assembler, Assembly, Check, Plan};
use crate::auth::scope;
use crate::board::{Board, Transferred};
use crate::distribution::{self, Document};
use crate::http::{origin, resolve};
use crate::manifest::{self, Manifest};
use crate::registries::Access;
use crate::session::{Protocol, Session};
use crate::v1;
use crate::{Complaint, Credentials, Error, Registries, Result};

/// Largest list of tags that is read, in one piece and in all.
const TAGS_BYTES: usize = 8 << 20;
const MAX_TAGS: usize = 10_000;

/// What to pull, on whose behalf.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pull {
    /// A name with tag or digest; without either it is `latest`.
    pub reference: Reference,
    /// Every tag of the repository instead.
    pub all_tags: bool,
    /// For which platform; `None`: this machine's.
    pub platform: Option<Platform>,
    /// The image gets no name but its own manifest's digest: what has its tag here, for another platform, keeps it.
    pub aside: bool,
    /// The client's.
    pub credentials: Credentials,
    /// The client's `X-Meta-` headers, which registries get too.
    pub meta: Vec<(String, String)>,
}

impl Pull {
    /// What a name stands for, on nobody's behalf.
    pub fn of(reference: Reference) -> Self {
        let (credentials, meta) = (Credentials::default(), Vec::new());
        Self { reference, all_tags: false, platform: None, aside: false, credentials, meta }
    }
}

/// What a refusal means for a pull.
pub(crate) fn translate(error: Error, reference: &Reference) -> Error {
    let Error::Refused(complaint) = error else { return error };
    match complaint.code.as_str() {
        "DENIED" => Error::PullDenied { name: reference.familiar_name(), complaint },
        "NAME_UNKNOWN" => Error::NoRepository { name: reference.familiar_name(), complaint },
        "MANIFEST_UNKNOWN" => Error::NoManifest { reference: reference.familiar(), complaint },
        _ if complaint.status == 404 => {
            let unknown = "manifest unknown".to_owned();
            let complaint = Complaint { code: "MANIFEST_UNKNOWN".to_owned(), message: unknown, ..complaint };
            Error::NoManifest { reference: reference.familiar(), complaint }
        }
        _ => Error::Refused(complaint),
    }
}

impl Registries {
    pub(crate) async fn run_pull(&self, pull: &Pull, board: &std::sync::Arc<Board>) -> Result<Vec<Transferred>> {
        let access = Access::new(&pull.credentials, &pull.meta);
        let mut addresses = self.addresses(pull.reference.domain(), true, access).await;
        loop {
            let session = addresses.next().await?;
            let outcome = match session.protocol {
                Protocol::V1 { .. } if pull.aside => {
                    let platform = pull.platform.clone().unwrap_or_else(Platform::native);
                    Err(Error::NoPlatform(platform.to_string()))
                }
                Protocol::V1 { .. } => v1::Pulling { registries: self, index: &session, pull, board }.all().await,
                Protocol::V2 => {
                    let path = pull.reference.path();
                    Run { registries: self, session: &session, pull, board, path }.all().await
                }
            };
            match outcome {
                Ok(done) => return Ok(done),
                Err(error) => addresses.failed(error)?,
            }
        }
    }
}

/// A pull from one address.
struct Run<'a> {
    registries: &'a Registries,
    session: &'a Session,
    pull: &'a Pull,
    board: &'a std::sync::Arc<Board>,
    path: &'a str,
}

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

impl Run<'_> {
    async fn all(&self) -> Result<Vec<Transferred>> {
        let mut done = Vec::new();
        for reference in self.references().await? {
            let outcome = self.one(&reference).await;
            done.push(outcome.map_err(|error| translate(error, &reference))?);
        }
        Ok(done)
    }

    /// What is to be pulled.
    async fn references(&self) -> Result<Vec<Reference>> {
        let reference = &self.pull.reference;
        if !self.pull.all_tags {
            return Ok(vec![reference.clone().with_default_tag()]);
        }
        let tags = self.tags().await.map_err(|error| translate(error, reference))?;
        let named: Result<Vec<_>, _> = tags.iter().map(|tag| reference.with_tag(tag)).collect();
        Ok(named?)
    }

    /// All tags of the repository, page by page.
    async fn tags(&self) -> Result<BTreeSet<String>> {
        let mut tags = BTreeSet::new();
        let mut next = Some(self.session.url(&format!("{}/tags/list", self.path)));
        while let Some(url) = next {
            let mut answer =
                self.session.fetch(Method::GET, &url, &[scope(self.path, false)], &HeaderMap::new()).await?;
            let document = answer.document(TAGS_BYTES).await?;
            let page: Tags = serde_json::from_slice(&document)
                .map_err(|error| answer.nonsense(format!("a list of tags: {error}")))?;
            let before = tags.len();
            tags.extend(page.tags.unwrap_or_default());
            if tags.len() > MAX_TAGS {
                return Err(answer.nonsense(format!("the repository has more than {MAX_TAGS} tags")));
            }
            let link = answer.header(http::header::LINK);
            let target = link.strip_prefix('<').and_then(|rest| rest.split_once('>')).map(|(target, _)| target);
            // A page that brings nothing new is the last, whatever it says.
            next = target.filter(|_| tags.len() > before).and_then(|target| resolve(&url, target));
            next = next.filter(|next| origin(next) == origin(&url));
        }
        Ok(tags)
    }

    async fn one(&self, reference: &Reference) -> Result<Transferred> {
        let wanted = manifest::wanted(reference);
        let top = distribution::manifest(self.session, self.path, &wanted).await?;
        self.board.say(&wanted, format!("Pulling from {}", self.path));
        let digest = top.digest;
        let names = match reference.digest() {
            _ if self.pull.aside => Vec::new(),
            Some(_) => vec![reference.with_digest(digest)],
            None => vec![reference.clone(), reference.with_digest(digest)],
        };
        let snapshot = self.registries.images.snapshot();
        let before = names.first().and_then(|name| snapshot.referenced(name)).map(|image| image.id);
        let image = self.image(top, &names).await?;
        self.board.say("", format!("Digest: {digest}"));
        let status = if before == Some(image) { "Image is up to date for" } else { "Downloaded newer image for" };
        self.board.say("", format!("Status: {status} {}", reference.familiar()));
        Ok(Transferred { reference: reference.clone(), image })
    }

    /// Sees to it that an image is here and has these names.
    async fn image(&self, top: Document, names: &[Reference]) -> Result<ImageId> {
        let found = match &top.manifest {
            Manifest::Index(entries) => {
                let native = Platform::native();
                let entry = manifest::choose(entries, self.pull.platform.as_ref().unwrap_or(&native))?;
                if manifest::is_index(&entry.descriptor.media_type) {
                    return Err(Error::Unsupported("an index of indexes".to_owned()));
                }
                distribution::manifest(self.session, self.path, &entry.descriptor.digest.to_string()).await?
            }
            _ => top,
        };
        let own = [self.pull.reference.without_tag().with_digest(found.digest)];
        let names = if self.pull.aside { &own } else { names };
        match &found.manifest {
            Manifest::Index(_) => Err(Error::Unsupported("an index of indexes".to_owned())),
            Manifest::Schema1(one) => self.assembler().assemble(one.assembly(self.session, self.path, names)).await,
            Manifest::Image(image) => {
                let id = ImageId(image.config.digest);
                if !self.is_named(id, names).await? {
                    self.modern(image, names).await?;
                }
                self.remember(id, image, &found).await?;
                Ok(id)
            }
        }
    }

    /// Names an image that is here; false if it is not.
    async fn is_named(&self, id: ImageId, names: &[Reference]) -> Result<bool> {
        let (images, names) = (std::sync::Arc::clone(&self.registries.images), names.to_vec());
        blocking(move || {
            let snapshot = images.snapshot();
            let Some(image) = snapshot.get(&id) else { return Ok(false) };
            for name in names {
                if snapshot.referenced(&name).is_none_or(|named| named.id != id) {
                    images.name(image, &name)?;
                }
            }
            Ok(true)
        })
        .await
    }

    async fn modern(&self, image: &manifest::Image, names: &[Reference]) -> Result<ImageId> {
        let config = distribution::document(self.session, self.path, &image.config);
        let (config, keep) = tokio::join!(config, self.keeps_blobs(&image.config));
        let config = config?;
        let parsed: image::Config = serde_json::from_slice(&config)
            .map_err(|error| Error::Document { what: "config", reason: error.to_string() })?;
        if !parsed.os.is_empty() && parsed.os != "linux" {
            let reason = format!("image operating system {:?} cannot be used on this platform", parsed.os);
            return Err(Error::Unsupported(reason));
        }
        let diffs = parsed.rootfs.diff_ids;
        if diffs.len() != image.layers.len() {
            let (config, manifest) = (diffs.len(), image.layers.len());
            let reason = format!("it names {config} layers, its manifest {manifest}");
            return Err(Error::Document { what: "config", reason });
        }
        let chains = chain_ids(&diffs);
        let layers = image.layers.iter().zip(diffs).zip(chains);
        let plans = layers.map(|((layer, diff), chain)| Plan {
            size_bytes: Some(layer.size_bytes),
            expected: Some((diff, chain)),
            keep: keep.then(|| layer.kept()),
            ..Plan::blob(self.session, self.path, layer.digest)
        });
        let names = names.to_vec();
        let images = Box::new(move |_: &[_]| Ok(alone(config, names)));
        self.assembler().assemble(Assembly { plans: plans.collect(), base: None, images }).await
    }

    fn assembler(&self) -> Assembler<'_> {
        let scopes = vec![scope(self.path, false)];
        Assembler { registries: self.registries, session: self.session, scopes, board: self.board }
    }

    /// Notes which repository has which layer, and the manifest.
    async fn remember(&self, id: ImageId, image: &manifest::Image, found: &Document) -> Result<()> {
        let images = std::sync::Arc::clone(&self.registries.images);
        let repository = self.pull.reference.without_tag();
        let layers = image.layers.clone();
        let document = String::from_utf8(found.bytes.clone())
            .map_err(|error| Error::Document { what: "manifest", reason: error.to_string() })?;
        let manifest = StoredManifest { media_type: found.media_type.clone(), document };
        blocking(move || {
            let Some(image) = images.snapshot().get(&id).cloned() else { return Ok(()) };
            let blob = |(layer, diff): (manifest::Descriptor, &model::DiffId)| StoredBlob {
                diff: *diff,
                repository: repository.clone(),
                digest: layer.digest,
                size_bytes: layer.size_bytes,
                media_type: layer.media_type,
                compressor: None,
            };
            let blobs: Vec<StoredBlob> = layers.into_iter().zip(&image.config.rootfs.diff_ids).map(blob).collect();
            images.note_blobs(&blobs)?;
            Ok(images.note_manifest(&id, &manifest)?)
        })
        .await
    }
}

/// Runs blocking work on a thread for that.
///
/// # Errors
/// The work's.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Cancelled),
        },
    }
}
