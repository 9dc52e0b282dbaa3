//! Stages that run side by side, told one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::progress::{Event, Progress, StepEvent};

/// What is held back in all, at most, in bytes of output. More than that is told out of its turn: no stage ever waits to be
/// heard, for it may have what an earlier one waits for, such as a cache.
const HELD_BYTES: usize = 4 * 1024 * 1024;
/// What an event takes beside the output in it, about.
const EVENT_BYTES: usize = 128;

/// Hands events on so that each stage's come together, in the Dockerfile's order: for a text that people read.
#[derive(Debug)]
pub struct InOrder<P> {
    reader: P,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Stages that are not over, as far as they are known to be built.
    open: BTreeSet<usize>,
    held: BTreeMap<usize, Vec<Event>>,
    held_bytes: usize,
}

impl<P: Progress> InOrder<P> {
    /// For this reader.
    pub fn new(reader: P) -> Self {
        Self { reader, state: Mutex::default() }
    }

    /// Hands on what was held back of the stages up to one.
    fn release(&self, state: &mut State, front: usize) {
        while let Some(entry) = state.held.first_entry().filter(|entry| *entry.key() <= front) {
            for event in entry.remove() {
                state.held_bytes -= size(&event);
                self.reader.tell(event);
            }
        }
    }
}

impl<P: Progress> Progress for InOrder<P> {
    fn tell(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::Planned(plan) = &event {
            state.open.extend((0..plan.stages.len()).filter(|number| plan.stages[*number].wanted));
        }
        let Some(stage) = stage(&event) else { return self.reader.tell(event) };
        let ended = matches!(event, Event::StageBuilt { .. } | Event::StageFailed { .. });
        if !ended {
            state.open.insert(stage);
        }
        if state.held_bytes > HELD_BYTES {
            self.release(&mut state, usize::MAX);
        }
        if state.open.first().is_some_and(|front| *front < stage) {
            state.held_bytes += size(&event);
            state.held.entry(stage).or_default().push(event);
        } else {
            self.reader.tell(event);
        }
        if ended {
            state.open.remove(&stage);
            // All that no open stage is before.
            let front = state.open.first().copied().unwrap_or(usize::MAX);
            self.release(&mut state, front);
        }
    }
}

fn stage(event: &Event) -> Option<usize> {
    match event {
        Event::Step(id, _) => id.stage,
        Event::StageBuilt { stage, .. } | Event::StageFailed { stage } => Some(*stage),
        _ => None,
    }
}

fn size(event: &Event) -> usize {
    let output = match event {
        Event::Step(_, StepEvent::Output(_, bytes)) => bytes.len(),
        _ => 0,
    };
    EVENT_BYTES + output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{Plan, StagePlan, StepId, Stream};

    /// Writes down the stages of events.
    #[derive(Default)]
    struct Heard(Mutex<Vec<usize>>);

    impl Progress for Heard {
        fn tell(&self, event: Event) {
            self.0.lock().unwrap().extend(stage(&event));
        }
    }

    #[test]
    fn later_stages_wait_for_earlier_ones() {
        let order = InOrder::new(Heard::default());
        let wanted = StagePlan { wanted: true, ..StagePlan::default() };
        let plan =
            Plan { before: Vec::new(), stages: vec![StagePlan::default(), wanted.clone(), wanted.clone(), wanted] };
        order.tell(Event::Planned(plan));
        let step = |stage| Event::Step(StepId { stage: Some(stage), number: 0 }, StepEvent::Began);
        let heard = || order.reader.0.lock().unwrap().clone();
        order.tell(step(2));
        order.tell(step(1));
        assert_eq!(heard(), [1]);
        // A stage that the plan did not name comes before those that it is built for.
        order.tell(step(0));
        order.tell(step(1));
        assert_eq!(heard(), [1, 0]);
        order.tell(Event::StageBuilt { stage: 0, image: None });
        order.tell(Event::StageFailed { stage: 1 });
        assert_eq!(heard(), [1, 0, 0, 1, 1, 2]);
        order.tell(Event::StageBuilt { stage: 2, image: None });
        order.tell(step(3));
        assert_eq!(heard()[6..], [2, 3]);
    }

    #[test]
    fn what_is_held_back_is_bounded() {
        let order = InOrder::new(Heard::default());
        let wanted = StagePlan { wanted: true, ..StagePlan::default() };
        order.tell(Event::Planned(Plan { before: Vec::new(), stages: vec![wanted.clone(), wanted] }));
        let output = StepEvent::Output(Stream::Output, vec![0; HELD_BYTES]);
        let id = StepId { stage: Some(1), number: 0 };
        let heard = || order.reader.0.lock().unwrap().clone();
        order.tell(Event::Step(id, output.clone()));
        assert!(heard().is_empty());
        // Nobody waits: what is too much is told out of its turn.
        order.tell(Event::Step(id, output));
        assert_eq!(heard(), [1]);
        assert!(order.state.lock().unwrap().held_bytes < 2 * HELD_BYTES);
        order.tell(Event::StageBuilt { stage: 0, image: None });
        assert_eq!(heard(), [1, 1, 0]);
    }
}
