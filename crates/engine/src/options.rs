//! What a caller may ask: one small struct for each call that has more than a name.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use model::time::Timestamp;

/// `filters` of a list, prune or events call: for each key the wanted values, any of which may match.
///
/// The server reads both of Docker's spellings (`{"k":["v"]}` and `{"k":{"v":true}}`) into this; the engine refuses
/// keys that the call does not know with `invalid filter 'k'`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(pub BTreeMap<String, Vec<String>>);

/// Which containers a list wants.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Stopped ones as well.
    pub all: bool,
    /// At most so many, newest first, stopped ones as well; 0 or less: no limit.
    pub limit: i64,
    /// Measure `SizeRw` and `SizeRootFs` (reads the disk).
    pub size: bool,
    /// Show the name that the image has now, or its short id, rather than how it was called at create.
    pub image_names: bool,
    /// Leave the networks out: nothing costs a long list more.
    pub without_networks: bool,
    /// How ends by signals are told.
    pub signal_code: SignalCode,
    /// Docker's list filters.
    pub filters: Filters,
}

/// How the end of a process by a signal is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignalCode {
    /// 128 and the signal's number, as shells do.
    #[default]
    Shell,
    /// -1, as Docker did before its release 1.5 (API 1.17); a code above 128 is then always the process's own.
    MinusOne,
}

impl SignalCode {
    /// An exit code as it is told; `signalled`: a signal ended the process.
    pub(crate) const fn tell(self, code: i64, signalled: bool) -> i64 {
        match self {
            Self::MinusOne if signalled => -1,
            _ => code,
        }
    }
}

/// How to stop a container.
#[derive(Debug, Clone, Default)]
pub struct StopOptions {
    /// Seconds until it is killed; `None`: the container's `StopTimeout` or 10; negative: wait for ever.
    pub timeout_seconds: Option<i64>,
    /// Signal by name or number; `None`: the container's `StopSignal` or SIGTERM.
    pub signal: Option<String>,
}

/// What removing a container includes.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveOptions {
    /// Kill it first if it runs.
    pub force: bool,
    /// Remove its anonymous volumes as well.
    pub volumes: bool,
    /// Remove not a container but the link that the name (`/parent/alias`) stands for.
    pub link: bool,
}

/// What a waiter waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WaitCondition {
    /// The container does not run (true at once if it does not run now).
    #[default]
    NotRunning,
    /// The next exit from now on.
    NextExit,
    /// The container is gone.
    Removed,
}

impl WaitCondition {
    /// Reads the `condition` parameter; empty means `not-running`.
    ///
    /// # Errors
    /// Any other word: `invalid condition: "x"`.
    pub fn parse(text: &str) -> crate::Result<Self> {
        match text {
            "" | "not-running" => Ok(Self::NotRunning),
            "next-exit" => Ok(Self::NextExit),
            "removed" => Ok(Self::Removed),
            other => Err(crate::Error::invalid(format!("invalid condition: {other:?}"))),
        }
    }
}

/// Which part of a container's log is wanted.
#[derive(Debug, Clone, Default)]
pub struct LogsOptions {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Go on with what comes, until the container ends.
    pub follow: bool,
    /// Put the time before each line.
    pub timestamps: bool,
    /// Times as they stand in the log rather than with nine digits each, in brackets where a line comes while one follows.
    pub old_times: bool,
    /// Put `labels` and `env` that the log options name before each line.
    pub details: bool,
    /// Only the last so many lines; `None`: all.
    pub tail: Option<u64>,
    /// Nothing older.
    pub since: Option<Timestamp>,
    /// Nothing newer.
    pub until: Option<Timestamp>,
    /// Multiplexed (8-byte headers) if the container has no terminal; false: the bare bytes of both streams.
    pub framed: bool,
    /// Long lines come whole rather than in the pieces in which they are kept.
    pub whole_lines: bool,
}

/// Which streams of a container an attach wants.
#[derive(Debug, Clone, Default)]
pub struct AttachOptions {
    /// The client's bytes go to the container.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// First what the log already holds.
    pub logs: bool,
    /// Then what comes, until the container ends.
    pub stream: bool,
    /// Key sequence that detaches, for example `ctrl-p,ctrl-q`; `None`: the default.
    pub detach_keys: Option<String>,
    /// Multiplexed (8-byte headers) if the container has no terminal; false: the bare bytes of both streams.
    pub framed: bool,
    /// Long lines of the log come whole rather than in the pieces in which they are kept.
    pub whole_lines: bool,
    /// Attach to a paused container as well, rather than to refuse it.
    pub paused: bool,
}

/// The client's side of an attach or exec, handed over when the server has answered.
#[derive(Debug)]
pub struct ClientStream {
    /// A connected stream socket: the client's own connection, or the far end of a socket pair over which the server
    /// relays (TLS, websocket). It goes to the container's shim; the daemon keeps nothing of it.
    pub socket: OwnedFd,
    /// Bytes that the client sent behind its request and that were already read.
    pub early: Vec<u8>,
}

/// How to start an exec.
#[derive(Debug, Clone, Default)]
pub struct ExecStartOptions {
    /// The client's terminal, height and width in characters.
    pub console_size: Option<[u16; 2]>,
    /// Multiplexed (8-byte headers), whether or not the exec has a terminal: the client says what it expects.
    pub framed: bool,
}

/// Which events are wanted.
#[derive(Debug, Clone, Default)]
pub struct EventsOptions {
    /// Replay from then on; `None`: only new ones.
    pub since: Option<Timestamp>,
    /// End there; `None`: go on until the client leaves.
    pub until: Option<Timestamp>,
    /// Docker's event filters.
    pub filters: Filters,
}

/// What commit makes of a container.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// Repository of the new image; empty: none.
    pub repository: String,
    /// Tag; empty: `latest` if there is a repository.
    pub tag: String,
    /// Repository and tag may be any texts that can be told apart again; false: only names that fit the grammar.
    pub any_name: bool,
    /// Comment for the history.
    pub comment: String,
    /// Author, for example `Name <mail>`.
    pub author: String,
    /// Freeze the container meanwhile.
    pub pause: bool,
    /// Dockerfile instructions to apply to the configuration.
    pub changes: Vec<String>,
    /// Configuration that overrides the container's.
    pub config: Option<api::container::ContainerConfig>,
}

/// How to put an archive into a container.
#[derive(Debug, Clone, Copy, Default)]
pub struct ArchivePutOptions {
    /// Refuse to replace a folder by something else or the other way round.
    pub no_overwrite_dir_non_dir: bool,
    /// Keep the archive's user and group ids; false: the container's root.
    pub copy_uid_gid: bool,
}

/// What the `X-Docker-Container-Path-Stat` header tells.
#[derive(Debug, Clone)]
pub struct PathStat {
    /// Base name.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Mode in Go's `FileMode` bits (folder `1<<31`, symbolic link `1<<27`, permissions below).
    pub mode: u32,
    /// Last modification.
    pub modified: Timestamp,
    /// Where a symbolic link leads, resolved in the container; else empty.
    pub link_target: String,
}

/// Where an imported image comes to lie.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Repository, or empty.
    pub repository: String,
    /// Tag, or empty.
    pub tag: String,
    /// Repository and tag may be any texts that can be told apart again; false: only names that fit the grammar.
    pub any_name: bool,
    /// Message for the history; empty: Docker's default.
    pub message: String,
    /// Dockerfile instructions to apply to the empty configuration.
    pub changes: Vec<String>,
    /// `os/arch[/variant]`, or empty for this machine's.
    pub platform: String,
}

/// How to remove an image.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImageRemoveOptions {
    /// Neither other names nor stopped containers stand in the way.
    pub force: bool,
    /// Parents that were left without name, child and container go too.
    pub prune_parents: bool,
    /// By the rules of Docker before 1.8: a name goes even if the image then must stay.
    pub names_first: bool,
}

/// What went with the removal of an image, each in the order in which it went.
#[derive(Debug, Clone, Default)]
pub struct ImageRemoval {
    /// Names and images.
    pub images: Vec<api::image::DeleteItem>,
    /// Layers that nothing else needed.
    pub layers: Vec<api::image::DeleteItem>,
}

impl ImageRemoval {
    /// All of it.
    pub fn into_items(self) -> Vec<api::image::DeleteItem> {
        let mut items = self.images;
        items.extend(self.layers);
        items
    }
}

/// Which images a list wants.
#[derive(Debug, Clone, Default)]
pub struct ImageListOptions {
    /// Intermediate ones as well.
    pub all: bool,
    /// Compute `SharedSize`.
    pub shared_size: bool,
    /// Docker's list filters.
    pub filters: Filters,
}

/// What shall be built.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Names for the image: `repository[:tag]`.
    pub names: Vec<String>,
    /// The Dockerfile's path in the context; empty: `Dockerfile`.
    pub dockerfile: String,
    /// An address to fetch the context from; empty: it is the body.
    pub remote: String,
    /// Do every step, whatever was done before.
    pub no_cache: bool,
    /// Remove containers of steps that succeeded.
    pub remove: bool,
    /// Remove containers whatever became of the build.
    pub force_remove: bool,
    /// Tell only the image's id, or what went wrong.
    pub quiet: bool,
    /// Tell everything but what commands write (below 1.22 that was quiet).
    pub quiet_commands: bool,
    /// Values of `ARG`s; `None`: a name without one.
    pub arguments: BTreeMap<String, Option<String>>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// The stage to stop at, by name or number; empty: the last.
    pub target: String,
    /// `os[/arch[/variant]]`, or empty for this machine's.
    pub platform: String,
    /// Credentials by registry, for base images.
    pub credentials: BTreeMap<String, crate::Credentials>,
    /// Limits, network and the like of the containers of steps.
    pub host: api::host_config::HostConfig,
    /// Images whose steps count as done before.
    pub cache_from: Vec<String>,
    /// Ask the registry for base images that are here too.
    pub pull: bool,
    /// Make one layer of all that is added to the base image.
    pub squash: bool,
    /// Which builder's rules hold.
    pub dialect: build::Dialect,
}

/// Which build cache goes.
#[derive(Debug, Clone, Default)]
pub struct BuildPruneOptions {
    /// Bytes that may stay; `None`: all goes that is not used.
    pub keep_bytes: Option<u64>,
    /// Docker's filters.
    pub filters: Filters,
}

/// Parts of an image as they are stored.
#[derive(Debug, Clone, Default)]
pub struct StoredImage {
    /// Defaults of its containers; null if it has none.
    pub config: serde_json::Value,
    /// Configuration of the container it was made in; null if there was none.
    pub container_config: serde_json::Value,
    /// Size of its topmost layer, 0 if its last step left none.
    pub layer_size_bytes: i64,
}

/// What to pull or to push.
#[derive(Debug, Clone, Default)]
pub struct TransferOptions {
    /// Name of the repository, perhaps with tag or digest.
    pub name: String,
    /// Tag or digest; replaces that of the name unless it is empty. Without any, all tags are meant.
    pub tag: String,
    /// `os[/arch[/variant]]`, or empty for this machine's.
    pub platform: String,
    /// The client's.
    pub credentials: crate::Credentials,
    /// The client's `X-Meta-` headers.
    pub meta: Vec<(String, String)>,
    /// Of a push: a registry is asked before its image is looked for, and before the first message.
    pub endpoint_first: bool,
}

/// What to search a registry for.
#[derive(Debug, Clone, Default)]
pub struct SearchOptions {
    /// Words, perhaps after a registry's host.
    pub term: String,
    /// How many at most; 0: as many as usual.
    pub limit: i64,
    /// `is-official`, `is-automated`, `stars`.
    pub filters: Filters,
    /// The client's.
    pub credentials: crate::Credentials,
}
