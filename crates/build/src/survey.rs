//! What a Dockerfile says without being built.

use dockerfile::{Command, MountKind};

use crate::build::read_stages;
use crate::lint::{self, Finding};
use crate::stages::Step;
use crate::{ContextSource, Options, Result};

/// A Dockerfile, looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// What a careful author would want to know, without what he does not want to.
    pub findings: Vec<Finding>,
    /// All stages, in order.
    pub targets: Vec<Target>,
    /// Arguments that the wanted stage takes, or one that it needs; with the client's value or the default.
    pub arguments: Vec<Mention>,
    /// Secrets that their steps ask for.
    pub secrets: Vec<Mention>,
    /// SSH agents that their steps ask for.
    pub agents: Vec<Mention>,
    /// Caches that their steps share with other builds.
    pub caches: Vec<Mention>,
}

/// A stage that can be built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Its name, or empty.
    pub name: String,
    /// What it stands on, as written.
    pub base: String,
    /// Its platform, as written.
    pub platform: String,
    /// Whether it is what a build without a target makes.
    pub default: bool,
    /// Whether it is the one that is wanted.
    pub wanted: bool,
    /// Where it begins.
    pub line: usize,
}

/// A name, and where it is first mentioned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mention {
    /// The name.
    pub name: String,
    /// What it stands for, if that is known.
    pub value: Option<String>,
    /// The build fails without it.
    pub required: bool,
    /// Where it is mentioned.
    pub line: usize,
}

impl Survey {
    /// Looks at a Dockerfile.
    ///
    /// # Errors
    /// As [`crate::Build::read`]; findings are none.
    pub fn read(source: &dyn ContextSource, options: &Options) -> Result<Self> {
        let (_, stages, checks) = read_stages(source, options)?;
        let mut survey = Self { findings: lint::findings(&stages, &checks), ..Self::default() };
        let last = stages.stages.len().saturating_sub(1);
        for (number, stage) in stages.stages.iter().enumerate() {
            let (name, line) = (stage.name.clone(), stage.steps.first().map_or(0, |step| step.instruction.line));
            if let Some(Command::From { image, platform, .. }) =
                stage.steps.first().and_then(|step| step.command.as_ref())
            {
                let (base, platform) = (image.clone(), platform.clone());
                let (default, wanted) = (number == last, number == stages.target);
                survey.targets.push(Target { name, base, platform, default, wanted, line });
            }
        }
        let wanted = stages.stages.iter().filter(|stage| stage.wanted).flat_map(|stage| &stage.steps);
        stages.before.iter().chain(wanted).for_each(|step| survey.look(step, options));
        Ok(survey)
    }

    fn look(&mut self, step: &Step, options: &Options) {
        let line = step.instruction.line;
        match &step.command {
            Some(Command::Arg(arguments)) => {
                for argument in arguments {
                    let given = options.arguments.get(&argument.name).cloned().flatten();
                    let value = given.or_else(|| argument.default.clone());
                    note(&mut self.arguments, Mention { name: argument.name.clone(), value, required: false, line });
                }
            }
            Some(Command::Run(run)) => {
                for mount in &run.mounts {
                    let (list, default) = match mount.kind {
                        MountKind::Secret => (&mut self.secrets, mount.target.rsplit('/').next().unwrap_or_default()),
                        MountKind::Ssh => (&mut self.agents, "default"),
                        MountKind::Cache => (&mut self.caches, mount.target.as_str()),
                        MountKind::Bind | MountKind::Tmpfs => continue,
                    };
                    let name = if mount.id.is_empty() { default } else { &mount.id }.to_owned();
                    note(list, Mention { name, value: None, required: mount.required, line });
                }
            }
            _ => {}
        }
    }
}

/// Notes a name where it is mentioned first; once it is required, it is.
fn note(list: &mut Vec<Mention>, mention: Mention) {
    match list.iter_mut().find(|known| known.name == mention.name) {
        Some(known) => {
            known.required |= mention.required;
            known.value = known.value.take().or(mention.value);
        }
        None => list.push(mention),
    }
}
