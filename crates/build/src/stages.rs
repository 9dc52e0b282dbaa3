//! A Dockerfile's instructions as stages: which there are, which of them the target needs.

use dockerfile::{Command, Dockerfile, Expander, Instruction};
use model::Platform;

use crate::progress::{Plan, StagePlan, StepPlan};
use crate::variables::Arguments;
use crate::{Error, Options, Result, platform};

/// The stages of a Dockerfile.
#[derive(Debug)]
pub(crate) struct Stages {
    pub(crate) escape: char,
    /// What stands before the first `FROM`.
    pub(crate) before: Vec<Step>,
    /// At least one, but by the rules of 2014.
    pub(crate) stages: Vec<StageDefinition>,
    /// The stage whose image is wanted.
    pub(crate) target: usize,
    /// What that image shall be for; `None`: nothing is said.
    pub(crate) platform: Option<Platform>,
}

/// A stage as it is written.
#[derive(Debug)]
pub(crate) struct StageDefinition {
    /// In lower case, or empty.
    pub(crate) name: String,
    /// `FROM` first.
    pub(crate) steps: Vec<Step>,
    needs: Vec<usize>,
    /// The target needs it, or is it.
    pub(crate) wanted: bool,
}

/// One instruction on its way to being carried out.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) instruction: Instruction,
    /// Understood already; `None` by the rules of 2014.
    pub(crate) command: Option<Command>,
}

impl Stages {
    pub(crate) fn new(file: Dockerfile, options: &Options) -> Result<Self> {
        let old = options.dialect.is_old();
        let platform = platform::parse(&options.platform)?;
        let mut stages = Self { escape: file.escape, before: Vec::new(), stages: Vec::new(), target: 0, platform };
        for instruction in file.instructions {
            let command = if old { None } else { Some(Command::parse(&instruction, file.escape)?) };
            stages.push(Step { instruction, command });
        }
        stages.target = stages.stages.len().saturating_sub(1);
        if old {
            stages.stages.iter_mut().for_each(|stage| stage.wanted = true);
            return Ok(stages);
        }
        stages.check_order()?;
        stages.find_target(&options.target)?;
        stages.add_labels(options);
        stages.find_needs(options);
        stages.want(stages.target);
        Ok(stages)
    }

    fn push(&mut self, step: Step) {
        if step.instruction.name == "FROM" {
            let name = match &step.command {
                Some(Command::From { stage: Some(name), .. }) => name.clone(),
                _ => String::new(),
            };
            self.stages.push(StageDefinition { name, steps: vec![step], needs: Vec::new(), wanted: false });
            return;
        }
        match self.stages.last_mut() {
            Some(stage) => stage.steps.push(step),
            None => self.before.push(step),
        }
    }

    /// Only `ARG` may come before the first `FROM`.
    fn check_order(&self) -> Result<()> {
        match self.before.iter().find(|step| !matches!(step.command, Some(Command::Arg(_)))) {
            Some(step) => Err(step.instruction.error("no build stage in current context").into()),
            None if self.stages.is_empty() => Err(Error::Invalid("the Dockerfile has no build stage".to_owned())),
            None => Ok(()),
        }
    }

    fn find_target(&mut self, wanted: &str) -> Result<()> {
        if wanted.is_empty() {
            return Ok(());
        }
        let found = self.named(wanted, self.stages.len());
        let numbered = || wanted.parse().ok().filter(|number| *number < self.stages.len());
        self.target = found
            .or_else(numbered)
            .ok_or_else(|| Error::Invalid(format!("target stage {wanted:?} could not be found")))?;
        Ok(())
    }

    /// The number of the stage of this name, if it is one of the first `before`.
    pub(crate) fn named(&self, name: &str, before: usize) -> Option<usize> {
        let stages = self.stages.iter().take(before);
        stages.into_iter().position(|stage| !stage.name.is_empty() && stage.name.eq_ignore_ascii_case(name))
    }

    /// Labels of the request are one more instruction.
    fn add_labels(&mut self, options: &Options) {
        let Some(stage) = self.stages.get_mut(self.target).filter(|_| !options.labels.is_empty()) else { return };
        let quote = |text: &str| serde_json::Value::from(text).to_string().replace('$', "\\$");
        let pairs: Vec<(String, String)> =
            options.labels.iter().map(|(key, value)| (quote(key), quote(value))).collect();
        let words: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let instruction = Instruction {
            line: stage.steps.last().map_or(1, |step| step.instruction.line),
            text: format!("LABEL {}", words.join(" ")),
            name: "LABEL".to_owned(),
            rest: words.join(" "),
            ..Instruction::default()
        };
        stage.steps.push(Step { instruction, command: Some(Command::Label(pairs)) });
    }

    /// What each stage stands on and copies from, as far as that is written in the Dockerfile.
    fn find_needs(&mut self, options: &Options) {
        // A stage needs earlier ones only.
        if self.stages.len() < 2 {
            return;
        }
        let mut globals = Arguments::new(options, self.platform.as_ref());
        for step in &self.before {
            if let Some(Command::Arg(arguments)) = &step.command {
                for argument in arguments {
                    let default = argument.default.as_ref().and_then(|text| self.global(&globals, text).ok());
                    globals.declare_global(&argument.name, default);
                }
            }
        }
        let needs: Vec<Vec<usize>> = (0..self.stages.len()).map(|number| self.needs_of(number, &globals)).collect();
        for (stage, needs) in self.stages.iter_mut().zip(needs) {
            stage.needs = needs;
        }
    }

    fn needs_of(&self, number: usize, globals: &Arguments) -> Vec<usize> {
        let mut needs = Vec::new();
        for step in &self.stages[number].steps {
            match &step.command {
                // A name that cannot be expanded fails when its step has come.
                Some(Command::From { image, .. }) => {
                    needs.extend(self.global(globals, image).ok().and_then(|name| self.named(&name, number)));
                }
                Some(Command::Add(transfer) | Command::Copy(transfer)) => {
                    needs.extend(self.origins(&transfer.from, number));
                }
                Some(Command::Run(run)) => {
                    let origins = run.mounts.iter().flat_map(|mount| self.origins(&mount.from, number));
                    needs.extend(origins);
                }
                _ => {}
            }
        }
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// The earlier stages that a `--from` may mean.
    fn origins(&self, from: &str, number: usize) -> Vec<usize> {
        if from.contains('$') {
            return (0..number).collect();
        }
        let numbered = || from.parse().ok().filter(|origin| *origin < number);
        self.named(from, number).or_else(numbered).into_iter().collect()
    }

    /// Replaces variables in a word before or of a `FROM`.
    pub(crate) fn global(&self, globals: &Arguments, text: &str) -> Result<String> {
        let lookup = |name: &str| globals.global(name);
        Ok(Expander { escape: self.escape, lookup: &lookup, old: false }.word(text)?)
    }

    fn want(&mut self, target: usize) {
        let mut pending = vec![target];
        while let Some(number) = pending.pop() {
            if let Some(stage) = self.stages.get_mut(number).filter(|stage| !stage.wanted) {
                stage.wanted = true;
                pending.extend(&stage.needs);
            }
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        let step = |step: &Step| StepPlan { line: step.instruction.line, text: step.instruction.text.clone() };
        let stage = |stage: &StageDefinition| StagePlan {
            name: stage.name.clone(),
            steps: stage.steps.iter().map(step).collect(),
            needs: stage.needs.clone(),
            wanted: stage.wanted,
        };
        Plan { before: self.before.iter().map(step).collect(), stages: self.stages.iter().map(stage).collect() }
    }
}
