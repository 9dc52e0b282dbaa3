//! Bodies that a client sends over its session: what it reads from its standard input.

use build::Context;
use engine::Upload;
use http::{HeaderMap, HeaderValue};
use tokio::task::JoinHandle;

use crate::grpc::{Code, Status};
use crate::message::BytesMessage;
use crate::session::Session;

const PULL: &str = "/moby.upload.v1.Upload/Pull";

/// Pulls the body of this name while `unpack` reads it.
///
/// # Errors
/// The client breaks off, or what it sends is no context.
pub(crate) async fn pull(
    session: &Session,
    name: &str,
    unpack: impl FnOnce(Upload) -> JoinHandle<build::Result<Context>>,
) -> Result<Context, Status> {
    let mut metadata = HeaderMap::new();
    let path = HeaderValue::try_from(format!("/{name}"))
        .map_err(|error| Status::new(Code::InvalidArgument, "the upload has no name").caused_by(error))?;
    metadata.insert("urlpath", path);
    metadata.insert("urlhost", HeaderValue::from_static("buildkit-session"));
    let (questions, mut responses) = session.channel.converse(PULL, metadata)?;
    let (sender, upload) = engine::upload();
    let carry = async move {
        loop {
            let piece = match responses.next::<BytesMessage>().await {
                Ok(Some(BytesMessage { data })) if data.is_empty() => continue,
                Ok(Some(BytesMessage { data })) => Ok(data.to_vec()),
                Ok(None) => break,
                Err(error) => Err(std::io::Error::other(error)),
            };
            if !sender.send(piece).await {
                break;
            }
        }
        // Our half stays open as long as the client sends.
        drop(questions);
    };
    let ((), unpacked) = tokio::join!(carry, unpack(upload));
    unpacked
        .map_err(|error| Status::new(Code::Internal, "unpacking the build context broke down").caused_by(error))?
        .map_err(|error| Status::new(Code::Unknown, error.to_string()).caused_by(error))
}
