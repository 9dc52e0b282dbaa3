//! Images that come from registries and go to them.

use std::io::Write;
use std::sync::Arc;

use ::registry::{Following, Message, Pull, Push, Search};
use api::image::{Distribution, Progress, ProgressDetail, SearchResult};
use api::system::{AuthConfig, AuthResponse};
use model::{Digest, ErrorKind, ImageId, InvalidPlatform, Platform, Reference};

use crate::engine::Engine;
use crate::options::{ImportOptions, SearchOptions, TransferOptions};
use crate::stream::{ByteSender, ByteStream, byte_stream, produce};
use crate::{Credentials, Error, Result};

/// Columns of a bar.
const COLUMNS: u64 = 50;

pub(crate) fn refused(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::invalid(error.to_string()).caused_by(error)
}

/// A name as the API's two parameters give it.
fn named(options: &TransferOptions) -> Result<Reference> {
    let reference: Reference = options.name.trim().parse().map_err(refused)?;
    match options.tag.as_str() {
        "" => Ok(reference),
        digest if digest.contains(':') => Ok(reference.with_digest(digest.parse::<Digest>().map_err(refused)?)),
        tag => reference.with_tag(tag).map_err(refused),
    }
}

/// A pull or push that wants other credentials has failed (500), as Docker has it: the `docker` program takes 401 as an
/// invitation to ask for them.
fn refusal(error: Arc<::registry::Error>) -> Error {
    match Error::from(error) {
        error if error.kind() == ErrorKind::Unauthorized => Error::system(error.message().to_owned()).caused_by(error),
        error => error,
    }
}

impl Engine {
    /// Pulls an image; JSON messages, a line each. A refusal before the first of them is an error.
    pub(crate) async fn pull_image(self: &Arc<Self>, options: TransferOptions) -> Result<ByteStream> {
        let following = self.begin_pull(options)?;
        self.follow(following, "pull").await
    }

    fn begin_pull(&self, options: TransferOptions) -> Result<Following> {
        let reference = named(&options)?;
        let all_tags = reference.tag().is_none() && reference.digest().is_none();
        let platform = match options.platform.as_str() {
            "" => None,
            named => Some(named.parse().map_err(|error: InvalidPlatform| Error::invalid(error.to_string()))?),
        };
        let TransferOptions { credentials, meta, .. } = options;
        Ok(self.registries.pull(Pull { all_tags, platform, credentials, meta, ..Pull::of(reference) }))
    }

    /// Pulls what a build needs. Dropped before its end, it is given up.
    pub(crate) async fn pull_for_build(&self, pull: Pull, told: &mut dyn FnMut(serde_json::Value)) -> Result<ImageId> {
        let mut following = self.registries.pull(pull);
        while let Some(message) = following.next().await {
            // It waits for the build's client.
            tokio::task::block_in_place(|| told(serde_json::to_value(shown(message)).unwrap_or_default()));
        }
        let transferred = following.outcome().await?;
        let image = transferred.first().map(|one| one.image);
        self.told(transferred, "pull");
        image.ok_or_else(|| Error::system("the registry gave no image"))
    }

    /// Pushes an image or all tags of a repository, as [`Engine::pull_image`] pulls.
    pub(crate) async fn push_image(self: &Arc<Self>, options: TransferOptions) -> Result<ByteStream> {
        let reference = named(&options)?;
        let TransferOptions { credentials, meta, endpoint_first, .. } = options;
        let following = self.registries.push(Push { reference, credentials, meta, endpoint_first })?;
        self.follow(following, "push").await
    }

    async fn follow(self: &Arc<Self>, mut following: Following, action: &'static str) -> Result<ByteStream> {
        let first = following.next().await;
        let (sender, stream) = byte_stream();
        let Some(first) = first else {
            self.told(following.outcome().await.map_err(refusal)?, action);
            return Ok(stream);
        };
        let engine = Arc::clone(self);
        tokio::spawn(async move { engine.relay(first, following, &sender, action).await });
        Ok(stream)
    }

    /// Carries messages to a client; one that leaves is not interested any more.
    async fn relay(&self, first: Message, mut following: Following, sender: &ByteSender, action: &str) {
        let mut next = Some(first);
        while let Some(message) = next {
            if !sender.send(line(message)).await {
                return;
            }
            next = tokio::select! {
                next = following.next() => next,
                () = sender.closed() => return,
            };
        }
        match following.outcome().await {
            Ok(transferred) => self.told(transferred, action),
            Err(error) => sender.fail(error.into()).await,
        }
    }

    /// Tells the world which images came or went.
    fn told(&self, transferred: Vec<::registry::Transferred>, action: &str) {
        let snapshot = self.images.snapshot();
        for one in transferred {
            let labels = snapshot.get(&one.image).map(|image| image.labels().clone()).unwrap_or_default();
            let name = one.reference.familiar_name();
            let labels = labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            self.tell("image", action, &one.reference.familiar(), labels.chain([("name", name.as_str())]));
        }
    }

    /// Makes an image of an archive at an address.
    pub(crate) async fn import_address(
        self: &Arc<Self>,
        mut options: ImportOptions,
        address: &str,
    ) -> Result<ByteStream> {
        let remote = self.registries.open_address(address).await?;
        if options.message.is_empty() {
            options.message = format!("Imported from {address}");
        }
        let (engine, address) = (Arc::clone(self), address.to_owned());
        Ok(produce(move |out| {
            let status = |status: String| line(Message { status, ..Message::default() });
            let left = |error: std::io::Error| Error::system("the client left").caused_by(error);
            out.write_all(&status(format!("Downloading from {address}"))).and_then(|()| out.flush()).map_err(left)?;
            let id = engine.import_image(&options, remote)?;
            out.write_all(&status(id)).map_err(left)
        }))
    }

    pub(crate) async fn log_in(&self, config: AuthConfig) -> Result<AuthResponse> {
        let credentials = Credentials {
            username: config.username,
            password: config.password,
            auth: config.auth,
            email: config.email,
            serveraddress: config.serveraddress,
            identitytoken: config.identitytoken,
            registrytoken: config.registrytoken,
        };
        let login = self.registries.login(&credentials).await?;
        Ok(AuthResponse { status: login.status, identity_token: login.identity_token })
    }

    pub(crate) async fn look_up(&self, name: &str, credentials: &Credentials) -> Result<Distribution> {
        let reference: Reference = name.parse().map_err(refused)?;
        let found = self.registries.distribution(&reference.with_default_tag(), credentials).await?;
        let platform = |one: Platform| api::Platform {
            architecture: one.architecture,
            os: one.os,
            variant: Some(one.variant).filter(|variant| !variant.is_empty()),
        };
        Ok(Distribution {
            descriptor: api::Descriptor {
                media_type: found.descriptor.media_type,
                digest: found.descriptor.digest.to_string(),
                size: i64::try_from(found.descriptor.size_bytes).unwrap_or(i64::MAX),
                ..api::Descriptor::default()
            },
            platforms: found.platforms.into_iter().map(platform).collect(),
        })
    }

    pub(crate) async fn search_images(&self, options: SearchOptions) -> Result<Vec<SearchResult>> {
        let filters = &options.filters;
        filters.only(&["is-automated", "is-official", "stars"])?;
        let (official, automated) = (filters.flag("is-official")?, filters.flag("is-automated")?);
        let stars = match filters.values("stars").first() {
            None => 0,
            Some(text) => text.parse::<i64>().map_err(|_| Error::invalid(format!("invalid filter 'stars={text}'")))?,
        };
        let limit = match u32::try_from(options.limit) {
            Ok(0) => None,
            Ok(limit) => Some(limit),
            Err(_) => return Err(Error::invalid(format!("Limit {} is outside the range of [1, 100]", options.limit))),
        };
        let search = Search { term: options.term, limit, credentials: options.credentials };
        let wanted = |one: &::registry::SearchResult| {
            official.is_none_or(|wanted| wanted == one.is_official)
                && automated.is_none_or(|wanted| wanted == one.is_automated)
                && one.star_count >= stars
        };
        let found = self.registries.search(&search).await?.into_iter().filter(wanted);
        let shown = found.map(|one| SearchResult {
            star_count: one.star_count,
            is_official: one.is_official,
            name: one.name,
            is_automated: one.is_automated,
            description: one.description,
        });
        Ok(shown.collect())
    }
}

/// A message as the API has it, a line.
fn line(message: Message) -> Vec<u8> {
    let mut line = serde_json::to_vec(&shown(message)).unwrap_or_default();
    line.extend_from_slice(b"\r\n");
    line
}

/// A message as the API has it.
fn shown(message: Message) -> Progress {
    let (detail, drawn) = match message.progress {
        Some((done, total)) => {
            let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
            let detail = ProgressDetail { current: signed(done), total: total.map_or(0, signed) };
            (Some(detail), bar(done, total))
        }
        None => (message.is_progress.then(ProgressDetail::default), String::new()),
    };
    Progress {
        status: message.status,
        progress_detail: detail,
        progress: drawn,
        id: message.id,
        aux: message.aux,
        ..Progress::default()
    }
}

/// How far something is, drawn: `[====>    ]  1.2MB/3.4MB`.
fn bar(done: u64, total: Option<u64>) -> String {
    let size = model::units::human_size;
    let Some(total) = total.filter(|total| *total > 0 && done <= *total) else { return format!("{:>8}", size(done)) };
    let filled = u64::try_from(u128::from(done) * u128::from(COLUMNS) / u128::from(total)).unwrap_or(COLUMNS);
    let drawn: String = (0..COLUMNS)
        .map(|column| {
            if column < filled {
                '='
            } else if column == filled {
                '>'
            } else {
                ' '
            }
        })
        .collect();
    let tip = if filled == COLUMNS { ">" } else { "" };
    format!("[{drawn}{tip}] {:>8}/{}", size(done), size(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars() {
        assert_eq!(bar(0, Some(1000)), format!("[>{}]       0B/1kB", " ".repeat(49)));
        assert_eq!(bar(500, Some(1000)), format!("[{}>{}]     500B/1kB", "=".repeat(25), " ".repeat(24)));
        assert_eq!(bar(1000, Some(1000)), format!("[{}>]      1kB/1kB", "=".repeat(50)));
        assert_eq!(bar(7, None), "      7B");
    }

    #[test]
    fn messages() {
        let text = |message| String::from_utf8(line(message)).unwrap();
        let update = Message { id: "a".into(), status: "Waiting".into(), is_progress: true, ..Message::default() };
        assert_eq!(text(update), "{\"status\":\"Waiting\",\"progressDetail\":{},\"id\":\"a\"}\r\n");
        let status = Message { status: "Digest: x".into(), ..Message::default() };
        assert_eq!(text(status), "{\"status\":\"Digest: x\"}\r\n");
    }

    #[test]
    fn names() {
        let named = |name: &str, tag: &str| {
            named(&TransferOptions { name: name.into(), tag: tag.into(), ..TransferOptions::default() })
                .map(|name| name.familiar())
        };
        assert_eq!(named("x:1", "2").unwrap(), "x:2");
        assert_eq!(named("x", "").unwrap(), "x");
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(named("x:1", &digest).unwrap(), format!("x@{digest}"));
        assert_eq!(
            named("X", "").unwrap_err().message(),
            "invalid reference format: repository name (library/X) must be lowercase"
        );
    }
}
