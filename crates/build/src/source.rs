//! Where a build's files come from.

use std::fmt::Debug;
use std::sync::Arc;

use dockerfile::Ignore;
use sys::root::Root;

use crate::{Digests, Result};

/// A build context: files that are there already ([`crate::Context`]), or that are asked for when a build needs them (a
/// client's session).
///
/// A build reads the Dockerfile and its `.dockerignore` first, and asks for the rest at most once, when the first step needs
/// it. The source belongs to the build and is dropped with it: temporary files live as long.
pub trait ContextSource: Debug + Send + Sync {
    /// One file that lies where the Dockerfile does, by its relative and clean path; `None` if there is none.
    ///
    /// # Errors
    /// It is longer than `limit_bytes`, or cannot be read.
    fn read(&self, path: &str, limit_bytes: usize) -> Result<Option<Vec<u8>>>;

    /// All files but those that are ignored.
    ///
    /// # Errors
    /// They cannot be had.
    fn files(&self, ignore: &Ignore) -> Result<ContextFiles>;

    /// A context that the client gave under a name (`docker buildx build --build-context`), which goes before stages and
    /// images of that name; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be had.
    fn named(&self, name: &str) -> Result<Option<NamedContext>> {
        let _ = name;
        Ok(None)
    }
}

/// Files of a context.
#[derive(Debug, Clone)]
pub struct ContextFiles {
    /// Where they lie. Nobody changes them while a build has them.
    pub root: Arc<Root>,
    /// What is known of their contents.
    pub digests: Option<Arc<Digests>>,
}

impl From<Arc<Root>> for ContextFiles {
    /// Files of which nothing is known.
    fn from(root: Arc<Root>) -> Self {
        Self { root, digests: None }
    }
}

/// What a client gave under a name.
#[derive(Debug, Clone)]
pub enum NamedContext {
    /// An image, by reference.
    Image(String),
    /// Files.
    Files(ContextFiles),
}
