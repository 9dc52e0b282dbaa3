//! A container's log: how it is kept, and how it is read.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use api::host_config::LogConfig;
use model::{Timestamp, units};
use shim::log::{Reader, Selection, Style, Timestamps, Watch};
use shim::protocol;

use super::Container;
use super::env::lookup;
use super::record::Record;
use super::wait::Waiting;
use crate::engine::Engine;
use crate::options::{LogsOptions, WaitCondition};
use crate::readiness::Readiness;
use crate::stream::{ByteSender, Logs, byte_stream, produce};
use crate::{Error, Result};

/// Bytes that are rendered at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// How long a change of the log may wait while a client takes what was sent to it.
const PAUSE: Duration = Duration::from_millis(1);
/// How often a followed log is looked at where the kernel cannot tell of changes.
const LOOK: Duration = Duration::from_millis(100);

/// How long after a start a log is taken for one that only begins.
const FIRST_WORDS: Duration = Duration::from_millis(100);

/// Where the log is; `None` if none is kept.
pub(crate) fn path(engine: &Engine, record: &Record) -> Option<PathBuf> {
    let id = record.id.hex();
    is_kept(&record.host.log_config.r#type).then(|| engine.container_folder(&id).join(format!("{id}-json.log")))
}

/// Whether a logging driver's log is a file of ours. `local` promises no format, only that it can be read back.
pub(crate) fn is_kept(driver: &str) -> bool {
    matches!(driver, "json-file" | LOCAL)
}

/// Docker's driver for logs that only the daemon reads.
const LOCAL: &str = "local";

/// When a log is rotated, and how many files are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rotation {
    max_size_bytes: Option<u64>,
    max_files: u32,
}

impl Default for Rotation {
    /// One GiB a container in all: Docker Engine keeps everything, until the disk is full.
    fn default() -> Self {
        Self { max_size_bytes: Some(512 << 20), max_files: 2 }
    }
}

/// Reads `max-size` (`-1`: never rotate) and `max-file`, and refuses options that there are not.
pub(crate) fn rotation(config: &LogConfig) -> Result<Rotation> {
    let is_local = config.r#type == LOCAL;
    let mut rotation = match is_local {
        true => Rotation { max_size_bytes: Some(20 << 20), max_files: 5 },
        false => Rotation::default(),
    };
    let is_non_blocking =
        config.config.as_ref().and_then(|options| options.get("mode")).is_some_and(|mode| mode == "non-blocking");
    let unknown = |key: &str| Err(Error::invalid(format!("unknown log opt '{key}' for {} log driver", config.r#type)));
    for (key, value) in config.config.iter().flatten() {
        match key.as_str() {
            "max-size" if value == "-1" => rotation.max_size_bytes = None,
            "max-size" => {
                let bytes = units::parse_ram_bytes(value).ok().and_then(|bytes| u64::try_from(bytes).ok());
                match bytes.filter(|bytes| *bytes > 0) {
                    Some(bytes) => rotation.max_size_bytes = Some(bytes),
                    None => return Err(Error::invalid(format!("invalid value for max-size: {value}"))),
                }
            }
            "max-file" => match value.parse::<u32>() {
                Ok(files) if files > 0 => rotation.max_files = files,
                _ => return Err(Error::invalid("max-file cannot be less than 1")),
            },
            // How old files are kept is for `local` to say; they are not compressed.
            "compress" if is_local || value == "false" => {
                value.parse::<bool>().map_err(|_| Error::invalid(format!("invalid value for compress: {value}")))?;
            }
            "compress" => return Err(Error::not_implemented("compressed logs are not supported yet")),
            "labels" | "env" | "labels-regex" | "env-regex" | "tag" if !is_local => {
                if key.ends_with("regex") || key == "tag" {
                    return Err(Error::not_implemented(format!("the log option {key} is not supported yet")));
                }
            }
            // Messages that do not block may be lost: none are, because files of ours are written at once.
            "mode" if matches!(value.as_str(), "" | "blocking" | "non-blocking") => {}
            "mode" => return Err(Error::invalid(format!("logger: logging mode not supported: {value}"))),
            "max-buffer-size" if is_non_blocking => {
                units::parse_ram_bytes(value)
                    .map_err(|error| Error::invalid("error parsing option max-buffer-size").caused_by(error))?;
            }
            "max-buffer-size" => {
                return Err(Error::invalid(
                    "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
                ));
            }
            other => return unknown(other),
        }
    }
    Ok(rotation)
}

/// What the shim is told about the log.
pub(crate) fn shim_config(engine: &Engine, record: &Record) -> Result<Option<protocol::LogConfig>> {
    let Some(path) = path(engine, record) else { return Ok(None) };
    let rotation = rotation(&record.host.log_config)?;
    Ok(Some(protocol::LogConfig {
        path,
        max_size_bytes: rotation.max_size_bytes,
        max_files: rotation.max_files,
        attributes: attributes(record),
    }))
}

/// Labels and variables that the log options name.
fn attributes(record: &Record) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    let options = record.host.log_config.config.as_ref();
    let names = |key: &str| {
        let list = options.and_then(|options| options.get(key)).cloned().unwrap_or_default();
        list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect::<Vec<_>>()
    };
    for name in names("labels") {
        if let Some(value) = record.config.labels.as_ref().and_then(|labels| labels.get(&name)) {
            attributes.insert(name, value.clone());
        }
    }
    for name in names("env") {
        if let Some(value) = lookup(record.config.env.as_deref().unwrap_or_default(), &name) {
            attributes.insert(name, value.to_owned());
        }
    }
    attributes
}

impl Container {
    /// Waits until it has ended, or is past its first moment. By the time that Docker Engine answers a start a short program has
    /// done its work, and clients read its log without having waited for its end; an engine that answers sooner has to give
    /// it that time.
    pub(crate) async fn first_words(&self) {
        let Some(started) = self.record().state.started else { return };
        let ended = Waiting::begin(self.life(), WaitCondition::NotRunning).outcome();
        // Past that moment the log is read as it is.
        let _ = tokio::time::timeout(FIRST_WORDS.saturating_sub(Timestamp::now().since(started)), ended).await;
    }
}

impl Engine {
    /// See [`Engine::logs`]. `from`: only what was logged behind that.
    pub(crate) async fn container_logs(
        self: &Arc<Self>,
        name: &str,
        options: LogsOptions,
        from: Option<protocol::LogPosition>,
    ) -> Result<Logs> {
        if !options.stdout && !options.stderr {
            return Err(Error::invalid("Bad parameters: you must choose at least one stream"));
        }
        let container = self.containers.find(name)?;
        let record = container.record();
        let Some(path) = path(self, &record) else {
            return Err(Error::not_implemented("configured logging driver does not support reading"));
        };
        let tty = record.config.tty;
        let style = Style {
            stdout: options.stdout,
            stderr: options.stderr && !tty,
            framed: options.framed && !tty,
            timestamps: match (options.timestamps, options.old_times) {
                (true, false) => Timestamps::Rfc3339Fixed,
                (true, true) => Timestamps::Rfc3339Nano,
                (false, _) => Timestamps::None,
            },
            bracketed_from: options.old_times.then(Timestamp::now),
            details: options.details,
            whole_lines: options.whole_lines,
        };
        let selection = Selection { tail: options.tail, since: options.since, until: options.until };
        let end = Arc::new(OnceLock::new());
        if options.follow && record.state.status.is_up() {
            let (sender, bytes) = byte_stream();
            tokio::spawn(async move {
                if let Err(error) = follow(&container, &path, selection, &style, &sender).await {
                    sender.fail(error).await;
                }
            });
            return Ok(Logs { tty, bytes, end });
        }
        let reached = Arc::clone(&end);
        let bytes = produce(move |out| {
            let reader = match from {
                Some(position) => Reader::resume(&path, position),
                None => Reader::open(&path, selection),
            };
            let mut reader = reader.map_err(unreadable)?;
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            loop {
                piece.clear();
                let more = reader.render(&style, &mut piece, PIECE_BYTES).map_err(unreadable)?;
                if std::io::Write::write_all(out, &piece).is_err() {
                    return Ok(());
                }
                if !more {
                    break;
                }
            }
            if let Some(position) = reader.position() {
                reached.get_or_init(|| position);
            }
            Ok(())
        });
        Ok(Logs { tty, bytes, end })
    }
}

fn unreadable(error: shim::Error) -> Error {
    Error::system(format!("cannot read the container's log: {error}")).caused_by(error)
}

/// Sends what is there and what comes, until the container has ended and all was sent, or the reader left.
async fn follow(
    container: &Arc<Container>,
    path: &Path,
    selection: Selection,
    style: &Style,
    sender: &ByteSender,
) -> Result<()> {
    let changes = changes(path);
    let mut reader = Reader::follow(path, selection).map_err(unreadable)?;
    let mut life = container.life();
    loop {
        // Asked before reading: what was written before the end is read after it.
        let over = !life.borrow_and_update().up;
        // Before each piece, for a client that takes them at once leaves no other moment: what a rotation put behind is held.
        if let Some(changes) = &changes
            && changes.watch.clear().map_err(unreadable)?
        {
            reader.keep_up().map_err(unreadable)?;
        }
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let mut more = reader.render(style, &mut piece, PIECE_BYTES).map_err(unreadable)?;
        if !piece.is_empty() {
            match send(piece, sender, &mut reader, changes.as_ref()).await? {
                Some(grown) => more |= grown,
                None => return Ok(()),
            }
        }
        if more {
            continue;
        }
        if over || reader.is_past_until() {
            return Ok(());
        }
        tokio::select! {
            () = grown(changes.as_ref()) => {}
            changed = life.changed() => if changed.is_err() { return Ok(()) },
            () = sender.closed() => return Ok(()),
        }
    }
}

/// Sends a piece; meanwhile, what a rotation would take away is kept for the reader. Tells whether the log has grown;
/// `None` if nobody receives any more.
async fn send(
    piece: Vec<u8>,
    sender: &ByteSender,
    reader: &mut Reader,
    changes: Option<&Changes>,
) -> Result<Option<bool>> {
    let mut sending = std::pin::pin!(sender.send(piece));
    let mut has_grown = false;
    loop {
        tokio::select! {
            biased;
            sent = &mut sending => return Ok(sent.then_some(has_grown)),
            () = grown(changes) => reader.keep_up().map_err(unreadable)?,
        }
        has_grown = true;
        // A busy container must not wake us for each line that it writes.
        if let Ok(sent) = tokio::time::timeout(PAUSE, &mut sending).await {
            return Ok(sent.then_some(has_grown));
        }
    }
}

/// A watch under the reactor.
struct Changes {
    watch: Watch,
    readiness: Readiness,
}

fn changes(path: &Path) -> Option<Changes> {
    let watch = Watch::new(path).ok()?;
    let readiness = Readiness::of(watch.as_fd()).ok()?;
    Some(Changes { watch, readiness })
}

/// Resolves when the log may have grown.
async fn grown(changes: Option<&Changes>) {
    if let Some(changes) = changes {
        // What the watch has to tell is thrown away before the log is read: that it has something is enough.
        let told = || changes.watch.clear().ok().filter(|told| *told);
        if changes.readiness.until(told).await.is_ok() {
            return;
        }
    }
    tokio::time::sleep(LOOK).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(options: &[(&str, &str)]) -> LogConfig {
        let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        LogConfig { r#type: "json-file".into(), config: Some(options.collect()) }
    }

    #[test]
    fn options() {
        let read = rotation(&config(&[("max-size", "10m"), ("max-file", "3")])).ok();
        assert_eq!(read, Some(Rotation { max_size_bytes: Some(10 << 20), max_files: 3 }));
        assert_eq!(rotation(&config(&[])).ok(), Some(Rotation::default()));
        assert_eq!(rotation(&config(&[("max-size", "-1")])).ok().and_then(|read| read.max_size_bytes), None);
        assert_eq!(rotation(&config(&[("max-file", "3")])).ok().map(|read| read.max_files), Some(3));
        assert!(rotation(&config(&[("max-size", "lots")])).is_err());
        assert!(rotation(&config(&[("colour", "red")])).is_err());
        assert!(rotation(&config(&[("mode", "non-blocking"), ("max-buffer-size", "4m")])).is_ok());
        assert!(rotation(&config(&[("mode", "blocking"), ("max-buffer-size", "4m")])).is_err());
        assert!(rotation(&config(&[("mode", "hasty")])).is_err());
        let local = LogConfig { r#type: LOCAL.to_owned(), ..config(&[("compress", "true")]) };
        assert_eq!(rotation(&local).ok(), Some(Rotation { max_size_bytes: Some(20 << 20), max_files: 5 }));
        assert!(rotation(&LogConfig { r#type: LOCAL.to_owned(), ..config(&[("labels", "a")]) }).is_err());
    }
}
