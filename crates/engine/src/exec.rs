//! Further commands in running containers.

use std::collections::HashMap;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::IdResponse;
use api::exec::{ExecCreateRequest, ExecInspect, ProcessConfig};
use model::ContainerId;
use runtime::TerminalSize;
use shim::protocol::{self, Command, ExecState, Exit, Stdio, WindowSize};
use sys::root::Root;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::container::record::{Record, Status};
use crate::container::{env, links, security, start_error_text, user};
use crate::engine::Engine;
use crate::options::{ClientStream, ExecStartOptions};
use crate::{Error, Result};

/// How long an exec that ended can still be inspected.
const REMEMBERED: Duration = Duration::from_secs(300);

/// All execs by id.
#[derive(Debug, Default)]
pub(crate) struct Execs {
    by_id: Mutex<HashMap<String, Arc<Exec>>>,
}

/// One exec.
#[derive(Debug)]
pub(crate) struct Exec {
    id: String,
    container: ContainerId,
    request: ExecCreateRequest,
    progress: Mutex<Progress>,
    over: CancellationToken,
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    started: bool,
    pid: i32,
    exit_code: Option<i64>,
    ended: Option<Instant>,
}

impl Progress {
    fn running(&self) -> bool {
        self.pid != 0 && self.exit_code.is_none()
    }
}

impl Execs {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Exec>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &str) -> Result<Arc<Exec>> {
        self.lock().get(id).map(Arc::clone).ok_or_else(|| Error::not_found(format!("No such exec instance: {id}")))
    }

    fn add(&self, exec: Exec) {
        let mut by_id = self.lock();
        by_id.retain(|_, exec| exec.progress().ended.is_none_or(|ended| ended.elapsed() < REMEMBERED));
        by_id.insert(exec.id.clone(), Arc::new(exec));
    }

    /// Ids of a container's execs that run.
    pub(crate) fn running(&self, container: ContainerId) -> Vec<String> {
        let runs = |exec: &&Arc<Exec>| exec.container == container && exec.progress().running();
        self.lock().values().filter(runs).map(|exec| exec.id.clone()).collect()
    }
}

impl Exec {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn command(&self) -> String {
        self.request.cmd.iter().flatten().cloned().collect::<Vec<_>>().join(" ")
    }

    fn end(&self, code: i64) {
        let mut progress = self.progress();
        progress.exit_code = Some(code);
        progress.ended = Some(Instant::now());
        self.over.cancel();
    }
}

/// An exec of the engine's own, which is forgotten with this value.
#[derive(Debug)]
pub(crate) struct Probe {
    engine: Arc<Engine>,
    exec: Arc<Exec>,
}

impl Probe {
    /// Waits for its end, or its container's.
    pub(crate) async fn over(&self) {
        self.exec.over.cancelled().await;
    }

    /// `None` before its end.
    pub(crate) fn exit_code(&self) -> Option<i64> {
        self.exec.progress().exit_code
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.engine.execs.lock().remove(&self.exec.id);
    }
}

/// An exec that was checked and waits for its client.
#[derive(Debug)]
pub struct Session {
    engine: Arc<Engine>,
    exec: Arc<Exec>,
    options: ExecStartOptions,
}

impl Session {
    /// Starts the command with the client at its streams. Returns once it runs; the stream goes on without the engine.
    ///
    /// # Errors
    /// The command could not be started. The client has already been answered, so the reason was also written into its
    /// stream, as Docker does.
    pub async fn run(self, client: ClientStream) -> Result<()> {
        let copy =
            client.socket.try_clone().map_err(|error| Error::system("cannot keep the client").caused_by(error))?;
        let framed = self.options.framed;
        let outcome = self.engine.run_exec(&self.exec, self.options, Some(client)).await;
        if let Err(error) = &outcome {
            complain(copy, framed, error.message());
        }
        outcome
    }
}

/// Writes an error into a client's stream, where it looks for output.
fn complain(client: OwnedFd, framed: bool, message: &str) {
    let text = format!("{message}\r\n");
    let mut bytes = Vec::with_capacity(text.len() + 8);
    if framed {
        bytes.extend([1, 0, 0, 0]);
        bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    }
    bytes.extend(text.as_bytes());
    let mut socket = std::os::unix::net::UnixStream::from(client);
    if let Err(error) = socket.write_all(&bytes) {
        tracing::debug!(%error, "a client left before it could be told why its exec failed");
    }
    if let Err(error) = socket.shutdown(std::net::Shutdown::Write) {
        tracing::debug!(%error, "a client left before its stream was ended");
    }
}

impl Engine {
    pub(crate) fn create_exec(&self, container: &str, request: ExecCreateRequest) -> Result<IdResponse> {
        let record = self.containers.find(container)?.record();
        check_running(&record, container)?;
        if request.cmd.as_ref().is_none_or(Vec::is_empty) {
            return Err(Error::invalid("No exec command specified"));
        }
        crate::container::attach::detach_keys(Some(&request.detach_keys))?;
        let id =
            ContainerId::random().map_err(|error| Error::system("no random numbers for an id").caused_by(error))?.hex();
        let exec = Exec {
            id: id.clone(),
            container: record.id,
            request,
            progress: Mutex::default(),
            over: CancellationToken::new(),
        };
        let action = format!("exec_create: {}", exec.command());
        self.container_event(&record, &action, &[("execID", id.clone())]);
        self.execs.add(exec);
        Ok(IdResponse { id })
    }

    /// Checks an exec before its start.
    pub(crate) fn open_exec(self: &Arc<Self>, id: &str, options: ExecStartOptions) -> Result<Session> {
        let exec = self.execs.find(id)?;
        let container = self.containers.get(exec.container);
        let record = container.ok_or_else(|| Error::not_found(format!("No such exec instance: {id}")))?.record();
        let progress = *exec.progress();
        if progress.exit_code.is_some() {
            return Err(Error::conflict(format!("exec command {id} has already run")));
        }
        if progress.started {
            return Err(Error::conflict(format!("exec command {id} is already running")));
        }
        check_running(&record, &record.id.hex())?;
        Ok(Session { engine: Arc::clone(self), exec, options })
    }

    /// Takes an exec as the engine's own.
    pub(crate) fn own_exec(self: &Arc<Self>, id: &str) -> Result<Probe> {
        Ok(Probe { engine: Arc::clone(self), exec: self.execs.find(id)? })
    }

    /// Starts an exec without a client.
    pub(crate) async fn detached_exec(self: &Arc<Self>, id: &str) -> Result<()> {
        let session = self.open_exec(id, ExecStartOptions::default())?;
        self.run_exec(&session.exec, session.options, None).await
    }

    async fn run_exec(
        self: &Arc<Self>,
        exec: &Arc<Exec>,
        options: ExecStartOptions,
        client: Option<ClientStream>,
    ) -> Result<()> {
        if std::mem::replace(&mut exec.progress().started, true) {
            return Err(Error::conflict(format!("exec command {} is already running", exec.id)));
        }
        let outcome = self.try_exec(exec, options, client).await;
        if outcome.is_err() && exec.progress().exit_code.is_none() {
            exec.end(126);
        }
        outcome
    }

    async fn try_exec(
        self: &Arc<Self>,
        exec: &Arc<Exec>,
        options: ExecStartOptions,
        client: Option<ClientStream>,
    ) -> Result<()> {
        let gone = || Error::not_found(format!("No such exec instance: {}", exec.id));
        let container = self.containers.get(exec.container).ok_or_else(gone)?;
        let record = container.record();
        check_running(&record, &record.id.hex())?;
        let action = format!("exec_start: {}", exec.command());
        self.container_event(&record, &action, &[("execID", exec.id.clone())]);
        let (command, socket) = self.exec_command(exec, &record, &options, client)?;
        let (reply, answer) = oneshot::channel();
        let exec_id = exec.id.clone();
        container
            .step(move |actor| {
                Box::pin(async move {
                    let attach_id = actor.attach_id();
                    let mut command = command;
                    if let Some(attach) = &mut command.attach {
                        attach.attach_id = attach_id;
                    }
                    let descriptors: Vec<_> = socket.iter().map(AsFd::as_fd).collect();
                    actor.running()?.send(&Command::Exec(Box::new(command)), &descriptors)?;
                    actor.starting_execs.insert(exec_id, reply);
                    Ok(())
                })
            })
            .await?;
        match answer.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(failure)) => Err(exec_failed(exec, &failure)),
            Err(_) => Err(Error::conflict(format!("container {} is not running", record.id))),
        }
    }

    fn exec_command(
        &self,
        exec: &Exec,
        record: &Record,
        options: &ExecStartOptions,
        client: Option<ClientStream>,
    ) -> Result<(protocol::Exec, Option<OwnedFd>)> {
        let request = &exec.request;
        let process = exec_process(self, record, request, options)?;
        let process = serde_json::value::to_raw_value(&process)
            .map_err(|error| Error::system("cannot encode the exec's process").caused_by(error))?;
        let (attach, socket) = match client {
            Some(client) => {
                let attach = protocol::Attach {
                    stdin: request.attach_stdin,
                    stdout: request.attach_stdout,
                    stderr: request.attach_stderr,
                    framed: options.framed,
                    detach_keys: crate::container::attach::detach_keys(Some(&request.detach_keys))?,
                    early_input: client.early,
                    ..protocol::Attach::default()
                };
                (Some(attach), Some(client.socket))
            }
            None => (None, None),
        };
        let stdio = Stdio { terminal: request.tty, open_stdin: request.attach_stdin, stdin_once: true };
        Ok((protocol::Exec { exec_id: exec.id.clone(), process, stdio, attach }, socket))
    }

    pub(crate) async fn resize_exec(&self, id: &str, size: WindowSize) -> Result<()> {
        let exec = self.execs.find(id)?;
        if !exec.progress().running() {
            return Err(Error::conflict(format!("exec {id} is not running")));
        }
        let Some(container) = self.containers.get(exec.container) else {
            return Err(Error::not_found(format!("No such exec instance: {id}")));
        };
        let exec_id = Some(id.to_owned());
        container
            .step(move |actor| Box::pin(async move { actor.running()?.send(&Command::Resize { exec_id, size }, &[]) }))
            .await
    }

    pub(crate) async fn show_exec(&self, id: &str) -> Result<ExecInspect> {
        let exec = self.execs.find(id)?;
        let unfinished = |progress: Progress| progress.started && progress.exit_code.is_none();
        if unfinished(*exec.progress())
            && let Some(container) = self.containers.get(exec.container)
        {
            // A client that has seen its stream end asks for the exit code: what the shim has told by now comes first.
            // A container that is gone has no more to tell.
            let told = container.step(|_| Box::pin(async { Ok(()) })).await;
            tracing::trace!(?told, "asked the container's actor before an exec is shown");
        }
        let progress = *exec.progress();
        let request = &exec.request;
        let mut words = request.cmd.iter().flatten().cloned();
        Ok(ExecInspect {
            id: exec.id.clone(),
            running: progress.running(),
            exit_code: progress.exit_code,
            process_config: ProcessConfig {
                tty: request.tty,
                entrypoint: words.next().unwrap_or_default(),
                arguments: words.collect(),
                privileged: Some(request.privileged),
                user: request.user.clone(),
            },
            open_stdin: request.attach_stdin,
            open_stderr: request.attach_stderr,
            open_stdout: request.attach_stdout,
            can_remove: progress.exit_code.is_some(),
            container_id: exec.container.hex(),
            detach_keys: request.detach_keys.clone(),
            pid: i64::from(progress.pid),
        })
    }

    /// A shim reported the start of an exec.
    pub(crate) fn exec_started(&self, exec_id: &str, pid: i32) {
        if let Ok(exec) = self.execs.find(exec_id) {
            exec.progress().pid = pid;
        }
    }

    /// A shim reported the end of an exec.
    pub(crate) fn exec_ended(&self, record: &Record, exec_id: &str, exit: Exit) {
        if let Ok(exec) = self.execs.find(exec_id) {
            exec.end(i64::from(exit.code));
        }
        let attributes = [("execID", exec_id.to_owned()), ("exitCode", exit.code.to_string())];
        self.container_event(record, "exec_die", &attributes);
    }

    /// A container ended, and its execs with it.
    pub(crate) fn execs_gone(&self, record: &Record) {
        for exec in self.execs.lock().values().filter(|exec| exec.container == record.id) {
            if exec.progress().running() {
                exec.end(137);
            }
        }
    }

    /// Execs that a daemon before this one started.
    pub(crate) fn adopt_execs(&self, record: &Record, states: &[ExecState]) {
        for state in states {
            let progress = Progress { started: true, pid: state.pid, ..Progress::default() };
            let exec = Exec {
                id: state.exec_id.clone(),
                container: record.id,
                request: ExecCreateRequest::default(),
                progress: Mutex::new(progress),
                over: CancellationToken::new(),
            };
            if let Some(exit) = state.exit {
                exec.end(i64::from(exit.code));
            }
            self.execs.add(exec);
        }
    }
}

/// `name`: what the client calls the container.
fn check_running(record: &Record, name: &str) -> Result<()> {
    match record.state.status {
        Status::Running => Ok(()),
        Status::Paused => {
            Err(Error::conflict(format!("Container {name} is paused, unpause the container before exec")))
        }
        Status::Restarting => {
            Err(Error::conflict(format!("Container {} is restarting, wait until the container is running", record.id)))
        }
        _ => Err(Error::conflict(format!("container {} is not running", record.id))),
    }
}

/// The process, with the user looked up in the container's own files as they are now.
fn exec_process(
    engine: &Engine,
    record: &Record,
    request: &ExecCreateRequest,
    options: &ExecStartOptions,
) -> Result<runtime::Process> {
    let wanted = if request.user.is_empty() { &record.config.user } else { &request.user };
    let root = Root::open(format!("/proc/{}/root", record.state.pid))
        .map_err(|error| Error::conflict(format!("container {} is not running", record.id)).caused_by(error))?;
    let groups = record.host.group_add.as_deref().unwrap_or_default();
    let user = user::resolve(&root, wanted, groups)?;
    let home = user.home.clone();
    let mut process = security::confined(record, user, request.privileged || record.host.privileged)?;
    let config = record.config.env.as_deref().unwrap_or_default();
    let mut own = config.to_vec();
    env::override_with(&mut own, request.env.as_deref().unwrap_or_default());
    let variables = |link| links::variables(record, link, &engine.containers.get(link.target)?.record());
    let linked = record.links.iter().filter_map(variables).flatten().collect();
    process.args = request.cmd.clone().unwrap_or_default();
    process.env = env::environment(&record.config.hostname, request.tty, linked, &own, &home);
    process.cwd = [&request.working_dir, &record.config.working_dir]
        .into_iter()
        .find(|cwd| !cwd.is_empty())
        .map_or_else(|| "/".to_owned(), Clone::clone);
    let asked = || {
        let [rows, columns] = request.console_size?;
        Some([rows.try_into().ok()?, columns.try_into().ok()?])
    };
    let size = options.console_size.or_else(asked).filter(|[rows, columns]| *rows > 0 && *columns > 0);
    process.terminal_size = size.map(|[rows, columns]| TerminalSize { rows, columns });
    Ok(process)
}

fn exec_failed(exec: &Exec, failure: &protocol::Failure) -> Error {
    let (text, code) = start_error_text(failure);
    exec.end(code);
    let text = text.strip_prefix("error during container init: ").unwrap_or(&text);
    let message = format!("OCI runtime exec failed: exec failed: unable to start container process: {text}");
    if code == 128 { Error::system(message) } else { Error::invalid(message) }
}
