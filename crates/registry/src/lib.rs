//! Registries: images come from them and go to them, over the OCI distribution protocol (Docker's Registry v2), or, where a
//! registry speaks no other, over the protocol of before 2015 (Registry v1).
//!
//! [`Registries`] is the door: [`Registries::pull`] and [`Registries::push`] return what a client may follow
//! ([`Following`]), the rest returns when it is done. Layers are unpacked while they come in, several of an image at a time
//! where there are processors for it: a download writes into a bounded pipe that an unpacking thread reads; one that runs
//! ahead of the layers beneath it goes on into a file without a name. A layer that is pushed goes as some registry is known to
//! have it, if that one still does: what another program compressed cannot be made again from its files. Nothing is believed
//! that a registry says: digests and sizes are verified as the bytes pass.

#![warn(missing_docs)]

mod address;
mod auth;
mod board;
mod claims;
mod credentials;
mod distribution;
mod error;
mod http;
mod login;
mod manifest;
mod pace;
mod pipe;
mod pull;
mod push;
mod registries;
mod retry;
mod search;
mod session;
mod settings;
mod v1;

pub use address::Remote;
pub use auth::realm;
pub use board::{Following, Message, Transferred};
pub use credentials::Credentials;
pub use distribution::Distribution;
pub use error::{Complaint, Error, Result};
pub use http::ProxyVariables;
pub use login::Login;
pub use manifest::{Descriptor, manifest_type};
pub use pull::Pull;
pub use push::Push;
pub use registries::Registries;
pub use search::{Search, SearchResult};
pub use settings::{InvalidSetting, KeepBlobs, Settings};

#[cfg(test)]
mod tests;
