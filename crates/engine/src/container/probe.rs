//! One probe of a health check: an exec that the engine itself is the client of.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use api::exec::ExecCreateRequest;
use model::Signal;
use shim::protocol::Command;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::Container;
use super::health::Check;
use crate::engine::Engine;
use crate::exec::Probe;
use crate::options::{ClientStream, ExecStartOptions};
use crate::{Error, Result};

/// How much of what a probe prints is kept.
const OUTPUT_BYTES: usize = 4096;
/// How long a probe may take to die of SIGKILL.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// How a probe ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) exit_code: i64,
    /// What it printed on both streams, cut.
    pub(crate) output: String,
}

/// Runs a check's command once.
///
/// # Errors
/// The command could not be started.
pub(crate) async fn probe(engine: &Arc<Engine>, container: &Arc<Container>, check: &Check) -> Result<Outcome> {
    let record = container.record();
    let request = ExecCreateRequest {
        attach_stdout: true,
        attach_stderr: true,
        tty: record.config.tty,
        privileged: record.host.privileged,
        cmd: Some(check.command.clone()),
        ..ExecCreateRequest::default()
    };
    let id = engine.create_exec(&container.id.hex(), request)?.id;
    let session = engine.open_exec(&id, ExecStartOptions::default())?;
    // What is remembered of execs that clients made is not wanted here; it also ends one that is given up.
    let probe = engine.own_exec(&id)?;
    let failed = |error: std::io::Error| Error::system("cannot listen to a health check").caused_by(error);
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let socket = OwnedFd::from(theirs.into_std().map_err(failed)?);
    let mut output = Vec::new();
    let run = async {
        session.run(ClientStream { socket, early: Vec::new() }).await?;
        collect(ours, &mut output, &probe).await;
        Ok::<(), Error>(())
    };
    let in_time = match tokio::time::timeout(check.timeout, run).await {
        Ok(outcome) => outcome.map(|()| true)?,
        Err(_) => false,
    };
    if in_time {
        let output = text(&output);
        return Ok(Outcome { exit_code: probe.exit_code().unwrap_or(-1), output });
    }
    kill(container, &id, &probe).await;
    let mut words = format!("Health check exceeded timeout ({})", duration(check.timeout));
    if !output.is_empty() {
        words = format!("{words}: {}", text(&output));
    }
    Ok(Outcome { exit_code: -1, output: words })
}

/// Reads until the command has ended; what is too much is thrown away.
async fn collect(mut stream: UnixStream, output: &mut Vec<u8>, probe: &Probe) {
    let mut chunk = vec![0; OUTPUT_BYTES];
    let mut read = async |output: &mut Vec<u8>| match stream.read(&mut chunk).await {
        Ok(count) if count > 0 => {
            // One byte more tells that there was more.
            let room = (OUTPUT_BYTES + 1).saturating_sub(output.len());
            output.extend_from_slice(&chunk[..count.min(room)]);
            true
        }
        _ => false,
    };
    while read(output).await {}
    probe.over().await;
}

async fn kill(container: &Arc<Container>, id: &str, probe: &Probe) {
    let exec_id = Some(id.to_owned());
    let killed = container.step(move |actor| {
        let command = Command::Signal { exec_id, signal: Signal::KILL.number() };
        Box::pin(async move { actor.running()?.send(&command, &[]) })
    });
    if let Err(error) = killed.await {
        tracing::debug!(%error, "a container ended before its health check");
    }
    if tokio::time::timeout(KILL_PATIENCE, probe.over()).await.is_err() {
        tracing::warn!(container = %container.id, "a health check does not die of SIGKILL");
    }
}

fn text(output: &[u8]) -> String {
    let cut = String::from_utf8_lossy(&output[..output.len().min(OUTPUT_BYTES)]).into_owned();
    if output.len() > OUTPUT_BYTES { cut + "..." } else { cut }
}

/// In Go's form: `1m30s`, `1.5s`, `250ms`.
fn duration(duration: Duration) -> String {
    let fraction = |whole: u64, rest: u32, digits: usize| {
        let text = format!("{whole}.{rest:0digits$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match seconds {
        0 => format!("{}ms", fraction(u64::from(nanos / 1_000_000), nanos % 1_000_000, 6)),
        1..60 => format!("{}s", fraction(seconds, nanos, 9)),
        60..3600 => format!("{minutes}m{}s", fraction(seconds % 60, nanos, 9)),
        _ => format!("{hours}h{minutes}m{}s", fraction(seconds % 60, nanos, 9)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_go_does() {
        let printed = |ms: u64| duration(Duration::from_millis(ms));
        assert_eq!([250, 1500, 30_000, 90_000, 3_600_000].map(printed), ["250ms", "1.5s", "30s", "1m30s", "1h0m0s"]);
    }

    #[test]
    fn long_output_is_cut() {
        assert_eq!(text(b"short"), "short");
        assert_eq!(text(&vec![b'x'; OUTPUT_BYTES + 1]).len(), OUTPUT_BYTES + 3);
    }
}
