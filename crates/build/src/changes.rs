//! The instructions that change a configuration without a build: `changes` of `commit` and `import`.

use dockerfile::{Command, Dockerfile, Instruction, Reading};
use image::RunConfig;

use crate::stage::{Stage, Wording};
use crate::variables::Arguments;
use crate::{Error, Result};

const ALLOWED: [&str; 11] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Applies instructions to a configuration; each text is one or several lines of a Dockerfile.
///
/// # Errors
/// An instruction is malformed, or none that only changes the configuration.
pub fn apply(config: &RunConfig, changes: &[String]) -> Result<RunConfig> {
    let text = changes.join("\n");
    if text.trim().is_empty() {
        return Ok(config.clone());
    }
    let file = Dockerfile::parse(&text, Reading::default())?;
    let refused = |instruction: &&Instruction| !ALLOWED.contains(&instruction.name.as_str());
    if let Some(other) = file.instructions.iter().find(refused) {
        return Err(Error::Invalid(format!("{} is not a valid change command", other.name.to_ascii_lowercase())));
    }
    let wording = Wording { escape: file.escape, old: false, arguments: &Arguments::default() };
    let mut stage = Stage { config: config.clone(), ..Stage::default() };
    for instruction in &file.instructions {
        match Command::parse(instruction, file.escape)? {
            Command::Workdir(path) => drop(stage.enter(&path, wording)?),
            command => drop(stage.configure(command, instruction, wording)?),
        }
    }
    Ok(stage.config)
}

#[cfg(test)]
mod tests;
