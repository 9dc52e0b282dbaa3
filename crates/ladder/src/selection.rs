//! Which version a request is served at: its prefix, its Host header, the default, and what is too new or too old.

use crate::exchange::Response;
use crate::version::{NEWEST, OLDEST, Version};

/// The policy by which a daemon chooses a request's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What a request without a version is served at.
    pub default: Version,
    /// The oldest version that is served; older ones are refused.
    pub oldest: Version,
    /// Refuse versions newer than the newest, as Docker does, rather than serve them as the newest.
    pub strict: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { default: NEWEST, oldest: Version::new(0, 0), strict: false }
    }
}

impl Policy {
    /// The version for a request, or the refusal.
    ///
    /// `prefix` is the text after the `v` of the path, as [`Version::split_prefix`] gives it; `host` the Host header, into which the
    /// streaming calls of Docker's clients up to 1.2 wrote their version (`Host: v1.14`) while they left it out of the path.
    pub fn select(&self, prefix: Option<&str>, host: Option<&str>) -> Result<Version, Response> {
        let written = prefix.or_else(|| host?.strip_prefix('v'));
        let Some((version, text)) = written.and_then(|text| Some((Version::parse(text)?, text))) else {
            return Ok(self.default);
        };
        if version < self.oldest {
            return Err(refuse(TOO_OLD, version, text, self.oldest));
        }
        if version > NEWEST && self.strict {
            return Err(refuse(TOO_NEW, version, text, NEWEST));
        }
        Ok(version.clamp(OLDEST, NEWEST))
    }
}

/// How a version is refused: up to which client version, with which status and words (`{client}`, `{server}`).
struct Refusal {
    up_to: Version,
    status: u16,
    text: &'static str,
}

const FOREVER: Version = Version::new(u32::MAX, u32::MAX);

/// No client that is newer than we are is of an older time than today.
const TOO_NEW: &[Refusal] = &[Refusal {
    up_to: FOREVER,
    status: 400,
    text: "client version {client} is too new. Maximum supported API version is {server}",
}];

const TOO_OLD: &[Refusal] = &[
    Refusal {
        up_to: Version::new(1, 21),
        status: 400,
        text: "client is too old, minimum supported API version is {server}, please upgrade your client to a newer version",
    },
    Refusal {
        up_to: FOREVER,
        status: 400,
        text: "client version {client} is too old. Minimum supported API version is {server}, please upgrade your client to a newer version",
    },
];

/// The refusal in the words and the form of the client's time.
fn refuse(refusals: &[Refusal], client: Version, written: &str, server: Version) -> Response {
    let Some(refusal) = refusals.iter().find(|refusal| client <= refusal.up_to) else {
        return Response::empty(400);
    };
    let text = refusal.text.replace("{client}", written).replace("{server}", &server.to_string());
    crate::climb::error_for(client, Response::error(refusal.status, &text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Body;

    const STRICT: Policy = Policy {
        strict: true,
        oldest: Version::new(1, 24),
        ..Policy { default: NEWEST, oldest: OLDEST, strict: true }
    };

    #[test]
    fn prefix_then_host_then_default() {
        let policy = Policy { default: Version::new(1, 14), ..Policy::default() };
        assert_eq!(policy.select(Some("1.9"), Some("v1.3")).unwrap(), Version::new(1, 9));
        assert_eq!(policy.select(None, Some("v1.3")).unwrap(), Version::new(1, 3));
        for host in [None, Some(""), Some("/var/run/docker.sock"), Some("vagrant:2375"), Some("docker")] {
            assert_eq!(policy.select(None, host).unwrap(), Version::new(1, 14), "{host:?}");
        }
    }

    #[test]
    fn the_ends_of_the_ladder_serve_what_lies_beyond() {
        let policy = Policy::default();
        assert_eq!(policy.select(Some("9.9"), None).unwrap(), NEWEST);
        assert_eq!(policy.select(Some("."), None).unwrap(), OLDEST);
    }

    #[test]
    fn strict_refuses_in_the_words_of_the_time() {
        let refused = STRICT.select(Some("1.99"), None).unwrap_err();
        assert_eq!(
            (refused.status, refused.message()),
            (400, Some("client version 1.99 is too new. Maximum supported API version is 1.51"))
        );
        let refused = STRICT.select(Some("1.14"), None).unwrap_err();
        assert_eq!(refused.status, 400);
        assert_eq!(
            refused.body,
            Body::Text("client is too old, minimum supported API version is 1.24, please upgrade your client to a newer version\n".into())
        );
    }
}
