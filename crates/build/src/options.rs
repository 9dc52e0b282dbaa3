//! What a client may ask of a build.

use std::collections::BTreeMap;

use model::Reference;

/// Which builder's rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Those of the newest API.
    #[default]
    Current,
    /// Those of API 1.2 and below: as [`Dialect::Of2014`], told in the words of the first builder.
    Of2013,
    /// Those of API 1.14 and below: the Dockerfile is read step by step, so that an error in it shows when its step is
    /// reached; unknown instructions are skipped and unknown variables kept; relative destinations begin at `/`; and
    /// `.dockerignore` is the client's affair.
    Of2014,
}

impl Dialect {
    /// Whether the old rules hold.
    pub(crate) fn is_old(self) -> bool {
        self != Self::Current
    }
}

/// What shall be built, and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which builder's rules hold.
    pub dialect: Dialect,
    /// The Dockerfile's path; empty: `Dockerfile`.
    pub dockerfile: String,
    /// Names for the image.
    pub names: Vec<Reference>,
    /// Do every step, whatever was done before.
    pub no_cache: bool,
    /// Images whose steps alone count as done before; what is not here does not count. None: all steps of earlier builds.
    pub cache_from: Vec<String>,
    /// Images whose steps count too; fetched when a step is not here.
    pub cache_import: Vec<String>,
    /// What the client asked for and does not get, each as a sentence.
    pub ignored: Vec<String>,
    /// Ask the registry for base images that are here too.
    pub pull: bool,
    /// Make one layer of all that the target's stage adds to its base image.
    pub squash: bool,
    /// Remove containers of steps that succeeded.
    pub remove: bool,
    /// Remove containers whatever became of the build.
    pub force_remove: bool,
    /// Values of `ARG`s; `None` for a name without one.
    pub arguments: BTreeMap<String, Option<String>>,
    /// Labels of the last stage's image.
    pub labels: BTreeMap<String, String>,
    /// The stage to stop at, by name or number; empty: the last.
    pub target: String,
    /// What the image shall be for, as `os[/architecture[/variant]]`; empty: this machine, and base images as they are here.
    pub platform: String,
    /// Version of the engine, kept in the images.
    pub engine_version: String,
}
