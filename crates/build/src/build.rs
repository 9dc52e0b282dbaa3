//! A build from its Dockerfile to its image.

use std::sync::Arc;

use dockerfile::{Checks, Dockerfile, Ignore, MAX_BYTES, Reading};
use image::{Happening, Image};

use crate::context::inside;
use crate::lint::{self, Finding};
use crate::progress::{Event, Plan};
use crate::solve::Solve;
use crate::stages::Stages;
use crate::{ContextSource, Error, Options, Result, Site};

/// Docker's name where the client gives none.
const DOCKERFILE: &str = "Dockerfile";
const IGNORE: &str = ".dockerignore";
/// Largest `.dockerignore`.
const IGNORE_BYTES: usize = 1024 * 1024;

/// A build that can begin: its Dockerfile was read, and by today's rules understood.
///
/// ```text
/// ContextSource ─┐
/// Options ───────┴─> Build::read ─> Build::plan      what will be done
///                         │
/// Site (images, storage,  │
///   Executor, Progress,   │
///   Secrets) ─────────────┴─> Build::run ─> Built    events go to Progress meanwhile
/// ```
#[derive(Debug)]
pub struct Build {
    pub(crate) options: Options,
    pub(crate) source: Box<dyn ContextSource>,
    pub(crate) ignore: Ignore,
    pub(crate) stages: Stages,
    findings: Vec<Finding>,
}

/// What a build made.
#[derive(Debug)]
pub struct Built {
    /// The image.
    pub image: Arc<Image>,
    /// What happened to images, for events.
    pub happenings: Vec<Happening>,
}

impl Build {
    /// Reads the Dockerfile and its ignore file. What is wrong with the request shows here, before any event.
    ///
    /// # Errors
    /// The Dockerfile is missing or malformed, or the target stage is none of its.
    pub fn read(source: Box<dyn ContextSource>, options: Options) -> Result<Self> {
        let old = options.dialect.is_old();
        let (name, stages, checks) = read_stages(source.as_ref(), &options)?;
        // In 2014 the client had left out already what was to be ignored.
        let ignore = if old { Ignore::default() } else { ignored(source.as_ref(), &name)? };
        let findings = if old { Vec::new() } else { lint::check(&stages, &checks)? };
        Ok(Self { options, source, ignore, stages, findings })
    }

    /// What will be done.
    pub fn plan(&self) -> Plan {
        self.stages.plan()
    }

    /// Carries the steps out: stages that do not need each other side by side, and none that the target does not need.
    ///
    /// # Errors
    /// The first step that fails; what was built before stays as cache.
    pub fn run(&self, site: Site<'_>) -> Result<Built> {
        self.carry_out(site, false)
    }

    /// The same for a build that needs nothing but memory: all steps are cached, and none has to look at files to know it. `None` for
    /// any other; what its progress was told until then counts for nothing.
    ///
    /// # Errors
    /// As [`Build::run`].
    pub fn recall(&self, site: Site<'_>) -> Result<Option<Built>> {
        match self.carry_out(site, true) {
            Err(Error::NotCached) => Ok(None),
            outcome => outcome.map(Some),
        }
    }

    fn carry_out(&self, site: Site<'_>, recalling: bool) -> Result<Built> {
        let progress = site.progress;
        progress.tell(Event::Planned(self.plan()));
        self.findings.iter().for_each(|finding| progress.tell(finding.event()));
        self.options.ignored.iter().for_each(|sentence| progress.tell(Event::warning(sentence.clone())));
        let (image, unused) = Solve::new(self, site, recalling).run()?;
        if !unused.is_empty() {
            progress.tell(Event::Unused(unused));
        }
        let Some(image) = image else {
            return Err(Error::Step(match self.options.dialect.is_old() {
                true => {
                    "No image was generated. This may be because the Dockerfile does not, like, do anything.".to_owned()
                }
                false => "No image was generated. Is your Dockerfile empty?".to_owned(),
            }));
        };
        progress.tell(Event::Built(image.id));
        let mut happenings = Vec::new();
        for name in &self.options.names {
            happenings.extend(site.images.name(&image, name)?);
            progress.tell(Event::Named(name.clone().with_default_tag().familiar()));
        }
        Ok(Built { image, happenings })
    }
}

/// The Dockerfile's path and its stages, with what is to be said of its style.
pub(crate) fn read_stages(source: &dyn ContextSource, options: &Options) -> Result<(String, Stages, Checks)> {
    let old = options.dialect.is_old();
    let (name, text) = dockerfile(source, &options.dockerfile, old)?;
    let file = Dockerfile::parse(&text, Reading { old }).map_err(|source| match source {
        parse @ dockerfile::Error::Parse { .. } => Error::Parse(parse),
        source => Error::Dockerfile { name: name.clone(), source },
    })?;
    check_frontend(&file.syntax)?;
    let checks = file.checks.clone();
    Ok((name, Stages::new(file, options)?, checks))
}

/// `# syntax=` may name any edition of the Dockerfile's own frontend: it is read here whatever the edition. Other frontends
/// read other languages.
fn check_frontend(syntax: &str) -> Result<()> {
    let name = syntax.split_whitespace().next().unwrap_or_default();
    let last = name.split('@').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let image = last.split(':').next().unwrap_or_default();
    if name.is_empty() || image.starts_with("dockerfile") {
        return Ok(());
    }
    Err(Error::Unsupported(format!(
        "# syntax={name} names a frontend for another language than Dockerfiles; longshore reads Dockerfiles itself and runs no other frontend"
    )))
}

/// The Dockerfile's path in the context, and its text. In 2014 its name had a capital letter.
fn dockerfile(source: &dyn ContextSource, wanted: &str, old: bool) -> Result<(String, String)> {
    let wanted = if wanted.is_empty() { DOCKERFILE } else { wanted };
    let path = inside(wanted)
        .ok_or_else(|| Error::Invalid(format!("Forbidden path outside the build context: {wanted} ({wanted})")))?;
    let lower = path.to_ascii_lowercase();
    let (name, bytes) = match source.read(&path, MAX_BYTES)? {
        Some(bytes) => (path, bytes),
        None if path == DOCKERFILE && !old => match source.read(&lower, MAX_BYTES)? {
            Some(bytes) => (lower, bytes),
            None => return Err(missing(wanted)),
        },
        None => return Err(missing(wanted)),
    };
    if bytes.is_empty() {
        return Err(Error::Invalid(format!("the Dockerfile ({wanted}) cannot be empty")));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::Invalid(format!("failed to parse {wanted}: it is not UTF-8 text")))?;
    Ok((name, text))
}

fn missing(wanted: &str) -> Error {
    Error::Step(format!("Cannot locate specified Dockerfile: {wanted}"))
}

/// The ignore file; the Dockerfile's own goes before the context's.
fn ignored(source: &dyn ContextSource, dockerfile: &str) -> Result<Ignore> {
    for name in [format!("{dockerfile}{IGNORE}"), IGNORE.to_owned()] {
        if let Some(bytes) = source.read(&name, IGNORE_BYTES)? {
            return Ignore::parse(&String::from_utf8_lossy(&bytes))
                .map_err(|error| Error::Invalid(format!("error from daemon reading {name}: {error}")));
        }
    }
    Ok(Ignore::default())
}
