//! The services that the daemon offers on `/grpc`: BuildKit's control service, and the bridge over which `docker buildx`
//! carries builds out itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use http::HeaderMap;

use crate::attributes::{Attributes, other_frontend, text, unbuilt};
use crate::describe::Request;
use crate::export::Export;
use crate::grpc::{self, Answer, Call, Code, Service, Status, unary};
use crate::job::Job;
use crate::message::{
    BridgeResult, BridgeSolveRequest, BridgeSolveResponse, BuildkitVersion, Capability, Definition, Empty,
    InfoResponse, ListWorkersResponse, Platform, PongResponse, Ref, Refs, ReturnRequest, SolveRequest, SolveResponse,
    StatusRequest, WorkerRecord,
};
use crate::progress::Recorder;
use crate::solve::{Inputs, Solve, of_engine};
use crate::{Buildkit, hijack};

/// The frontend that is our own builder.
const DOCKERFILE: &str = "dockerfile.v0";
/// The header that names the build which a call of the bridge belongs to.
const BUILD: &str = "buildkit-controlapi-buildid";
/// What the bridge can do, by BuildKit's names: clients do without the rest.
const CAPABILITIES: [&str; 6] =
    ["solve.base", "return", "proto.refarray", "reference.output", "gateway.evaluate", "gateway.solve.evaluate"];

impl Service for Buildkit {
    fn call(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Answer, Status>> {
        async move {
            let Some((service, method)) = call.method.trim_start_matches('/').split_once('/') else {
                return Err(Status::new(Code::Unimplemented, format!("malformed method name: {}", call.method)));
            };
            match (service.to_owned().as_str(), method.to_owned().as_str()) {
                ("moby.buildkit.v1.Control", method) => self.control(method, call).await,
                ("moby.buildkit.v1.frontend.LLBBridge", method) => self.bridge(method, call).await,
                ("grpc.health.v1.Health", "Check") => {
                    unary(call, async |Empty {}, _| Ok(HealthResponse { status: 1 })).await
                }
                (service, _) => Err(Status::new(Code::Unimplemented, format!("unknown service {service}"))),
            }
        }
        .boxed()
    }
}

/// `grpc.health.v1.HealthCheckResponse`; 1 is serving.
#[derive(Clone, PartialEq, prost::Message)]
struct HealthResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

impl Buildkit {
    async fn control(&self, method: &str, call: Call) -> Result<Answer, Status> {
        match method {
            "Info" => unary(call, async |Empty {}, _| Ok(InfoResponse { version: Some(version()) })).await,
            "ListWorkers" => {
                let list = async |Empty {}, _| Ok(ListWorkersResponse { records: vec![self.worker().await?] });
                unary(call, list).await
            }
            "DiskUsage" => unary(call, async |request, _| self.disk_usage(request).await).await,
            "Prune" => {
                let mut call = call;
                let pruned = self.prune(call.requests.next().await?.unwrap_or_default()).await?;
                Ok(grpc::stream(stream::iter(pruned.into_iter().map(Ok)).boxed()))
            }
            "Solve" => unary(call, async |request, _| self.solve(request).await).await,
            "Session" => Ok(hijack::carry(self.sessions.read(&call.metadata)?, call.requests)),
            "Status" => {
                let mut call = call;
                let asked = call.requests.next::<StatusRequest>().await?.unwrap_or_default();
                let news = self.jobs.find(&asked.reference).await?.follow()?;
                let news = stream::unfold(news, async |mut news| news.recv().await.map(|one| (Ok(one), news)));
                Ok(grpc::stream(news.boxed()))
            }
            // `docker buildx` does without the history of builds where there is none.
            method => Err(unknown("Control", method)),
        }
    }

    async fn bridge(&self, method: &str, call: Call) -> Result<Answer, Status> {
        match method {
            "Ping" => unary(call, async |Empty {}, _| self.ping().await).await,
            "Solve" => unary(call, async |request, metadata| self.bridge_solve(request, &metadata).await).await,
            "Return" => unary(call, async |request, metadata| self.bridge_return(request, &metadata).await).await,
            // What was solved is built already.
            "Evaluate" => unary(call, async |Empty {}, _| Ok(Empty {})).await,
            method => Err(unknown("LLBBridge", method)),
        }
    }

    async fn worker(&self) -> Result<WorkerRecord, Status> {
        let info = self.engine.info().await.map_err(|error| of_engine(&error))?;
        let labels = [
            ("org.mobyproject.buildkit.worker.executor", "longshore".to_owned()),
            ("org.mobyproject.buildkit.worker.hostname", info.name.clone()),
        ];
        let architecture = model::native_architecture().to_owned();
        let platform = Platform { architecture, os: "linux".to_owned(), variant: String::new() };
        Ok(WorkerRecord {
            id: info.id,
            labels: labels.map(|(name, value)| (name.to_owned(), value)).into(),
            platforms: vec![platform],
            version: Some(version()),
        })
    }

    /// Builds, or lets the client carry the build out over the bridge, and hands the result on.
    async fn solve(&self, request: SolveRequest) -> Result<SolveResponse, Status> {
        let export = Export::of(&request)?;
        let (running, returned) = self.jobs.begin(&request.reference, &request.session)?;
        let job = &running.job;
        let built = match request.frontend.as_str() {
            "" if is_given(request.definition.as_ref()) => {
                return Err(unbuilt("solving a graph of low-level operations (LLB)"));
            }
            "" => {
                let gone = |_| Status::new(Code::Cancelled, "the build was given up");
                tokio::select! {
                    returned = returned => match returned.map_err(gone)?? {
                        Some(result) => Some(job.result(&result)?),
                        None => None,
                    },
                    () = job.cancelled.cancelled() => return Err(Status::new(Code::Cancelled, "context canceled")),
                }
            }
            frontend => {
                let inputs = check_frontend(frontend, &request.frontend_inputs)?;
                Some(Arc::new(self.dockerfile(job, &request.frontend_attrs, inputs).await?))
            }
        };
        let mut told = BTreeMap::new();
        if let (Some(built), Some(export)) = (built, export) {
            let recorder = Recorder::new(job.trace()?);
            let session = self.sessions.of(&job.session).await?;
            told = export.carry_out(&self.engine, built, recorder, session, job.cancelled.clone()).await?;
        }
        Ok(SolveResponse { exporter_response: told })
    }

    async fn dockerfile(&self, job: &Job, attributes: &Attributes, inputs: Inputs) -> Result<build::Built, Status> {
        let asked = text(attributes, "requestid");
        if !asked.is_empty() {
            return Err(unbuilt(&format!(
                "asking the frontend for {asked} without a client that waits for the answer"
            )));
        }
        let solve = self.solving(job, attributes, inputs)?;
        // The client may give up this call alone.
        let _given_up = solve.cancelled.clone().drop_guard();
        solve.run().await
    }

    /// What a job's client wants of the frontend.
    fn solving<'a>(&'a self, job: &'a Job, attributes: &'a Attributes, inputs: Inputs) -> Result<Solve<'a>, Status> {
        Ok(Solve {
            engine: &self.engine,
            sessions: &self.sessions,
            recorder: Arc::new(Recorder::new(job.trace()?)),
            session: &job.session,
            attributes,
            inputs,
            cancelled: job.cancelled.child_token(),
        })
    }

    async fn ping(&self) -> Result<PongResponse, Status> {
        let capability = |id: &str| Capability { id: id.to_owned(), enabled: true };
        Ok(PongResponse {
            frontend_capabilities: CAPABILITIES.iter().map(|id| capability(id)).collect(),
            // A list without anything would be taken for that of a BuildKit too old to have one.
            operation_capabilities: vec![capability("source.local")],
            workers: vec![self.worker().await?],
        })
    }

    async fn bridge_solve(
        &self,
        request: BridgeSolveRequest,
        metadata: &HeaderMap,
    ) -> Result<BridgeSolveResponse, Status> {
        let job = self.job_of(metadata).await?;
        if request.frontend.is_empty() {
            return match is_given(request.definition.as_ref()) {
                true => Err(unbuilt("solving a graph of low-level operations (LLB)")),
                false => Ok(BridgeSolveResponse { result: Some(BridgeResult::default()) }),
            };
        }
        let inputs = check_frontend(&request.frontend, &request.frontend_inputs)?;
        let asked = text(&request.frontend_opt, "requestid");
        if !asked.is_empty() {
            let what = Request::named(asked).ok_or_else(|| unbuilt(&format!("asking the frontend for {asked}")))?;
            let metadata = self.solving(&job, &request.frontend_opt, inputs)?.describe(what).await?;
            return Ok(BridgeSolveResponse { result: Some(BridgeResult { refs: None, metadata }) });
        }
        let built = self.dockerfile(&job, &request.frontend_opt, inputs).await?;
        let definition = Some(Definition::of_image(&built.image.id.to_string()));
        let result = Refs::One(Ref { id: job.keep(built)?, definition });
        Ok(BridgeSolveResponse { result: Some(BridgeResult { refs: Some(result), ..BridgeResult::default() }) })
    }

    async fn bridge_return(&self, request: ReturnRequest, metadata: &HeaderMap) -> Result<Empty, Status> {
        let job = self.job_of(metadata).await?;
        let returned = match request.error.filter(|error| error.code != 0) {
            Some(error) => Err(Status::from_rpc(error)),
            None => result_of(request.result),
        };
        job.end_with(returned)?;
        Ok(Empty {})
    }

    async fn job_of(&self, metadata: &HeaderMap) -> Result<Arc<Job>, Status> {
        let missing = || Status::new(Code::InvalidArgument, format!("the call names no build ({BUILD})"));
        let reference = metadata.get(BUILD).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
        self.jobs.find(reference).await
    }
}

/// The one result of a build.
fn result_of(result: Option<BridgeResult>) -> Result<Option<String>, Status> {
    let id = match result.and_then(|result| result.refs) {
        None => return Ok(None),
        Some(Refs::Old(id)) => id,
        Some(Refs::One(result)) => result.id,
        Some(Refs::Many(map)) if map.refs.len() > 1 => return Err(unbuilt("exporting several results of one build")),
        Some(Refs::Many(map)) => map.refs.into_values().next().unwrap_or_default().id,
    };
    Ok(Some(id).filter(|id| !id.is_empty()))
}

/// The images that a build of the Dockerfile frontend is given.
fn check_frontend(frontend: &str, inputs: &HashMap<String, Definition>) -> Result<Inputs, Status> {
    if frontend != DOCKERFILE {
        return Err(other_frontend(frontend));
    }
    let given = inputs.iter().filter(|(_, definition)| is_given(Some(definition)));
    let image = |(name, definition): (&String, &Definition)| match definition.image() {
        Some(id) => Ok((name.clone(), id)),
        None => Err(unbuilt("a build context that is a graph of low-level operations (LLB)")),
    };
    given.map(image).collect()
}

fn is_given(definition: Option<&Definition>) -> bool {
    definition.is_some_and(|definition| !definition.operations.is_empty())
}

fn unknown(service: &str, method: &str) -> Status {
    Status::new(Code::Unimplemented, format!("unknown method {method} for service {service}"))
}

fn version() -> BuildkitVersion {
    BuildkitVersion {
        package: "longshore".to_owned(),
        version: format!("v{}", env!("CARGO_PKG_VERSION")),
        revision: String::new(),
    }
}
