//! The classic builder: a Dockerfile and a context become an image.
//!
//! [`dockerfile`], [`ignore`] and [`expand`] are pure: text in, values or an error with a line out. [`Context`] unpacks what a
//! client sent, and a [`Build`] carries the instructions out: files go straight into layers, instructions that only change
//! the configuration make an image without one, and what needs a container is asked of an [`Executor`].
//!
//! Every step leaves an image whose parent is the image before. That chain is the cache: a step whose parent has a child
//! made by the same instruction on the same files is not done again.
//!
//! Everything here blocks.

#![warn(missing_docs)]

mod build;
mod cache;
mod configure;
mod context;
mod copy;
mod error;
mod executor;
mod options;
mod outcome;
mod stage;
mod steps;
mod variables;

pub mod changes;
pub mod dockerfile;
pub mod expand;
pub mod ignore;

pub use build::{Build, Built};
pub use context::Context;
pub use error::{Error, Result};
pub use executor::{Executor, Message, RunStep, Stream};
pub use options::{Dialect, Options};
