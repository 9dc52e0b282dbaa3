//! Addresses of git repositories.

use percent_encoding::percent_decode_str;

use crate::{Error, Result};

/// Prefixes of addresses that can only be repositories.
const SCHEMES: [&str; 3] = ["git://", "ssh://", "git@"];
const BRANCHES: &str = "refs/heads/";
const TAGS: &str = "refs/tags/";

/// A repository at an address, with what of it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its address.
    pub url: String,
    /// Branch, tag or commit; empty: what the repository itself has checked out.
    pub reference: String,
    /// The folder that is wanted; empty: all.
    pub folder: String,
    /// What the commit's digits begin with; empty: any.
    pub checksum: String,
    /// Its history is wanted too.
    pub keep_git_dir: bool,
    /// What it holds of other repositories is wanted too.
    pub submodules: bool,
}

impl Repository {
    /// Understands `git://…`, `git@host:path`, `ssh://…`, `github.com/…` and `http(s)://….git`, each perhaps with
    /// `#reference:folder` or with `?ref=…&branch=…&tag=…&subdir=…&checksum=…&keep-git-dir=…&submodules=…`, as BuildKit
    /// does; `None` for anything else.
    ///
    /// # Errors
    /// The two forms contradict each other, or there is something else in the second.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let (address, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (url, query) = address.split_once('?').unwrap_or((address, ""));
        let by_scheme = SCHEMES.iter().any(|scheme| url.starts_with(scheme));
        let by_name = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) && url.ends_with(".git");
        let url = match url.strip_prefix("github.com/") {
            Some(path) => format!("https://github.com/{path}"),
            None if by_scheme || by_name => url.to_owned(),
            None => return Ok(None),
        };
        let (reference, folder) = fragment.split_once(':').unwrap_or((fragment, ""));
        let mut repository = Self {
            url,
            reference: reference.to_owned(),
            folder: folder.to_owned(),
            checksum: String::new(),
            keep_git_dir: false,
            submodules: true,
        };
        for field in query.split('&').filter(|field| !field.is_empty()) {
            repository
                .field(field)
                .map_err(|reason| Error::Invalid(format!("invalid git address {text}: {reason}")))?;
        }
        if repository.reference.is_empty() {
            repository.reference.clone_from(&repository.checksum);
        }
        Ok(Some(repository))
    }

    fn field(&mut self, field: &str) -> Result<(), String> {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        let decoded = percent_decode_str(value).decode_utf8().map_err(|_| format!("{name} is no text"))?;
        let value = decoded.into_owned();
        let full = |prefix: &str| if value.starts_with(prefix) { value.clone() } else { format!("{prefix}{value}") };
        match name {
            "keep-git-dir" => self.keep_git_dir = truth(name, &value)?,
            "submodules" => self.submodules = truth(name, &value)?,
            _ if value.is_empty() => return Err(format!("{name} has no value")),
            "ref" => settle(&mut self.reference, name, value)?,
            "branch" => settle(&mut self.reference, name, full(BRANCHES))?,
            "tag" => settle(&mut self.reference, name, full(TAGS))?,
            "subdir" => settle(&mut self.folder, name, value)?,
            "checksum" | "commit" => settle(&mut self.checksum, name, value)?,
            _ => {
                return Err(format!(
                    "{name:?} is not known; expected ref, branch, tag, subdir, checksum, keep-git-dir or submodules"
                ));
            }
        }
        Ok(())
    }

    /// Demands a commit, beside what the address itself demands.
    ///
    /// # Errors
    /// It demands another one.
    pub(crate) fn demand(&mut self, checksum: &str) -> Result<()> {
        match checksum.is_empty() {
            true => Ok(()),
            false => settle(&mut self.checksum, "checksum", checksum.to_owned())
                .map_err(|reason| Error::Invalid(format!("{}: {reason}", self.url))),
        }
    }

    /// Whether it is reached by way of SSH.
    pub(crate) fn is_ssh(&self) -> bool {
        self.url.starts_with("ssh://") || self.url.starts_with("git@")
    }

    /// The reference's name in a clone of all branches.
    pub(crate) fn branch(&self) -> &str {
        self.reference.strip_prefix(BRANCHES).unwrap_or(&self.reference)
    }
}

/// Sets what may have been said before, but not otherwise.
fn settle(place: &mut String, name: &str, value: String) -> Result<(), String> {
    if !place.is_empty() && *place != value {
        return Err(format!("{name} {value:?} contradicts {place:?}"));
    }
    *place = value;
    Ok(())
}

fn truth(name: &str, value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "" | "1" | "t" | "true" => Ok(true),
        "0" | "f" | "false" => Ok(false),
        other => Err(format!("{name} is true or false, not {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Option<Repository> {
        Repository::parse(text).unwrap()
    }

    #[test]
    fn addresses() {
        let parts =
            |text: &str| parsed(text).map(|repository| (repository.url, repository.reference, repository.folder));
        let some = |url: &str, reference: &str, folder: &str| Some((url.into(), reference.into(), folder.into()));
        assert_eq!(parts("git://h/r"), some("git://h/r", "", ""));
        assert_eq!(parts("https://h/r.git#v1:a/b"), some("https://h/r.git", "v1", "a/b"));
        assert_eq!(parts("https://h/r.git#:a"), some("https://h/r.git", "", "a"));
        assert_eq!(parts("git@h:r.git#x"), some("git@h:r.git", "x", ""));
        assert_eq!(parts("github.com/a/b"), some("https://github.com/a/b", "", ""));
        assert_eq!(parts("https://h/r.git?ref=v1&subdir=a%2fb"), some("https://h/r.git", "v1", "a/b"));
        assert_eq!(parts("https://h/r.git?branch=x"), some("https://h/r.git", "refs/heads/x", ""));
        assert_eq!(parts("ssh://git@h/r?tag=refs/tags/v1"), some("ssh://git@h/r", "refs/tags/v1", ""));
        assert_eq!(parts("github.com/a/b?ref=x#x:d"), some("https://github.com/a/b", "x", "d"));
        for other in ["https://h/r", "http://h/r.git.tar", "file:///r.git", "/r.git", "ext::sh", "https://h/f?x=r.git"]
        {
            assert_eq!(parts(other), None, "{other}");
        }
    }

    #[test]
    fn other_wishes() {
        let wish = parsed("https://h/r.git?checksum=abc&keep-git-dir=1&submodules=false").unwrap();
        assert_eq!((&*wish.checksum, &*wish.reference), ("abc", "abc"));
        assert!(wish.keep_git_dir && !wish.submodules);
        let plain = parsed("https://h/r.git?ref=x&commit=abc").unwrap();
        assert_eq!((&*plain.checksum, &*plain.reference), ("abc", "x"));
        assert!(!plain.keep_git_dir && plain.submodules && parsed("git://h/r?keep-git-dir").unwrap().keep_git_dir);
    }

    #[test]
    fn contradictions() {
        for (text, words) in [
            ("https://h/r.git?ref=a#b", "ref \"a\" contradicts \"b\""),
            ("https://h/r.git?ref=a&branch=a", "contradicts"),
            ("https://h/r.git?subdir=a#x:b", "subdir \"a\" contradicts \"b\""),
            ("https://h/r.git?ref=", "ref has no value"),
            ("https://h/r.git?token=x", "\"token\" is not known; expected ref, branch"),
            ("https://h/r.git?keep-git-dir=2", "is true or false"),
            ("https://h/r.git?ref=%ff", "is no text"),
        ] {
            let error = Repository::parse(text).expect_err("it contradicts itself").to_string();
            assert!(error.starts_with(&format!("invalid git address {text}: ")) && error.contains(words), "{error}");
        }
        let mut demanding = parsed("https://h/r.git?checksum=abc").unwrap();
        assert!(demanding.demand("abd").is_err() && demanding.demand("abc").is_ok() && demanding.demand("").is_ok());
    }

    proptest! {
        #[test]
        fn never_panics(text in "(git@|https://|github.com/)[a-z?#&=%.:/-]{0,20}(\\.git)?[a-z?#&=%:é]{0,20}") {
            let _ = Repository::parse(&text);
        }
    }
}
