//! Pushing: the list, then each step's document, layer and checksum, then the tags.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use image::{Image, Images, OldStep};
use model::{Digest, Reference};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::pull::short;
use super::repository::{asking_for_token, endpoints, token};
use super::{CHECKSUM, CHECKSUM_PAYLOAD, DOCUMENT_BYTES, ENDPOINTS};
use crate::board::{Board, Transferred};
use crate::http::{Body, Call, Feed, feed};
use crate::pull::blocking;
use crate::push::{Counting, Tail};
use crate::retry::Backoff;
use crate::session::{Session, succeeded};
use crate::{Error, Registries, Result};

/// A layer that holds nothing: the end of an archive.
const EMPTY_LAYER: [u8; 1024] = [0; 1024];
const JSON: &str = "application/json";

/// A push to one registry.
pub(crate) struct Pushing<'a> {
    pub(crate) registries: &'a Registries,
    pub(crate) index: &'a Session,
    pub(crate) repository: &'a Reference,
    pub(crate) board: &'a Arc<Board>,
}

impl Pushing<'_> {
    /// Pushes images, each under its tag.
    pub(crate) async fn all(&self, images: &[(Reference, Arc<Image>)]) -> Result<Vec<Transferred>> {
        let (steps, tags) = self.steps(images).await?;
        self.board.say("", "Sending image list");
        let list = listed(&steps, &tags);
        let endpoints = self.announce(&list).await?;
        let mut checksums = Vec::new();
        for endpoint in &endpoints {
            let name = self.repository.familiar_name();
            self.board.say("", format!("Pushing repository {name} ({} tags)", tags.len()));
            for step in &steps {
                if let Some(checksum) = self.step(endpoint, step).await? {
                    checksums.push(json!({"id": step.id, "checksum": checksum.to_string()}));
                }
            }
            for (tag, id) in &tags {
                self.tag(endpoint, tag, id).await?;
            }
        }
        self.close(Value::Array(checksums), &endpoints).await?;
        let done = images.iter().map(|(name, image)| Transferred { reference: name.clone(), image: image.id });
        Ok(done.collect())
    }

    /// All steps of the images, each after its parent, and which is the top of which tag.
    async fn steps(&self, images: &[(Reference, Arc<Image>)]) -> Result<(Vec<OldStep>, BTreeMap<String, String>)> {
        let (store, images) = (Arc::clone(&self.registries.images), images.to_vec());
        blocking(move || {
            let (mut all, mut known, mut tags) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
            for (name, image) in &images {
                let steps = store.old_steps(image)?;
                if let Some(top) = steps.last() {
                    tags.insert(name.tag().unwrap_or("latest").to_owned(), top.id.clone());
                }
                all.extend(steps.into_iter().filter(|step| known.insert(step.id.clone())));
            }
            Ok((all, tags))
        })
        .await
    }

    fn path(&self) -> &str {
        self.repository.path()
    }

    /// Tells the index what comes: where it shall go.
    async fn announce(&self, list: &Value) -> Result<Vec<Session>> {
        let mut call = Call::new(Method::PUT, self.index.old_url(&format!("repositories/{}/", self.path())));
        call.headers = asking_for_token();
        let mut answer = self.index.send(body(call, list)?, &[]).await?;
        if !answer.status.is_success() {
            let status = answer.status;
            if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                return Err(Error::Refused(answer.complaint().await));
            }
            let said = answer.document(DOCUMENT_BYTES).await.unwrap_or_default();
            let said: String = String::from_utf8_lossy(&said).chars().filter(|c| !c.is_control()).take(200).collect();
            let (code, name) = (status.as_u16(), self.repository.familiar_name());
            return Err(Error::Unsupported(format!("Error: Status {code} trying to push repository {name}: {said:?}")));
        }
        if token(&answer).is_none() {
            return Err(answer.nonsense("Index response didn't contain an access token".to_owned()));
        }
        let found = endpoints(self.registries, self.index, &answer).await?;
        if found.is_empty() {
            return Err(answer.nonsense("Index response didn't contain any endpoints".to_owned()));
        }
        Ok(found)
    }

    /// Sees to it that a registry has a step; its checksum if it was sent.
    async fn step(&self, endpoint: &Session, step: &OldStep) -> Result<Option<Digest>> {
        let id = short(&step.id);
        let url = endpoint.old_url(&format!("images/{}/json", step.id));
        let there = endpoint.get(Method::GET, &url, &[], &HeaderMap::new()).await?;
        if there.status == StatusCode::OK {
            self.board.update(&id, "Image already pushed, skipping");
            return Ok(None);
        }
        self.board.update(&id, "Pushing");
        let mut call = Call::new(Method::PUT, url);
        call.body = Body::whole(step.json.clone());
        succeeded(endpoint.send(call.with(CONTENT_TYPE, JSON)?, &[]).await?).await?;
        let mut backoff = Backoff::default();
        let checksum = loop {
            match self.layer(endpoint, step).await {
                Ok(checksum) => break checksum,
                Err(error) => backoff.wait(error).await?,
            }
        };
        let mut call = Call::new(Method::PUT, endpoint.old_url(&format!("images/{}/checksum", step.id)));
        for name in [CHECKSUM, CHECKSUM_PAYLOAD] {
            call = call.with(name, &checksum.to_string())?;
        }
        succeeded(endpoint.send(call, &[]).await?).await?;
        self.board.update(&id, "Image successfully pushed");
        Ok(Some(checksum))
    }

    /// Sends a layer; the digest of its document and itself.
    async fn layer(&self, endpoint: &Session, step: &OldStep) -> Result<Digest> {
        let (feed, body) = feed();
        let mut call = Call::new(Method::PUT, endpoint.old_url(&format!("images/{}/layer", step.id)));
        call.body = body;
        call.unhurried = true;
        let call = call.with(CONTENT_TYPE, "application/octet-stream")?;
        let (images, board, step) = (Arc::clone(&self.registries.images), Arc::clone(self.board), step.clone());
        let writing = blocking(move || write(&images, &step, feed, &board));
        let (answer, written) = tokio::join!(endpoint.send(call, &[]), writing);
        // A refusal says more than that nobody reads any more.
        succeeded(answer?).await?;
        written
    }

    async fn tag(&self, endpoint: &Session, tag: &str, id: &str) -> Result<()> {
        let path = self.path();
        let (namespace, name) = path.split_once('/').unwrap_or(("library", path));
        let url = endpoint.old_url(&format!("repositories/{namespace}/{name}/tags/{tag}"));
        self.board.say("", format!("Pushing tag for rev [{}] on {{{url}}}", short(id)));
        let call = body(Call::new(Method::PUT, url), &json!(id))?;
        succeeded(endpoint.send(call, &[]).await?).await.map(|_| ())
    }

    /// Tells the index that all is there.
    async fn close(&self, checksums: Value, endpoints: &[Session]) -> Result<()> {
        let mut call = Call::new(Method::PUT, self.index.old_url(&format!("repositories/{}/images", self.path())));
        let hosts: Vec<&str> = endpoints.iter().filter_map(|one| Some(one.base().split_once("://")?.1)).collect();
        if let Ok(hosts) = HeaderValue::from_str(&hosts.join(",")) {
            call.headers.insert(ENDPOINTS, hosts);
        }
        succeeded(self.index.send(body(call, &checksums)?, &[]).await?).await.map(|_| ())
    }
}

/// Every step once, those with a tag once for each.
fn listed(steps: &[OldStep], tags: &BTreeMap<String, String>) -> Value {
    let mut list = Vec::new();
    for step in steps {
        let before = list.len();
        list.extend(tags.iter().filter(|(_, id)| **id == step.id).map(|(tag, id)| json!({"id": id, "Tag": tag})));
        if list.len() == before {
            list.push(json!({"id": step.id}));
        }
    }
    Value::Array(list)
}

fn body(mut call: Call, document: &Value) -> Result<Call> {
    call.body = Body::whole(document.to_string());
    call.with(CONTENT_TYPE, JSON)
}

/// Writes a layer as it is, without compression, as registries of the time keep it.
fn write(images: &Images, step: &OldStep, feed: Feed, board: &Board) -> Result<Digest> {
    let gone = |source| Error::File { path: "the upload".into(), source };
    let mut hash = Sha256::new_with_prefix(&step.json);
    hash.update(b"\n");
    let id = short(&step.id);
    let length = step.layer.map(|chain| images.layer_length(&chain)).transpose()?;
    let tell = |done| board.count(&id, "Pushing", done, length);
    let mut out = Counting { out: Tail::new(feed, hash), done: 0, tell };
    match &step.layer {
        Some(chain) => images.export_layer(chain, &mut out)?,
        None => out.write_all(&EMPTY_LAYER).map_err(gone)?,
    }
    let (digest, _) = out.out.finish().map_err(gone)?;
    Ok(digest)
}
