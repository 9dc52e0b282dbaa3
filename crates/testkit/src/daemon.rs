//! The daemon itself: start, kill, start again, end.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::environment;
use crate::http::{Answer, Connection};
use crate::leftovers::Leftovers;
use crate::program::{Output, Program};
use crate::watch::Watched;

/// How long a daemon may take to listen, and to end after SIGTERM. No promise, but how a hang is told from a machine under load.
const START_WITHIN: Duration = Duration::from_secs(60);
const END_WITHIN: Duration = Duration::from_secs(60);

/// A running daemon that belongs to one test.
#[derive(Debug)]
pub struct Daemon {
    folder: TempDir,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    /// Holds the network namespace, so that the daemon can be killed and started again in it.
    namespace: Child,
    process: Option<Child>,
    _watched: Watched,
}

impl Daemon {
    /// A daemon with nothing in it.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A daemon with nothing in it, started with further flags.
    pub fn with(flags: &[&str]) -> Self {
        Self::with_environment(&[], flags)
    }

    /// A daemon with nothing in it, with variables in its environment.
    pub fn with_environment(variables: &[(&str, &str)], flags: &[&str]) -> Self {
        Self::in_namespace(Command::new("unshare").arg("--net"), flags, variables)
    }

    /// The variables of the daemon's environment from its next start on.
    pub fn set_environment(&mut self, variables: &[(&str, &str)]) {
        self.environment = owned(variables);
    }

    /// The same in the network namespace of another daemon.
    pub fn beside(other: &Self, flags: &[&str]) -> Self {
        let namespace = format!("--net=/proc/{}/ns/net", other.namespace.id());
        Self::in_namespace(Command::new("nsenter").arg(namespace), flags, &[])
    }

    fn in_namespace(namespace: &mut Command, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("daemon-")
            .tempdir_in(environment("LONGSHORE_TEST_DISK"))
            .expect("a folder for the daemon can be made");
        let namespace = namespace
            .args(["sh", "-c", "ip link set lo up && echo ready && exec sleep 1000000 > /dev/null 2>&1"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a network namespace can be made");
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let watched = Watched::with(folder.path().join("log"));
        let environment = owned(variables);
        let mut daemon = Self { folder, flags, environment, namespace, process: None, _watched: watched };
        let mut ready = daemon.namespace.stdout.take().expect("stdout is a pipe");
        std::io::Read::read_exact(&mut ready, &mut [0; 6]).expect("the namespace's loopback comes up");
        daemon.restart();
        daemon
    }

    /// A daemon that has the image `busybox`.
    pub fn with_busybox() -> Self {
        let daemon = Self::start();
        daemon.import_busybox();
        daemon
    }

    /// Starts the daemon again after [`Daemon::kill`] or [`Daemon::end`].
    pub fn restart(&mut self) {
        let started = Instant::now();
        let log =
            std::fs::File::options().create(true).append(true).open(self.path("log")).expect("a log can be opened");
        let mut command = self.inside(&environment("LONGSHORE_BIN"));
        command.arg("daemon").arg("--host").arg(self.host());
        command.arg("--data-root").arg(self.path("data")).arg("--exec-root").arg(self.path("exec"));
        command
            .arg("--pidfile")
            .arg(self.path("pid"))
            .arg("--cgroup-parent")
            .arg(self.cgroup_parent())
            .args(&self.flags)
            .envs(self.environment.iter().cloned());
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file can be cloned")).stderr(log);
        let mut child = child.spawn().expect("the daemon can be started");
        while UnixStream::connect(self.socket()).is_err() {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                panic!("the daemon ended at its start ({status}): {}", self.log());
            }
            assert!(started.elapsed() < START_WITHIN, "the daemon does not listen: {}", self.log());
            std::thread::sleep(Duration::from_millis(1));
        }
        self.process = Some(child);
        assert_eq!(self.get("/_ping").status, 200);
    }

    /// SIGKILL: what a crash does.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("the daemon runs");
        process.kill().expect("a child can be killed");
        process.wait().expect("a child can be waited for");
    }

    /// SIGTERM, and waits for the end.
    pub fn end(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let ended = Instant::now();
        Program::new("kill").args([process.id().to_string()]).run().ok();
        while process.try_wait().expect("a child can be waited for").is_none() {
            if ended.elapsed() > END_WITHIN {
                process.kill().expect("a child can be killed");
                process.wait().expect("a child can be waited for");
                panic!("the daemon did not end within {END_WITHIN:?} of SIGTERM: {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The daemon's process id.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the daemon runs").id()
    }

    /// Process ids of the launcher and the shims: all that run our binary for this daemon but the daemon itself.
    pub fn companions(&self) -> Vec<u32> {
        let daemon = self.process.as_ref().map(Child::id);
        Leftovers::processes(&self.path("exec")).into_iter().filter(|pid| Some(*pid) != daemon).collect()
    }

    /// What the daemon has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A path beneath this daemon's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its API socket.
    pub fn socket(&self) -> PathBuf {
        self.path("docker.sock")
    }

    /// For `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The real `docker` program against this daemon.
    pub fn docker(&self, arguments: &[&str]) -> Output {
        self.docker_program(arguments).run()
    }

    /// The same, not yet started (to give it input, or to leave it running).
    pub fn docker_program(&self, arguments: &[&str]) -> Program {
        let config = self.path("docker-config");
        Program::new("docker").args(arguments).env("DOCKER_HOST", self.host()).env("DOCKER_CONFIG", config)
    }

    /// `longshore store` on its data root, whether it runs or not.
    pub fn store(&self, arguments: &[&str]) -> Output {
        let program = Program::new(environment("LONGSHORE_BIN")).args(["store"]).args(arguments);
        program.args(["--data-root"]).args([self.path("data")]).run()
    }

    /// A program inside the daemon's network namespace: where its published ports are "the host".
    pub fn on_host(&self, words: &[&str]) -> Output {
        self.host_program(words).run()
    }

    /// The same, not yet started: a server that the daemon is to find.
    pub fn host_program(&self, words: &[&str]) -> Program {
        Program::new("nsenter").args([self.namespace()]).args(words)
    }

    /// podman in the same place, sharing nothing with any other podman of the machine: storage, temporary files and locks are
    /// its own.
    pub fn podman(&self, arguments: &[&str]) -> Output {
        let folder = self.path("podman");
        let place = |name: &str| folder.join(name).display().to_string();
        std::fs::create_dir_all(folder.join("scratch")).expect("a folder can be made");
        let settings = "[engine]\nlock_type = \"file\"\nevents_logger = \"none\"\n";
        std::fs::write(folder.join("containers.conf"), settings).expect("a file can be written");
        let places = ["podman", "--storage-driver", "vfs", "--root", &place("root"), "--runroot", &place("run")];
        self.host_program(&[&places[..], &["--tmpdir", &place("tmp")], arguments].concat())
            .env("CONTAINERS_CONF", place("containers.conf"))
            .env("TMPDIR", place("scratch"))
            .run()
    }

    /// The argument by which `nsenter` enters the daemon's network namespace.
    pub fn namespace(&self) -> String {
        format!("--net=/proc/{}/ns/net", self.namespace.id())
    }

    /// `GET path`.
    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None)
    }

    /// `POST path` with a JSON body.
    pub fn post(&self, path: &str, body: &serde_json::Value) -> Answer {
        self.call("POST", path, Some(body))
    }

    /// One request on a connection of its own.
    pub fn call(&self, method: &str, path: &str, body: Option<&serde_json::Value>) -> Answer {
        let mut connection = self.connect();
        match body {
            Some(body) => {
                connection.request(method, path, "Content-Type: application/json\r\n", body.to_string().as_bytes());
            }
            None => connection.request(method, path, "", b""),
        }
        connection.answer()
    }

    /// A raw connection.
    pub fn connect(&self) -> Connection {
        Connection::open(&self.socket())
    }

    /// Imports a busybox root file system as `busybox:latest`.
    pub fn import_busybox(&self) {
        self.docker(&["import", &busybox_tar().display().to_string(), "busybox:latest"]).ok();
    }

    fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.namespace.id())).arg(program);
        command
    }

    /// A parent of its own, so that what is left of one daemon is told from another's.
    fn cgroup_parent(&self) -> String {
        let name = self.folder.path().file_name().unwrap_or_default();
        format!("/longshore-test-{}", name.to_string_lossy())
    }

    fn remove_containers(&mut self) {
        if self.process.is_none() {
            self.restart();
        }
        let listed = self.get("/containers/json?all=1").json();
        for container in listed.as_array().into_iter().flatten() {
            let id = container["Id"].as_str().unwrap_or_default();
            let answer = self.call("DELETE", &format!("/containers/{id}?force=1&v=1"), None);
            assert!(matches!(answer.status, 204 | 404), "removing {id}: {}", answer.text());
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the daemon's log\n{}", self.log());
        }
        let cleaned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.remove_containers();
            self.end();
            self.store(&["check"]).ok();
            Leftovers::of(self.folder.path(), &self.cgroup_parent()).expect_none();
        }));
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = self.namespace.kill();
        let _ = self.namespace.wait();
        if cleaned.is_err() && !std::thread::panicking() {
            panic!("the daemon did not clean up; see above");
        }
    }
}

fn owned(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A tar of a busybox root file system, made once a test run.
///
/// # Panics
/// If it cannot be made.
pub fn busybox_tar() -> PathBuf {
    static MADE: Once = Once::new();
    let tar = environment("LONGSHORE_TEST_DISK").join(format!("busybox-{}.tar", std::process::id()));
    MADE.call_once(|| {
        let root = tempfile::tempdir_in(environment("LONGSHORE_TEST_DISK")).expect("a folder can be made");
        let script = r#"
            umask 022 && cd "$1" && chmod 755 . && mkdir -p bin dev etc proc root sys tmp usr/bin var && chmod 1777 tmp && cp "$2" bin/busybox
            for applet in $("$2" --list); do [ "$applet" = busybox ] || ln -s busybox "bin/$applet"; done
            echo root:x:0:0:root:/root:/bin/sh > etc/passwd && echo daemon:x:1:1:daemon:/usr/sbin:/bin/false >> etc/passwd
            echo root:x:0: > etc/group && echo daemon:x:1: >> etc/group
            tar --numeric-owner --owner=0 --group=0 -cf "$3" ."#;
        let busybox = environment("LONGSHORE_BUSYBOX");
        Program::new("sh").args(["-ec", script, "sh"]).args([root.path(), &busybox, &tar]).run().ok();
    });
    tar
}
