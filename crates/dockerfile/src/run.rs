//! `RUN`, and what it mounts.

use model::units;

use crate::command::CommandLine;
use crate::flags::Flags;
use crate::words::json;
use crate::{Fault, Heredoc, Instruction, Result};

/// What `RUN` says. Variables are not replaced yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What is run.
    pub command: CommandLine,
    /// `--network`: `none`, `host`, `default`; empty if not given.
    pub network: String,
    /// `--security=insecure`: with all privileges.
    pub insecure: bool,
    /// `--device`: names of devices that the command wants.
    pub devices: Vec<String>,
    /// `--mount`, in order.
    pub mounts: Vec<RunMount>,
}

/// One `--mount` of a `RUN`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunMount {
    /// What is mounted.
    pub kind: MountKind,
    /// Where, in the container; empty: the kind's default.
    pub target: String,
    /// Name of a cache, secret or agent; empty: made of the target.
    pub id: String,
    /// Stage, image or named context that a bind or a new cache is of; empty: the context, or an empty cache.
    pub from: String,
    /// The path there.
    pub source: String,
    /// `ro` and `rw`; `None`: the kind's default.
    pub read_only: Option<bool>,
    /// How builds share a cache.
    pub sharing: Sharing,
    /// Most bytes of a tmpfs.
    pub size_bytes: Option<i64>,
    /// A secret or agent that must be there.
    pub required: bool,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Variable that holds a secret.
    pub env: String,
}

/// Kinds of mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MountKind {
    /// Files of the context, a stage or an image; what is written is not kept.
    #[default]
    Bind,
    /// A folder that outlives the build.
    Cache,
    /// A folder in memory.
    Tmpfs,
    /// A file in memory that the client lends.
    Secret,
    /// The socket of an agent that the client lends.
    Ssh,
}

/// What several builds do that want one cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// They use it at once.
    #[default]
    Shared,
    /// Each that comes while it is in use gets another.
    Private,
    /// They wait for each other.
    Locked,
}

pub(super) fn parse(flags: &mut Flags, rest: &str, instruction: &Instruction) -> Result<Run, Fault> {
    let network = flags.value("network")?.unwrap_or_default();
    if !matches!(network.as_str(), "" | "default" | "none" | "host") {
        return Err(Fault::at(&network, format!("invalid network mode: {network}; expected default, none or host")));
    }
    let insecure = match flags.value("security")?.as_deref() {
        None | Some("sandbox") => false,
        Some("insecure") => true,
        Some(other) => {
            return Err(Fault::at(other, format!("security {other:?} is not valid; expected sandbox or insecure")));
        }
    };
    let devices = flags.values("device")?;
    let mounts = flags.values("mount")?;
    let mounts = mounts.iter().map(|text| mount(text).map_err(|message| Fault::at(text, message)));
    let mounts = mounts.collect::<Result<Vec<_>, _>>()?;
    let command = match json(rest)? {
        Some(words) if words.is_empty() => return Err("RUN requires at least one argument".into()),
        Some(words) => CommandLine::Exec(words),
        None if rest.is_empty() => return Err("RUN requires at least one argument".into()),
        None => CommandLine::Shell(script(rest, &instruction.heredocs)),
    };
    Ok(Run { command, network, insecure, devices, mounts })
}

fn mount(text: &str) -> Result<RunMount, String> {
    let mut mount = RunMount::default();
    let fields = fields(text);
    if let Some((_, kind)) = fields.iter().find(|(key, _)| key == "type") {
        mount.kind = match kind.as_deref().unwrap_or_default() {
            "bind" => MountKind::Bind,
            "cache" => MountKind::Cache,
            "tmpfs" => MountKind::Tmpfs,
            "secret" => MountKind::Secret,
            "ssh" => MountKind::Ssh,
            other => {
                return Err(format!("unsupported mount type {other:?}; expected bind, cache, tmpfs, secret or ssh"));
            }
        };
    }
    for (key, value) in fields {
        field(&mut mount, &key, value.as_deref())?;
    }
    if mount.target.is_empty() && matches!(mount.kind, MountKind::Bind | MountKind::Cache | MountKind::Tmpfs) {
        return Err(format!("a mount needs a target: --mount={text}"));
    }
    Ok(mount)
}

/// `key=value,key`, values perhaps in quotes.
fn fields(text: &str) -> Vec<(String, Option<String>)> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    let pair = |field: String| match field.split_once('=') {
        Some((key, value)) => (key.trim().to_ascii_lowercase(), Some(value.to_owned())),
        None => (field.trim().to_ascii_lowercase(), None),
    };
    fields.into_iter().map(pair).collect()
}

fn field(mount: &mut RunMount, key: &str, value: Option<&str>) -> Result<(), String> {
    use MountKind::{Bind, Cache, Secret, Ssh, Tmpfs};
    let kind = mount.kind;
    let truth = || match value {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(other) => Err(format!("invalid value for {key}: {other}; expected true or false")),
    };
    let text = || value.map(str::to_owned).ok_or_else(|| format!("the field {key:?} of a mount needs a value"));
    let number = |radix| {
        let text = text()?;
        u32::from_str_radix(&text, radix).map_err(|_| format!("invalid value {text:?} for {key}"))
    };
    match key {
        "type" => {}
        "target" | "dst" | "destination" => mount.target = text()?,
        "source" | "src" if matches!(kind, Bind | Cache) => mount.source = text()?,
        "source" | "src" if kind == Secret => mount.id = text()?,
        "from" if matches!(kind, Bind | Cache) => mount.from = text()?,
        "readonly" | "ro" if matches!(kind, Bind | Cache) => mount.read_only = Some(truth()?),
        "readwrite" | "rw" if matches!(kind, Bind | Cache) => mount.read_only = Some(!truth()?),
        "id" if matches!(kind, Cache | Secret | Ssh) => mount.id = text()?,
        "required" if matches!(kind, Secret | Ssh) => mount.required = truth()?,
        "env" if kind == Secret => mount.env = text()?,
        "size" if kind == Tmpfs => {
            let text = text()?;
            let size = units::parse_ram_bytes(&text).map_err(|error| error.to_string())?;
            mount.size_bytes = Some(size);
        }
        "mode" if kind != Bind => mount.mode = Some(number(8)?),
        "uid" if kind != Bind => mount.uid = number(10)?,
        "gid" if kind != Bind => mount.gid = number(10)?,
        "sharing" if kind == Cache => {
            mount.sharing = match text()?.as_str() {
                "shared" => Sharing::Shared,
                "private" => Sharing::Private,
                "locked" => Sharing::Locked,
                other => return Err(format!("unsupported sharing {other:?}; expected shared, private or locked")),
            }
        }
        other => {
            return Err(format!("unexpected key {other:?} for mount type {:?}", format!("{kind:?}").to_lowercase()));
        }
    }
    Ok(())
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
