//! Sessions within a call: newer clients that build several targets open one session for all of them, as messages of bytes
//! in both directions (`moby.buildkit.v1.Control/Session`), where others upgrade a connection.

use futures_util::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::grpc::{self, Answer, Messages};
use crate::message::BytesMessage;
use crate::session::Offer;

/// Bytes that are carried at once, and that wait in each direction.
const PIECE_BYTES: usize = 32 * 1024;

/// Carries a session in a call until either side ends it.
pub(crate) fn carry(offer: Offer, mut requests: Messages) -> Answer {
    let (ours, theirs) = tokio::io::duplex(PIECE_BYTES);
    let (read, mut write) = tokio::io::split(theirs);
    // Ends with the answer, which the client's connection owns.
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        if let Err(error) = offer.carry(ours).await {
            tracing::debug!(%error, "a session ended");
        }
    });
    tasks.spawn(async move {
        while let Ok(Some(BytesMessage { data })) = requests.next().await {
            if write.write_all(&data).await.is_err() {
                return;
            }
        }
        // The session may have ended first.
        let _ended = write.shutdown().await;
    });
    let answers = stream::unfold((read, tasks), async |(mut read, tasks)| {
        let mut piece = vec![0; PIECE_BYTES];
        let length = read.read(&mut piece).await.ok().filter(|length| *length > 0)?;
        piece.truncate(length);
        Some((Ok(BytesMessage { data: piece.into() }), (read, tasks)))
    });
    grpc::stream(answers.boxed())
}
