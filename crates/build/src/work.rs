//! One stage being built.

use std::sync::Arc;

use dockerfile::{Command, Instruction, of_2014};
use image::Image;

use crate::progress::{Event, StepEvent, StepId};
use crate::solve::{Solve, understood};
use crate::stage::Stage;
use crate::stages::Step;
use crate::variables::Arguments;
use crate::{Error, NamedContext, Options, Result, platform};

/// The base image of nothing.
const SCRATCH: &str = "scratch";

/// A stage being built.
pub(crate) struct Work<'a> {
    pub(crate) solve: &'a Solve<'a>,
    pub(crate) options: &'a Options,
    /// Its number.
    number: usize,
    /// Where it is; `None` before its `FROM` is done.
    pub(crate) begun: Option<Stage>,
    pub(crate) arguments: Arguments,
    /// The image that it stands on.
    pub(crate) base: Option<Arc<Image>>,
    /// The present step.
    step: StepId,
    /// Containers that steps left, real ones and those that only got an id.
    pub(crate) pending: Vec<StepContainer>,
}

/// The container of a step.
#[derive(Debug)]
pub(crate) struct StepContainer {
    pub(crate) id: String,
    /// Whether there is one, or only its id: a step that runs nothing and is removed at once needs none.
    pub(crate) exists: bool,
}

impl<'a> Work<'a> {
    pub(crate) fn new(solve: &'a Solve<'a>, number: usize) -> Self {
        Self {
            solve,
            options: solve.options(),
            number,
            begun: None,
            arguments: solve.arguments(),
            base: None,
            step: StepId { stage: Some(number), number: 0 },
            pending: Vec::new(),
        }
    }

    /// Does all steps; the image of the last.
    pub(crate) fn build(mut self) -> Result<Option<Arc<Image>>> {
        let outcome = self.steps();
        self.solve.consumed(&self.arguments);
        // Nobody is there to look at what a build left that its client gave up.
        let given_up = matches!(outcome, Err(Error::Cancelled)) && self.options.remove;
        if outcome.is_err() && (self.options.force_remove || given_up) {
            self.remove_pending();
        }
        self.keep_pending();
        if outcome.is_err() {
            self.solve.site.progress.tell(Event::StageFailed { stage: self.number });
        }
        outcome?;
        if self.options.squash && self.number == self.solve.build.stages.target {
            self.solve.beyond_cache()?;
            self.squash()?;
        }
        let image = self.begun.and_then(|stage| stage.image);
        let built = Event::StageBuilt { stage: self.number, image: image.as_ref().map(|image| image.id) };
        self.solve.site.progress.tell(built);
        Ok(image)
    }

    /// Tells something of the present step.
    pub(crate) fn tell(&self, event: StepEvent) {
        self.solve.site.progress.tell(Event::Step(self.step, event));
    }

    fn steps(&mut self) -> Result<()> {
        let stages = &self.solve.build.stages;
        for (number, step) in stages.stages[self.number].steps.iter().enumerate() {
            self.solve.go_on()?;
            self.step.number = number;
            let (id, progress) = (self.step, self.solve.site.progress);
            let known = id.follow(progress, || self.do_step(step))?;
            if !known {
                continue;
            }
            self.tell(StepEvent::Done(self.begun.as_ref().and_then(Stage::id)));
            if self.options.dialect.is_old() && self.options.remove {
                self.remove_pending();
            }
        }
        Ok(())
    }

    /// False for an instruction that is skipped.
    fn do_step(&mut self, step: &Step) -> Result<bool> {
        let Some(command) = understood(step)? else {
            self.tell(StepEvent::Skipped { instruction: step.instruction.name.clone() });
            return Ok(false);
        };
        self.carry_out(&command, &step.instruction).map_err(|error| error.in_instruction(&step.instruction))?;
        Ok(true)
    }

    pub(crate) fn escape(&self) -> char {
        self.solve.build.stages.escape
    }

    /// `FROM`.
    pub(crate) fn begin_stage(&mut self, image: &str, platform: &str) -> Result<()> {
        let stages = &self.solve.build.stages;
        let base = stages.global(&self.arguments, image)?;
        if base.is_empty() {
            return Err(Error::Invalid(format!("base name ({image}) should not be blank")));
        }
        let platform = platform::parse(&stages.global(&self.arguments, platform)?)?;
        let platform = platform.or_else(|| stages.platform.clone());
        let found = match self.solve.build.source.named(&base)? {
            Some(NamedContext::Image(name)) => Some(self.base_image(&name, platform.as_ref())?),
            Some(NamedContext::Files(_)) => {
                return Err(Error::Invalid(format!("the context {base} holds files; FROM needs an image")));
            }
            None => match stages.named(&base, self.number) {
                Some(stage) => {
                    let empty = || Error::Step(format!("build stage {base} has no image"));
                    Some(self.solve.result(stage)?.ok_or_else(empty)?)
                }
                None if base == SCRATCH => None,
                None => Some(self.base_image(&base, platform.as_ref())?),
            },
        };
        self.base.clone_from(&found);
        let mut stage = Stage::begin(found, platform);
        let triggers = stage.config.on_build.take().unwrap_or_default();
        if self.options.dialect.is_old() {
            stage.author.clear();
            stage.config.on_build = Some(Vec::new());
        }
        self.begun = Some(stage);
        self.triggers(&triggers)
    }

    /// An earlier stage by name or number; `None` if it is an image's name.
    pub(crate) fn earlier_stage(&self, name: &str) -> Result<Option<usize>> {
        if let Some(number) = self.solve.build.stages.named(name, self.number) {
            return Ok(Some(number));
        }
        match name.parse::<usize>() {
            Ok(number) if number < self.number => Ok(Some(number)),
            Ok(number) => {
                Err(Error::Invalid(format!("invalid from flag value {number}: invalid stage index {number}")))
            }
            Err(_) => Ok(None),
        }
    }

    /// What the base image's `ONBUILD`s left to do.
    fn triggers(&mut self, triggers: &[String]) -> Result<()> {
        if triggers.is_empty() {
            return Ok(());
        }
        self.tell(StepEvent::Triggers(triggers.len()));
        let old = self.options.dialect.is_old();
        for (number, text) in triggers.iter().enumerate() {
            self.solve.go_on()?;
            let instruction = match Instruction::of_2014(text).filter(|_| old) {
                Some(instruction) => instruction,
                None => Instruction::parse(text, self.escape())?,
            };
            match instruction.name.as_str() {
                "ONBUILD" => {
                    return Err(Error::Step(format!(
                        "Source image contains forbidden chained `ONBUILD ONBUILD` trigger: {text}"
                    )));
                }
                "MAINTAINER" | "FROM" => {
                    return Err(Error::Step(format!(
                        "Source image contains forbidden {} trigger: {text}",
                        instruction.name
                    )));
                }
                _ => {}
            }
            self.tell(StepEvent::Trigger { number, text: text.clone() });
            let command = match old {
                true => of_2014::understand(&instruction)?,
                false => Some(Command::parse(&instruction, self.escape())?),
            };
            let Some(command) = command else {
                self.tell(StepEvent::Skipped { instruction: instruction.name });
                continue;
            };
            self.carry_out(&command, &instruction)?;
            self.tell(StepEvent::TriggerDone(self.begun.as_ref().and_then(Stage::id)));
        }
        Ok(())
    }

    /// Lets containers stay that nobody wanted removed.
    fn keep_pending(&mut self) {
        for container in std::mem::take(&mut self.pending).into_iter().filter(|container| container.exists) {
            if let Err(error) = self.solve.site.executor.keep(&container.id) {
                self.tell(StepEvent::NotRemoved { container: container.id, reason: error.to_string() });
            }
        }
    }

    /// Removes containers that steps left, and says so.
    pub(crate) fn remove_pending(&mut self) {
        for container in std::mem::take(&mut self.pending) {
            let removed = if container.exists { self.solve.site.executor.remove(&container.id) } else { Ok(()) };
            self.tell(match removed {
                Ok(()) => StepEvent::Removed(container.id),
                Err(error) => StepEvent::NotRemoved { container: container.id, reason: error.to_string() },
            });
        }
    }
}
