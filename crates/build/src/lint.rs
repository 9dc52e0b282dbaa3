//! What a careful author would want to know of a Dockerfile that can be built all the same. The rules' names are those that
//! `# check=skip=` takes everywhere.

mod instruction;

use std::collections::BTreeSet;

use dockerfile::{Checks, Position};

use self::instruction::Place;
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
    let mut place = Place::default();
    casing(stages, &mut findings);
    stages.before.iter().for_each(|step| instruction::look(step, &mut place, &mut findings));
    for stage in &stages.stages {
        if !stage.name.is_empty() && !names.insert(&stage.name) {
            let message = format!("Duplicate stage name {:?}, stage names should be unique", stage.name);
            findings.extend(stage.steps.first().map(|from| finding(from, "DuplicateStageName", message)));
        }
        place = Place::default();
        stage.steps.iter().for_each(|step| instruction::look(step, &mut place, &mut findings));
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

/// Names of instructions that are not written as most are: in capitals or without.
fn casing(stages: &Stages, findings: &mut Vec<Finding>) {
    let staged = stages.stages.iter().flat_map(|stage| &stage.steps);
    // What the client added is written nowhere.
    let all = stages.before.iter().chain(staged).filter(|step| !step.instruction.lines.is_empty());
    let words: Vec<(&Step, &str)> =
        all.filter_map(|step| Some((step, step.instruction.text.split_whitespace().next()?))).collect();
    let upper = |word: &str| !word.chars().any(|c| c.is_ascii_lowercase());
    let lower = |word: &str| !word.chars().any(|c| c.is_ascii_uppercase());
    let most_lower = words.iter().filter(|(_, word)| lower(word)).count() * 2 > words.len();
    let (fits, name): (&dyn Fn(&str) -> bool, _) =
        if most_lower { (&lower, "lowercase") } else { (&upper, "uppercase") };
    for (step, word) in words.iter().filter(|(_, word)| !fits(word)) {
        let message = format!("Command '{word}' should match the case of the command majority ({name})");
        findings.push(finding(step, "ConsistentInstructionCasing", message));
    }
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
        let text = "FROM --platform=linux/amd64 a\nFROM --platform=$TARGETPLATFORM b\nWORKDIR x\nWORKDIR /y\nWORKDIR z\n\
            ENV API_TOKEN=x PUBLIC_KEY=y TOKENS=1\nSHELL [\"a\"]\nCMD x\nrun y\nLABEL \"a b\"=\"c d\"\nARG password=\n";
        let expected = [
            (1, "FromPlatformFlagConstDisallowed"),
            (2, "RedundantTargetPlatform"),
            (3, "WorkdirRelativePath"),
            (6, "SecretsUsedInArgOrEnv"),
            (9, "ConsistentInstructionCasing"),
            (11, "SecretsUsedInArgOrEnv"),
        ];
        assert_eq!(found(text)?, expected);
        assert_eq!(found("FROM --platform=linux/arm64 a AS for-arm64\n")?, []);
        assert_eq!(found("from a\nrun b\nCMD [\"x\"]\n")?, [(3, "ConsistentInstructionCasing")]);
        assert_eq!(found("# check=skip=all\nFROM a as B\n")?, []);
        assert_eq!(found("# check=skip=FromAsCasing\nFROM a as B\n")?, [(2, "StageNameCasing")]);
        let told = found("# check=error=true\nFROM a\nCMD x\n").expect_err("it is to fail").to_string();
        assert!(told.starts_with("lint violation found for rules: JSONArgsRecommended (line 3): "), "{told}");
        Ok(())
    }
}
