//! A build from its first step to its last.

use std::sync::Arc;

use image::{Happening, Image, Images};
use storage::Storage;
use sys::root::Root;

use crate::dockerfile::{Command, Dockerfile, Instruction, Reading};
use crate::expand::Expander;
use crate::stage::Stage;
use crate::variables::Arguments;
use crate::{Context, Error, Executor, Message, Options, Result};

/// The base image of nothing.
const SCRATCH: &str = "scratch";

/// A build that can begin: its Dockerfile was read, and by today's rules understood.
#[derive(Debug)]
pub struct Build {
    options: Options,
    context: Context,
    file: Dockerfile,
    steps: Vec<Step>,
}

/// One instruction on its way to being carried out.
#[derive(Debug)]
struct Step {
    instruction: Instruction,
    /// Understood already; `None` by the rules of 2014.
    command: Option<Command>,
}

/// What a build made.
#[derive(Debug)]
pub struct Built {
    /// The image.
    pub image: Arc<Image>,
    /// What happened to images, for events.
    pub happenings: Vec<Happening>,
}

impl Build {
    /// Reads the Dockerfile. What is wrong with the request shows here, before any output.
    ///
    /// # Errors
    /// The Dockerfile is malformed or the target stage is none of its.
    pub fn new(context: Context, options: Options) -> Result<Self> {
        let old = options.dialect.is_old();
        let file = Dockerfile::parse(context.dockerfile(), Reading { old }).map_err(|source| match source {
            parse @ Error::Parse { .. } => parse,
            source => Error::Dockerfile { name: context.name().to_owned(), source: Box::new(source) },
        })?;
        let mut steps = Vec::with_capacity(file.instructions.len());
        for instruction in &file.instructions {
            let command = if old { None } else { Some(Command::parse(instruction, file.escape)?) };
            steps.push(Step { instruction: instruction.clone(), command });
        }
        let mut build = Self { options, context, file, steps };
        if !old {
            build.check_order()?;
            build.stop_at_target()?;
            build.add_labels();
        }
        Ok(build)
    }

    /// Only `ARG` may come before the first `FROM`.
    fn check_order(&self) -> Result<()> {
        let first = self.steps.iter().find(|step| !matches!(step.command, Some(Command::Arg(_))));
        match first {
            Some(Step { command: Some(Command::From { .. }), .. }) => Ok(()),
            Some(step) => Err(step.instruction.error("no build stage in current context")),
            None => Err(Error::Invalid("the Dockerfile has no build stage".to_owned())),
        }
    }

    /// Drops the stages after the target.
    fn stop_at_target(&mut self) -> Result<()> {
        let target = self.options.target.to_ascii_lowercase();
        if target.is_empty() {
            return Ok(());
        }
        let stages: Vec<(usize, Option<&String>)> = self
            .steps
            .iter()
            .enumerate()
            .filter_map(|(at, step)| match &step.command {
                Some(Command::From { stage, .. }) => Some((at, stage.as_ref())),
                _ => None,
            })
            .collect();
        let named = stages.iter().position(|(_, name)| name.is_some_and(|name| *name == target));
        let found = named.or_else(|| target.parse().ok().filter(|number| *number < stages.len()));
        let Some(found) = found else {
            return Err(Error::Invalid(format!("target stage {:?} could not be found", self.options.target)));
        };
        if let Some((next, _)) = stages.get(found + 1) {
            let next = *next;
            self.steps.truncate(next);
        }
        Ok(())
    }

    /// Labels of the request are one more instruction.
    fn add_labels(&mut self) {
        if self.options.labels.is_empty() {
            return;
        }
        let quote = |text: &str| serde_json::Value::from(text).to_string().replace('$', "\\$");
        let pairs: Vec<(String, String)> =
            self.options.labels.iter().map(|(key, value)| (quote(key), quote(value))).collect();
        let words: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let instruction = Instruction {
            line: self.steps.last().map_or(1, |step| step.instruction.line),
            text: format!("LABEL {}", words.join(" ")),
            name: "LABEL".to_owned(),
            rest: words.join(" "),
            heredocs: Vec::new(),
        };
        self.steps.push(Step { instruction, command: Some(Command::Label(pairs)) });
    }

    /// Carries the steps out.
    ///
    /// # Errors
    /// The first step that fails; what was built before stays as cache.
    pub fn run(self, images: &Images, storage: &Storage, executor: &dyn Executor) -> Result<Built> {
        let Self { options, context, file, steps } = self;
        let arguments = Arguments::new(&options.arguments);
        let mut work = Work {
            images,
            storage,
            executor,
            options: &options,
            context: Arc::new(context.root().try_clone()?),
            escape: file.escape,
            arguments,
            stages: Vec::new(),
            pending: Vec::new(),
        };
        let outcome = work.steps(&steps);
        // Nobody is there to look at what a build left that its client gave up.
        let given_up = matches!(outcome, Err(Error::Cancelled)) && options.remove;
        if outcome.is_err() && (options.force_remove || given_up) {
            work.remove_pending();
        }
        outcome?;
        let unused = work.arguments.unused().join(" ");
        if !unused.is_empty() {
            work.say(format!("[Warning] One or more build-args [{unused}] were not consumed\n"));
        }
        work.finish()
    }
}

/// A build being carried out.
pub(crate) struct Work<'a> {
    pub(crate) images: &'a Images,
    pub(crate) storage: &'a Storage,
    pub(crate) executor: &'a dyn Executor,
    pub(crate) options: &'a Options,
    pub(crate) context: Arc<Root>,
    pub(crate) escape: char,
    pub(crate) arguments: Arguments,
    /// All stages begun so far; the last is the present one.
    pub(crate) stages: Vec<Stage>,
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

impl Work<'_> {
    pub(crate) fn say(&self, text: impl Into<String>) {
        self.executor.say(Message::Text(text.into()));
    }

    /// Ends the build if nobody waits for it any more.
    pub(crate) fn go_on(&self) -> Result<()> {
        if self.executor.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    fn steps(&mut self, steps: &[Step]) -> Result<()> {
        let old = self.options.dialect.is_old();
        for (number, step) in steps.iter().enumerate() {
            self.go_on()?;
            let instruction = &step.instruction;
            let text = if old { instruction.text.replace('\t', " ") } else { instruction.text.clone() };
            self.say(format!("Step {}/{} : {text}\n", number + 1, steps.len()));
            let command = match &step.command {
                Some(command) => command.clone(),
                None if !Command::NAMES.contains(&instruction.name.as_str()) => {
                    let skipped = format!("# Skipping unknown instruction {}\n", instruction.name);
                    self.executor.say(Message::ErrorText(skipped));
                    continue;
                }
                None => Command::parse(instruction, self.escape)?,
            };
            if self.stages.is_empty() && !matches!(command, Command::From { .. }) {
                self.before_stages(instruction, command)?;
                continue;
            }
            self.carry_out(command, instruction)?;
            self.say_image();
            if old && self.options.remove {
                self.remove_pending();
            }
            let last_of_stage =
                steps.get(number + 1).is_none_or(|next| matches!(next.command, Some(Command::From { .. })));
            if last_of_stage && let Some(id) = self.stages.last().and_then(Stage::id) {
                self.executor.say(Message::Id(id));
            }
        }
        Ok(())
    }

    /// ` ---> id`, or nothing as id before the first step on `scratch`.
    pub(crate) fn say_image(&self) {
        let id = self.stages.last().and_then(Stage::id).map(|id| id.short()).unwrap_or_default();
        self.say(format!(" ---> {id}\n"));
    }

    fn before_stages(&mut self, instruction: &Instruction, command: Command) -> Result<()> {
        let Command::Arg(arguments) = command else {
            return Err(instruction.error("no build stage in current context"));
        };
        for argument in arguments {
            let default = match &argument.default {
                Some(default) => Some(self.expand_global(default)?),
                None => None,
            };
            self.arguments.declare_global(&argument.name, default);
        }
        Ok(())
    }

    fn expand_global(&self, text: &str) -> Result<String> {
        let lookup = |name: &str| self.arguments.global(name);
        Expander { escape: self.escape, lookup: &lookup, old: false }.word(text)
    }

    /// `FROM`.
    pub(crate) fn begin_stage(&mut self, image: &str, name: Option<&str>, platform: &str) -> Result<()> {
        let base = self.expand_global(image)?;
        if base.is_empty() {
            return Err(Error::Invalid(format!("base name ({image}) should not be blank")));
        }
        let platform = self.expand_global(platform)?;
        check_platform(if platform.is_empty() { &self.options.platform } else { &platform })?;
        let found =
            match self.stages.iter().find(|stage| !stage.name.is_empty() && stage.name == base.to_ascii_lowercase()) {
                Some(stage) => {
                    let empty = || Error::Step(format!("build stage {base} has no image"));
                    Some(stage.image.clone().ok_or_else(empty)?)
                }
                None if base == SCRATCH => None,
                None => Some(self.base_image(&base)?),
            };
        self.arguments.begin_stage();
        let mut stage = Stage::begin(name.unwrap_or_default(), found);
        let triggers = stage.config.on_build.take().unwrap_or_default();
        if self.options.dialect.is_old() {
            stage.config.on_build = Some(Vec::new());
        }
        self.stages.push(stage);
        self.triggers(&triggers)
    }

    /// An image that is here, or that the engine fetches.
    pub(crate) fn base_image(&self, name: &str) -> Result<Arc<Image>> {
        match self.images.resolve(name) {
            Err(image::Error::NotFound(_)) => {
                self.executor.pull(name)?;
                Ok(self.images.resolve(name)?)
            }
            Err(image::Error::Reference(error)) => {
                Err(Error::Invalid(format!("failed to parse stage name {name:?}: {error}")))
            }
            other => Ok(other?),
        }
    }

    /// What the base image's `ONBUILD`s left to do.
    fn triggers(&mut self, triggers: &[String]) -> Result<()> {
        if triggers.is_empty() {
            return Ok(());
        }
        let old = self.options.dialect.is_old();
        let plural = if triggers.len() > 1 || old { "s" } else { "" };
        let announced = format!("# Executing {} build trigger{plural}\n", triggers.len());
        self.executor.say(if old { Message::ErrorText(announced) } else { Message::Text(announced) });
        for (number, text) in triggers.iter().enumerate() {
            self.go_on()?;
            let instruction = Instruction::parse(text, self.escape)?;
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
            if old {
                self.say(format!("Step onbuild-{number} : {text}\n"));
            }
            let command = Command::parse(&instruction, self.escape)?;
            self.carry_out(command, &instruction)?;
            if old {
                self.say_image();
            }
        }
        Ok(())
    }

    /// Removes containers that steps left, and says so.
    pub(crate) fn remove_pending(&mut self) {
        for container in std::mem::take(&mut self.pending) {
            let short: String = container.id.chars().take(12).collect();
            if container.exists
                && let Err(error) = self.executor.remove(&container.id)
            {
                self.say(format!("Error removing intermediate container {short}: {error}\n"));
                continue;
            }
            // Docker of 2014 had other words.
            let arrow = if self.options.dialect.is_old() { "Removing" } else { " ---> Removed" };
            self.say(format!("{arrow} intermediate container {short}\n"));
        }
    }

    /// Names the image of the last stage.
    fn finish(self) -> Result<Built> {
        let Some(image) = self.stages.last().and_then(|stage| stage.image.clone()) else {
            return Err(Error::Step(match self.options.dialect.is_old() {
                true => {
                    "No image was generated. This may be because the Dockerfile does not, like, do anything.".to_owned()
                }
                false => "No image was generated. Is your Dockerfile empty?".to_owned(),
            }));
        };
        self.say(format!("Successfully built {}\n", image.id.short()));
        let mut happenings = Vec::new();
        for name in &self.options.names {
            happenings.extend(self.images.name(&image, name)?);
            self.say(format!("Successfully tagged {}\n", name.clone().with_default_tag().familiar()));
        }
        Ok(Built { image, happenings })
    }
}

/// Only this machine's platform can be built for.
fn check_platform(platform: &str) -> Result<()> {
    let native = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let mut parts = platform.split('/');
    match (parts.next(), parts.next()) {
        (Some("" | "linux"), None) => Ok(()),
        (Some("linux"), Some(architecture)) if architecture == native => Ok(()),
        _ => Err(Error::Unsupported(format!(
            "building for the platform {platform} is not built into this version of longshore; this machine is linux/{native}"
        ))),
    }
}
