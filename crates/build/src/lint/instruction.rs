//! Rules about one instruction.

use dockerfile::{Command, CommandLine, Instruction};

use super::{Finding, finding};
use crate::stages::Step;

/// Words in names of variables that hold what nobody else is to know.
const SECRET: [&str; 10] =
    ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];

/// What the instructions before said, in the same stage.
#[derive(Debug, Default)]
pub(super) struct Place {
    has_shell: bool,
    has_workdir: bool,
}

pub(super) fn look(step: &Step, place: &mut Place, findings: &mut Vec<Finding>) {
    let instruction = &step.instruction;
    let name = &instruction.name;
    let mut found = |rule, message: String| findings.push(finding(step, rule, message));
    if instruction.gap {
        found("NoEmptyContinuation", "Empty continuation line".to_owned());
    }
    match &step.command {
        Some(Command::Maintainer(_)) => {
            found("MaintainerDeprecated", "Maintainer instruction is deprecated in favor of using label".to_owned())
        }
        Some(Command::Cmd(CommandLine::Shell(text)) | Command::Entrypoint(CommandLine::Shell(text)))
            // Who names the shell means it.
            if !text.is_empty() && !place.has_shell =>
        {
            found(
                "JSONArgsRecommended",
                format!("JSON arguments recommended for {name} to prevent unintended behavior related to OS signals"),
            );
        }
        Some(Command::Env(pairs) | Command::Label(pairs)) => {
            if is_legacy(&instruction.rest, pairs) {
                found(
                    "LegacyKeyValueFormat",
                    format!("\"{name} key=value\" should be used instead of legacy \"{name} key value\" format"),
                );
            }
            if matches!(step.command, Some(Command::Env(_))) {
                pairs.iter().for_each(|(variable, _)| secret(name, variable, &mut found));
            }
        }
        Some(Command::Arg(arguments)) => {
            arguments.iter().for_each(|argument| secret(name, &argument.name, &mut found));
        }
        Some(Command::Shell(_)) => place.has_shell = true,
        Some(Command::Workdir(path)) => {
            if !path.starts_with(['/', '$']) && !place.has_workdir {
                let message =
                    format!("Relative workdir {path:?} can have unexpected results if the base image changes");
                found("WorkdirRelativePath", message);
            }
            place.has_workdir = true;
        }
        Some(Command::From { platform, stage, .. }) => {
            from(instruction, &mut found);
            for_platform(platform, stage.as_deref().unwrap_or_default(), &mut found);
        }
        _ => {}
    }
}

fn from(instruction: &Instruction, found: &mut impl FnMut(&'static str, String)) {
    let words: Vec<&str> = instruction.text.split_whitespace().collect();
    let Some([link, name]) = words.last_chunk::<2>() else { return };
    if !link.eq_ignore_ascii_case("as") {
        return;
    }
    let upper = |word: &str| word.chars().all(|c| c.is_ascii_uppercase());
    if upper(words[0]) != upper(link) {
        found("FromAsCasing", format!("'{link}' and '{}' keywords' casing do not match", words[0]));
    }
    if name.chars().any(|c| c.is_ascii_uppercase()) {
        found("StageNameCasing", format!("Stage name '{name}' should be lowercase"));
    }
    if matches!(name.to_ascii_lowercase().as_str(), "context" | "scratch") {
        found("ReservedStageName", format!("Stage name should not use the same name as reserved stage {name:?}"));
    }
}

fn for_platform(platform: &str, stage: &str, found: &mut impl FnMut(&'static str, String)) {
    if matches!(platform, "$TARGETPLATFORM" | "${TARGETPLATFORM}") {
        let message =
            format!("Setting platform to predefined {platform} in FROM is redundant as this is the default behavior");
        found("RedundantTargetPlatform", message);
    }
    // A stage that is called by its platform means it.
    let is_meant = platform.split('/').any(|part| stage.contains(part));
    if !platform.is_empty() && !platform.contains('$') && !is_meant {
        let message = format!("FROM --platform flag should not use constant value {platform:?}");
        found("FromPlatformFlagConstDisallowed", message);
    }
}

fn secret(instruction: &str, name: &str, found: &mut impl FnMut(&'static str, String)) {
    let name = name.trim_matches(['"', '\'']);
    let lower = name.to_ascii_lowercase();
    let parts = || lower.split('_');
    if parts().any(|part| SECRET.contains(&part)) && !parts().any(|part| part == "public") {
        let message = format!("Do not use ARG or ENV instructions for sensitive data ({instruction} {name:?})");
        found("SecretsUsedInArgOrEnv", message);
    }
}

/// `ENV name value`
fn is_legacy(rest: &str, pairs: &[(String, String)]) -> bool {
    matches!(pairs, [(name, _)] if rest.strip_prefix(name).is_some_and(|rest| rest.starts_with(char::is_whitespace)))
}
