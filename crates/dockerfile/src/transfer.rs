//! `ADD` and `COPY`.

use crate::flags::Flags;
use crate::words::{json, split};
use crate::{Fault, Heredoc, Instruction, Result};

/// What `ADD` and `COPY` say. Variables are not replaced yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transfer {
    /// Paths, patterns or addresses.
    pub sources: Vec<String>,
    /// Documents of the Dockerfile that are sources too.
    pub documents: Vec<Heredoc>,
    /// Where they go.
    pub destination: String,
    /// `COPY --from`: stage, image or named context; empty: the context.
    pub from: String,
    /// `--chown`: `user[:group]`; empty: root.
    pub owner: String,
    /// `--chmod`: octal or by letters; empty: as they are.
    pub mode: String,
    /// `--link`: the layer does not depend on what lies beneath it.
    pub link: bool,
    /// `--parents`: sources keep the folders that they are in.
    pub parents: bool,
    /// `--exclude`: patterns as in an ignore file; what fits is left out.
    pub exclude: Vec<String>,
    /// `ADD --checksum`: the digest that a fetched file, or the commit that a repository must have; empty: any.
    pub checksum: String,
    /// `ADD --keep-git-dir`.
    pub keep_git_dir: bool,
    /// `ADD --unpack`; `None`: archives of the context are, fetched ones are not.
    pub unpack: Option<bool>,
}

pub(super) fn parse(flags: &mut Flags, rest: &str, instruction: &Instruction, escape: char) -> Result<Transfer, Fault> {
    let name = instruction.name.as_str();
    let mut transfer = Transfer {
        owner: flags.value("chown")?.unwrap_or_default(),
        mode: flags.value("chmod")?.unwrap_or_default(),
        exclude: flags.values("exclude")?,
        link: flags.switch("link")?.unwrap_or(false),
        ..Transfer::default()
    };
    if name == "COPY" {
        transfer.from = flags.value("from")?.unwrap_or_default();
        transfer.parents = flags.switch("parents")?.unwrap_or(false);
    } else {
        transfer.checksum = flags.value("checksum")?.unwrap_or_default();
        transfer.keep_git_dir = flags.switch("keep-git-dir")?.unwrap_or(false);
        transfer.unpack = flags.switch("unpack")?;
    }
    let mut words = match json(rest)? {
        Some(words) => words,
        None => split(rest, escape),
    };
    let destination = words.pop();
    if !instruction.heredocs.is_empty() {
        words.retain(|word| !word.starts_with("<<"));
    }
    transfer.destination = match destination {
        Some(destination) if !words.is_empty() || !instruction.heredocs.is_empty() => destination,
        Some(_) => {
            return Err(Fault::from(format!(
                "{name} requires at least two arguments, but only one was provided. Destination could not be determined"
            )));
        }
        None => return Err(Fault::from(format!("{name} requires at least two arguments, but none were provided"))),
    };
    transfer.sources = words;
    transfer.documents.clone_from(&instruction.heredocs);
    Ok(transfer)
}
