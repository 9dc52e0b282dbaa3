//! A build asked for by attributes: the Dockerfile frontend over longshore's own builder.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use build::{Built, Context, ContextSource, Survey};
use engine::{BuildRequest, Engine, RemoteContext};
use model::ErrorKind;
use serde_json::json;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::attributes::{self, Attributes, text, unbuilt, under};
use crate::describe::{self, Request};
use crate::grpc::{Code, Detail, Status};
use crate::lend::Lender;
use crate::place::Folders;
use crate::progress::{Recorder, range};
use crate::session::{Session, Sessions};
use crate::source::{Local, Locals, Named, SessionFiles};
use crate::upload;

/// Largest Dockerfile whose lines are shown with an error, in bytes: it goes in a header.
const SHOWN_BYTES: usize = 32 * 1024;

/// Images that other builds of the same client made, by the names that this build has for them.
pub(crate) type Inputs = BTreeMap<String, String>;

/// A build with everything that it needs.
#[derive(Debug)]
pub(crate) struct Solve<'a> {
    pub(crate) engine: &'a Arc<Engine>,
    pub(crate) sessions: &'a Sessions,
    pub(crate) recorder: Arc<Recorder>,
    /// The id of the build's session, or empty.
    pub(crate) session: &'a str,
    pub(crate) attributes: &'a Attributes,
    pub(crate) inputs: Inputs,
    pub(crate) cancelled: CancellationToken,
}

impl Solve<'_> {
    /// Builds, with the files of the session.
    ///
    /// # Errors
    /// What the builder says, with the line of the Dockerfile.
    pub(crate) async fn run(self) -> Result<Built, Status> {
        let session = self.session().await?;
        let files = self.files(session.as_ref()).await?;
        self.run_with(Box::new(files), session).await
    }

    /// Answers a question about the Dockerfile.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn describe(self, request: Request) -> Result<HashMap<String, Vec<u8>>, Status> {
        let _given_up = self.cancelled.clone().drop_guard();
        let session = self.session().await?;
        let files = self.files(session.as_ref()).await?;
        let options = attributes::options(self.attributes, String::new())?;
        let survey = tokio::task::spawn_blocking(move || Survey::read(&files, &options)).await;
        let survey = survey.map_err(|error| Status::new(Code::Internal, "the question broke down").caused_by(error))?;
        let source = self.recorder.source().unwrap_or_default();
        match survey {
            Ok(survey) => Ok(request.answer(&survey, &source)),
            Err(error) => match line_of(&error).filter(|_| request == Request::Lint) {
                Some(line) => Ok(describe::misread(&error.to_string(), line, &source)),
                None => {
                    let error = engine::Error::from(error);
                    Err(tokio::task::block_in_place(|| failure(&error, &self.recorder)))
                }
            },
        }
    }

    /// The files of the build: the session's, or those from an address.
    async fn files(&self, session: Option<&Arc<Session>>) -> Result<SessionFiles, Status> {
        let locals = self.locals(session).await?;
        let folders = Folders { caches: self.engine.build_caches(), temporary: self.engine.build_folder() };
        let fetched = match text(self.attributes, "context") {
            "" => None,
            address => Some(self.fetch(address, session).await?),
        };
        let (recorder, cancelled) = (self.recorder.clone(), self.cancelled.clone());
        Ok(SessionFiles::new(locals, fetched, recorder, cancelled, folders))
    }

    /// The build's own session.
    pub(crate) async fn session(&self) -> Result<Option<Arc<Session>>, Status> {
        self.sessions.of(self.session).await
    }

    fn lender(&self, session: Option<Arc<Session>>) -> Arc<Lender> {
        let (handle, cancelled) = (Handle::current(), self.cancelled.clone());
        Arc::new(Lender { session, handle, cancelled, temporary: self.engine.build_folder() })
    }

    /// Builds these files.
    ///
    /// # Errors
    /// As [`Solve::run`].
    pub(crate) async fn run_with(
        self,
        source: Box<dyn ContextSource>,
        session: Option<Arc<Session>>,
    ) -> Result<Built, Status> {
        let version = self.engine.version().await.map_err(|error| of_engine(&error))?.version;
        let lender = self.lender(session);
        let request = BuildRequest {
            source,
            options: attributes::options(self.attributes, version)?,
            host: attributes::host(self.attributes)?,
            keys: lender.clone(),
            progress: self.recorder.clone(),
            secrets: lender,
            cancelled: self.cancelled,
        };
        let outcome = self.engine.solve(request).await;
        // Telling may wait for the client.
        outcome.map_err(|error| tokio::task::block_in_place(|| failure(&error, &self.recorder)))
    }

    /// Which folders of the client's the build uses.
    async fn locals(&self, session: Option<&Arc<Session>>) -> Result<Locals, Status> {
        let attributes = self.attributes;
        let name = |key: &str, name: &str| attributes.get(key).map_or(name, String::as_str).to_owned();
        let dockerfile = self.local(name("dockerfilekey", "dockerfile"), session).await?;
        let context = self.local(name("contextkey", "context"), session).await?;
        let own_dockerfile = attributes.contains_key("dockerfilekey");
        let mut locals = Locals { dockerfile, context, own_dockerfile, ..Locals::default() };
        for (name, value) in under(attributes, "context:") {
            let named = match value.split_once(':') {
                Some(("docker-image", image)) => Named::Image(image.trim_start_matches('/').to_owned()),
                Some(("local", folder)) => Named::Folder(self.local(folder.to_owned(), session).await?),
                Some(("input", input)) if self.inputs.contains_key(input) => Named::Image(self.inputs[input].clone()),
                _ => return Err(unbuilt(&format!("the build context {name}={value}"))),
            };
            // For a platform; there is only this machine's.
            let name = name.split("::").next().unwrap_or_default();
            locals.named.insert(name.to_owned(), named);
        }
        Ok(locals)
    }

    /// The context from an address: of the network, or of the client, who then sends an archive or a Dockerfile.
    async fn fetch(&self, address: &str, session: Option<&Arc<Session>>) -> Result<Context, Status> {
        let Some(path) = address.strip_prefix("http://buildkit-session/") else {
            let keep = text(self.attributes, "build-arg:BUILDKIT_CONTEXT_KEEP_GIT_DIR");
            let keep_git_dir = matches!(keep.to_ascii_lowercase().as_str(), "1" | "t" | "true");
            let remote = RemoteContext { address: address.to_owned(), keep_git_dir };
            let lender = self.lender(session.cloned());
            let context = self.engine.context_at(remote, lender, self.cancelled.clone()).await;
            return context.map_err(|error| of_engine(&error));
        };
        let missing = || Status::new(Code::FailedPrecondition, "the client sends no files: the build has no session");
        let session = session.ok_or_else(missing)?;
        let temporary = self.engine.build_folder();
        let upload = upload::pull(session, path, |body| {
            tokio::task::spawn_blocking(move || Context::of_body(body, "Dockerfile", &temporary))
        });
        let unpacked = self.cancelled.run_until_cancelled(upload).await;
        unpacked.ok_or_else(|| Status::new(Code::Cancelled, "context canceled"))?
    }

    async fn local(&self, name: String, session: Option<&Arc<Session>>) -> Result<Local, Status> {
        let session = match text(self.attributes, &format!("local-sessionid:{name}")) {
            "" => session.cloned(),
            id => Some(self.sessions.find(id).await?),
        };
        Ok(Local { name, session })
    }
}

/// A build's failure in the words that BuildKit's clients know, with the line that it is about.
fn failure(error: &engine::Error, recorder: &Recorder) -> Status {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<build::Error>());
    let line = cause.and_then(line_of);
    let mut status = match cause {
        Some(build::Error::Command { command, code }) => {
            let message = format!("process {command:?} did not complete successfully: exit code: {code}");
            Status::new(Code::Unknown, message)
        }
        Some(build::Error::Cancelled) => Status::new(Code::Cancelled, "context canceled"),
        Some(cause) => match missing(cause) {
            Some(message) => Status::new(Code::Unknown, message),
            None => of_engine(error),
        },
        None => of_engine(error),
    };
    let (info, failed) = recorder.failure(&status.to_string());
    if let Some((info, line)) = info.filter(|info| info.data.len() <= SHOWN_BYTES).zip(line.or(failed)) {
        let range = range(line);
        let position =
            |position: Option<crate::message::Position>| json!({"line": position.map(|position| position.line)});
        let value = json!({
            "info": {"filename": info.filename, "data": STANDARD.encode(&info.data), "language": info.language},
            "ranges": [{"start": position(range.start), "end": position(range.end)}],
        });
        let type_url = "github.com/moby/buildkit/errdefs.Source+json".to_owned();
        status = status.with_detail(Detail { type_url, value: value.to_string().into_bytes() });
    }
    status
}

/// The line of the Dockerfile that cannot be understood.
fn line_of(error: &build::Error) -> Option<usize> {
    match error {
        build::Error::Parse(dockerfile::Error::Parse { line, .. }) => Some(*line),
        _ => None,
    }
}

/// What BuildKit says of a file that is not there, with the place in the Dockerfile behind it; `None` for other errors.
fn missing(error: &build::Error) -> Option<String> {
    let (error, place) = match error {
        build::Error::Instruction { source, excerpt } => (source.as_ref(), format!("\n{excerpt}")),
        other => (other, String::new()),
    };
    let build::Error::Source { fault, .. } = error else { return None };
    let path = format!("/{}", fault.missing()?.trim_start_matches('/'));
    Some(format!("failed to compute cache key: {path:?}: not found{place}"))
}

/// An error of the engine as a call's. Clients put the name of every other code before the message.
pub(crate) fn of_engine(error: &engine::Error) -> Status {
    let code = if error.kind() == ErrorKind::NotImplemented { Code::Unimplemented } else { Code::Unknown };
    Status::new(code, error.message())
}
