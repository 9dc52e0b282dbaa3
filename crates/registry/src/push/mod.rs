//! Pushing: layers and config side by side, then the manifest.

mod gzip;
mod kept;
mod layer;
mod origin;
mod upload;

pub(crate) use self::upload::{Counting, Tail};

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::{try_join, try_join_all};
use http::Method;
use http::header::CONTENT_TYPE;
use image::{Image, StoredManifest};
use model::{ChainId, DiffId, Reference};
use serde_json::json;

use crate::auth::scope;
use crate::board::{Board, Message, Transferred};
use crate::http::{Body, Call};
use crate::manifest::{self, DOCKER_CONFIG, DOCKER_MANIFEST, Descriptor, Manifest};
use crate::pull::blocking;
use crate::registries::{Access, start};
use crate::retry::Backoff;
use crate::session::{Protocol, Session, succeeded};
use crate::settings::HUB;
use crate::v1;
use crate::{Credentials, Error, Following, Registries, Result};

/// What to push, on whose behalf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// A name. Without a tag all tags that the repository has here are pushed.
    pub reference: Reference,
    /// The client's.
    pub credentials: Credentials,
    /// The client's `X-Meta-` headers, which registries get too.
    pub meta: Vec<(String, String)>,
    /// A registry that is not the default one is asked before the image is looked for and before the first message, which
    /// tells in `aux.Tags` how many images go. So it was before API 1.15.
    pub endpoint_first: bool,
}

/// Images, each with a name.
type Named = Vec<(Reference, Arc<Image>)>;

impl Push {
    fn is_late(&self) -> bool {
        self.endpoint_first && self.reference.domain() != HUB
    }

    fn first(&self, images: &Named) -> Message {
        let status = format!("The push refers to repository [{}]", self.reference.name());
        let aux = self.endpoint_first.then(|| json!({"Tags": images.len()}));
        Message { status, aux, ..Message::default() }
    }
}

impl Registries {
    /// Pushes an image. When nobody follows it any more, it is cancelled.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// No image has the name, or the name has a digest.
    pub fn push(self: &Arc<Self>, push: Push) -> Result<Following> {
        if push.reference.digest().is_some() {
            return Err(Error::Invalid("cannot push a digest reference".to_owned()));
        }
        let images = if push.is_late() { None } else { Some(self.tagged(&push.reference)?) };
        let registries = Arc::clone(self);
        let (board, interest) = start(move |board| async move { registries.run_push(&push, images, &board).await });
        Ok(Following::new(board, interest))
    }

    /// The images that a name means here, each with its tag.
    fn tagged(&self, reference: &Reference) -> Result<Named> {
        let snapshot = self.images.snapshot();
        let none = || Error::NoImage(reference.familiar());
        if reference.tag().is_some() {
            let image = snapshot.referenced(reference).cloned().ok_or_else(none)?;
            return Ok(vec![(reference.clone(), image)]);
        }
        let all = snapshot.images().flat_map(|image| snapshot.references(&image.id).map(move |name| (name, image)));
        let mut found: Vec<_> = all
            .filter(|(name, _)| name.tag().is_some() && name.without_tag() == *reference)
            .map(|(name, image)| (name.clone(), Arc::clone(image)))
            .collect();
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        if found.is_empty() { Err(none()) } else { Ok(found) }
    }

    async fn run_push(&self, push: &Push, images: Option<Named>, board: &Arc<Board>) -> Result<Vec<Transferred>> {
        let access = Access::new(&push.credentials, &push.meta);
        if let Some(images) = &images {
            board.tell(push.first(images));
        }
        let session = self.addresses(push.reference.domain(), false, access).await.next().await?;
        let images = match images {
            Some(images) => images,
            None => {
                let images = self.tagged(&push.reference)?;
                board.tell(push.first(&images));
                images
            }
        };
        let repository = push.reference.without_tag();
        if let Protocol::V1 { .. } = session.protocol {
            return v1::Pushing { registries: self, index: &session, repository: &repository, board }
                .all(&images)
                .await;
        }
        let run = Run { registries: self, session: &session, repository, board };
        let mut done = Vec::new();
        for (reference, image) in &images {
            run.one(reference, image).await?;
            done.push(Transferred { reference: reference.clone(), image: image.id });
        }
        Ok(done)
    }
}

/// A push to one address.
struct Run<'a> {
    registries: &'a Registries,
    session: &'a Session,
    repository: Reference,
    board: &'a Arc<Board>,
}

impl Run<'_> {
    fn scopes(&self) -> Vec<String> {
        vec![scope(self.repository.path(), true)]
    }

    async fn one(&self, reference: &Reference, image: &Arc<Image>) -> Result<()> {
        let config = Descriptor {
            media_type: DOCKER_CONFIG.to_owned(),
            size_bytes: image.bytes.len() as u64,
            digest: image.id.0,
        };
        let (descriptors, ()) = try_join(self.layers(image), self.config(image, &config)).await?;
        let document = self.manifest(image, &config, &descriptors).await?;
        let tag = manifest::wanted(reference);
        let mut backoff = Backoff::default();
        while let Err(error) = self.put_manifest(&tag, &document).await {
            backoff.wait(error).await?;
        }
        let (digest, size) = (image::digest(document.document.as_bytes()), document.document.len());
        self.board.say("", format!("{tag}: digest: {digest} size: {size}"));
        let aux = json!({"Tag": tag, "Digest": digest.to_string(), "Size": size});
        self.board.tell(Message { aux: Some(aux), is_progress: true, ..Message::default() });
        let (images, image, name) =
            (Arc::clone(&self.registries.images), Arc::clone(image), reference.with_digest(digest));
        blocking(move || {
            if images.snapshot().referenced(&name).is_none_or(|named| named.id != image.id) {
                images.name(&image, &name)?;
            }
            Ok(())
        })
        .await
    }

    /// Sees to it that the registry has the config.
    async fn config(&self, image: &Image, config: &Descriptor) -> Result<()> {
        match self.existing(&config.digest).await? {
            Some(_) => Ok(()),
            None => self.upload_whole(&config.digest, &image.bytes).await,
        }
    }

    async fn put_manifest(&self, tag: &str, manifest: &StoredManifest) -> Result<()> {
        let url = self.session.url(&format!("{}/manifests/{tag}", self.repository.path()));
        let mut call = Call::new(Method::PUT, url);
        call.body = Body::whole(manifest.document.clone().into_bytes());
        let call = call.with(CONTENT_TYPE, &manifest.media_type)?;
        succeeded(self.session.send(call, &self.scopes()).await?).await.map(|_| ())
    }

    /// Sees to it that the registry has all layers; how it calls them, lowest first.
    async fn layers(&self, image: &Image) -> Result<Vec<Descriptor>> {
        let mut once = HashMap::new();
        for (diff, chain) in image.config.rootfs.diff_ids.iter().zip(&image.layers).rev() {
            once.entry(*diff).or_insert_with(|| {
                self.board.update(&short(diff), "Preparing");
                *chain
            });
        }
        let pushed = try_join_all(once.into_iter().map(|(diff, chain)| self.in_turn(diff, chain)));
        let pushed: HashMap<DiffId, Descriptor> = pushed.await?.into_iter().collect();
        Ok(image.config.rootfs.diff_ids.iter().filter_map(|diff| pushed.get(diff).cloned()).collect())
    }

    async fn in_turn(&self, diff: DiffId, chain: ChainId) -> Result<(DiffId, Descriptor)> {
        let terms = self.registries.terms();
        let _slot = match terms.uploads.try_acquire() {
            Ok(slot) => slot,
            Err(_) => {
                self.board.update(&short(&diff), "Waiting");
                terms.uploads.acquire().await.map_err(|_| Error::Cancelled)?
            }
        };
        Ok((diff, self.layer(diff, chain).await?))
    }

    /// The manifest that the image was pulled by, if that still names what the registry has; otherwise a new one.
    async fn manifest(&self, image: &Image, config: &Descriptor, layers: &[Descriptor]) -> Result<StoredManifest> {
        let (images, id) = (Arc::clone(&self.registries.images), image.id);
        let known = blocking(move || Ok(images.manifest(&id)?)).await?;
        if let Some(known) = known
            && let Ok((Manifest::Image(old), _)) = Manifest::parse(&known.media_type, known.document.as_bytes())
            && old.config.digest == config.digest
            && old.layers.iter().map(|layer| layer.digest).eq(layers.iter().map(|layer| layer.digest))
        {
            return Ok(known);
        }
        let layers: Vec<Descriptor> = layers
            .iter()
            .map(|layer| Descriptor { media_type: docker_layer(&layer.media_type), ..layer.clone() })
            .collect();
        Ok(StoredManifest {
            media_type: DOCKER_MANIFEST.to_owned(),
            document: manifest::docker_manifest(config, &layers),
        })
    }
}

/// Docker's word for a layer's type; it has none for zstd, where it uses the OCI's.
fn docker_layer(media_type: &str) -> String {
    match media_type {
        kind if kind.ends_with("zstd") => "application/vnd.oci.image.layer.v1.tar+zstd".to_owned(),
        kind if kind.ends_with("gzip") => manifest::DOCKER_LAYER.to_owned(),
        _ => "application/vnd.docker.image.rootfs.diff.tar".to_owned(),
    }
}

/// What clients see of a layer.
fn short(diff: &DiffId) -> String {
    let mut hex = diff.hex();
    hex.truncate(12);
    hex
}
