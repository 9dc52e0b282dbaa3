//! `POST /build?version=2`: a build for clients that have sessions but not `docker buildx` (the `docker` program from 18.09
//! to 22 with `DOCKER_BUILDKIT=1`).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use build::Context;
use engine::Upload;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use prost::Message;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::Buildkit;
use crate::attributes::Attributes;
use crate::export::Export;
use crate::grpc::{Code, Status};
use crate::job::Running;
use crate::message::StatusResponse;
use crate::progress::Recorder;
use crate::solve::{Inputs, Solve};

/// How long a build waits for a context that comes with a request of its own, and that for the build.
const UPLOAD_WITHIN: Duration = Duration::from_secs(5);

/// What the request asks for.
#[derive(Debug)]
pub struct Request {
    /// The client's name for the build, to cancel it by; may be empty.
    pub id: String,
    /// The id of its session; may be empty.
    pub session: String,
    /// Where the context is: in the body (empty), in the session (`client-session`), in the body of another request
    /// (`upload-request`), or at an address.
    pub remote: String,
    /// What is asked of the frontend, by BuildKit's names.
    pub attributes: Attributes,
    /// What becomes of the result; `None`: it is only kept as cache.
    pub output: Option<Output>,
    /// Nothing is told but the image's id, as text.
    pub quiet: bool,
    /// The request's body.
    pub body: Upload,
}

/// What becomes of a result.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// The exporter: `moby` for the image store.
    pub kind: String,
    /// Its attributes.
    pub attributes: std::collections::HashMap<String, String>,
}

impl Buildkit {
    /// Builds; JSON documents for the answer, of which the last is the image's id or the error. Dropping the stream ends
    /// the build.
    ///
    /// # Errors
    /// The request itself cannot be.
    pub async fn build(self: &Arc<Self>, request: Request) -> Result<BoxStream<'static, Vec<u8>>, Status> {
        let export = match request.output.clone() {
            Some(output) => Export::to(&output.kind, &output.attributes)?,
            None => None,
        };
        let name = if request.id.is_empty() { self.jobs.new_name() } else { request.id.clone() };
        let (running, _) = self.jobs.begin(&name, &request.session)?;
        let quiet = request.quiet;
        // Nobody will ask again: what is told of a quiet build is lost.
        let news = Some(running.job.follow()?).filter(|_| !quiet);
        let buildkit = self.clone();
        let work = async move {
            let outcome = buildkit.build_request(&running, request, export).await;
            // The news end with it.
            drop(running);
            outcome
        };
        Ok(documents(news, work.boxed(), quiet))
    }

    async fn build_request(
        &self,
        running: &Running,
        request: Request,
        export: Option<Export>,
    ) -> Result<Option<String>, Status> {
        let job = &running.job;
        let recorder = Arc::new(Recorder::new(job.trace()?));
        let solve = Solve {
            engine: &self.engine,
            sessions: &self.sessions,
            recorder,
            session: &job.session,
            attributes: &request.attributes,
            inputs: Inputs::new(),
            cancelled: job.cancelled.clone(),
        };
        let built = match request.remote.as_str() {
            "client-session" => solve.run().await?,
            address if address.contains(['/', ':']) => solve.run().await?,
            "" => self.build_upload(solve, request.body).await?,
            "upload-request" => {
                let late = |_| Status::new(Code::DeadlineExceeded, "the build context did not come in time");
                let body = timeout(UPLOAD_WITHIN, job.upload()).await.map_err(late)??;
                self.build_upload(solve, body).await?
            }
            other => {
                return Err(Status::new(Code::InvalidArgument, format!("{other:?} is no place of a build context")));
            }
        };
        let Some(export) = export else { return Ok(None) };
        let session = self.sessions.of(&job.session).await?;
        let recorder = Recorder::new(job.trace()?);
        let exported = export.carry_out(&self.engine, Arc::new(built), recorder, session, job.cancelled.clone());
        let mut told = exported.await?;
        Ok(told.remove("containerimage.digest"))
    }

    async fn build_upload(&self, solve: Solve<'_>, body: Upload) -> Result<build::Built, Status> {
        let session = solve.session().await?;
        let temporary = self.engine.build_folder();
        let unpack = tokio::task::spawn_blocking(move || Context::of_body(body, "Dockerfile", &temporary));
        let context = unpack
            .await
            .map_err(|error| Status::new(Code::Internal, "unpacking the build context broke down").caused_by(error))?
            .map_err(|error| Status::new(Code::InvalidArgument, error.to_string()).caused_by(error))?;
        solve.run_with(Box::new(context), session).await
    }

    /// Brings the context of a build that another request asks for.
    ///
    /// # Errors
    /// There is no such build, or it wants none.
    pub async fn bring(&self, id: &str, body: Upload) -> Result<(), Status> {
        self.jobs.find(id).await?.bring(body)
    }
}

/// The build's news as documents, and behind them its outcome.
fn documents(
    news: Option<mpsc::Receiver<StatusResponse>>,
    work: BoxFuture<'static, Result<Option<String>, Status>>,
    quiet: bool,
) -> BoxStream<'static, Vec<u8>> {
    enum Stage {
        Working(BoxFuture<'static, Result<Option<String>, Status>>),
        Done(Result<Option<String>, Status>),
        Told,
    }
    stream::unfold((news, Stage::Working(work)), move |(mut news, mut stage)| async move {
        loop {
            tokio::select! {
                biased;
                one = next(&mut news) => match one {
                    Some(one) => return Some((trace(&one), (news, stage))),
                    None => match std::mem::replace(&mut stage, Stage::Told) {
                        Stage::Working(work) => stage = Stage::Done(work.await),
                        Stage::Done(Ok(None)) | Stage::Told => return None,
                        Stage::Done(Ok(Some(image))) => return Some((named(&image, quiet), (news, Stage::Told))),
                        Stage::Done(Err(status)) => return Some((failed(&status), (news, Stage::Told))),
                    },
                },
                outcome = async { match &mut stage {
                    Stage::Working(work) => work.await,
                    Stage::Done(_) | Stage::Told => std::future::pending().await,
                } } => stage = Stage::Done(outcome),
            }
        }
    })
    .boxed()
}

fn trace(news: &StatusResponse) -> Vec<u8> {
    json!({"id": "moby.buildkit.trace", "aux": STANDARD.encode(news.encode_to_vec())}).to_string().into_bytes()
}

/// The next news; `None` at the end, and if there are none.
async fn next(news: &mut Option<mpsc::Receiver<StatusResponse>>) -> Option<StatusResponse> {
    news.as_mut()?.recv().await
}

fn named(image: &str, quiet: bool) -> Vec<u8> {
    let named = match quiet {
        true => json!({"stream": format!("{image}\n")}),
        false => json!({"id": "moby.image.id", "aux": {"ID": image}}),
    };
    named.to_string().into_bytes()
}

fn failed(status: &Status) -> Vec<u8> {
    let message = status.to_string();
    json!({"errorDetail": {"message": message}, "error": message}).to_string().into_bytes()
}
