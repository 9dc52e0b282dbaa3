//! Waiting, under tokio's reactor, for a descriptor whose reads are somebody else's: a shim's connection, a log's watch.

use std::io;
use std::os::fd::BorrowedFd;

use tokio::io::Interest;
use tokio::net::UnixStream;

/// Tells when a non-blocking descriptor may be read.
///
/// It holds a duplicate as what tokio calls a stream, of which nothing but its readiness is used.
#[derive(Debug)]
pub(crate) struct Readiness(UnixStream);

impl Readiness {
    /// Watches a descriptor, which must be non-blocking.
    pub(crate) fn of(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        let duplicate = descriptor.try_clone_to_owned()?;
        UnixStream::from_std(std::os::unix::net::UnixStream::from(duplicate)).map(Self)
    }

    /// Attempts until there is something; between two attempts it waits for the descriptor.
    pub(crate) async fn until<T>(&self, mut attempt: impl FnMut() -> Option<T>) -> io::Result<T> {
        if let Some(found) = attempt() {
            return Ok(found);
        }
        loop {
            let tried = self.0.try_io(Interest::READABLE, || attempt().ok_or_else(|| io::ErrorKind::WouldBlock.into()));
            match tried {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.0.readable().await?,
                outcome => return outcome,
            }
        }
    }
}
