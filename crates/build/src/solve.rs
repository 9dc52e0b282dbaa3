//! Stages side by side: each is built once, when it is first needed.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use dockerfile::{Command, of_2014};
use image::Image;

use crate::build::Build;
use crate::progress::{Event, StepEvent, StepId};
use crate::stages::Step;
use crate::variables::Arguments;
use crate::work::Work;
use crate::{ContextFiles, Error, Options, Result, Site};

/// Stages that are built at the same time, at most.
const WORKERS: usize = 8;

/// What all stages of a build share.
pub(crate) struct Solve<'a> {
    pub(crate) build: &'a Build,
    pub(crate) site: Site<'a>,
    /// With what the instructions before the first `FROM` declared.
    globals: OnceLock<Arguments>,
    consumed: Mutex<BTreeSet<String>>,
    context: Mutex<Option<ContextFiles>>,
    /// Images that were fetched for the steps that they hold.
    pub(crate) imported: OnceLock<Vec<Arc<Image>>>,
    results: Vec<Outcome>,
    failed: AtomicBool,
    /// Nothing is to be done that takes files or time.
    recalling: bool,
    /// Why the build fails: what went wrong first.
    failure: Mutex<Option<Error>>,
}

/// What became of a stage.
#[derive(Default)]
struct Outcome {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
enum State {
    #[default]
    New,
    Running,
    Done(Option<Arc<Image>>),
    Failed,
}

impl<'a> Solve<'a> {
    pub(crate) fn new(build: &'a Build, site: Site<'a>, recalling: bool) -> Self {
        Self {
            build,
            site,
            globals: OnceLock::new(),
            consumed: Mutex::default(),
            context: Mutex::default(),
            imported: OnceLock::new(),
            results: build.stages.stages.iter().map(|_| Outcome::default()).collect(),
            failed: AtomicBool::new(false),
            recalling,
            failure: Mutex::default(),
        }
    }

    pub(crate) fn options(&self) -> &'a Options {
        &self.build.options
    }

    /// Builds what is wanted; the target's image, and the arguments that nothing took.
    pub(crate) fn run(&self) -> Result<(Option<Arc<Image>>, Vec<String>)> {
        let mut globals = Arguments::new(self.options(), self.build.stages.platform.as_ref());
        for (number, step) in self.build.stages.before.iter().enumerate() {
            let id = StepId { stage: None, number };
            id.follow(self.site.progress, || self.before_stages(step, id, &mut globals))?;
            self.site.progress.tell(Event::Step(id, StepEvent::Done(None)));
        }
        self.consumed(&globals);
        let globals = self.globals.get_or_init(|| globals);
        let stages = &self.build.stages.stages;
        let wanted: Vec<usize> = (0..stages.len()).filter(|number| stages[*number].wanted).collect();
        let in_turn = self.recalling || self.options().dialect.is_old();
        let workers = if in_turn { 1 } else { wanted.len().min(WORKERS) };
        let next = AtomicUsize::new(0);
        let work = || {
            // In their order: a stage waits for earlier ones only, which then are built or being built.
            while let Some(number) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                if self.result(*number).is_err() {
                    return;
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..workers {
                scope.spawn(work);
            }
            work();
        });
        if let Some(error) = lock(&self.failure).take() {
            return Err(error);
        }
        let image = match self.results.get(self.build.stages.target) {
            Some(_) => self.result(self.build.stages.target)?,
            None => None,
        };
        let unused = globals.unused(&lock(&self.consumed)).into_iter().map(str::to_owned).collect();
        Ok((image, unused))
    }

    fn before_stages(&self, step: &Step, id: StepId, globals: &mut Arguments) -> Result<()> {
        let stages = &self.build.stages;
        let Some(command) = understood(step)? else {
            let skipped = StepEvent::Skipped { instruction: step.instruction.name.clone() };
            self.site.progress.tell(Event::Step(id, skipped));
            return Ok(());
        };
        let Command::Arg(arguments) = &*command else {
            return Err(of_2014::without_image(&step.instruction).into());
        };
        for argument in arguments {
            let default = argument.default.as_deref().map(|text| stages.global(globals, text)).transpose();
            let default = default.map_err(|error| error.in_instruction(&step.instruction))?;
            globals.declare_global(&argument.name, default);
        }
        Ok(())
    }

    /// The arguments of a stage that begins.
    pub(crate) fn arguments(&self) -> Arguments {
        self.globals.get().cloned().unwrap_or_default()
    }

    /// Notes which arguments a stage took.
    pub(crate) fn consumed(&self, arguments: &Arguments) {
        lock(&self.consumed).extend(arguments.consumed().cloned());
    }

    /// The image of a stage: builds it, or waits for another thread that does.
    pub(crate) fn result(&self, number: usize) -> Result<Option<Arc<Image>>> {
        let outcome = &self.results[number];
        {
            let mut state = lock(&outcome.state);
            loop {
                match &*state {
                    State::New => break,
                    State::Running => {
                        state = outcome.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                    }
                    State::Done(image) => return Ok(image.clone()),
                    State::Failed => return Err(Error::Cancelled),
                }
            }
            *state = State::Running;
        }
        let built = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Work::new(self, number).build()));
        let (state, answer) = match built {
            Ok(Ok(image)) => (State::Done(image.clone()), Ok(Ok(image))),
            Ok(Err(error)) => {
                self.fail(error);
                (State::Failed, Ok(Err(Error::Cancelled)))
            }
            Err(panic) => (State::Failed, Err(panic)),
        };
        *lock(&outcome.state) = state;
        outcome.changed.notify_all();
        // Whoever waits was told; the defect itself is for the thread's owner.
        answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Ends the build: the first reason is the one that counts.
    fn fail(&self, error: Error) {
        if !self.failed.swap(true, Ordering::Relaxed) {
            *lock(&self.failure) = Some(error);
            self.site.executor.give_up();
        }
    }

    /// Ends a stage if nobody waits for the build any more.
    pub(crate) fn go_on(&self) -> Result<()> {
        match self.failed.load(Ordering::Relaxed) || self.site.executor.is_cancelled() {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }

    /// To be asked before what memory alone cannot do.
    pub(crate) fn beyond_cache(&self) -> Result<()> {
        if self.recalling { Err(Error::NotCached) } else { Ok(()) }
    }

    /// The files of the context, asked for when they are first needed.
    pub(crate) fn context(&self) -> Result<ContextFiles> {
        let mut context = lock(&self.context);
        if let Some(files) = &*context {
            return Ok(files.clone());
        }
        let files = self.build.source.files(&self.build.ignore)?;
        *context = Some(files.clone());
        Ok(files)
    }
}

/// An instruction's command; `None` for one that was unknown in 2014 and is skipped.
pub(crate) fn understood(step: &Step) -> Result<Option<Cow<'_, Command>>> {
    match &step.command {
        Some(command) => Ok(Some(Cow::Borrowed(command))),
        None => Ok(of_2014::understand(&step.instruction)?.map(Cow::Owned)),
    }
}

/// What is guarded is whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
