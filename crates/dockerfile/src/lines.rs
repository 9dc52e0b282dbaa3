//! Physical lines become instructions: directives, comments, continuation, documents.

use std::borrow::Cow;

use crate::{Checks, Dockerfile, Error, Excerpt, Fault, Heredoc, Instruction, Position, Reading, Result, of_2014};

/// Longest instruction, documents included, in bytes.
const MAX_INSTRUCTION_BYTES: usize = 4 * 1024 * 1024;

pub(super) fn read(text: &str, reading: Reading) -> Result<Dockerfile> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if reading.old {
        return Ok(of_2014::read(text));
    }
    let directives = directives(text)?;
    let escape = directives.escape.unwrap_or('\\');
    let instructions = instructions(text, escape, true)?;
    Ok(Dockerfile { escape, syntax: directives.syntax, checks: directives.checks, instructions })
}

fn instructions(text: &str, escape: char, documents: bool) -> Result<Vec<Instruction>> {
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).enumerate();
    let mut instructions = Vec::new();
    while let Some((number, line)) = lines.next() {
        if line.trim_start().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let mut joined = Cow::Borrowed("");
        let (mut pieces, mut gap) = (Vec::new(), false);
        let mut next = Some((number, line));
        while let Some((number, line)) = next.take() {
            pieces.push((number + 1, line.to_owned()));
            let (piece, more) = continued(if pieces.len() == 1 { line.trim_start() } else { line }, escape);
            match &mut joined {
                nothing if nothing.is_empty() => *nothing = Cow::Borrowed(piece),
                begun => begun.to_mut().push_str(piece),
            }
            if joined.len() > MAX_INSTRUCTION_BYTES {
                let message = "the instruction is too long".to_owned();
                return Err(Error::Parse { line: pieces[0].0, message, excerpt: None });
            }
            while more && next.is_none() {
                let Some((number, line)) = lines.next() else { break };
                let bare = line.trim_start();
                gap |= bare.is_empty();
                next = Some((number, line)).filter(|_| !bare.is_empty() && !bare.starts_with('#'));
            }
        }
        let Some(mut instruction) = split(&joined, number + 1) else { continue };
        (instruction.lines, instruction.gap) = (pieces, gap);
        if documents && takes_documents(&instruction) {
            for opening in openings(&instruction.rest, escape) {
                let mut body = std::iter::from_fn(|| lines.next().map(|(_, line)| line));
                let token = opening.name.clone();
                let document = document(opening, &mut body)
                    .ok_or_else(|| instruction.error_at(Fault::at(&token, "unterminated heredoc")))?;
                instruction.heredocs.push(document);
            }
        }
        instructions.push(instruction);
    }
    Ok(instructions)
}

pub(super) fn single(text: &str, escape: char) -> Result<Instruction> {
    let first = instructions(text, escape, false)?.into_iter().next();
    let mut instruction = first.ok_or_else(|| Error::Invalid("file with no instructions".to_owned()))?;
    // It is in no file, so there is no line to show.
    instruction.lines.clear();
    Ok(instruction)
}

/// What the comments at the very beginning say that are `# name=value`.
#[derive(Default)]
struct Directives {
    escape: Option<char>,
    syntax: String,
    checks: Checks,
}

fn directives(text: &str) -> Result<Directives> {
    let mut seen: Vec<String> = Vec::new();
    let mut directives = Directives::default();
    for (number, line) in text.lines().enumerate() {
        let Some((name, value)) = line.trim().strip_prefix('#').and_then(|comment| comment.split_once('=')) else {
            break;
        };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if !matches!(name.as_str(), "escape" | "syntax" | "check") {
            break;
        }
        let wrong = |message: String, expected: &str| {
            let column = line.find(value).filter(|_| !value.is_empty()).map_or(1, |at| line[..at].chars().count() + 1);
            let position = Position { line: number + 1, column };
            let (length, text, expected) = (value.chars().count(), line.to_owned(), expected.to_owned());
            let excerpt = Some(Box::new(Excerpt { position, length, text, expected }));
            Error::Parse { line: number + 1, message, excerpt }
        };
        if seen.contains(&name) {
            return Err(wrong(format!("only one {name} parser directive can be used"), "one of each directive"));
        }
        match name.as_str() {
            "escape" => {
                directives.escape = Some(match value {
                    "\\" => '\\',
                    "`" => '`',
                    _ => {
                        let message = format!("invalid escape token '{value}' does not match ` or \\");
                        return Err(wrong(message, "# escape=\\ or # escape=`"));
                    }
                });
            }
            "syntax" => value.clone_into(&mut directives.syntax),
            _ => {
                directives.checks = checks(value)
                    .ok_or_else(|| wrong(format!("invalid check {value:?}"), "# check=skip=Rule,Rule;error=true"))?;
            }
        }
        seen.push(name);
    }
    Ok(directives)
}

fn checks(text: &str) -> Option<Checks> {
    let mut checks = Checks::default();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('=')? {
            ("skip", rules) => checks.skip = rules.split(',').map(|rule| rule.trim().to_owned()).collect(),
            ("error", truth) => checks.error = truth.trim().parse().ok()?,
            // Rules that are not made yet somewhere; there are none here.
            ("experimental", _) => {}
            _ => return None,
        }
    }
    Some(checks)
}

/// A line without what joins it to the next, and whether anything does: an escape character that is not escaped itself,
/// blanks behind it do not count.
fn continued(line: &str, escape: char) -> (&str, bool) {
    match line.trim_end_matches([' ', '\t', '\r']).strip_suffix(escape) {
        Some(before) if !before.ends_with(escape) => (before, true),
        _ => (line, false),
    }
}

fn split(joined: &str, line: usize) -> Option<Instruction> {
    let text = joined.trim();
    let (name, rest) = text.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((text, ""));
    (!text.is_empty()).then(|| Instruction {
        line,
        text: text.to_owned(),
        name: name.to_ascii_uppercase(),
        rest: rest.trim().to_owned(),
        ..Instruction::default()
    })
}

fn takes_documents(instruction: &Instruction) -> bool {
    if !instruction.rest.contains("<<") {
        return false;
    }
    let name = match instruction.name.as_str() {
        "ONBUILD" => instruction.rest.split_ascii_whitespace().next().unwrap_or_default().to_ascii_uppercase(),
        name => name.to_owned(),
    };
    matches!(name.as_str(), "RUN" | "COPY" | "ADD")
}

/// `<<NAME`, `<<-NAME`, `<<"NAME"`.
struct Opening {
    name: String,
    quoted: bool,
    /// Tabs at the beginning of lines are dropped.
    chomp: bool,
}

/// The documents that an instruction opens, outside of quotes.
fn openings(rest: &str, escape: char) -> Vec<Opening> {
    let mut openings = Vec::new();
    let mut quote = None;
    let mut rest = rest;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None | Some('"'), c) if c == escape => {
                rest = after.chars().next().map_or("", |c| &after[c.len_utf8()..]);
                continue;
            }
            (None, '<') if after.starts_with("<<") => {
                // A here-string of the shell.
                rest = &after[2..];
                continue;
            }
            (None, '<') if after.starts_with('<') => {
                let (opening, behind) = opening(&after[1..]);
                openings.extend(opening);
                rest = behind;
                continue;
            }
            _ => {}
        }
        rest = after;
    }
    openings
}

fn opening(text: &str) -> (Option<Opening>, &str) {
    let (chomp, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        return match text[1..].split_once(quote) {
            Some((name, behind)) if !name.is_empty() => {
                (Some(Opening { name: name.to_owned(), quoted: true, chomp }), behind)
            }
            _ => (None, text),
        };
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))).unwrap_or(text.len());
    let (name, behind) = text.split_at(end);
    let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    (is_name.then(|| Opening { name: name.to_owned(), quoted: false, chomp }), behind)
}

/// The lines up to the one that is the name.
fn document<'a>(opening: Opening, lines: &mut impl Iterator<Item = &'a str>) -> Option<Heredoc> {
    let mut content = String::new();
    for line in lines {
        let line = if opening.chomp { line.trim_start_matches('\t') } else { line };
        if line == opening.name {
            return Some(Heredoc { name: opening.name, expand: !opening.quoted, content });
        }
        content.push_str(line);
        content.push('\n');
    }
    None
}
