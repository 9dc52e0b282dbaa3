//! What becomes of a build's result.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufWriter, Write};
use std::sync::Arc;

use build::Built;
use engine::Engine;
use http::{HeaderMap, HeaderName, HeaderValue};
use model::Reference;
use tokio::runtime::Handle;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::attributes::{csv, unbuilt};
use crate::grpc::{Code, Questions, Responses, Status};
use crate::message::{BytesMessage, Empty, Packet, SolveRequest};
use crate::progress::{Recorder, Transfer};
use crate::send::Sender;
use crate::session::Session;
use crate::solve::of_engine;

/// Where a result goes.
#[derive(Debug)]
pub(crate) enum Export {
    /// It stays in the image store, under these names.
    Image { names: Vec<String> },
    /// Its files go to a folder of the client's.
    Folder,
    /// Its files go to the client as an archive.
    Archive,
}

const FILE_SEND: &str = "/moby.filesync.v1.FileSend/DiffCopy";
/// By this header a client with several exporters knows which is meant.
const EXPORTER: (&str, HeaderValue) = ("buildkit-attachable-exporter-id", HeaderValue::from_static("0"));
/// Bytes of an archive in one message.
const PIECE_BYTES: usize = 64 * 1024;

impl Export {
    /// What a request asks for; nothing if the result is only kept as cache.
    ///
    /// # Errors
    /// It is something that is not built.
    pub(crate) fn of(request: &SolveRequest) -> Result<Option<Self>, Status> {
        let (kind, attributes) = match request.exporters.as_slice() {
            [] => (&request.exporter, &request.exporter_attrs),
            [exporter] => (&exporter.kind, &exporter.attrs),
            _ => return Err(unbuilt("exporting a build to several places at once (--output twice)")),
        };
        Self::to(kind, attributes)
    }

    /// What an exporter does by its name.
    ///
    /// # Errors
    /// It is not built.
    pub(crate) fn to(kind: &str, attributes: &HashMap<String, String>) -> Result<Option<Self>, Status> {
        match kind {
            "" => Ok(None),
            "moby" | "image" => Ok(Some(Self::Image { names: names(attributes)? })),
            "local" => Ok(Some(Self::Folder)),
            "tar" => Ok(Some(Self::Archive)),
            kind => Err(unbuilt(&format!("exporting a build as {kind} (--output type={kind})"))),
        }
    }

    /// Brings the result there; what the client is told about it.
    ///
    /// # Errors
    /// A name cannot be one, or the client does not take what it asked for.
    pub(crate) async fn carry_out(
        self,
        engine: &Arc<Engine>,
        built: Arc<Built>,
        recorder: Recorder,
        session: Option<Arc<Session>>,
        cancelled: CancellationToken,
    ) -> Result<BTreeMap<String, String>, Status> {
        let (engine, handle) = (engine.clone(), Handle::current());
        let place = Place { engine, handle, session, cancelled, built };
        let export = move || match self {
            Self::Image { names } => recorder.work("exporting to image", |work| place.image(&names, work)),
            Self::Folder => recorder.work("exporting to client directory", |_| place.folder()),
            Self::Archive => recorder.work("exporting to client tarball", |_| place.archive()),
        };
        let broken = |error: JoinError| Status::new(Code::Internal, "exporting an image broke down").caused_by(error);
        tokio::task::spawn_blocking(export).await.map_err(broken)?
    }
}

/// A result, and where it may go. All of it blocks.
struct Place {
    engine: Arc<Engine>,
    handle: Handle,
    session: Option<Arc<Session>>,
    cancelled: CancellationToken,
    built: Arc<Built>,
}

impl Place {
    /// Waits for the client, or for the end of the build.
    fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T, Status> {
        let outcome = self.handle.block_on(self.cancelled.run_until_cancelled(work));
        outcome.ok_or_else(|| Status::new(Code::Cancelled, "context canceled"))
    }

    fn image(&self, names: &[String], work: &Transfer<'_>) -> Result<BTreeMap<String, String>, Status> {
        let id = self.built.image.id.to_string();
        work.part("exporting layers");
        work.part(&format!("writing image {id}"));
        for name in names {
            work.part(&format!("naming to {name}"));
            let tagged = self.wait(self.engine.image_tag(&id, name, "", false))?;
            tagged.map_err(|error| of_engine(&error))?;
        }
        Ok(told(id, names))
    }

    fn folder(&self) -> Result<BTreeMap<String, String>, Status> {
        let files = self.engine.built_files(&self.built).map_err(|error| of_engine(&error))?;
        let (questions, mut responses) = self.open()?;
        let mut send = |packet: Packet| match self.wait(questions.send(&packet))? {
            true => Ok(()),
            false => Err(left()),
        };
        let mut sender = Sender::new(&files, &mut send);
        sender.tell()?;
        while let Some(packet) = self.wait(responses.next())?? {
            if sender.take(packet)? {
                break;
            }
        }
        Ok(BTreeMap::new())
    }

    fn archive(&self) -> Result<BTreeMap<String, String>, Status> {
        let (questions, mut responses) = self.open()?;
        let mut pieces = BufWriter::with_capacity(PIECE_BYTES, Pieces { questions, place: self });
        let written = self.engine.built_archive(&self.built, &mut pieces);
        let flushed = pieces.flush();
        // Our half ends before the client's answer is waited for.
        drop(pieces);
        let answered = self.wait(responses.next::<Empty>())?;
        written.map_err(|error| of_engine(&error))?;
        flushed.map_err(|_| left())?;
        answered?;
        Ok(BTreeMap::new())
    }

    fn open(&self) -> Result<(Questions, Responses), Status> {
        let missing =
            || Status::new(Code::FailedPrecondition, "the client takes no files: its session has no FileSend");
        let session = self.session.as_ref().filter(|session| session.has(FILE_SEND)).ok_or_else(missing)?;
        session.channel.converse(FILE_SEND, HeaderMap::from_iter([(HeaderName::from_static(EXPORTER.0), EXPORTER.1)]))
    }
}

/// An archive on its way, piece by piece.
struct Pieces<'a> {
    questions: Questions,
    place: &'a Place,
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let piece = &bytes[..bytes.len().min(PIECE_BYTES)];
        match self.place.wait(self.questions.send(&BytesMessage { data: piece.to_vec().into() })) {
            Ok(true) => Ok(piece.len()),
            Ok(false) => Err(std::io::ErrorKind::BrokenPipe.into()),
            Err(cancelled) => Err(std::io::Error::other(cancelled)),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn left() -> Status {
    Status::new(Code::Unavailable, "the client left while it was sent the result")
}

fn told(id: String, names: &[String]) -> BTreeMap<String, String> {
    let mut told = BTreeMap::from([
        ("containerimage.config.digest".to_owned(), id.clone()),
        ("containerimage.digest".to_owned(), id),
    ]);
    if !names.is_empty() {
        told.insert("image.name".to_owned(), names.join(","));
    }
    told
}

/// The names for an image, in full.
fn names(attributes: &HashMap<String, String>) -> Result<Vec<String>, Status> {
    let given = attributes.get("name").map(|names| csv(names).collect::<Vec<_>>()).unwrap_or_default();
    let full = |name: &String| match Reference::from_repository(name, "") {
        Ok(reference) => Ok(reference.to_string()),
        Err(error) => {
            Err(Status::new(Code::InvalidArgument, format!("invalid name {name:?}: {error}")).caused_by(error))
        }
    };
    given.iter().map(full).collect()
}
