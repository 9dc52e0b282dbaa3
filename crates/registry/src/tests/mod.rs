//! The crate against a real registry and against hostile ones.

mod fake;
mod hostile;
mod kept;
mod layers;
mod origin;
mod place;
mod proxies;
mod real;
mod schema1;
mod secure;
mod v1;
