//! The builder: a Dockerfile and a context become an image.
//!
//! # From the outside
//!
//! [`Build::read`] takes a [`ContextSource`] (where the files come from) and [`Options`]; [`Build::plan`] tells the graph of
//! stages; [`Build::run`] carries the steps out at a [`Site`]: the images and their layers, an [`Executor`] that runs
//! containers, a [`Progress`] that is told typed [`Event`]s, and [`Secrets`] that the client lends. It gives back what was
//! [`Built`]. `POST /build` is one caller, whose progress is [`Classic`] text; a session of `docker buildx` is another.
//!
//! # Inside
//!
//! The crate [`dockerfile`] reads: text in, values or an error with a line out. [`Context`] has the files that a client sent; those of
//! a small archive are unpacked when a step needs them. Each stage is built when it is first needed, on a thread of its own where it
//! needs no other: files go straight into layers, instructions that only change the configuration make an image without one.
//!
//! Every step leaves an image whose parent is the image before. That chain is the cache: a step whose parent has a child
//! made by the same instruction on the same files is not done again.
//!
//! Everything here blocks.

#![warn(missing_docs)]

mod base;
mod build;
mod cache;
mod caches;
mod classic;
mod configure;
mod context;
mod copy;
mod digests;
mod error;
mod executor;
mod git;
mod kept;
mod lint;
mod mounts;
mod options;
mod order;
mod outcome;
mod platform;
mod progress;
mod repository;
mod run;
mod secrets;
mod solve;
mod source;
mod squash;
mod stage;
mod stages;
mod steps;
mod survey;
mod transfer;
mod variables;
mod work;

pub mod changes;

pub use build::{Build, Built};
pub use caches::{CacheFolder, CacheKind, Caches};
pub use classic::{Classic, Message};
pub use context::Context;
pub use digests::{ContentDigest, Digests};
pub use error::{Error, Result, SourceFault};
pub use executor::{Executor, Fetched, RunStep, Site, StepMount, StepSource, Wanted};
pub use kept::KeptContext;
pub use lint::Finding;
pub use options::{Dialect, Options};
pub use order::InOrder;
pub use progress::{Event, Plan, Progress, StagePlan, StepEvent, StepId, StepPlan, Stream};
pub use repository::Repository;
pub use secrets::{Agent, NoSession, Secrets};
pub use source::{ContextFiles, ContextSource, NamedContext};
pub use survey::{Mention, Survey, Target};
