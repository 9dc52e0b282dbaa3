//! Dockerfiles by the rules of 2014 (API 1.14 and below): a line is split at its first blank, and what follows is taken as
//! written. There are no flags, quotes, patterns or stages; what is wrong with an instruction shows when its step has come.

use crate::run::Run;
use crate::transfer::Transfer;
use crate::{Checks, Command, CommandLine, Dockerfile, Error, Instruction, Result};

const BLANKS: [char; 4] = [' ', '\t', '\r', '\x0c'];

/// Joins lines; comments and empty lines were dropped before, so that they may stand within an instruction.
pub(crate) fn read(text: &str) -> Dockerfile {
    let lines = || text.split('\n').zip(1..).filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    let mut instructions = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (line, number) in lines() {
        let goes_on = open.is_some();
        let (first, mut joined) = open.take().unwrap_or((number, String::new()));
        let end = line.trim_end_matches(BLANKS);
        match end.strip_suffix('\\') {
            Some(piece) => {
                joined.push_str(piece);
                open = Some((first, joined));
            }
            None if goes_on && end.is_empty() => open = Some((first, joined)),
            None => {
                joined.push_str(line);
                instructions.extend(single(&joined, first));
            }
        }
    }
    if let Some((first, mut joined)) = open {
        // Nothing follows the last line that it could be joined with.
        let last = lines().last().map_or("", |(line, _)| line.trim_end_matches(BLANKS));
        joined.push_str(if last.ends_with('\\') { "\\" } else { "" });
        instructions.extend(single(&joined, first));
    }
    Dockerfile { escape: '\\', syntax: String::new(), checks: Checks::default(), instructions }
}

/// One instruction; none if there are only blanks.
pub(crate) fn single(text: &str, line: usize) -> Option<Instruction> {
    let text = text.replace('\t', " ").trim_matches([' ', '\r', '\n']).to_owned();
    let (name, rest) = text.split_once(' ').unwrap_or((&text, ""));
    let (name, rest) = (name.to_uppercase(), rest.trim_matches(' ').to_owned());
    (!text.is_empty()).then_some(Instruction { line, text, name, rest, ..Instruction::default() })
}

/// Understands an instruction; `None` for one that is unknown and was skipped.
pub fn understand(instruction: &Instruction) -> Result<Option<Command>> {
    let rest = instruction.rest.as_str();
    if rest.is_empty() {
        return wrong("Invalid Dockerfile format");
    }
    Ok(Some(match instruction.name.as_str() {
        "FROM" => Command::From { image: rest.to_owned(), stage: None, platform: String::new() },
        "MAINTAINER" => Command::Maintainer(rest.to_owned()),
        "RUN" => Command::Run(Run {
            command: command_line(rest),
            network: String::new(),
            insecure: false,
            devices: Vec::new(),
            mounts: Vec::new(),
        }),
        "CMD" => Command::Cmd(command_line(rest)),
        "ENTRYPOINT" => Command::Entrypoint(command_line(rest)),
        "ENV" => Command::Env(vec![two("ENV", rest)?]),
        "ADD" => Command::Add(transfer("ADD", rest)?),
        "COPY" => Command::Copy(transfer("COPY", rest)?),
        "EXPOSE" => Command::Expose(rest.split(' ').map(port).collect::<Result<_>>()?),
        "VOLUME" => Command::Volume(list(rest).unwrap_or_else(|| vec![rest.to_owned()])),
        "USER" => Command::User(rest.to_owned()),
        "WORKDIR" => Command::Workdir(rest.to_owned()),
        "ONBUILD" => trigger(rest)?,
        "INSERT" => return wrong("INSERT has been deprecated. Please use ADD instead"),
        _ => return Ok(None),
    }))
}

/// What is said of an instruction before the first `FROM`.
pub fn without_image(instruction: &Instruction) -> Error {
    let text = match instruction.name.as_str() {
        "RUN" => "Please provide a source image with `from` prior to run",
        "ADD" | "COPY" => "prefix can't be empty",
        _ => "Please provide a source image with `from` prior to commit",
    };
    Error::Step(text.to_owned())
}

fn wrong<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::Step(message.into()))
}

/// A JSON list of texts; nulls in it are empty, and null is an empty list.
fn list(text: &str) -> Option<Vec<String>> {
    let words: Option<Vec<Option<String>>> = serde_json::from_str(text).ok()?;
    Some(words.unwrap_or_default().into_iter().map(Option::unwrap_or_default).collect())
}

fn command_line(rest: &str) -> CommandLine {
    list(rest).map_or_else(|| CommandLine::Shell(rest.to_owned()), CommandLine::Exec)
}

fn two(name: &str, rest: &str) -> Result<(String, String)> {
    match rest.split_once(' ') {
        Some((first, second)) => Ok((first.to_owned(), second.trim_matches(' ').to_owned())),
        None => wrong(format!("Invalid {name} format")),
    }
}

fn transfer(name: &str, rest: &str) -> Result<Transfer> {
    let (source, destination) = two(name, rest)?;
    Ok(Transfer { sources: vec![source], destination, ..Transfer::default() })
}

fn trigger(rest: &str) -> Result<Command> {
    let name = rest.split(' ').next().unwrap_or_default().to_uppercase();
    match name.as_str() {
        "ONBUILD" => wrong("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        "MAINTAINER" | "FROM" => wrong(format!("{name} isn't allowed as an ONBUILD trigger")),
        _ => Ok(Command::Onbuild(rest.to_owned())),
    }
}

/// `[[ip:]host:]port[/protocol]`, of which only port and protocol count.
fn port(word: &str) -> Result<String> {
    let (numbers, protocol) = word.rsplit_once('/').unwrap_or((word, "tcp"));
    let whole = match numbers.matches(':').count() {
        0 => format!("::{numbers}"),
        1 => format!(":{numbers}"),
        _ => numbers.to_owned(),
    };
    let [address, host, port] = whole.split(':').collect::<Vec<_>>()[..] else {
        return wrong(format!("Invalid format to parse.  {whole} should match template ip:hostPort:containerPort"));
    };
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok();
    if !address.is_empty() && address.parse::<std::net::IpAddr>().is_err() {
        return wrong(format!("Invalid ip address: {address}"));
    }
    if port.is_empty() {
        return wrong(format!("No port specified: {whole}<empty>"));
    }
    if !is_port(port) {
        return wrong(format!("Invalid containerPort: {port}"));
    }
    if !host.is_empty() && !is_port(host) {
        return wrong(format!("Invalid hostPort: {host}"));
    }
    if !matches!(protocol, "tcp" | "udp") {
        return wrong(format!("Invalid proto: {protocol}"));
    }
    Ok(format!("{port}/{protocol}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(file: &str) -> Vec<String> {
        read(file).instructions.into_iter().map(|instruction| instruction.text).collect()
    }

    #[test]
    fn lines_are_joined() {
        assert_eq!(texts("FROM a\nRUN a && \\\n# no\n\n b\\\t\r\n   \n c\n"), ["FROM a", "RUN a &&  b c"]);
        assert_eq!(texts("FROM a\n\\\n"), ["FROM a", "\\"]);
        assert_eq!(texts("RUN\ttrue \\"), ["RUN true \\"]);
        assert_eq!(texts(" # no comment\n"), ["# no comment"]);
    }

    #[test]
    fn arguments_are_taken_as_written() {
        let understood = |text: &str| understand(&single(text, 1).unwrap());
        let image = |text: &str| match understood(text) {
            Ok(Some(Command::From { image, stage: None, .. })) => image,
            other => panic!("{other:?}"),
        };
        assert_eq!(image("from a AS b"), "a AS b");
        let volume = |paths: &[&str]| Command::Volume(paths.iter().map(|path| (*path).to_owned()).collect());
        assert_eq!(understood("VOLUME /a /b").unwrap(), Some(volume(&["/a /b"])));
        assert_eq!(understood("VOLUME [\"/a\", null]").unwrap(), Some(volume(&["/a", ""])));
        assert_eq!(understood("CMD [1]").unwrap(), Some(Command::Cmd(CommandLine::Shell("[1]".to_owned()))));
        let env = Command::Env(vec![("A".to_owned(), "b  \"c\"".to_owned())]);
        assert_eq!(understood("ENV A  b  \"c\" ").unwrap(), Some(env));
        let ports = Command::Expose(vec!["80/tcp".to_owned(), "90/udp".to_owned()]);
        assert_eq!(understood("EXPOSE 80 1.2.3.4:8090:90/udp").unwrap(), Some(ports));
        assert_eq!(understood("LABEL a=b").unwrap(), None);
        for (text, reason) in [
            ("FROM", "Invalid Dockerfile format"),
            ("ENV A=b", "Invalid ENV format"),
            ("ADD a", "Invalid ADD format"),
            ("EXPOSE 80/x", "Invalid proto: x"),
            ("EXPOSE 80  81", "No port specified: ::<empty>"),
            ("EXPOSE 8000-8010", "Invalid containerPort: 8000-8010"),
            ("INSERT a b", "INSERT has been deprecated. Please use ADD instead"),
            ("ONBUILD from a", "FROM isn't allowed as an ONBUILD trigger"),
        ] {
            assert_eq!(understood(text).unwrap_err().to_string(), reason, "{text}");
        }
    }
}
