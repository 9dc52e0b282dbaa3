//! Headers that let web pages of other origins use the API, if the daemon is told to.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, HeaderMap, HeaderValue,
};

/// Allows pages of other origins (`--api-enable-cors`, `--api-cors-header`).
#[derive(Debug, Clone)]
pub struct Cors {
    origin: HeaderValue,
}

impl Cors {
    /// Allows pages of `origin`; `*` is all of them.
    ///
    /// # Errors
    /// The text cannot stand in a header.
    pub fn allow(origin: &str) -> Result<Self, http::header::InvalidHeaderValue> {
        Ok(Self { origin: HeaderValue::from_str(origin)? })
    }

    /// Adds the three headers, in the words of the version.
    pub(crate) fn add(&self, headers: &mut HeaderMap, traits: &ladder::Traits) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(traits.cors_headers));
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(traits.cors_methods));
    }
}
