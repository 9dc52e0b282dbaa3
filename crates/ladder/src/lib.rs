//! One module per API version: what changed, as code and as documentation. Pure.
