//! How a build goes, as events.

use dockerfile::Position;
use model::ImageId;

use crate::Result;

/// One instruction of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId {
    /// The stage it is in, by number; `None`: it stands before the first `FROM`.
    pub stage: Option<usize>,
    /// Its place there; 0 is the first.
    pub number: usize,
}

/// What will be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Instructions before the first `FROM`.
    pub before: Vec<StepPlan>,
    /// All stages of the Dockerfile, in its order.
    pub stages: Vec<StagePlan>,
}

/// A stage, as far as it can be known before a step was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StagePlan {
    /// Its name in lower case, or empty.
    pub name: String,
    /// Its instructions, `FROM` first.
    pub steps: Vec<StepPlan>,
    /// Earlier stages that it stands on or copies from.
    pub needs: Vec<usize>,
    /// Whether it is built: the target, or something that the target needs.
    pub wanted: bool,
}

/// An instruction that will be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepPlan {
    /// Where it begins.
    pub line: usize,
    /// As written, joined from its lines.
    pub text: String,
}

/// Something that happened to a build.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The first event of all.
    Planned(Plan),
    /// A step goes on. Events of one step come in order; those of different stages may mix.
    Step(StepId, StepEvent),
    /// All steps of a stage are done; what its last one left, nothing for an empty stage on `scratch`.
    StageBuilt {
        /// The stage's number.
        stage: usize,
        /// The image.
        image: Option<ImageId>,
    },
    /// A stage ended before all of its steps were done: one failed, or the build was given up.
    StageFailed {
        /// The stage's number.
        stage: usize,
    },
    /// Arguments that the client gave and no `ARG` took.
    Unused(Vec<String>),
    /// Something that a careful author would want to know.
    Warning {
        /// What it is about.
        position: Option<Position>,
        /// Which rule, for example `JSONArgsRecommended`; empty: none that has a name.
        rule: String,
        /// What is the matter.
        message: String,
    },
    /// The build succeeded.
    Built(ImageId),
    /// The image got a name, as people write it.
    Named(String),
}

/// Something that happened to a step.
#[derive(Debug, Clone, PartialEq)]
pub enum StepEvent {
    /// It begins.
    Began,
    /// It is no instruction that was known in 2014, and is skipped.
    Skipped {
        /// Its name.
        instruction: String,
    },
    /// `FROM` an image that left instructions (`ONBUILD`) to do; so many.
    Triggers(usize),
    /// One of these begins.
    Trigger {
        /// Its number; 0 is the first.
        number: usize,
        /// As the image has it.
        text: String,
    },
    /// It is done; the image it left.
    TriggerDone(Option<ImageId>),
    /// An earlier build did the same, or a trigger of it.
    Cached,
    /// A container was made for it, or an id of one that is not needed.
    Container(String),
    /// What its command writes, as it comes.
    Output(Stream, Vec<u8>),
    /// An image is being fetched: a message of the API's stream for `POST /images/create`.
    Fetching(serde_json::Value),
    /// A container of it is gone.
    Removed(String),
    /// A container of it could not be removed.
    NotRemoved {
        /// Its id.
        container: String,
        /// Why.
        reason: String,
    },
    /// It is done; the image it left, nothing before the first change to `scratch`.
    Done(Option<ImageId>),
    /// It failed, and with it the build; the reason is the build's error.
    Failed {
        /// That error, worded.
        message: String,
    },
}

/// Which of a command's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

impl Event {
    /// A warning about no place and by no rule.
    pub(crate) fn warning(message: String) -> Self {
        Self::Warning { position: None, rule: String::new(), message }
    }
}

/// Someone who is told how a build goes: the classic text ([`crate::Classic`]) or a session's records.
pub trait Progress: Send + Sync {
    /// Takes an event. May wait for a slow reader; must not fail the build: that its reader has left is noticed by
    /// [`crate::Executor::is_cancelled`].
    fn tell(&self, event: Event);
}

impl StepId {
    /// Runs the work of a step between its first and its last event.
    pub(crate) fn follow<T>(self, progress: &dyn Progress, work: impl FnOnce() -> Result<T>) -> Result<T> {
        progress.tell(Event::Step(self, StepEvent::Began));
        work().inspect_err(|error| {
            progress.tell(Event::Step(self, StepEvent::Failed { message: error.to_string() }));
        })
    }
}
