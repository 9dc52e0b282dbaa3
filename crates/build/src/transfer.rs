//! `ADD` and `COPY`: where their files come from.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use dockerfile::{Ignore, Transfer};
use model::to_hex;
use sha2::{Digest, Sha256};
use sys::root::{Owner, Root, Time};

use crate::context::Folder;
use crate::copy::{self, Destination, Mode, Source, Sources};
use crate::work::Work;
use crate::{Error, Fetched, NamedContext, Repository, Result, Site};

/// What an `ADD` or `COPY` copies.
#[derive(Default)]
struct Found {
    sources: Vec<Source>,
    /// Where fetched ones lie until they are copied.
    fetched: Vec<Folder>,
}

impl Work<'_> {
    pub(crate) fn transfer(&mut self, name: &'static str, transfer: &Transfer) -> Result<()> {
        self.solve.beyond_cache()?;
        let (mut owner, mode) = (self.expand(&transfer.owner)?, self.expand(&transfer.mode)?);
        if transfer.link && !owner.is_empty() {
            // What names stand for depends on the image; the layer must not.
            let Owner { uid, gid } = copy::owner(&self.mounted()?, &owner)?;
            owner = format!("{uid}:{gid}");
        }
        let transfer = &Transfer { owner, mode, ..transfer.clone() };
        let destination = self.destination(name, transfer)?;
        let found = self.sources(name, transfer)?;
        // BuildKit says so too, and then writes each over the one before.
        if found.sources.len() > 1 && !destination.path.ends_with('/') {
            return Err(Error::Step(format!(
                "When using {name} with more than one source file, the destination must be a directory and end with a /"
            )));
        }
        let solve = self.solve;
        let go_on = || solve.go_on();
        let old = self.options.dialect.is_old();
        let by_name = old && found.fetched.is_empty();
        let digest = copy::digest(&found.sources, &destination.left_out, by_name, &go_on)?;
        let owner = if transfer.owner.is_empty() { String::new() } else { format!("--chown={} ", transfer.owner) };
        let mode = if transfer.mode.is_empty() { String::new() } else { format!("--chmod={} ", transfer.mode) };
        let unpack = if transfer.unpack == Some(true) { "--unpack " } else { "" };
        let link = if transfer.link { "--link " } else { "" };
        let place = match old {
            true => self.expand(&transfer.destination)?,
            false => format!("{} ", destination.path),
        };
        let comment = format!("{name} {link}{owner}{mode}{unpack}{digest} in {place}");
        let config = self.comment_config(&comment)?;
        if self.cached(&config)? || (transfer.link && self.linked(&config, &comment)?) {
            return Ok(());
        }
        let container = self.stand_in(&config, false)?;
        let lower = match transfer.link {
            true => Root::from(solve.site.storage.mount_layers(None)?),
            false => self.mounted()?,
        };
        let destination = Destination { owner: copy::owner(&lower, &transfer.owner)?, ..destination };
        self.add_layer(&container, &config, &|out| copy::write(out, &lower, &found.sources, &destination, &go_on))
    }

    fn destination(&self, name: &str, transfer: &Transfer) -> Result<Destination> {
        let base = if self.options.dialect.is_old() { "/" } else { self.stage()?.config.working_dir.as_str() };
        let exclude = transfer.exclude.iter().map(|text| self.expand(text)).collect::<Result<Vec<_>>>()?;
        Ok(Destination {
            path: copy::destination(base, &self.expand(&transfer.destination)?),
            owner: Owner { uid: 0, gid: 0 },
            mode: Mode::parse(&transfer.mode)?,
            unpack: transfer.unpack.unwrap_or(name == "ADD"),
            left_out: Ignore::parse(&exclude.join("\n"))?,
        })
    }

    /// All sources, variables replaced.
    fn sources(&self, name: &'static str, transfer: &Transfer) -> Result<Found> {
        let mut found = Found::default();
        let mut origin = None;
        for word in &transfer.sources {
            let wanted = self.expand(word)?;
            let is_file = wanted.starts_with("http://") || wanted.starts_with("https://");
            let knows_git = name == "ADD" && !self.options.dialect.is_old();
            let repository = if knows_git { Repository::parse(&wanted)? } else { None };
            if let Some(repository) = repository {
                self.fetch_repository(repository, transfer, &mut found)?;
            } else if is_file && name == "COPY" {
                return Err(Error::Invalid("source can't be a URL for COPY".to_owned()));
            } else if is_file {
                self.fetch_file(&wanted, transfer, &mut found)?;
            } else {
                let origin = match &mut origin {
                    Some(origin) => origin,
                    empty => empty.insert(self.origin(&transfer.from)?),
                };
                match self.options.dialect.is_old() {
                    true => found.sources.push(copy::named(origin, &wanted)?),
                    false => {
                        let sources = copy::find(origin, &wanted, transfer.parents);
                        found.sources.extend(sources.map_err(|missing| missing.of(name, word))?);
                    }
                }
            }
        }
        for document in &transfer.documents {
            let content = match document.expand {
                true => self.expanded(|expander| expander.document(&document.content))?,
                false => document.content.clone(),
            };
            found.sources.push(Source::Document { name: document.name.clone(), content });
        }
        Ok(found)
    }

    fn fetch_file(&self, url: &str, transfer: &Transfer, found: &mut Found) -> Result<()> {
        let below = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
        let path = below.split(['?', '#']).next().unwrap_or_default();
        let named = Some(path.rsplit('/').next().unwrap_or_default()).filter(|name| !matches!(*name, "" | "." | ".."));
        let Fetched { body, modified } = self.solve.site.executor.open(url)?;
        if named.is_none() && self.expand(&transfer.destination)?.ends_with('/') {
            return Err(Error::Step(format!("cannot determine filename from url: {url}")));
        }
        let name = named.unwrap_or("file");
        let solve = self.solve;
        let mut watched = Watched { body, hash: Sha256::new(), go_on: &|| solve.go_on() };
        let file = Folder::of_file(OsStr::new(name), &mut watched, self.solve.site.temporary)?;
        let digest = format!("sha256:{}", to_hex(&watched.hash.finalize()));
        let wanted = self.expand(&transfer.checksum)?;
        if !wanted.is_empty() && wanted != digest {
            return Err(Error::Step(format!("digest mismatch {digest}: {wanted} was expected of {url}")));
        }
        // In 2014 the time of the server did not count.
        let modified = modified.filter(|_| !self.options.dialect.is_old()).unwrap_or_default();
        file.root().set_modified(name, Time { seconds: modified, nanoseconds: 0 })?;
        let origin = Sources::from(Arc::clone(file.root()));
        let mut source = copy::one(&origin, Path::new(name), url).map_err(|missing| missing.of("ADD", url))?;
        if transfer.unpack.is_none() {
            source.keep_whole();
        }
        found.sources.push(source);
        found.fetched.push(file);
        Ok(())
    }

    fn fetch_repository(&self, mut repository: Repository, transfer: &Transfer, found: &mut Found) -> Result<()> {
        let Site { temporary, secrets, .. } = self.solve.site;
        repository.demand(&self.expand(&transfer.checksum)?)?;
        repository.keep_git_dir |= transfer.keep_git_dir;
        let context = Folder::checkout(&repository, temporary, secrets, &|| self.solve.go_on())?;
        let origin = Sources::from(Arc::clone(context.root()));
        let sources = copy::find(&origin, &repository.folder, false);
        found.sources.extend(sources.map_err(|missing| missing.of("ADD", &repository.folder))?);
        found.fetched.push(context);
        Ok(())
    }

    /// Where sources come from: the context, an earlier stage by name or number, or an image.
    pub(crate) fn origin(&self, from: &str) -> Result<Sources> {
        if from.is_empty() {
            return Ok(self.solve.context()?.into());
        }
        let from = self.expand(from)?;
        let target = self.solve.build.stages.platform.as_ref();
        let image = match self.solve.build.source.named(&from)? {
            Some(NamedContext::Files(files)) => return Ok(files.into()),
            Some(NamedContext::Image(name)) => Some(self.base_image(&name, target)?),
            None => match self.earlier_stage(&from)? {
                Some(stage) => self.solve.result(stage)?,
                None => Some(self.base_image(&from, target)?),
            },
        };
        let top = image.as_ref().and_then(|image| image.top());
        let root = Root::from(self.solve.site.storage.mount_layers(top.as_ref())?);
        let empty = || Error::Step(format!("build stage {from} has no image"));
        Ok(Sources { files: Arc::new(root).into(), image: Some(image.ok_or_else(empty)?.id) })
    }
}

/// A stream that is hashed on its way, and ends when nobody waits for it any more.
struct Watched<'a> {
    body: Box<dyn Read + Send>,
    hash: Sha256,
    go_on: &'a dyn Fn() -> Result<()>,
}

impl Read for &mut Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        (self.go_on)().map_err(std::io::Error::other)?;
        let length = self.body.read(buffer)?;
        self.hash.update(&buffer[..length]);
        Ok(length)
    }
}
