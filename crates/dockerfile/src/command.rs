//! Instructions understood: what each one's arguments must be.

use crate::flags::Flags;
use crate::healthcheck::{self, Healthcheck};
use crate::run::{self, Run};
use crate::transfer::{self, Transfer};
use crate::words::{json, pairs, split};
use crate::{Fault, Instruction, Result};

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
    Run(Run),
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

impl Command {
    /// Understands an instruction.
    ///
    /// # Errors
    /// [`Error::Parse`](crate::Error::Parse): unknown, or with other arguments than it must have.
    pub fn parse(instruction: &Instruction, escape: char) -> Result<Self> {
        parse(instruction, escape).map_err(|fault| instruction.error_at(fault))
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

/// How an instruction is written.
pub(super) fn form(name: &str) -> &'static str {
    match name {
        "ADD" => "ADD [--chown= --chmod= --checksum= --keep-git-dir --unpack= --exclude= --link] source... destination",
        "ARG" => "ARG name[=default]...",
        "CMD" => "CMD command, or CMD [\"program\", \"argument\"]",
        "COPY" => "COPY [--from= --chown= --chmod= --parents --exclude= --link] source... destination",
        "ENTRYPOINT" => "ENTRYPOINT command, or ENTRYPOINT [\"program\", \"argument\"]",
        "ENV" => "ENV name=value...",
        "EXPOSE" => "EXPOSE port[/protocol]...",
        "FROM" => "FROM [--platform=os/architecture] image [AS stage]",
        "HEALTHCHECK" => {
            "HEALTHCHECK [--interval= --timeout= --start-period= --start-interval= --retries=] CMD command, or HEALTHCHECK NONE"
        }
        "LABEL" => "LABEL name=value...",
        "MAINTAINER" => "MAINTAINER name",
        "ONBUILD" => "ONBUILD instruction",
        "RUN" => "RUN [--mount= --network= --security= --device=] command, or RUN [\"program\", \"argument\"]",
        "SHELL" => "SHELL [\"program\", \"argument\"]",
        "STOPSIGNAL" => "STOPSIGNAL signal",
        "USER" => "USER user[:group]",
        "VOLUME" => "VOLUME path..., or VOLUME [\"path\"]",
        "WORKDIR" => "WORKDIR path",
        _ => {
            "an instruction: ADD, ARG, CMD, COPY, ENTRYPOINT, ENV, EXPOSE, FROM, HEALTHCHECK, LABEL, ONBUILD, RUN, SHELL, \
              STOPSIGNAL, USER, VOLUME or WORKDIR"
        }
    }
}

fn parse(instruction: &Instruction, escape: char) -> Result<Command, Fault> {
    let name = instruction.name.as_str();
    if !Command::NAMES.contains(&name) {
        let written = instruction.text.split_whitespace().next().unwrap_or_default();
        return Err(Fault::at(written, format!("unknown instruction: {name}")));
    }
    if matches!(name, "ENV" | "LABEL" | "MAINTAINER" | "ONBUILD") {
        return plain(instruction, escape);
    }
    let (mut flags, rest) = Flags::split(&instruction.rest);
    let at_least_one = |words: Vec<String>| match words.is_empty() {
        true => Err(Fault::from(format!("{name} requires at least one argument"))),
        false => Ok(words),
    };
    let exactly_one = |text: &str| match text.is_empty() {
        true => Err(Fault::from(format!("{name} requires exactly one argument"))),
        false => Ok(text.to_owned()),
    };
    let command = match name {
        "FROM" => from(&mut flags, rest)?,
        "RUN" => Command::Run(run::parse(&mut flags, rest, instruction)?),
        "ADD" => Command::Add(transfer::parse(&mut flags, rest, instruction, escape)?),
        "COPY" => Command::Copy(transfer::parse(&mut flags, rest, instruction, escape)?),
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
fn plain(instruction: &Instruction, escape: char) -> Result<Command, Fault> {
    let (name, rest) = (instruction.name.as_str(), instruction.rest.as_str());
    match name {
        "ENV" => pairs(name, rest, escape).map(Command::Env),
        "LABEL" => pairs(name, rest, escape).map(Command::Label),
        "MAINTAINER" if rest.is_empty() => Err("MAINTAINER requires exactly one argument".into()),
        "MAINTAINER" => Ok(Command::Maintainer(rest.to_owned())),
        _ => Ok(onbuild(instruction)?),
    }
}

fn from(flags: &mut Flags, rest: &str) -> Result<Command, Fault> {
    let platform = flags.value("platform")?.unwrap_or_default();
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (image, stage) = match words.as_slice() {
        [image] => (image, None),
        [image, link, stage] if link.eq_ignore_ascii_case("as") => (image, Some(stage.to_ascii_lowercase())),
        _ => return Err(Fault::at(rest, "FROM requires either one or three arguments")),
    };
    if let Some(stage) = &stage
        && !is_stage_name(stage)
    {
        let message =
            format!("invalid name for build stage: {stage:?}, name can't start with a number or contain symbols");
        return Err(Fault::at(words.last().copied().unwrap_or_default(), message));
    }
    Ok(Command::From { image: (*image).to_owned(), stage, platform })
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'))
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
