//! HTTP as registries need it: one pool of connections a registry, TLS by folders of certificates, proxies, limits.

mod answer;
mod body;
mod client;
mod dial;
mod proxies;
mod tls;

pub(crate) use answer::Answer;
pub(crate) use body::{Body, Feed, feed};
pub(crate) use client::{Call, Client, Clients, origin, resolve};
pub use proxies::ProxyVariables;
