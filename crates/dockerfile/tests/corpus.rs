//! Dockerfiles of all kinds, read as an independent parser reads them. `corpus/expected.mjs` says what that is and writes
//! `corpus/expected.json`.

use std::collections::BTreeMap;
use std::path::Path;

use dockerfile::{Command, Dockerfile, Instruction, Reading};

#[derive(Debug, serde::Deserialize)]
struct Expected {
    line: usize,
    name: String,
    words: Vec<String>,
    documents: Vec<String>,
}

#[test]
fn an_independent_parser_reads_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file of the corpus can be read");
    let expected: BTreeMap<String, Vec<Expected>> =
        serde_json::from_str(&read("expected.json")).expect("the expected is JSON");
    assert!(expected.len() >= 30, "{} Dockerfiles", expected.len());
    let mut wrong = Vec::new();
    for (name, expected) in expected {
        let file = Dockerfile::parse(&read(&format!("{name}.Dockerfile")), Reading::default()).expect(&name);
        let lines: Vec<usize> = file.instructions.iter().map(|instruction| instruction.line).collect();
        assert_eq!(lines, expected.iter().map(|one| one.line).collect::<Vec<_>>(), "{name}");
        for (ours, theirs) in file.instructions.iter().zip(expected) {
            if let Err(error) = Command::parse(ours, file.escape) {
                wrong.push(format!("{name}: {error}"));
            }
            let documents: Vec<&str> = ours.heredocs.iter().map(|document| document.name.as_str()).collect();
            let same = ours.name == theirs.name
                && bare(&arguments(ours)) == bare(&theirs.words.concat())
                && documents == theirs.documents;
            if !same {
                wrong.push(format!("{name}: ours {ours:?}\n    theirs {theirs:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What follows the flags, documents included.
fn arguments(instruction: &Instruction) -> String {
    let takes_flags = matches!(instruction.name.as_str(), "ADD" | "COPY" | "FROM" | "HEALTHCHECK" | "RUN");
    let mut rest = instruction.rest.as_str();
    while takes_flags && rest.starts_with("--") {
        rest = rest.split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim_start());
    }
    let documents = instruction.heredocs.iter().map(|document| format!("{}{}", document.content, document.name));
    std::iter::once(rest.to_owned()).chain(documents).collect()
}

/// Where words begin and end, and whether escapes are still in them, is a matter of taste; what they are made of is not.
fn bare(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '\\' && *c != '`').collect()
}
