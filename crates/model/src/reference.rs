//! Names of images: `[host[:port]/]path[:tag][@digest]`, after the grammar of the Docker distribution project.

use std::fmt;
use std::str::FromStr;

use crate::digest::{Digest, InvalidDigest};

/// The registry meant when a name has no host.
const DEFAULT_DOMAIN: &str = "docker.io";
/// An older name of the same registry.
const LEGACY_DOMAIN: &str = "index.docker.io";
/// The namespace meant when a name on the default registry has none.
const OFFICIAL: &str = "library";
/// The tag meant when a name has none.
const DEFAULT_TAG: &str = "latest";
/// Longest repository name (host included), in bytes.
const MAX_NAME: usize = 255;
/// Longest tag, in bytes.
const MAX_TAG: usize = 128;

/// A normalised image name: host and full path are always known, tag and digest may be absent.
///
/// `Display` prints the full form (`docker.io/library/busybox:latest`), [`Reference::familiar`] the one people type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is no image name, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// It does not follow the grammar.
    #[error("invalid reference format")]
    Format,
    /// The path has upper-case letters.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// The name is an image id.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    LooksLikeId(String),
    /// Host and path are too long.
    #[error("repository name must not be more than 255 characters")]
    TooLong,
    /// The digest is malformed.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
    /// The tag is malformed.
    #[error("invalid tag format")]
    Tag,
    /// A name with a digest cannot be given to an image; digests are computed.
    #[error("cannot import digest reference")]
    Digested,
}

impl Reference {
    /// Host of the registry, with its port if it has one: `docker.io`, `registry.example:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Path below the registry: `library/busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if the name has one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the name has one.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Full name without tag and digest: `docker.io/library/busybox`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The name as people type it, without tag and digest: `busybox`, `user/app`, `host:5000/app`. Read again it is the same.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        match self.path.split_once('/') {
            Some((OFFICIAL, rest)) if !rest.contains('/') => rest.to_owned(),
            // Without the default registry before it, it would be a host itself.
            Some((first, _)) if looks_like_host(first) => self.name(),
            _ => self.path.clone(),
        }
    }

    /// As people type it, with tag and digest as far as present: `busybox:latest`, `busybox@sha256:…`.
    pub fn familiar(&self) -> String {
        self.with_suffix(self.familiar_name())
    }

    /// The same name with `latest` if it has neither tag nor digest.
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// The same repository with this tag and no digest.
    ///
    /// # Errors
    /// [`InvalidReference::Tag`] if `tag` has characters a tag cannot have or is too long.
    pub fn with_tag(&self, tag: &str) -> Result<Self, InvalidReference> {
        if !is_tag(tag) {
            return Err(InvalidReference::Tag);
        }
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same repository with this digest and no tag.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The repository alone.
    pub fn without_tag(&self) -> Self {
        Self { tag: None, digest: None, ..self.clone() }
    }

    /// A name from the API's `repo` and `tag` parameters. `repo` may end in a tag, which `tag` overrides unless it is
    /// empty; without either it is `latest`.
    ///
    /// # Errors
    /// `repo` is malformed or has a digest, or `tag` is malformed.
    pub fn from_repository(repo: &str, tag: &str) -> Result<Self, InvalidReference> {
        let name: Self = repo.parse()?;
        if name.digest.is_some() {
            return Err(InvalidReference::Digested);
        }
        if tag.is_empty() { Ok(name.with_default_tag()) } else { name.with_tag(tag) }
    }

    /// As [`Reference::from_repository`], of any texts of which name and tag can be told apart again. Docker knew no
    /// grammar of names before API 1.15; such names live on with the images that have them.
    ///
    /// # Errors
    /// A part is empty, too long, or holds what separates parts.
    pub fn loose_repository(repo: &str, tag: &str) -> Result<Self, InvalidReference> {
        let name = Self::loose(repo)?;
        match tag {
            "" => Ok(name.with_default_tag()),
            tag if is_loose_tag(tag) => Ok(Self { tag: Some(tag.to_owned()), ..name }),
            _ => Err(InvalidReference::Tag),
        }
    }

    /// Reads a name that [`Reference::loose_repository`] may have made; one that fits the grammar as that wants it.
    ///
    /// # Errors
    /// As [`Reference::loose_repository`].
    pub fn loose(text: &str) -> Result<Self, InvalidReference> {
        if let Ok(reference) = text.parse() {
            return Ok(reference);
        }
        let (domain, remainder) = split_domain(text);
        let (path, tag) = match remainder.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (remainder.as_str(), None),
        };
        let parts_fit = path.split('/').all(|part| !part.is_empty() && is_loose(part));
        if !parts_fit || !is_loose(domain) || !tag.is_none_or(is_loose_tag) {
            return Err(InvalidReference::Format);
        }
        if domain.len() + 1 + path.len() > MAX_NAME {
            return Err(InvalidReference::TooLong);
        }
        Ok(Self { domain: domain.to_owned(), path: path.to_owned(), tag: tag.map(str::to_owned), digest: None })
    }

    fn with_suffix(&self, mut name: String) -> String {
        if let Some(tag) = &self.tag {
            name.push(':');
            name.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            name.push('@');
            name.push_str(&digest.to_string());
        }
        name
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_suffix(self.name()))
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(InvalidReference::LooksLikeId(text.to_owned()));
        }
        let (domain, remainder) = split_domain(text);
        // Before the grammar, so that an upper-case name is told so. Cut at the first colon only, as Docker does.
        let remote = remainder.split(':').next().unwrap_or_default();
        if remote.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(InvalidReference::Uppercase(remote.to_owned()));
        }
        let (rest, digest) = match remainder.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (remainder.as_str(), None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if !is_domain(domain) || !is_path(path) || !tag.is_none_or(is_tag) {
            return Err(InvalidReference::Format);
        }
        if domain.len() + 1 + path.len() > MAX_NAME {
            return Err(InvalidReference::TooLong);
        }
        let digest = digest.map(parse_digest).transpose()?;
        Ok(Self { domain: domain.to_owned(), path: path.to_owned(), tag: tag.map(str::to_owned), digest })
    }
}

crate::serde_as_text!(Reference);

/// Separates the registry's host. What stands before the first slash is a host only if it looks like one: it holds a
/// dot, a colon or an upper-case letter, or is `localhost`.
fn split_domain(text: &str) -> (&str, String) {
    let (domain, remainder) = match text.split_once('/') {
        Some((first, rest)) if looks_like_host(first) => (first, rest),
        _ => (DEFAULT_DOMAIN, text),
    };
    let domain = if domain == LEGACY_DOMAIN { DEFAULT_DOMAIN } else { domain };
    if domain == DEFAULT_DOMAIN && !remainder.contains('/') {
        return (domain, format!("{OFFICIAL}/{remainder}"));
    }
    (domain, remainder.to_owned())
}

fn looks_like_host(text: &str) -> bool {
    text == "localhost" || text.contains(['.', ':']) || text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Digests in names may be of any length in the grammar but are then verified.
fn parse_digest(text: &str) -> Result<Digest, InvalidReference> {
    let hex = text.split_once(':').map(|(_, hex)| hex).unwrap_or_default();
    if hex.len() < 32 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(InvalidReference::Format);
    }
    Ok(text.parse()?)
}

/// `host`, `host.example`, `127.0.0.1`, `[2001:db8::1]`, each with an optional port.
fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, rest)) => {
            let address = !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
            if !address || !(rest.is_empty() || rest.starts_with(':')) {
                return false;
            }
            ("", rest.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let host_fits = text.starts_with('[') || host.split('.').all(is_domain_component);
    host_fits && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_domain_component(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_path(text: &str) -> bool {
    text.split('/').all(is_path_component)
}

/// Lower-case letters and digits, in between single separators: `.`, `_`, `__` or any number of `-`.
fn is_path_component(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !word(*first) || !word(*last) {
        return false;
    }
    bytes.split(|byte| word(*byte)).all(|separator| match separator {
        b"" | b"." | b"_" | b"__" => true,
        dashes => dashes.iter().all(|byte| *byte == b'-'),
    })
}

/// `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_loose(text: &str) -> bool {
    !text.contains('@') && !text.contains(char::is_control)
}

fn is_loose_tag(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TAG && !text.contains(['/', ':']) && is_loose(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn normalises() {
        for (text, full, familiar) in [
            ("busybox", "docker.io/library/busybox", "busybox"),
            ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
            ("library/busybox", "docker.io/library/busybox", "busybox"),
            ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
            ("docker.io/user.name/app", "docker.io/user.name/app", "docker.io/user.name/app"),
            ("index.docker.io/a/b", "docker.io/a/b", "a/b"),
            ("library/a/b", "docker.io/library/a/b", "library/a/b"),
            ("localhost/app", "localhost/app", "localhost/app"),
            ("host:5000/team/app:v1", "host:5000/team/app:v1", "host:5000/team/app:v1"),
            ("[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app"),
            ("x/a__b--c.d/e_f", "docker.io/x/a__b--c.d/e_f", "x/a__b--c.d/e_f"),
        ] {
            let reference: Reference = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(reference.to_string(), full);
            assert_eq!(reference.familiar(), familiar);
        }
    }

    #[test]
    fn digests() {
        let reference: Reference = format!("busybox:1@sha256:{HEX}").parse().unwrap();
        assert_eq!(reference.tag(), Some("1"));
        assert_eq!(reference.digest().unwrap().hex(), HEX);
        assert_eq!(reference.familiar(), format!("busybox:1@sha256:{HEX}"));
        assert_eq!("busybox@sha256:00".parse::<Reference>(), Err(InvalidReference::Format));
        assert_eq!(
            format!("busybox@sha512:{HEX}").parse::<Reference>(),
            Err(InvalidReference::Digest(InvalidDigest::Algorithm))
        );
    }

    #[test]
    fn refuses_in_dockers_words() {
        let error = |text: &str| text.parse::<Reference>().unwrap_err().to_string();
        assert_eq!(error("Foo"), "invalid reference format: repository name (library/Foo) must be lowercase");
        assert_eq!(error("host.x/Foo:T"), "invalid reference format: repository name (Foo) must be lowercase");
        for bad in ["", "a//b", "/a", "a/", "a:", "a:-x", "a..b", "a___b", "-a", "a@", "a:b:c", "a b", "é", "h.x:p/a"]
        {
            assert_eq!(error(bad), "invalid reference format", "{bad}");
        }
        assert!(error(HEX).contains("cannot specify 64-byte hexadecimal strings"));
        assert_eq!(error(&"a".repeat(300)), "repository name must not be more than 255 characters");
        assert_eq!(Reference::from_repository("a", "b c"), Err(InvalidReference::Tag));
        assert_eq!(Reference::from_repository("a", "").unwrap().familiar(), "a:latest");
        assert_eq!(Reference::from_repository("a:b", "c").unwrap().familiar(), "a:c");
        assert_eq!(Reference::from_repository("a:b", "").unwrap().familiar(), "a:b");
        assert_eq!(Reference::from_repository(&format!("a@sha256:{HEX}"), ""), Err(InvalidReference::Digested));
    }

    #[test]
    fn loose_names_are_read_again() {
        for (repo, tag, familiar) in [
            ("Bad_Upper", "v1", "Bad_Upper:v1"),
            ("a", "b c", "a:b c"),
            ("a:x", "", "a:x"),
            ("Host/Team/_app", "", "Host/Team/_app:latest"),
        ] {
            let name = Reference::loose_repository(repo, tag).unwrap();
            assert_eq!(name.familiar(), familiar);
            assert_eq!(Reference::loose(&name.familiar()), Ok(name.clone()));
            assert_eq!(Reference::loose(&name.to_string()), Ok(name));
        }
        for (repo, tag) in [("", "a"), ("a//B", ""), ("A@b", ""), ("A", "b:c"), ("A", "b/c"), ("A\n", "")] {
            assert!(Reference::loose_repository(repo, tag).is_err(), "{repo} {tag}");
        }
    }

    proptest! {
        #[test]
        fn loose_round_trip(text in "[A-Za-z0-9_./: -]{1,30}") {
            if let Ok(reference) = Reference::loose(&text) {
                prop_assert_eq!(Reference::loose(&reference.to_string()), Ok(reference));
            }
        }

        #[test]
        fn round_trip(
            text in "([a-z]{1,5}\\.[a-z]{2,3}(:[0-9]{1,4})?/)?[a-z0-9]{1,6}([._-][a-z0-9]{1,5}){0,2}(/[a-z]{1,4}){0,2}(:[A-Za-z0-9_.]{1,9})?"
        ) {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string().parse::<Reference>(), Ok(reference.clone()));
                prop_assert_eq!(reference.familiar().parse::<Reference>(), Ok(reference));
            }
        }

        #[test]
        fn never_panics(text in ".{0,80}") {
            let _ = text.parse::<Reference>();
        }
    }
}
