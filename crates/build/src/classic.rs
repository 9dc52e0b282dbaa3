//! The classic builder's text.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use model::ImageId;

use crate::Dialect;
use crate::outcome::short;
use crate::progress::{Event, Plan, Progress, StepEvent, StepId, Stream};

/// A piece of the classic text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Progress, or what a command wrote.
    Text(String),
    /// What a command wrote to its standard error, or a warning.
    ErrorText(String),
    /// How the fetching of an image goes.
    Fetching(serde_json::Value),
    /// The id of what a stage left.
    Id(ImageId),
}

/// Tells a build as the classic builder did, piece by piece.
pub struct Classic<S> {
    dialect: Dialect,
    /// What commands write is kept back.
    quiet: bool,
    say: S,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The text of each step, with its number in the whole build and how many there are.
    steps: HashMap<StepId, (usize, String)>,
    total: usize,
    /// The image that the last step left, as it is shown.
    image: String,
    /// Characters of each step's output that arrived in part.
    texts: HashMap<StepId, Texts>,
}

impl<S: Fn(Message) + Send + Sync> Classic<S> {
    /// Hands every piece to `say`; with `quiet` nothing of what commands write.
    pub fn new(dialect: Dialect, quiet: bool, say: S) -> Self {
        Self { dialect, quiet, say, state: Mutex::default() }
    }

    fn text(&self, text: impl Into<String>) {
        (self.say)(Message::Text(text.into()));
    }

    /// What the builder of 2014 wrote in red.
    fn red_once(&self, text: String) {
        (self.say)(if self.dialect.is_old() { Message::ErrorText(text) } else { Message::Text(text) });
    }

    fn begin(&self, state: &State, id: StepId) {
        let Some((number, text)) = state.steps.get(&id) else { return };
        match self.dialect {
            Dialect::Current => self.text(format!("Step {number}/{} : {text}\n", state.total)),
            Dialect::Of2014 => self.text(format!("Step {number}/{} : {}\n", state.total, text.replace('\t', " "))),
            Dialect::Of2013 => {
                let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
                self.text(format!("{} {} ({})\n", name.to_ascii_uppercase(), rest.trim_start(), state.image));
            }
        }
    }

    fn image(&self, state: &mut State, image: Option<ImageId>) {
        let image = image.map(|id| id.short()).unwrap_or_default();
        state.image.clone_from(&image);
        if self.dialect == Dialect::Of2013 {
            return self.text(format!("===> {image}\n"));
        }
        self.text(format!(" ---> {image}\n"));
    }

    fn step(&self, state: &mut State, id: StepId, event: StepEvent) {
        let old = self.dialect.is_old();
        match event {
            StepEvent::Began => self.begin(state, id),
            StepEvent::Skipped { instruction } if self.dialect == Dialect::Of2013 => {
                self.text(format!("Skipping unknown instruction {instruction}\n"));
            }
            StepEvent::Skipped { instruction } => {
                self.red_once(format!("# Skipping unknown instruction {instruction}\n"));
            }
            StepEvent::Triggers(count) => {
                let plural = if count > 1 || old { "s" } else { "" };
                self.red_once(format!("# Executing {count} build trigger{plural}\n"));
            }
            StepEvent::Trigger { number, text } if old => self.text(format!("Step onbuild-{number} : {text}\n")),
            StepEvent::TriggerDone(image) if old => self.image(state, image),
            StepEvent::Trigger { .. } | StepEvent::TriggerDone(_) | StepEvent::Failed { .. } => {}
            // The first builder did not tell how it came to an image.
            StepEvent::Cached | StepEvent::Container(_) | StepEvent::Removed(_) if self.dialect == Dialect::Of2013 => {}
            StepEvent::Cached => self.text(" ---> Using cache\n"),
            StepEvent::Container(container) => self.text(format!(" ---> Running in {}\n", short(&container))),
            StepEvent::Output(stream, bytes) if !self.quiet => {
                (self.say)(state.texts.entry(id).or_default().take(stream, &bytes));
            }
            StepEvent::Output(..) => {}
            StepEvent::Fetching(message) => (self.say)(Message::Fetching(message)),
            StepEvent::Removed(container) => {
                let arrow = if old { "Removing" } else { " ---> Removed" };
                self.text(format!("{arrow} intermediate container {}\n", short(&container)));
            }
            StepEvent::NotRemoved { container, reason } => {
                self.text(format!("Error removing intermediate container {}: {reason}\n", short(&container)));
            }
            // What stands before the first `FROM` leaves nothing.
            StepEvent::Done(image) if id.stage.is_some() => self.image(state, image),
            StepEvent::Done(_) => {}
        }
    }
}

impl State {
    fn plan(&mut self, plan: Plan) {
        let before = plan.before.into_iter().enumerate().map(|(number, step)| (StepId { stage: None, number }, step));
        let wanted = plan.stages.into_iter().enumerate().filter(|(_, stage)| stage.wanted);
        let staged = wanted.flat_map(|(stage, plan)| {
            let id = move |number| StepId { stage: Some(stage), number };
            plan.steps.into_iter().enumerate().map(move |(number, step)| (id(number), step))
        });
        self.steps = before.chain(staged).zip(1..).map(|((id, step), number)| (id, (number, step.text))).collect();
        self.total = self.steps.len();
    }
}

impl<S: Fn(Message) + Send + Sync> Progress for Classic<S> {
    fn tell(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Planned(plan) => state.plan(plan),
            Event::Step(id, event) => self.step(&mut state, id, event),
            Event::StageBuilt { image: Some(image), .. } => (self.say)(Message::Id(image)),
            Event::StageBuilt { image: None, .. } | Event::StageFailed { .. } => {}
            Event::Unused(names) => {
                self.text(format!("[Warning] One or more build-args [{}] were not consumed\n", names.join(" ")));
            }
            // The classic builder knew but one of the rules.
            Event::Warning { position: Some(position), rule, message } if rule == "NoEmptyContinuation" => {
                (self.say)(Message::ErrorText(format!("[WARNING]: {message} found in line {}\n", position.line)));
            }
            Event::Warning { .. } => {}
            Event::Built(image) if self.dialect == Dialect::Of2013 => {
                self.text(format!("Build successful.\n===> {}\n", image.short()));
            }
            Event::Built(image) => self.text(format!("Successfully built {}\n", image.short())),
            Event::Named(_) if self.dialect == Dialect::Of2013 => {}
            Event::Named(name) => self.text(format!("Successfully tagged {name}\n")),
        }
    }
}

impl<S> std::fmt::Debug for Classic<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Classic").field("dialect", &self.dialect).finish_non_exhaustive()
    }
}

/// What a command writes, as text: a character that arrives in two pieces waits for its end.
#[derive(Debug, Default)]
struct Texts {
    output: Vec<u8>,
    error: Vec<u8>,
}

impl Texts {
    fn take(&mut self, stream: Stream, bytes: &[u8]) -> Message {
        let begun = if stream == Stream::Output { &mut self.output } else { &mut self.error };
        begun.extend_from_slice(bytes);
        let end = match std::str::from_utf8(begun) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => begun.len(),
        };
        let rest = begun.split_off(end);
        let text = String::from_utf8_lossy(&std::mem::replace(begun, rest)).into_owned();
        if stream == Stream::Output { Message::Text(text) } else { Message::ErrorText(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{StagePlan, StepPlan};

    fn told(dialect: Dialect, events: Vec<Event>) -> String {
        let said = Mutex::new(String::new());
        let classic = Classic::new(dialect, false, |message| {
            let text = match message {
                Message::Text(text) => text,
                Message::ErrorText(text) => format!("<{text}>"),
                other => format!("{other:?}\n"),
            };
            said.lock().unwrap().push_str(&text);
        });
        events.into_iter().for_each(|event| classic.tell(event));
        drop(classic);
        said.into_inner().unwrap()
    }

    #[test]
    fn steps_are_counted_over_what_is_built() {
        let step = |line, text: &str| StepPlan { line, text: text.to_owned() };
        let stage = |wanted, steps| StagePlan { wanted, steps, ..StagePlan::default() };
        let plan = Plan {
            before: vec![step(1, "ARG A")],
            stages: vec![stage(false, vec![step(2, "FROM x")]), stage(true, vec![step(3, "FROM\ty")])],
        };
        let id = StepId { stage: Some(1), number: 0 };
        let events = vec![
            Event::Planned(plan),
            Event::Step(id, StepEvent::Began),
            Event::Step(id, StepEvent::Output(Stream::Error, vec![0xc3])),
            Event::Step(id, StepEvent::Output(Stream::Error, vec![0xa4])),
            Event::Step(id, StepEvent::Triggers(1)),
            Event::Step(id, StepEvent::Done(None)),
        ];
        assert_eq!(
            told(Dialect::Current, events.clone()),
            "Step 2/2 : FROM\ty\n<><ä># Executing 1 build trigger\n ---> \n"
        );
        assert_eq!(told(Dialect::Of2014, events), "Step 2/2 : FROM y\n<><ä><# Executing 1 build triggers\n> ---> \n");
    }
}
