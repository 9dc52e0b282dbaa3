//! gRPC over HTTP/2 on a connection that an HTTP/1.1 request was upgraded to: as much of it as BuildKit's clients need.
//!
//! Messages go uncompressed behind five bytes: a zero and the length. The outcome of a call stands in `grpc-status` and
//! `grpc-message` behind its messages.

mod client;
mod frame;
mod server;
mod status;

pub(crate) use client::{Channel, Questions, Responses};
pub use frame::Decoder;
pub(crate) use frame::Messages;
pub(crate) use server::{Answer, Call, Service, serve, stream, unary};
pub use status::{Code, Status};
pub(crate) use status::{Detail, RpcStatus};

/// Largest message that is taken, in bytes: gRPC's own default.
pub const MESSAGE_BYTES: usize = 4 * 1024 * 1024;
