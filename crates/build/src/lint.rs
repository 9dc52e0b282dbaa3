//! What a careful author would want to know of a Dockerfile that can be built all the same. The rules' names are those that
//! `# check=skip=` takes everywhere.

use std::collections::BTreeSet;

use dockerfile::{Checks, Command, CommandLine, Instruction, Position};

use crate::progress::Event;
use crate::stages::{Stages, Step};
use crate::{Error, Result};

/// A rule that is broken, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub line: usize,
    /// The rule.
    pub rule: &'static str,
    /// What is the matter.
    pub message: String,
}

impl Finding {
    pub(crate) fn event(&self) -> Event {
        let position = Some(Position { line: self.line, column: 1 });
        Event::Warning { position, rule: self.rule.to_owned(), message: self.message.clone() }
    }
}

/// All findings but those that the author does not want to hear of.
pub(crate) fn findings(stages: &Stages, checks: &Checks) -> Vec<Finding> {
    let skipped = |finding: &Finding| checks.skip.iter().any(|rule| rule == finding.rule || rule == "all");
    all_findings(stages).into_iter().filter(|finding| !skipped(finding)).collect()
}

/// The same.
///
/// # Errors
/// There are some, and the author wants them to fail the build.
pub(crate) fn check(stages: &Stages, checks: &Checks) -> Result<Vec<Finding>> {
    let findings = findings(stages, checks);
    if checks.error && !findings.is_empty() {
        let shown = |finding: &Finding| format!("{} (line {}): {}", finding.rule, finding.line, finding.message);
        let all: Vec<String> = findings.iter().map(shown).collect();
        return Err(Error::Invalid(format!("lint violation found for rules: {}", all.join("; "))));
    }
    Ok(findings)
}

fn all_findings(stages: &Stages) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut names = BTreeSet::new();
    for step in &stages.before {
        look(step, &mut findings);
    }
    for stage in &stages.stages {
        if !stage.name.is_empty() && !names.insert(&stage.name) {
            let message = format!("Duplicate stage name {:?}, stage names should be unique", stage.name);
            findings.extend(stage.steps.first().map(|from| finding(from, "DuplicateStageName", message)));
        }
        stage.steps.iter().for_each(|step| look(step, &mut findings));
        for name in ["CMD", "ENTRYPOINT", "HEALTHCHECK"] {
            let all: Vec<&Step> = stage.steps.iter().filter(|step| step.instruction.name == name).collect();
            for useless in all.iter().rev().skip(1) {
                let message = format!(
                    "Multiple {name} instructions should not be used in the same stage because only the last one will be used"
                );
                findings.push(finding(useless, "MultipleInstructionsDisallowed", message));
            }
        }
    }
    findings.sort_by_key(|finding| finding.line);
    findings
}

fn finding(step: &Step, rule: &'static str, message: impl Into<String>) -> Finding {
    Finding { line: step.instruction.line, rule, message: message.into() }
}

fn look(step: &Step, findings: &mut Vec<Finding>) {
    let instruction = &step.instruction;
    let mut found = |rule, message: String| findings.push(finding(step, rule, message));
    if instruction.gap {
        found("NoEmptyContinuation", "Empty continuation line".to_owned());
    }
    match &step.command {
        Some(Command::Maintainer(_)) => {
            found("MaintainerDeprecated", "Maintainer instruction is deprecated in favor of using label".to_owned())
        }
        Some(Command::Cmd(CommandLine::Shell(text)) | Command::Entrypoint(CommandLine::Shell(text)))
            if !text.is_empty() =>
        {
            let name = &instruction.name;
            found(
                "JSONArgsRecommended",
                format!("JSON arguments recommended for {name} to prevent unintended behavior related to OS signals"),
            );
        }
        Some(Command::Env(_) | Command::Label(_)) if is_legacy_pair(&instruction.rest) => {
            let name = &instruction.name;
            found(
                "LegacyKeyValueFormat",
                format!("\"{name} key=value\" should be used instead of legacy \"{name} key value\" format"),
            );
        }
        Some(Command::From { .. }) => from(instruction, &mut found),
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

fn is_legacy_pair(rest: &str) -> bool {
    rest.split_whitespace().next().is_some_and(|word| !word.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use dockerfile::{Dockerfile, Reading};

    fn found(text: &str) -> Result<Vec<(usize, &'static str)>> {
        let file = Dockerfile::parse(text, Reading::default())?;
        let checks = file.checks.clone();
        let findings = check(&Stages::new(file, &Options::default())?, &checks)?;
        Ok(findings.iter().map(|finding| (finding.line, finding.rule)).collect())
    }

    #[test]
    fn every_rule() -> Result<()> {
        let text =
            "FROM a as Build\nMAINTAINER x\nENV A b\nLABEL a=b\nCMD x\nRUN y \\\n\n  z\nCMD [\"x\"]\nFROM a AS build\n";
        let expected = [
            (1, "FromAsCasing"),
            (1, "StageNameCasing"),
            (2, "MaintainerDeprecated"),
            (3, "LegacyKeyValueFormat"),
            (5, "MultipleInstructionsDisallowed"),
            (5, "JSONArgsRecommended"),
            (6, "NoEmptyContinuation"),
            (10, "DuplicateStageName"),
        ];
        let mut findings = found(text)?;
        findings.sort_by_key(|(line, rule)| (*line, *rule == "JSONArgsRecommended"));
        assert_eq!(findings, expected);
        assert_eq!(found("# check=skip=all\nFROM a as B\n")?, []);
        assert_eq!(found("# check=skip=FromAsCasing\nFROM a as B\n")?, [(2, "StageNameCasing")]);
        let told = found("# check=error=true\nFROM a\nCMD x\n").expect_err("it is to fail").to_string();
        assert!(told.starts_with("lint violation found for rules: JSONArgsRecommended (line 3): "), "{told}");
        Ok(())
    }
}
