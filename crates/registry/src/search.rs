//! Searching for images. The protocol has no search; what there is stems from the first version of registries.

use http::{HeaderMap, Method};
use model::Reference;
use serde::{Deserialize, Deserializer};

use crate::auth::form;
use crate::registries::Access;
use crate::session::succeeded;
use crate::settings::{Endpoint, HUB};
use crate::{Credentials, Error, Registries, Result};

/// Where the default registry is searched.
const INDEX: &str = "index.docker.io";
const RESULTS_BYTES: usize = 4 << 20;
/// As many as Docker asks for if the client does not say, and at most.
const USUAL: u32 = 25;
const MOST: u32 = 100;

/// What to look for.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Words, perhaps after a registry's host: `host:5000/words`.
    pub term: String,
    /// How many at most.
    pub limit: Option<u32>,
    /// The client's.
    pub credentials: Credentials,
}

/// One that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SearchResult {
    /// Name of the repository.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// In its owner's words.
    #[serde(deserialize_with = "or_default")]
    pub description: String,
    /// How many like it.
    #[serde(deserialize_with = "or_default")]
    pub star_count: i64,
    /// Kept by the registry's owner.
    #[serde(deserialize_with = "or_default")]
    pub is_official: bool,
    /// Built by the registry.
    #[serde(alias = "is_trusted", deserialize_with = "or_default")]
    pub is_automated: bool,
}

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[derive(Deserialize)]
struct Results {
    #[serde(default)]
    results: Option<Vec<serde_json::Map<String, serde_json::Value>>>,
}

impl Registries {
    /// Searches a registry; most liked first.
    ///
    /// # Errors
    /// The words make no name; the registry does not answer, or cannot search.
    pub async fn search(&self, search: &Search) -> Result<Vec<SearchResult>> {
        let limit = search.limit.filter(|limit| *limit > 0).unwrap_or(USUAL);
        if limit > MOST {
            return Err(Error::Invalid(format!("limit {limit} is outside the range of [1, {MOST}]")));
        }
        let (domain, words) = split(&search.term)?;
        let access = Access::default();
        let mut failed = None;
        let settings = &self.terms().settings;
        let endpoints = match domain.as_str() {
            HUB if settings.default_registry().is_none() => vec![Endpoint {
                secure: true,
                authority: INDEX.to_owned(),
                prefix: String::new(),
                mirror: false,
                lenient: false,
                legacy: true,
            }],
            _ => settings.endpoints(&domain, false).await,
        };
        for endpoint in endpoints {
            match self.search_at(&endpoint, &access, &words, limit, &search.credentials).await {
                Err(error) if error.is_connection() => failed = Some(error),
                outcome => return outcome,
            }
        }
        Err(failed.unwrap_or_else(|| Error::Invalid(format!("no registry answers for {domain}"))))
    }

    async fn search_at(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        words: &str,
        limit: u32,
        credentials: &Credentials,
    ) -> Result<Vec<SearchResult>> {
        let client = self.clients.client(endpoint, &access.meta)?;
        let url = format!("{}/v1/search?{}", endpoint.base(), form(&[("q", words), ("n", &limit.to_string())]));
        let mut headers = HeaderMap::new();
        if let Some(pair) = credentials.pair().filter(|_| endpoint.secure) {
            let malformed = |_| Error::Invalid("malformed credentials".to_owned());
            let value = crate::credentials::basic(&pair).parse().map_err(malformed)?;
            headers.insert(http::header::AUTHORIZATION, value);
        }
        if endpoint.authority != INDEX {
            // Whether anything answers there at all.
            client.follow(Method::GET, format!("{}/v1/_ping", endpoint.base()), HeaderMap::new()).await?;
        }
        let mut answer = succeeded(client.follow(Method::GET, url, headers).await?).await?;
        let document = answer.document(RESULTS_BYTES).await?;
        let nonsense = |error: serde_json::Error| answer.nonsense(format!("results of a search: {error}"));
        let found: Results = serde_json::from_slice(&document).map_err(nonsense)?;
        let mut results = Vec::new();
        for mut one in found.results.unwrap_or_default() {
            // Some registries say both, which would count as saying it twice.
            if one.contains_key("is_automated") {
                one.remove("is_trusted");
            }
            results.push(serde_json::from_value::<SearchResult>(one.into()).map_err(nonsense)?);
        }
        results.sort_by_key(|one| std::cmp::Reverse(one.star_count));
        Ok(results)
    }
}

/// The registry, and the words to look for there.
fn split(term: &str) -> Result<(String, String)> {
    if term.contains("://") {
        let reason = format!("invalid repository name: repository name ({term}) should not have a scheme");
        return Err(Error::Invalid(reason));
    }
    match term.split_once('/') {
        Some((host, words)) if host.contains(['.', ':']) || host == "localhost" => {
            // Only to see whether it can be a host.
            let named: Reference = format!("{host}/x").parse()?;
            Ok((named.domain().to_owned(), words.to_owned()))
        }
        _ => Ok((HUB.to_owned(), term.strip_prefix("library/").unwrap_or(term).to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms() {
        assert_eq!(split("host:5000/foo").unwrap(), ("host:5000".to_owned(), "foo".to_owned()));
        assert_eq!(split("foo/bar").unwrap(), (HUB.to_owned(), "foo/bar".to_owned()));
        assert_eq!(split("library/foo").unwrap().1, "foo");
        assert!(split("http://x/foo").is_err() && split("a b:1/x").is_err());
    }
}
