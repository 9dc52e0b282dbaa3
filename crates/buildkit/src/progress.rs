//! A build's events as the records that BuildKit's clients draw: vertexes with their states, transfers and logs.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use build::{Event, Plan, Progress, StepEvent, StepId, Stream};
use sha2::{Digest, Sha256};

use crate::job::Trace;
use crate::message::{
    Position, Range, SourceInfo, StatusResponse, Timestamp, Vertex, VertexLog, VertexStatus, VertexWarning,
};

/// How often a transfer in progress is told.
const TRANSFER_EVERY: Duration = Duration::from_millis(100);
/// Instructions that are shown; the others change only the configuration and take no time.
const SHOWN: [&str; 5] = ["FROM", "RUN", "COPY", "ADD", "WORKDIR"];

/// Tells a build's client how it goes.
#[derive(Debug)]
pub(crate) struct Recorder {
    trace: Trace,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    steps: HashMap<StepId, Step>,
    /// The Dockerfile, and the vertex that fetched it.
    dockerfile: Option<(SourceInfo, String)>,
    /// The step that failed first.
    failed: Option<StepId>,
    internal: usize,
}

#[derive(Debug)]
struct Step {
    vertex: Vertex,
    line: usize,
    shown: bool,
}

impl Recorder {
    pub(crate) fn new(trace: Trace) -> Self {
        Self { trace, state: Mutex::default() }
    }

    /// Tells of work that is no instruction.
    pub(crate) fn work<T, E: ToString>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Transfer<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.fetch(name, "", work)
    }

    /// Tells of files that are fetched, and what they are.
    pub(crate) fn fetch<T, E: ToString>(
        &self,
        name: &str,
        what: &str,
        work: impl FnOnce(&mut Transfer<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let number = {
            let mut state = self.lock();
            state.internal += 1;
            state.internal
        };
        let started = Some(Timestamp::now());
        let vertex = Vertex {
            digest: digest(&["work", &number.to_string(), name]),
            name: name.to_owned(),
            started,
            ..Vertex::default()
        };
        self.tell_vertex(vertex.clone());
        let mut transfer = Transfer { recorder: self, what, vertex: &vertex, started, bytes: 0, told: None };
        let outcome = work(&mut transfer);
        if transfer.told.is_some() {
            transfer.tell(true);
        }
        let error = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
        self.tell_vertex(Vertex { completed: Some(Timestamp::now()), error, ..vertex });
        outcome
    }

    /// Keeps the Dockerfile, to show lines of it.
    pub(crate) fn dockerfile(&self, name: &str, text: &[u8], transfer: &Transfer<'_>) {
        let info = SourceInfo { filename: name.to_owned(), data: text.to_vec(), language: "Dockerfile".to_owned() };
        self.lock().dockerfile = Some((info, transfer.vertex.digest.clone()));
    }

    /// Tells why the build failed at the step that failed first, if a step did. Gives the Dockerfile back, if it was
    /// read, and the line of that step.
    pub(crate) fn failure(&self, words: &str) -> (Option<SourceInfo>, Option<usize>) {
        let mut state = self.lock();
        let failed = state.failed;
        let step = failed.and_then(|id| state.steps.get_mut(&id));
        let (line, news) = match step {
            Some(step) => {
                words.clone_into(&mut step.vertex.error);
                (Some(step.line), step.news())
            }
            None => (None, None),
        };
        let info = state.dockerfile.as_ref().map(|(info, _)| info.clone());
        drop(state);
        if let Some(news) = news {
            self.trace.tell(news);
        }
        (info, line)
    }

    /// The Dockerfile, if it was read.
    pub(crate) fn source(&self) -> Option<SourceInfo> {
        self.lock().dockerfile.as_ref().map(|(info, _)| info.clone())
    }

    fn plan(&self, plan: Plan) {
        let mut state = self.lock();
        for (number, step) in plan.before.into_iter().enumerate() {
            state.add(StepId { stage: None, number }, step.line, step.text, false);
        }
        let several = plan.stages.len() > 1;
        for (stage, planned) in plan.stages.into_iter().enumerate() {
            let name = match (several, planned.name.is_empty()) {
                (false, true) => String::new(),
                (true, true) => format!("stage-{stage} "),
                (_, false) => format!("{} ", planned.name),
            };
            let total = planned.steps.iter().filter(|step| is_shown(&step.text)).count();
            let mut at = 0;
            for (number, step) in planned.steps.into_iter().enumerate() {
                let shown = is_shown(&step.text);
                at += usize::from(shown);
                let text = if shown { format!("[{name}{at}/{total}] {}", step.text) } else { step.text };
                state.add(StepId { stage: Some(stage), number }, step.line, text, shown);
            }
        }
    }

    fn step(&self, id: StepId, event: StepEvent) {
        let mut state = self.lock();
        let Some(step) = state.steps.get_mut(&id) else { return };
        let now = Some(Timestamp::now());
        let news = match event {
            StepEvent::Began => {
                step.vertex.started = now;
                step.news()
            }
            StepEvent::Cached => {
                step.vertex.cached = true;
                return;
            }
            StepEvent::Done(_) => {
                step.vertex.completed = now;
                step.news()
            }
            StepEvent::Failed { message } => {
                step.vertex.completed = now;
                let cancelled = message == build::Error::Cancelled.to_string();
                // By these words clients know it.
                step.vertex.error = if cancelled { "context canceled".to_owned() } else { message };
                step.shown |= !cancelled;
                let news = step.news();
                if !cancelled && state.failed.is_none() {
                    // Told with the build's own words for it.
                    state.failed = Some(id);
                    return;
                }
                news
            }
            StepEvent::Output(stream, message) => step.log(stream, message),
            StepEvent::Trigger { text, .. } => step.log(Stream::Output, format!("{text}\n").into_bytes()),
            StepEvent::Fetching(message) => step.fetching(&message),
            StepEvent::Skipped { .. }
            | StepEvent::Triggers(_)
            | StepEvent::TriggerDone(_)
            | StepEvent::Container(_)
            | StepEvent::Removed(_)
            | StepEvent::NotRemoved { .. } => return,
        };
        drop(state);
        if let Some(news) = news {
            self.trace.tell(news);
        }
    }

    fn warn(&self, line: Option<usize>, short: String) {
        let (info, vertex) = self.lock().dockerfile.clone().unwrap_or_default();
        let ranges = line.map(range).into_iter().collect();
        let info = (!info.data.is_empty()).then_some(info);
        let warning = VertexWarning { vertex, level: 1, short: short.into_bytes(), info, ranges };
        self.trace.tell(StatusResponse { warnings: vec![warning], ..StatusResponse::default() });
    }

    fn tell_vertex(&self, vertex: Vertex) {
        self.trace.tell(StatusResponse { vertexes: vec![vertex], ..StatusResponse::default() });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Recorder {
    fn tell(&self, event: Event) {
        match event {
            Event::Planned(plan) => self.plan(plan),
            Event::Step(id, event) => self.step(id, event),
            Event::Unused(names) => {
                let names = names.join(" ");
                self.warn(None, format!("One or more build-args [{names}] were not consumed"));
            }
            Event::Warning { position, rule, message } => {
                let line = position.map(|position| position.line);
                let rule = if rule.is_empty() { rule } else { format!("{rule}: ") };
                let place = line.map(|line| format!(" (line {line})")).unwrap_or_default();
                self.warn(line, format!("{rule}{message}{place}"));
            }
            Event::StageBuilt { .. } | Event::StageFailed { .. } | Event::Built(_) | Event::Named(_) => {}
        }
    }
}

impl State {
    fn add(&mut self, id: StepId, line: usize, name: String, shown: bool) {
        let stage = id.stage.map(|stage| stage.to_string()).unwrap_or_default();
        let digest = digest(&["step", &stage, &id.number.to_string(), &name]);
        self.steps.insert(id, Step { vertex: Vertex { digest, name, ..Vertex::default() }, line, shown });
    }
}

impl Step {
    fn news(&self) -> Option<StatusResponse> {
        self.shown.then(|| StatusResponse { vertexes: vec![self.vertex.clone()], ..StatusResponse::default() })
    }

    fn log(&self, stream: Stream, message: Vec<u8>) -> Option<StatusResponse> {
        let stream = if stream == Stream::Output { 1 } else { 2 };
        let log = VertexLog { vertex: self.vertex.digest.clone(), timestamp: Some(Timestamp::now()), stream, message };
        Some(StatusResponse { logs: vec![log], ..StatusResponse::default() })
    }

    /// A message of the API's stream for pulls, of a layer.
    fn fetching(&self, message: &serde_json::Value) -> Option<StatusResponse> {
        let layer = message["id"].as_str().filter(|id| !id.is_empty())?;
        let state = message["status"].as_str().unwrap_or_default();
        let number = |name: &str| message["progressDetail"][name].as_i64().unwrap_or_default();
        let now = Some(Timestamp::now());
        let over = matches!(state, "Pull complete" | "Already exists");
        let status = VertexStatus {
            id: format!("{layer} {}", state.to_ascii_lowercase()),
            vertex: self.vertex.digest.clone(),
            current: number("current"),
            total: number("total"),
            timestamp: now,
            started: now,
            completed: if over || number("current") == number("total") { now } else { None },
            ..VertexStatus::default()
        };
        Some(StatusResponse { statuses: vec![status], ..StatusResponse::default() })
    }
}

/// Bytes on their way, beneath a vertex.
#[derive(Debug)]
pub(crate) struct Transfer<'a> {
    recorder: &'a Recorder,
    what: &'a str,
    vertex: &'a Vertex,
    started: Option<Timestamp>,
    bytes: u64,
    told: Option<Instant>,
}

impl Transfer<'_> {
    /// So many bytes have come.
    pub(crate) fn at(&mut self, bytes: u64) {
        self.bytes = bytes;
        if self.told.is_none_or(|told| told.elapsed() >= TRANSFER_EVERY) {
            self.told = Some(Instant::now());
            self.tell(false);
        }
    }

    fn tell(&self, done: bool) {
        let now = Some(Timestamp::now());
        let id = format!("transferring {}:", self.what);
        let status = VertexStatus {
            name: id.clone(),
            id,
            vertex: self.vertex.digest.clone(),
            current: i64::try_from(self.bytes).unwrap_or(i64::MAX),
            timestamp: now,
            started: self.started,
            completed: now.filter(|_| done),
            ..VertexStatus::default()
        };
        self.recorder.trace.tell(StatusResponse { statuses: vec![status], ..StatusResponse::default() });
    }

    /// That was all.
    pub(crate) fn done(&mut self, bytes: u64) {
        self.bytes = bytes;
        self.told = Some(Instant::now());
    }

    /// A part of the work, of which nothing is counted.
    pub(crate) fn part(&self, name: &str) {
        let now = Some(Timestamp::now());
        let status = VertexStatus {
            id: name.to_owned(),
            vertex: self.vertex.digest.clone(),
            timestamp: now,
            started: now,
            completed: now,
            ..VertexStatus::default()
        };
        self.recorder.trace.tell(StatusResponse { statuses: vec![status], ..StatusResponse::default() });
    }
}

/// One whole line.
pub(crate) fn range(line: usize) -> Range {
    let position = Position { line: i32::try_from(line).unwrap_or(i32::MAX), character: 0 };
    Range { start: Some(position), end: Some(position) }
}

fn is_shown(text: &str) -> bool {
    let word = text.split_ascii_whitespace().next().unwrap_or_default();
    SHOWN.iter().any(|shown| word.eq_ignore_ascii_case(shown))
}

/// The name of a vertex, the same whenever it is told.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    format!("sha256:{}", model::to_hex(&hash.finalize()))
}
