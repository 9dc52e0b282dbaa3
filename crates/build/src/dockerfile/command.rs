//! Instructions understood: what each one's arguments must be.

use image::Healthcheck;

use super::flags::Flags;
use super::words::{json, pairs, split};
use super::{Heredoc, Instruction, healthcheck};
use crate::Result;

/// An instruction with its arguments. Variables are not replaced yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `FROM [--platform=p] image [AS name]`
    From {
        /// Image, earlier stage, or `scratch`.
        image: String,
        /// Name of the stage, in lower case.
        stage: Option<String>,
        /// `os/arch`, or empty.
        platform: String,
    },
    /// `ARG name[=default] …`
    Arg(Vec<Argument>),
    /// `RUN`
    Run {
        /// What is run.
        command: CommandLine,
        /// `--network`: `none`, `host`, `default`; empty if not given.
        network: String,
    },
    /// `CMD`
    Cmd(CommandLine),
    /// `ENTRYPOINT`
    Entrypoint(CommandLine),
    /// `LABEL`
    Label(Vec<(String, String)>),
    /// `MAINTAINER`
    Maintainer(String),
    /// `EXPOSE`
    Expose(Vec<String>),
    /// `ENV`
    Env(Vec<(String, String)>),
    /// `ADD`: as [`Command::Copy`]; archives are unpacked, URLs fetched.
    Add(Transfer),
    /// `COPY`
    Copy(Transfer),
    /// `VOLUME`
    Volume(Vec<String>),
    /// `USER`
    User(String),
    /// `WORKDIR`
    Workdir(String),
    /// `ONBUILD`, with the instruction as written.
    Onbuild(String),
    /// `STOPSIGNAL`
    StopSignal(String),
    /// `HEALTHCHECK`
    Healthcheck(Box<Healthcheck>),
    /// `SHELL`
    Shell(Vec<String>),
}

/// A command in one of its two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// Handed to the shell.
    Shell(String),
    /// `["program", "argument"]`.
    Exec(Vec<String>),
}

/// One name of `ARG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// The name.
    pub name: String,
    /// Its default.
    pub default: Option<String>,
}

/// What `ADD` and `COPY` say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transfer {
    /// Paths, patterns or URLs.
    pub sources: Vec<String>,
    /// Documents of the Dockerfile that are sources too.
    pub documents: Vec<Heredoc>,
    /// Where they go.
    pub destination: String,
    /// `--from`: stage or image; empty: the context.
    pub from: String,
    /// `--chown`: `user[:group]`; empty: root.
    pub owner: String,
    /// `--chmod`: octal; empty: as they are.
    pub mode: String,
}

impl Command {
    /// Understands an instruction.
    ///
    /// # Errors
    /// [`crate::Error::Parse`]: unknown, or with other arguments than it must have.
    pub fn parse(instruction: &Instruction, escape: char) -> Result<Self> {
        parse(instruction, escape).map_err(|message| instruction.error(message))
    }

    /// The names of all instructions.
    pub const NAMES: [&'static str; 18] = [
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ];
}

fn parse(instruction: &Instruction, escape: char) -> Result<Command, String> {
    let name = instruction.name.as_str();
    if !Command::NAMES.contains(&name) {
        return Err(format!("unknown instruction: {name}"));
    }
    if matches!(name, "ENV" | "LABEL" | "MAINTAINER" | "ONBUILD") {
        return plain(instruction, escape);
    }
    let (mut flags, rest) = Flags::split(&instruction.rest);
    let at_least_one = |words: Vec<String>| match words.is_empty() {
        true => Err(format!("{name} requires at least one argument")),
        false => Ok(words),
    };
    let exactly_one = |text: &str| match text.is_empty() {
        true => Err(format!("{name} requires exactly one argument")),
        false => Ok(text.to_owned()),
    };
    let command = match name {
        "FROM" => from(&mut flags, rest)?,
        "RUN" => run(&mut flags, rest, instruction)?,
        "ADD" => Command::Add(transfer(&mut flags, rest, instruction, escape)?),
        "COPY" => Command::Copy(transfer(&mut flags, rest, instruction, escape)?),
        "HEALTHCHECK" => return Ok(Command::Healthcheck(Box::new(healthcheck::parse(flags, rest)?))),
        "ARG" => Command::Arg(at_least_one(split(rest, escape))?.into_iter().map(argument).collect::<Result<_, _>>()?),
        "CMD" => Command::Cmd(command_line(rest)?),
        "ENTRYPOINT" => Command::Entrypoint(command_line(rest)?),
        "EXPOSE" => Command::Expose(at_least_one(split(rest, escape))?),
        "VOLUME" => Command::Volume(volumes(at_least_one(json(rest)?.unwrap_or_else(|| split(rest, escape)))?)?),
        "USER" => Command::User(exactly_one(rest)?),
        "WORKDIR" => Command::Workdir(exactly_one(rest)?),
        "STOPSIGNAL" => Command::StopSignal(exactly_one(rest)?),
        _ => Command::Shell(shell(rest)?),
    };
    flags.finish()?;
    Ok(command)
}

/// Instructions that take no flags, so that a value may look like one.
fn plain(instruction: &Instruction, escape: char) -> Result<Command, String> {
    let (name, rest) = (instruction.name.as_str(), instruction.rest.as_str());
    match name {
        "ENV" => pairs(name, rest, escape).map(Command::Env),
        "LABEL" => pairs(name, rest, escape).map(Command::Label),
        "MAINTAINER" if rest.is_empty() => Err("MAINTAINER requires exactly one argument".to_owned()),
        "MAINTAINER" => Ok(Command::Maintainer(rest.to_owned())),
        _ => onbuild(instruction),
    }
}

fn from(flags: &mut Flags, rest: &str) -> Result<Command, String> {
    let platform = flags.value("platform")?.unwrap_or_default();
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (image, stage) = match words.as_slice() {
        [image] => (image, None),
        [image, link, stage] if link.eq_ignore_ascii_case("as") => (image, Some(stage.to_ascii_lowercase())),
        _ => return Err("FROM requires either one or three arguments".to_owned()),
    };
    if let Some(stage) = &stage
        && !is_stage_name(stage)
    {
        return Err(format!(
            "invalid name for build stage: {stage:?}, name can't start with a number or contain symbols"
        ));
    }
    Ok(Command::From { image: (*image).to_owned(), stage, platform })
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'))
}

fn run(flags: &mut Flags, rest: &str, instruction: &Instruction) -> Result<Command, String> {
    flags.refuse(&["mount", "security", "device"])?;
    let network = flags.value("network")?.unwrap_or_default();
    if !matches!(network.as_str(), "" | "default" | "none" | "host") {
        return Err(format!("invalid network mode: {network}"));
    }
    let command = match json(rest)? {
        Some(words) if words.is_empty() => return Err("RUN requires at least one argument".to_owned()),
        Some(words) => CommandLine::Exec(words),
        None if rest.is_empty() => return Err("RUN requires at least one argument".to_owned()),
        None => CommandLine::Shell(script(rest, &instruction.heredocs)),
    };
    Ok(Command::Run { command, network })
}

/// The text for the shell: the document alone if the command is nothing but that, else the command with its documents as the
/// shell reads them.
fn script(rest: &str, documents: &[Heredoc]) -> String {
    if let [document] = documents
        && rest.starts_with("<<")
        && !rest.contains(char::is_whitespace)
    {
        let body = document.content.as_str();
        return match body.strip_prefix("#!").and_then(|body| body.split_once('\n')) {
            // The interpreter reads the script from a document of the shell's own.
            Some((interpreter, _)) => {
                format!("exec {} /dev/stdin <<'{name}'\n{body}{name}\n", interpreter.trim(), name = document.name)
            }
            None => body.to_owned(),
        };
    }
    let mut text = rest.to_owned();
    for document in documents {
        text.push('\n');
        text.push_str(&document.content);
        text.push_str(&document.name);
    }
    if !documents.is_empty() {
        text.push('\n');
    }
    text
}

fn command_line(rest: &str) -> Result<CommandLine, String> {
    Ok(match json(rest)? {
        Some(words) => CommandLine::Exec(words),
        None => CommandLine::Shell(rest.to_owned()),
    })
}

fn argument(word: String) -> Result<Argument, String> {
    let (name, default) = match word.split_once('=') {
        Some((name, default)) => (name.to_owned(), Some(default.to_owned())),
        None => (word, None),
    };
    if name.is_empty() {
        return Err("ARG names can not be blank".to_owned());
    }
    Ok(Argument { name, default })
}

fn volumes(paths: Vec<String>) -> Result<Vec<String>, String> {
    match paths.iter().any(|path| path.trim().is_empty()) {
        true => Err("VOLUME specified can not be an empty string".to_owned()),
        false => Ok(paths),
    }
}

fn shell(rest: &str) -> Result<Vec<String>, String> {
    match json(rest)? {
        Some(words) if words.is_empty() => Err("SHELL requires at least one argument".to_owned()),
        Some(words) => Ok(words),
        None => Err(format!("SHELL requires the arguments to be in JSON form: SHELL {rest}")),
    }
}

fn onbuild(instruction: &Instruction) -> Result<Command, String> {
    let rest = &instruction.rest;
    let trigger = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    match trigger.as_str() {
        "" => Err("ONBUILD requires at least one argument".to_owned()),
        "ONBUILD" => Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned()),
        "MAINTAINER" | "FROM" => Err(format!("{trigger} isn't allowed as an ONBUILD trigger")),
        _ if !instruction.heredocs.is_empty() => Err("ONBUILD cannot hold heredocs".to_owned()),
        _ => Ok(Command::Onbuild(rest.clone())),
    }
}

fn transfer(flags: &mut Flags, rest: &str, instruction: &Instruction, escape: char) -> Result<Transfer, String> {
    let name = instruction.name.as_str();
    let from = if name == "COPY" { flags.value("from")? } else { None };
    let (owner, mode) = (flags.value("chown")?, flags.value("chmod")?);
    // Layers here are independent of what lies beneath them, link or not.
    flags.switch("link")?;
    flags.refuse(&["checksum", "keep-git-dir", "parents", "exclude", "unpack"])?;
    let mut words = match json(rest)? {
        Some(words) => words,
        None => split(rest, escape),
    };
    let destination = words.pop();
    if !instruction.heredocs.is_empty() {
        words.retain(|word| !word.starts_with("<<"));
    }
    let destination = match destination {
        Some(destination) if !words.is_empty() || !instruction.heredocs.is_empty() => destination,
        Some(_) => {
            return Err(format!(
                "{name} requires at least two arguments, but only one was provided. Destination could not be determined"
            ));
        }
        None => return Err(format!("{name} requires at least two arguments, but none were provided")),
    };
    Ok(Transfer {
        sources: words,
        documents: instruction.heredocs.clone(),
        destination,
        from: from.unwrap_or_default(),
        owner: owner.unwrap_or_default(),
        mode: mode.unwrap_or_default(),
    })
}
