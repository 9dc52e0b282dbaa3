//! The rungs, one module a version.

use crate::rung::Rung;

mod v1_24;

/// Every version that changed something, newest first.
pub static RUNGS: &[&Rung] = &[&v1_24::RUNG];
