//! Builds that run: one call starts a build, another asks how it goes, and a third may carry it out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use build::Built;
use engine::Upload;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::directory::{Directory, Refused};
use crate::grpc::{Code, Status};
use crate::message::StatusResponse;

/// Builds at a time.
const JOBS: usize = 256;
/// How long a call waits for the build that it names: a client makes its calls side by side.
const ARRIVES_WITHIN: Duration = Duration::from_secs(10);
/// How long what a build told is kept for a client that has not asked yet.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// Pieces of news that wait for a slow client.
const NEWS: usize = 256;
/// Results of one build that its client may name.
const RESULTS: usize = 64;

/// What came of a build that its client carries out: the result's name, or nothing to export.
pub(crate) type Returned = Result<Option<String>, Status>;

/// A build.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) session: String,
    pub(crate) cancelled: CancellationToken,
    trace: Mutex<Option<Trace>>,
    news: Mutex<Option<mpsc::Receiver<StatusResponse>>>,
    returned: Mutex<Option<oneshot::Sender<Returned>>>,
    results: Mutex<HashMap<String, Arc<Built>>>,
    /// The context that another request brings.
    upload: Mutex<Option<oneshot::Receiver<Upload>>>,
    brought: Mutex<Option<oneshot::Sender<Upload>>>,
    ended: Mutex<Option<Instant>>,
}

/// Takes news of a build to the client that follows it.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    sender: mpsc::Sender<StatusResponse>,
    /// Whether a client listens: until then news are kept as long as there is room.
    followed: Arc<AtomicBool>,
    handle: Handle,
    cancelled: CancellationToken,
}

/// All builds of a daemon.
#[derive(Debug)]
pub(crate) struct Jobs(Directory<Arc<Job>>, AtomicU64);

impl Default for Jobs {
    fn default() -> Self {
        Self(Directory::new(JOBS), AtomicU64::new(0))
    }
}

impl Jobs {
    /// A name for a build whose client gives it none.
    pub(crate) fn new_name(&self) -> String {
        format!("build-{}", self.1.fetch_add(1, Ordering::Relaxed))
    }

    /// Begins a build; it is cancelled when the value is dropped.
    ///
    /// # Errors
    /// The reference is taken, or there are too many builds.
    pub(crate) fn begin(
        self: &Arc<Self>,
        reference: &str,
        session: &str,
    ) -> Result<(Running, oneshot::Receiver<Returned>), Status> {
        self.0.retain(|job| job.ended().is_none_or(|ended| ended.elapsed() < KEPT_FOR));
        let (sender, news) = mpsc::channel(NEWS);
        let (returned, outcome) = oneshot::channel();
        let (brought, upload) = oneshot::channel();
        let cancelled = CancellationToken::new();
        let trace = Trace { sender, followed: Arc::default(), handle: Handle::current(), cancelled: cancelled.clone() };
        let job = Arc::new(Job {
            session: session.to_owned(),
            cancelled,
            trace: Mutex::new(Some(trace)),
            news: Mutex::new(Some(news)),
            returned: Mutex::new(Some(returned)),
            results: Mutex::default(),
            upload: Mutex::new(Some(upload)),
            brought: Mutex::new(Some(brought)),
            ended: Mutex::default(),
        });
        self.0.insert(reference, job.clone()).map_err(|refused| match refused {
            Refused::Id => Status::new(Code::InvalidArgument, "the build has no reference, or too long a one"),
            Refused::Taken => Status::new(Code::AlreadyExists, format!("job ID {reference} exists")),
            Refused::Full => Status::new(Code::ResourceExhausted, format!("there are {JOBS} builds already")),
        })?;
        Ok((Running { jobs: self.clone(), reference: reference.to_owned(), job }, outcome))
    }

    /// A build that runs, or begins within a moment.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn find(&self, reference: &str) -> Result<Arc<Job>, Status> {
        let missing = || Status::new(Code::NotFound, format!("no such job {reference}"));
        self.0.find(reference, ARRIVES_WITHIN).await.ok_or_else(missing)
    }

    /// Cancels a build; none of this name is as well.
    pub(crate) fn cancel(&self, reference: &str) {
        if let Some(job) = self.0.get(reference) {
            job.cancelled.cancel();
        }
    }
}

/// A build that goes on as long as this lives.
#[derive(Debug)]
pub(crate) struct Running {
    jobs: Arc<Jobs>,
    reference: String,
    pub(crate) job: Arc<Job>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.job.cancelled.cancel();
        drop(lock(&self.job.trace).take());
        *lock(&self.job.ended) = Some(Instant::now());
        if lock(&self.job.news).is_none() {
            self.jobs.0.remove(&self.reference);
        }
    }
}

impl Job {
    /// The build's news from the beginning; they end with the build.
    ///
    /// # Errors
    /// Somebody else has them.
    pub(crate) fn follow(&self) -> Result<mpsc::Receiver<StatusResponse>, Status> {
        let taken = || Status::new(Code::FailedPrecondition, "this build is followed already");
        let news = lock(&self.news).take().ok_or_else(taken)?;
        if let Some(trace) = &*lock(&self.trace) {
            trace.followed.store(true, Ordering::Relaxed);
        }
        Ok(news)
    }

    /// Where the build tells its news.
    ///
    /// # Errors
    /// The build has ended.
    pub(crate) fn trace(&self) -> Result<Trace, Status> {
        lock(&self.trace).clone().ok_or_else(|| Status::new(Code::Cancelled, "the build has ended"))
    }

    /// Keeps a result that the client may come back for.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn keep(&self, built: Built) -> Result<String, Status> {
        let mut results = lock(&self.results);
        if results.len() >= RESULTS {
            return Err(Status::new(Code::ResourceExhausted, format!("a build has at most {RESULTS} results")));
        }
        let id = results.len().to_string();
        results.insert(id.clone(), Arc::new(built));
        Ok(id)
    }

    /// A result that was kept.
    ///
    /// # Errors
    /// There is none of this name.
    pub(crate) fn result(&self, id: &str) -> Result<Arc<Built>, Status> {
        let missing = || Status::new(Code::NotFound, format!("no such result: {id}"));
        lock(&self.results).get(id).cloned().ok_or_else(missing)
    }

    /// Takes what came of a build that its client carries out.
    ///
    /// # Errors
    /// It was told before.
    pub(crate) fn end_with(&self, returned: Returned) -> Result<(), Status> {
        let told = || Status::new(Code::FailedPrecondition, "this build has ended already");
        let sender = lock(&self.returned).take().ok_or_else(told)?;
        sender.send(returned).map_err(|_| told())
    }

    /// Brings the build's context.
    ///
    /// # Errors
    /// It was brought before, or the build has ended.
    pub(crate) fn bring(&self, upload: Upload) -> Result<(), Status> {
        let late = || Status::new(Code::FailedPrecondition, "this build wants no context");
        let sender = lock(&self.brought).take().ok_or_else(late)?;
        sender.send(upload).map_err(|_| late())
    }

    /// The context that another request brings.
    ///
    /// # Errors
    /// It was taken before.
    pub(crate) async fn upload(&self) -> Result<Upload, Status> {
        let missing = || Status::new(Code::FailedPrecondition, "this build has its context already");
        let upload = lock(&self.upload).take().ok_or_else(missing)?;
        upload.await.map_err(|error| missing().caused_by(error))
    }

    fn ended(&self) -> Option<Instant> {
        *lock(&self.ended)
    }
}

impl Trace {
    /// Tells news, from blocking code; waits for a client that follows and is slow, as long as the build goes on.
    pub(crate) fn tell(&self, news: StatusResponse) {
        let news = match self.sender.try_send(news) {
            Ok(()) => return,
            Err(TrySendError::Full(news)) if self.followed.load(Ordering::Relaxed) => news,
            Err(_) => return tracing::trace!("nobody follows a build"),
        };
        let sent = self.handle.block_on(self.cancelled.run_until_cancelled(self.sender.send(news)));
        if !matches!(sent, Some(Ok(()))) {
            tracing::trace!("nobody follows a build any more");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
