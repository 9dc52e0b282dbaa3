//! Containers: their records, their life, and what can be asked of them.

pub(crate) mod attach;
mod env;
mod merge;
pub(crate) mod record;
pub(crate) mod wait;
