//! What clients ask the Dockerfile frontend beside builds: `docker build --check`, `--call=outline` and `--call=targets`.
//! The answers are those of BuildKit's subrequests: metadata of a result without files.

use std::collections::HashMap;
use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use build::{Finding, Mention, Survey};
use serde_json::{Value, json};

use crate::message::SourceInfo;

/// The version of the answers' form.
const VERSION: &str = "1.0.0";
/// Where the rules are explained, whose names are the same everywhere.
const RULES: &str = "https://docs.docker.com/go/dockerfile/rule/";

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// What a careful author would want to know.
    Lint,
    /// What the wanted stage takes.
    Outline,
    /// Which stages there are.
    Targets,
}

impl Request {
    /// By BuildKit's names.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "frontend.lint" => Some(Self::Lint),
            "frontend.outline" => Some(Self::Outline),
            "frontend.targets" => Some(Self::Targets),
            _ => None,
        }
    }

    /// The answer, with the Dockerfile that lines are shown of.
    pub(crate) fn answer(self, survey: &Survey, source: &SourceInfo) -> HashMap<String, Vec<u8>> {
        match self {
            Self::Lint => lint(&survey.findings, None, source),
            Self::Outline => outline(survey, source),
            Self::Targets => targets(survey, source),
        }
    }
}

/// The answer about a Dockerfile that cannot be understood, and where.
pub(crate) fn misread(message: &str, line: usize, source: &SourceInfo) -> HashMap<String, Vec<u8>> {
    lint(&[], Some((message, line)), source)
}

fn lint(findings: &[Finding], error: Option<(&str, usize)>, source: &SourceInfo) -> HashMap<String, Vec<u8>> {
    let warnings: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "ruleName": finding.rule,
                "url": address(finding.rule),
                "detail": finding.message,
                "location": location(finding.line),
            })
        })
        .collect();
    let shown =
        json!({"filename": source.filename, "data": STANDARD.encode(&source.data), "language": source.language});
    let mut document = json!({"warnings": warnings, "sources": [shown]});
    let mut text = String::new();
    for Finding { line, rule, message } in findings {
        text += &format!("\nWARNING: {rule} - {}\n{message}\n{}:{line}\n", address(rule), source.filename);
    }
    if let Some((message, line)) = error {
        document["buildError"] = json!({"message": message, "location": location(line)});
        text += &format!("\nERROR: {message}\n{}:{line}\n", source.filename);
    }
    let status = if text.is_empty() { "0" } else { "1" };
    let mut answer = metadata(&document, text);
    answer.insert("result.statuscode".to_owned(), status.into());
    answer
}

fn outline(survey: &Survey, source: &SourceInfo) -> HashMap<String, Vec<u8>> {
    let mut document = json!({"sources": [STANDARD.encode(&source.data)]});
    let mut text = String::new();
    if let Some(target) = survey.targets.iter().find(|target| target.wanted && !target.name.is_empty()) {
        document["name"] = Value::from(target.name.as_str());
        text += &format!("TARGET:\t{}\n", target.name);
    }
    for (key, title, name, list) in [
        ("args", "BUILD ARG", "name", &survey.arguments),
        ("secrets", "SECRET", "name", &survey.secrets),
        ("ssh", "SSH", "name", &survey.agents),
        ("cache", "CACHE MOUNT", "ID", &survey.caches),
    ] {
        if !list.is_empty() {
            document[key] = list.iter().map(|mention| mentioned(mention, name)).collect();
            let lines: Vec<String> = list.iter().map(shown).collect();
            text += &format!("\n{title}\n{}\n", lines.join("\n"));
        }
    }
    metadata(&document, text)
}

fn mentioned(mention: &Mention, name: &str) -> Value {
    let mut one = json!({name: mention.name, "location": location(mention.line)});
    if let Some(value) = &mention.value {
        one["value"] = Value::from(value.as_str());
    }
    if mention.required {
        one["required"] = Value::from(true);
    }
    one
}

fn shown(mention: &Mention) -> String {
    let required = if mention.required { "\trequired" } else { "" };
    format!("{}\t{}{required}", mention.name, mention.value.as_deref().unwrap_or_default()).trim_end().to_owned()
}

fn targets(survey: &Survey, source: &SourceInfo) -> HashMap<String, Vec<u8>> {
    let mut text = "TARGET\tBASE\n".to_owned();
    let mut list = Vec::new();
    for target in &survey.targets {
        let mut one = json!({"base": target.base, "location": location(target.line)});
        for (key, value) in [("name", &target.name), ("platform", &target.platform)] {
            if !value.is_empty() {
                one[key] = Value::from(value.as_str());
            }
        }
        if target.default {
            one["default"] = Value::from(true);
        }
        list.push(one);
        let default = if target.default { " (default)" } else { "" };
        // Writing into a string does not fail.
        let _written = writeln!(text, "{}{default}\t{}", target.name, target.base);
    }
    metadata(&json!({"targets": list, "sources": [STANDARD.encode(&source.data)]}), text)
}

fn metadata(document: &Value, text: String) -> HashMap<String, Vec<u8>> {
    let pairs = [
        ("result.json", document.to_string().into_bytes()),
        ("result.txt", text.into_bytes()),
        ("version", VERSION.into()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

fn location(line: usize) -> Value {
    let position = json!({"line": line});
    json!({"ranges": [{"start": position, "end": position}]})
}

/// `FromAsCasing` is explained at `…/from-as-casing/`.
fn address(rule: &str) -> String {
    let mut name = String::new();
    for (at, c) in rule.char_indices() {
        let begins = c.is_ascii_uppercase() && rule[at + 1..].starts_with(|next: char| next.is_ascii_lowercase());
        if begins && at > 0 {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    format!("{RULES}{name}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(text: &str, target: &str) -> Survey {
        let context = build::Context::of_body(text.as_bytes(), "Dockerfile", &std::env::temp_dir()).unwrap();
        let arguments = [("A".to_owned(), Some("given".to_owned()))].into();
        let options = build::Options { target: target.to_owned(), arguments, ..build::Options::default() };
        Survey::read(&context, &options).unwrap()
    }

    fn json(answer: &HashMap<String, Vec<u8>>) -> Value {
        serde_json::from_slice(&answer["result.json"]).unwrap()
    }

    const TEXT: &str = "# check=error=true\nARG G=1\nFROM x as Build\nARG A=1 B\n\
        RUN --mount=type=secret,id=s,required --mount=type=ssh --mount=type=cache,target=/c x\nFROM other\nARG C\n";

    #[test]
    fn what_is_asked_is_answered() {
        let info = SourceInfo { filename: "D".into(), data: b"text".to_vec(), language: "Dockerfile".into() };
        let answer = Request::Lint.answer(&survey(TEXT, ""), &info);
        let document = json(&answer);
        assert_eq!(document["warnings"][0]["ruleName"], "FromAsCasing");
        assert_eq!(document["warnings"][0]["url"], format!("{RULES}from-as-casing/"));
        assert_eq!(document["warnings"][0]["location"]["ranges"][0]["start"]["line"], 3);
        assert_eq!((&*answer["result.statuscode"], &*answer["version"]), (&b"1"[..], &b"1.0.0"[..]));
        let clean = Request::Lint.answer(&survey("FROM x\n", ""), &info);
        assert_eq!((&*clean["result.statuscode"], json(&clean)["warnings"].as_array().unwrap().len()), (&b"0"[..], 0));
        let outline = json(&Request::Outline.answer(&survey(TEXT, "build"), &info));
        assert_eq!((&outline["name"], &outline["args"][1]["value"]), (&Value::from("build"), &Value::from("given")));
        assert_eq!(outline["args"].as_array().unwrap().len(), 3, "{outline}");
        assert_eq!((&outline["secrets"][0]["name"], &outline["secrets"][0]["required"]), (&json!("s"), &json!(true)));
        assert_eq!((&outline["ssh"][0]["name"], &outline["cache"][0]["ID"]), (&json!("default"), &json!("/c")));
        let targets = json(&Request::Targets.answer(&survey(TEXT, ""), &info));
        assert_eq!(
            (&targets["targets"][0]["name"], &targets["targets"][1]["default"]),
            (&json!("build"), &json!(true))
        );
        let wrong = misread("no", 2, &info);
        assert_eq!(json(&wrong)["buildError"]["location"]["ranges"][0]["end"]["line"], 2);
        assert_eq!(address("JSONArgsRecommended"), format!("{RULES}json-args-recommended/"));
    }
}
