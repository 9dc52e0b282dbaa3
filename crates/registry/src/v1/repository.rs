//! A repository: what the index says of it, and where its layers are.

use std::collections::HashMap;

use http::header::HeaderValue;
use http::{HeaderMap, Method};
use model::Digest;
use serde::Deserialize;

use super::{ENDPOINTS, LIST_BYTES, TOKEN, read};
use crate::auth::Challenge;
use crate::http::Answer;
use crate::session::{Protocol, Session, succeeded};
use crate::{Error, Registries, Result};

/// Most addresses that an index may name.
const MAX_ENDPOINTS: usize = 8;

/// An image in the index's list.
#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    id: String,
    #[serde(default)]
    checksum: Option<String>,
}

/// A repository that the index let us at.
pub(super) struct Repository {
    /// Where its layers are, to be tried one after the other.
    pub(super) endpoints: Vec<Session>,
    /// Digests of layers that the index knows.
    pub(super) checksums: HashMap<String, Digest>,
}

/// The digest in a checksum of the form `sha256:…`; others are sums of the files in the archive.
pub(super) fn checksum(text: &str) -> Option<Digest> {
    text.parse().ok()
}

/// The header by which a token is asked for.
pub(super) fn asking_for_token() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(TOKEN, HeaderValue::from_static("true"));
    headers
}

impl Repository {
    /// Asks the index for a repository.
    pub(super) async fn open(registries: &Registries, index: &Session, path: &str) -> Result<Self> {
        let url = index.old_url(&format!("repositories/{path}/images"));
        let mut answer = succeeded(index.get(Method::GET, &url, &[], &asking_for_token()).await?).await?;
        let listed: Vec<Listed> = read(&mut answer, "a list of images", LIST_BYTES).await?;
        let digest = |one: Listed| Some((one.id, checksum(&one.checksum?)?));
        let checksums = listed.into_iter().filter_map(digest).collect();
        let mut endpoints = endpoints(registries, index, &answer).await?;
        if endpoints.is_empty() {
            endpoints.push(admitted(index, index, token(&answer)));
        }
        Ok(Self { endpoints, checksums })
    }
}

/// The token of an answer, perhaps in several parts.
pub(super) fn token(answer: &Answer) -> Option<String> {
    let parts: Vec<&str> = answer.headers.get_all(TOKEN).iter().filter_map(|part| part.to_str().ok()).collect();
    Some(parts.join(",")).filter(|token| !token.is_empty())
}

/// The addresses that an index names. Those that may not be spoken to over the index's scheme are passed over.
pub(super) async fn endpoints(registries: &Registries, index: &Session, answer: &Answer) -> Result<Vec<Session>> {
    let (token, mut found) = (token(answer), Vec::new());
    let hosts = answer.headers.get_all(ENDPOINTS).iter().filter_map(|hosts| hosts.to_str().ok());
    for host in hosts.flat_map(|hosts| hosts.split(',')).map(str::trim).filter(|host| !host.is_empty()) {
        if found.len() == MAX_ENDPOINTS {
            break;
        }
        if index.base().split_once("://").is_some_and(|(_, own)| own == host) {
            found.push(admitted(index, index, token.clone()));
            continue;
        }
        if host.parse::<http::uri::Authority>().is_err() || host.contains('@') {
            return Err(answer.nonsense("the index names an address that makes no sense".to_owned()));
        }
        let ways = registries.terms().settings.endpoints(host, false).await;
        let Some(way) = ways.into_iter().find(|way| way.secure == index.client.is_secure()) else { continue };
        let client = registries.clients.client(&way, index.client.meta())?;
        let challenge = token.clone().map_or(Challenge::None, Challenge::Token);
        found.push(index.with_token(client, way.base(), challenge));
    }
    Ok(found)
}

/// The registry at the index's own address: one that stands alone wants name and secret, others the token.
fn admitted(index: &Session, place: &Session, token: Option<String>) -> Session {
    let alone = matches!(index.protocol, Protocol::V1 { standalone: true });
    let challenge = match token {
        _ if alone && index.has_pair() && index.client.may_carry_secrets() => Challenge::Basic,
        Some(token) => Challenge::Token(token),
        None => Challenge::None,
    };
    index.with_token(place.client.clone(), place.base().to_owned(), challenge)
}

/// Whether a text can be an id of a layer.
pub(super) fn check_id(id: &str) -> Result<()> {
    if id.len() == 64 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(Error::Document { what: "id of an image", reason: format!("{id:.80?} is not 64 hexadecimal digits") })
}
