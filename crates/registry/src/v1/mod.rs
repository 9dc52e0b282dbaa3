//! Registries of before 2015: an index that knows repositories and gives tokens, and registries that have the layers.
//!
//! Layers have no digests here but ids of chance, so a registry is believed; all the same a line of layers must be one, and what
//! a registry says of a layer's digest must be true. Only registries that positively do not speak the second protocol are
//! asked, never the default one, and over plain HTTP only those that need no TLS anyway.

mod login;
mod pull;
mod push;
mod repository;

use http::header::HeaderName;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::http::Answer;
use crate::session::{Protocol, Session};

pub(crate) use login::log_in;
pub(crate) use pull::Pulling;
pub(crate) use push::Pushing;

/// Largest list that is read: of images, of tags, of ancestors.
const LIST_BYTES: usize = 8 << 20;
/// Largest document of a layer.
const DOCUMENT_BYTES: usize = 1 << 20;
const STANDALONE: HeaderName = HeaderName::from_static("x-docker-registry-standalone");
const TOKEN: HeaderName = HeaderName::from_static("x-docker-token");
const ENDPOINTS: HeaderName = HeaderName::from_static("x-docker-endpoints");
const CHECKSUM: HeaderName = HeaderName::from_static("x-docker-checksum");
const CHECKSUM_PAYLOAD: HeaderName = HeaderName::from_static("x-docker-checksum-payload");

#[derive(Default, Deserialize)]
struct Pong {
    #[serde(default)]
    standalone: Option<bool>,
}

impl Session {
    /// Address of something beneath the root of the first protocol.
    fn old_url(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.base())
    }
}

/// Whether a registry speaks the first protocol; `None`: it does not.
pub(crate) async fn knock(session: &Session) -> Option<Protocol> {
    let url = session.old_url("_ping");
    let mut answer = session.get(Method::GET, &url, &[], &HeaderMap::new()).await.ok()?;
    if !answer.status.is_success() {
        return None;
    }
    let standalone = match answer.header(STANDALONE).to_ascii_lowercase().as_str() {
        "" => {
            let document = answer.document(DOCUMENT_BYTES).await.ok()?;
            // Most answer `true`, which says nothing.
            serde_json::from_slice::<Pong>(&document).ok().and_then(|pong| pong.standalone).unwrap_or(true)
        }
        said => said == "true" || said == "1",
    };
    Some(Protocol::V1 { standalone })
}

/// Reads a JSON document of an answer.
async fn read<T: DeserializeOwned>(answer: &mut Answer, what: &str, limit_bytes: usize) -> Result<T> {
    let document = answer.document(limit_bytes).await?;
    serde_json::from_slice(&document).map_err(|error| answer.nonsense(format!("{what}: {error}")))
}
