//! A build's files, fetched over its session when the build asks for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use build::{Context, ContextFiles, ContextSource, Error, NamedContext, Result};
use dockerfile::Ignore;
use http::{HeaderMap, HeaderName, HeaderValue};
use model::path;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::attributes::other_frontend;
use crate::grpc::{Code, Questions, Responses, Status};
use crate::message::{Packet, PacketType, Stat};
use crate::place::{Folders, Place};
use crate::progress::Recorder;
use crate::receive::{self, Receiver, mode};
use crate::session::Session;

pub(crate) const DIFF_COPY: &str = "/moby.filesync.v1.FileSync/DiffCopy";
/// How long a client may be silent in the middle of a transfer.
const SILENT_FOR: Duration = Duration::from_secs(120);
/// Symbolic links that lead from one to the next, at most.
const LINKS: usize = 40;
/// Entries that come with a single file: its folders and links.
const FILE_ENTRIES: usize = 1000;
const IGNORE: &str = ".dockerignore";

/// Which of the client's folders is which.
#[derive(Debug, Clone, Default)]
pub(crate) struct Locals {
    /// The folder of the Dockerfile.
    pub(crate) dockerfile: Local,
    /// The build context.
    pub(crate) context: Local,
    /// The Dockerfile is in the client's folder wherever the context is.
    pub(crate) own_dockerfile: bool,
    /// What the client gave under other names.
    pub(crate) named: BTreeMap<String, Named>,
}

/// One of the client's folders.
#[derive(Debug, Clone, Default)]
pub(crate) struct Local {
    /// Its name in the session.
    pub(crate) name: String,
    /// The session.
    pub(crate) session: Option<Arc<Session>>,
}

/// What the client gave under a name.
#[derive(Debug, Clone)]
pub(crate) enum Named {
    Image(String),
    Folder(Local),
}

/// The files of a build that a session's client has.
#[derive(Debug)]
pub(crate) struct SessionFiles {
    locals: Locals,
    /// The context, if it comes from an address.
    context: Option<Context>,
    recorder: Arc<Recorder>,
    handle: Handle,
    cancelled: CancellationToken,
    folders: Folders,
    /// Where what was fetched lies.
    places: Mutex<Vec<Place>>,
    named: Mutex<HashMap<String, ContextFiles>>,
}

impl ContextSource for SessionFiles {
    fn read(&self, path: &str, limit_bytes: usize) -> Result<Option<Vec<u8>>> {
        // The Dockerfile's own ignore file lies beside it, the other in the context.
        let is_ignore = path == IGNORE;
        if let Some(context) = self.context.as_ref().filter(|_| is_ignore || !self.locals.own_dockerfile) {
            return context.read(path, limit_bytes);
        }
        let local = if is_ignore { &self.locals.context } else { &self.locals.dockerfile };
        let definition = format!("[internal] load build definition from {path}");
        let ignore = ("[internal] load .dockerignore", "context");
        let (name, what) = if is_ignore { ignore } else { (&*definition, "dockerfile") };
        let read = || self.wait(fetch_file(local, path, limit_bytes));
        if path.ends_with(IGNORE) && !is_ignore {
            return read();
        }
        self.recorder.fetch(name, what, |transfer| {
            let found = read()?;
            transfer.done(found.as_ref().map_or(2, Vec::len) as u64);
            if let Some(bytes) = found.as_ref().filter(|_| !is_ignore) {
                self.recorder.dockerfile(path, bytes, transfer);
                check_syntax(bytes)?;
            }
            Ok(found)
        })
    }

    fn files(&self, ignore: &Ignore) -> Result<ContextFiles> {
        if let Some(context) = &self.context {
            return context.files(ignore);
        }
        self.recorder.fetch("[internal] load build context", "context", |transfer| {
            self.fetch(&self.locals.context, ignore.lines(), &mut |bytes| transfer.at(bytes))
        })
    }

    fn named(&self, name: &str) -> Result<Option<NamedContext>> {
        match self.locals.named.get(name) {
            None => Ok(None),
            Some(Named::Image(reference)) => Ok(Some(NamedContext::Image(reference.clone()))),
            Some(Named::Folder(local)) => {
                let mut fetched = lock(&self.named);
                if let Some(files) = fetched.get(name) {
                    return Ok(Some(NamedContext::Files(files.clone())));
                }
                let files =
                    self.recorder.fetch(&format!("[context {name}] load from client"), "context", |transfer| {
                        let ignore = self.wait(fetch_file(local, IGNORE, IGNORE_BYTES))?.unwrap_or_default();
                        let ignore = Ignore::parse(&String::from_utf8_lossy(&ignore))?;
                        self.fetch(local, ignore.lines(), &mut |bytes| transfer.at(bytes))
                    })?;
                fetched.insert(name.to_owned(), files.clone());
                Ok(Some(NamedContext::Files(files)))
            }
        }
    }
}

/// Largest ignore file of a named context.
const IGNORE_BYTES: usize = 1024 * 1024;

impl SessionFiles {
    /// Files that will be fetched to these folders when they are asked for.
    pub(crate) fn new(
        locals: Locals,
        context: Option<Context>,
        recorder: Arc<Recorder>,
        cancelled: CancellationToken,
        folders: Folders,
    ) -> Self {
        let (handle, places, named) = (Handle::current(), Mutex::default(), Mutex::default());
        Self { locals, context, recorder, handle, cancelled, folders, places, named }
    }

    /// Runs something on the session to its end, or the build's.
    fn wait<T>(&self, work: impl Future<Output = Result<T, Status>>) -> Result<T> {
        let outcome = self.handle.block_on(self.cancelled.run_until_cancelled(work));
        outcome.ok_or(Error::Cancelled)?.map_err(failed)
    }

    /// Fetches a folder, without what the patterns leave out.
    fn fetch(&self, local: &Local, excluded: &[String], told: &mut dyn FnMut(u64)) -> Result<ContextFiles> {
        let client = local.session.as_ref().and_then(|session| session.shared_key.as_deref());
        let place = self.folders.place(&local.name, client)?;
        let files = place.files().clone();
        let mut metadata = HeaderMap::new();
        add(&mut metadata, "exclude-patterns", excluded);
        let (questions, mut responses) = local.diff_copy(metadata).map_err(failed)?;
        // The client looks at its files while we look at what is left of them here.
        let mut receiver = Receiver::new(&files).map_err(unreceived)?;
        let received = self.receive(&mut receiver, &questions, &mut responses, told);
        // What broke off has left more or less than was told.
        let measured = place.measured(receiver.size_bytes().filter(|_| received.is_ok()));
        lock(&self.places).push(place);
        if let Err(error) = &received {
            let data = error.to_string().into_bytes().into();
            let packet = Packet { kind: PacketType::Error as i32, data, ..Packet::default() };
            // The client may be the one that failed; then it does not listen.
            if !self.handle.block_on(questions.send(&packet)) {
                tracing::debug!(%error, "a transfer failed, and its client has left");
            }
        }
        received.and(measured)?;
        Ok(files)
    }

    fn receive(
        &self,
        receiver: &mut Receiver<'_>,
        questions: &Questions,
        responses: &mut Responses,
        told: &mut dyn FnMut(u64),
    ) -> Result<()> {
        while !receiver.is_over() {
            let Some(packet) = self.wait(next(responses))? else {
                // Some clients hang up as soon as they hear that we have everything.
                return if receiver.is_complete() { Ok(()) } else { Err(failed(broken_off())) };
            };
            let replies = receiver.take(packet).map_err(unreceived)?;
            if !replies.is_empty() && !self.wait(async { Ok(questions.send_all(&replies).await) })? {
                return Err(failed(broken_off()));
            }
            told(receiver.bytes());
        }
        Ok(())
    }
}

impl Local {
    /// Opens a transfer.
    fn diff_copy(&self, mut metadata: HeaderMap) -> Result<(Questions, Responses), Status> {
        let missing = || Status::new(Code::FailedPrecondition, "no local sources enabled: the build has no session");
        let session = self.session.as_ref().filter(|session| session.has(DIFF_COPY)).ok_or_else(missing)?;
        add(&mut metadata, "dir-name", std::slice::from_ref(&self.name));
        session.channel.converse(DIFF_COPY, metadata)
    }
}

/// One file of a folder; `None` if there is none.
async fn fetch_file(local: &Local, name: &str, limit_bytes: usize) -> Result<Option<Vec<u8>>, Status> {
    let mut metadata = HeaderMap::new();
    add(&mut metadata, "followpaths", &[name.to_owned()]);
    let (questions, mut responses) = local.diff_copy(metadata)?;
    let mut stats: Vec<Stat> = Vec::new();
    while let Some(packet) = next(&mut responses).await? {
        match (packet.kind(), packet.stat) {
            (PacketType::Stat, Some(_)) if stats.len() == FILE_ENTRIES => return Err(strange()),
            (PacketType::Stat, Some(stat)) => stats.push(stat),
            (PacketType::Stat, None) => break,
            (PacketType::Error, _) => return Err(sender_failed(&packet.data)),
            _ => return Err(strange()),
        }
    }
    let mut bytes = Vec::new();
    let found = place(&stats, name);
    if let Some(id) = found {
        questions.send(&Packet { kind: PacketType::Request as i32, id, ..Packet::default() }).await;
        loop {
            let packet = next(&mut responses).await?.ok_or_else(broken_off)?;
            match packet.kind() {
                PacketType::Data if packet.id == id && packet.data.is_empty() => break,
                PacketType::Data if packet.id == id && bytes.len() + packet.data.len() > limit_bytes => {
                    let message = format!("{name} is longer than {limit_bytes} bytes");
                    return Err(Status::new(Code::InvalidArgument, message));
                }
                PacketType::Data if packet.id == id => bytes.extend_from_slice(&packet.data),
                PacketType::Error => return Err(sender_failed(&packet.data)),
                _ => return Err(strange()),
            }
        }
    }
    questions.send(&Packet { kind: PacketType::Finish as i32, ..Packet::default() }).await;
    while next(&mut responses).await?.is_some() {}
    Ok(found.map(|_| bytes))
}

/// The place of the regular file to which a name leads.
fn place(stats: &[Stat], name: &str) -> Option<u32> {
    let mut wanted = name.to_owned();
    for _ in 0..LINKS {
        let at = stats.iter().position(|stat| stat.path == wanted)?;
        let stat = &stats[at];
        if stat.mode & mode::SYMLINK == 0 {
            let regular = stat.mode & mode::TYPE == 0;
            return u32::try_from(at).ok().filter(|_| regular);
        }
        let folder = wanted.rsplit_once('/').map_or("", |(folder, _)| folder);
        let base = if stat.link.starts_with('/') { "" } else { folder };
        wanted = path::clean(&format!("/{base}/{}", stat.link)).trim_start_matches('/').to_owned();
    }
    None
}

async fn next(responses: &mut Responses) -> Result<Option<Packet>, Status> {
    let silent = |_| Status::new(Code::DeadlineExceeded, "the client has stopped sending its files");
    timeout(SILENT_FOR, responses.next()).await.map_err(silent)?
}

/// Refuses a Dockerfile that asks for another frontend than Docker's own.
fn check_syntax(dockerfile: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(dockerfile);
    let directives = text.lines().map_while(|line| line.trim().strip_prefix('#')?.split_once('='));
    let syntax = directives.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("syntax"));
    let Some((_, image)) = syntax else { return Ok(()) };
    let image = image.split_ascii_whitespace().next().unwrap_or_default();
    let path = image.strip_prefix("docker.io/").unwrap_or(image);
    let ours = ["docker/dockerfile", "docker/dockerfile-upstream"];
    match path.split([':', '@']).next() {
        Some(name) if ours.contains(&name) => Ok(()),
        _ => Err(Error::Unsupported(other_frontend(image).to_string())),
    }
}

/// Adds values of a header. If one is not ASCII all are escaped, and another header says so.
fn add(metadata: &mut HeaderMap, name: &'static str, values: &[String]) {
    let plain = values.iter().all(|value| value.is_ascii() && HeaderValue::try_from(value).is_ok());
    for value in values {
        let value = if plain { value.clone() } else { utf8_percent_encode(value, NON_ALPHANUMERIC).to_string() };
        if let Ok(value) = HeaderValue::try_from(value) {
            metadata.append(name, value);
        }
    }
    if !plain && let Ok(name) = HeaderName::try_from(format!("{name}-encoded")) {
        metadata.insert(name, HeaderValue::from_static("1"));
    }
}

/// What is guarded is whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unreceived(error: receive::Error) -> Error {
    Error::Step(error.to_string())
}

fn failed(status: Status) -> Error {
    Error::Step(status.to_string())
}

fn broken_off() -> Status {
    Status::new(Code::Unavailable, "the client left while it sent its files")
}

fn strange() -> Status {
    Status::new(Code::InvalidArgument, "the client sent what was not asked for")
}

fn sender_failed(reason: &[u8]) -> Status {
    Status::new(Code::Unknown, format!("error from sender: {}", String::from_utf8_lossy(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_through_links() {
        let stat = |path: &str, mode, link: &str| Stat {
            path: path.to_owned(),
            mode,
            link: link.to_owned(),
            ..Stat::default()
        };
        let stats = [
            stat("a", 1 << 27, "d/b"),
            stat("d", 1 << 31, ""),
            stat("d/b", 1 << 27, "../c"),
            stat("c", 0o644, ""),
            stat("e", 1 << 27, "/f"),
            stat("f", 1 << 27, "e"),
        ];
        assert_eq!(place(&stats, "a"), Some(3));
        assert_eq!((place(&stats, "d"), place(&stats, "e"), place(&stats, "x")), (None, None, None));
    }

    #[test]
    fn frontends() {
        for ours in [
            "FROM x",
            "# syntax=docker/dockerfile:1\nFROM x",
            "#escape=`\n# Syntax = docker.io/docker/dockerfile@sha256:1",
            "",
        ] {
            assert!(check_syntax(ours.as_bytes()).is_ok(), "{ours}");
        }
        for other in ["#syntax=mine/frontend\nFROM x", "# check=skip=all\n# syntax=docker/dockerfile2", "# syntax="] {
            assert!(matches!(check_syntax(other.as_bytes()), Err(Error::Unsupported(_))), "{other}");
        }
    }

    #[test]
    fn patterns_that_are_not_ascii_are_escaped() {
        let mut metadata = HeaderMap::new();
        add(&mut metadata, "exclude-patterns", &["a*".to_owned(), "ä b".to_owned()]);
        let values: Vec<_> = metadata.get_all("exclude-patterns").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(values, ["a%2A", "%C3%A4%20b"]);
        assert_eq!(metadata["exclude-patterns-encoded"], "1");
    }
}
