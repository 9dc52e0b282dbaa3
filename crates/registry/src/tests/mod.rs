//! The crate against real and hostile registries.
