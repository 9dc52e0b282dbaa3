//! Pulling: tags, lines of ancestors, their documents, and then the layers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures_util::future::try_join_all;
use http::{HeaderMap, Method};
use image::{Config, Image, Lineage, NewImage, StoredManifest};
use model::{DiffId, ImageId, Reference};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::repository::{Repository, check_id, checksum};
use super::{CHECKSUM, CHECKSUM_PAYLOAD, DOCUMENT_BYTES, LIST_BYTES, read};
use crate::board::{Board, Transferred};
use crate::pull::{Assembler, Assembly, Check, Plan, blocking};
use crate::session::Session;
use crate::{Complaint, Error, Pull, Registries, Result};

/// Most layers in a line; Docker stopped at 127.
const MAX_LAYERS: usize = 500;
/// Documents that are fetched at the same time.
const DOCUMENTS: usize = 4;
/// Most tags of a repository.
const MAX_TAGS: usize = 10_000;
/// What is noted of an image instead of a manifest: the id that it had in a registry, as JSON.
const NOTE: &str = "application/vnd.docker.image.v1+id";

/// A pull from one registry.
pub(crate) struct Pulling<'a> {
    pub(crate) registries: &'a Registries,
    pub(crate) index: &'a Session,
    pub(crate) pull: &'a Pull,
    pub(crate) board: &'a Arc<Board>,
}

/// One layer of a line, and what the registry says of it.
struct Link {
    id: String,
    config: Config,
    check: Check,
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::Document { what: "line of images", reason: reason.into() }
}

/// An id as clients see it.
pub(super) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

impl Pulling<'_> {
    /// Pulls what is asked for.
    pub(crate) async fn all(&self) -> Result<Vec<Transferred>> {
        let (reference, path) = (&self.pull.reference, self.pull.reference.path());
        if reference.digest().is_some() {
            let reason = format!("{}: a registry of the first protocol knows no digests", reference.familiar());
            return Err(Error::Unsupported(reason));
        }
        let translate = |error| match error {
            Error::Refused(complaint) if complaint.status == 404 => {
                Error::NoRepository { name: reference.familiar_name(), complaint }
            }
            other => other,
        };
        let repository = Repository::open(self.registries, self.index, path).await.map_err(translate)?;
        let tags = self.tags(&repository).await.map_err(translate)?;
        self.board.say("", format!("Pulling repository {}", reference.familiar_name()));
        let mut done = Vec::new();
        for (tag, id) in self.wanted(tags)? {
            check_id(&id)?;
            done.push(self.one(&repository, &reference.with_tag(&tag)?, &id).await?);
        }
        Ok(done)
    }

    /// All tags, of the first address that tells them.
    async fn tags(&self, repository: &Repository) -> Result<BTreeMap<String, String>> {
        let path = self.pull.reference.path();
        let (namespace, name) = path.split_once('/').unwrap_or(("library", path));
        let mut failed = None;
        for endpoint in &repository.endpoints {
            let url = endpoint.old_url(&format!("repositories/{namespace}/{name}/tags"));
            match endpoint.fetch(Method::GET, &url, &[], &HeaderMap::new()).await {
                Ok(mut answer) => {
                    let tags: BTreeMap<String, String> = read(&mut answer, "a list of tags", LIST_BYTES).await?;
                    if tags.len() > MAX_TAGS {
                        return Err(answer.nonsense(format!("the repository has more than {MAX_TAGS} tags")));
                    }
                    return Ok(tags);
                }
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| invalid("could not reach any registry endpoint")))
    }

    /// The tags that are asked for.
    fn wanted(&self, tags: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
        if self.pull.all_tags {
            return Ok(tags);
        }
        let reference = self.pull.reference.clone().with_default_tag();
        let tag = reference.tag().unwrap_or_default();
        if let Some(id) = tags.get(tag) {
            return Ok(BTreeMap::from([(tag.to_owned(), id.clone())]));
        }
        let message = format!("Tag {tag} not found in repository {}", reference.familiar_name());
        let complaint = Complaint { status: 404, code: "MANIFEST_UNKNOWN".to_owned(), message, retry_after: None };
        Err(Error::NoManifest { reference: reference.familiar(), complaint })
    }

    /// Pulls one image from the first address that has it.
    async fn one(&self, repository: &Repository, reference: &Reference, id: &str) -> Result<Transferred> {
        let (tag, name) = (reference.tag().unwrap_or_default(), reference.familiar_name());
        let before = self.registries.images.snapshot().referenced(reference).map(|image| image.id);
        let mut failed = None;
        for endpoint in &repository.endpoints {
            let place = endpoint.old_url("");
            self.board.update(&short(id), format!("Pulling image ({tag}) from {name}, endpoint: {place}"));
            match self.from(endpoint, repository, reference, id).await {
                Ok(image) => {
                    self.board.update(&short(id), "Download complete");
                    let news =
                        if before == Some(image) { "Image is up to date for" } else { "Downloaded newer image for" };
                    self.board.say("", format!("Status: {news} {}", reference.familiar()));
                    return Ok(Transferred { reference: reference.clone(), image });
                }
                Err(error) if error.is_ours() => return Err(error),
                Err(error) => {
                    let told = format!("Error pulling image ({tag}) from {name}, endpoint: {place}, {error}");
                    self.board.update(&short(id), told);
                    failed = Some(error);
                }
            }
        }
        Err(failed.unwrap_or_else(|| invalid("could not reach any registry endpoint")))
    }

    async fn from(
        &self,
        endpoint: &Session,
        repository: &Repository,
        reference: &Reference,
        id: &str,
    ) -> Result<ImageId> {
        self.board.update(&short(id), "Pulling dependent layers");
        let mut line = self.ancestry(endpoint, id).await?;
        let base = self.known(&line).await?;
        let mut below = None;
        if let Some((at, _)) = &base {
            for id in line.drain(..=*at) {
                self.board.update(&short(&id), "Already exists");
                below = Some(id);
            }
        }
        let base = base.map(|(_, image)| image);
        if line.is_empty()
            && let Some(image) = &base
        {
            let (images, image, reference) =
                (Arc::clone(&self.registries.images), Arc::clone(image), reference.clone());
            return blocking(move || images.name(&image, &reference).map(|_| image.id).map_err(Error::from)).await;
        }
        let links = self.links(endpoint, repository, &line, below).await?;
        let plans = links.iter().map(|link| Plan {
            id: short(&link.id),
            url: endpoint.old_url(&format!("images/{}/layer", link.id)),
            size_bytes: None,
            check: link.check.clone(),
            expected: None,
            keep: None,
        });
        let (plans, name) = (plans.collect(), reference.clone());
        let (lineage, top) = match &base {
            Some(image) => (Lineage::on(image), image.top()),
            None => (Lineage::default(), None),
        };
        let assembly =
            Assembly { plans, base: top, images: Box::new(move |diffs| images(lineage, links, diffs, name)) };
        let assembler =
            Assembler { registries: self.registries, session: endpoint, scopes: Vec::new(), board: self.board };
        let image = assembler.assemble(assembly).await?;
        self.note(image, line).await?;
        Ok(image)
    }

    /// The line of an image, oldest first.
    async fn ancestry(&self, endpoint: &Session, id: &str) -> Result<Vec<String>> {
        let url = endpoint.old_url(&format!("images/{id}/ancestry"));
        let mut answer = endpoint.fetch(Method::GET, &url, &[], &HeaderMap::new()).await?;
        let mut line: Vec<String> = read(&mut answer, "ancestry", LIST_BYTES).await?;
        if line.first().map(String::as_str) != Some(id) {
            return Err(invalid(format!("that of {} does not begin with it", short(id))));
        }
        if line.len() > MAX_LAYERS {
            return Err(invalid(format!("{} layers; {MAX_LAYERS} are the most", line.len())));
        }
        let once: BTreeSet<&String> = line.iter().collect();
        if once.len() != line.len() {
            return Err(invalid("an image is its own ancestor"));
        }
        line.iter().try_for_each(|id| check_id(id))?;
        line.reverse();
        Ok(line)
    }

    /// The youngest of a line that is here, and its place.
    async fn known(&self, line: &[String]) -> Result<Option<(usize, Arc<Image>)>> {
        let (images, line) = (Arc::clone(&self.registries.images), line.to_vec());
        blocking(move || {
            let snapshot = images.snapshot();
            let places: HashMap<&str, usize> = line.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
            let mut found: Option<(usize, Arc<Image>)> = None;
            for image in snapshot.images() {
                let noted = images.manifest(&image.id)?.filter(|note| note.media_type == NOTE);
                let own = image.id.hex();
                let noted = noted.and_then(|note| serde_json::from_str::<String>(&note.document).ok());
                let place = places.get(noted.as_ref().unwrap_or(&own).as_str());
                if let Some(at) = place.copied().filter(|at| found.as_ref().is_none_or(|(best, _)| at > best)) {
                    found = Some((at, Arc::clone(image)));
                }
            }
            Ok(found)
        })
        .await
    }

    /// The documents of a line, verified to be one; `below` is what its first stands on.
    async fn links(
        &self,
        endpoint: &Session,
        repository: &Repository,
        line: &[String],
        mut below: Option<String>,
    ) -> Result<Vec<Link>> {
        let slots = Semaphore::new(DOCUMENTS);
        let fetched = try_join_all(line.iter().map(|id| self.link(endpoint, repository, id, &slots))).await?;
        for (link, parent) in &fetched {
            if *parent != below {
                return Err(invalid(format!("{} names another parent than its ancestry", short(&link.id))));
            }
            below = Some(link.id.clone());
        }
        Ok(fetched.into_iter().map(|(link, _)| link).collect())
    }

    async fn link(
        &self,
        endpoint: &Session,
        repository: &Repository,
        id: &str,
        slots: &Semaphore,
    ) -> Result<(Link, Option<String>)> {
        let _slot = slots.acquire().await.map_err(|_| Error::Cancelled)?;
        self.board.update(&short(id), "Pulling metadata");
        let url = endpoint.old_url(&format!("images/{id}/json"));
        let mut answer = endpoint.fetch(Method::GET, &url, &[], &HeaderMap::new()).await?;
        let document = answer.document(DOCUMENT_BYTES).await?;
        let said = [CHECKSUM_PAYLOAD, CHECKSUM].into_iter().find_map(|name| checksum(answer.header(name)));
        let digest = said.or_else(|| repository.checksums.get(id).copied());
        let malformed = |error: serde_json::Error| answer.nonsense(format!("the document of {}: {error}", short(id)));
        let value: Value = serde_json::from_slice(&document).map_err(malformed)?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if text("id") != Some(id) {
            return Err(answer.nonsense(format!("the document of {} is another's", short(id))));
        }
        let parent = text("parent").map(str::to_owned);
        let config = serde_json::from_value(value).map_err(malformed)?;
        let mut before = document;
        before.push(b'\n');
        let check = Check { before, digest };
        Ok((Link { id: id.to_owned(), config, check }, parent))
    }

    /// Notes what the registry calls the images of a line, so that its layers are not fetched again.
    async fn note(&self, image: ImageId, line: Vec<String>) -> Result<()> {
        let images = Arc::clone(&self.registries.images);
        blocking(move || {
            let snapshot = images.snapshot();
            let mut next = Some(image);
            for id in line.into_iter().rev() {
                let Some(image) = next.and_then(|id| snapshot.get(&id)) else { break };
                if images.manifest(&image.id)?.is_none() {
                    let document = Value::from(id).to_string();
                    images.note_manifest(&image.id, &StoredManifest { media_type: NOTE.to_owned(), document })?;
                }
                next = image.parent();
            }
            Ok(())
        })
        .await
    }
}

/// The images that a line becomes; the last has the name.
fn images(mut lineage: Lineage, links: Vec<Link>, diffs: &[DiffId], name: Reference) -> Result<Vec<NewImage>> {
    let steps = links.into_iter().zip(diffs).map(|(link, diff)| Ok(lineage.step(&link.id, link.config, *diff)?));
    let mut line: Vec<NewImage> = steps.collect::<Result<_>>()?;
    if let Some(last) = line.last_mut() {
        last.names.push(name);
    }
    Ok(line)
}
