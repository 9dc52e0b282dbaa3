//! Registries for tests, within a daemon's network namespace.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use testkit::{Daemon, Program, environment};

use crate::lifecycle::eventually;

/// A user of the registries that want one, and the secret.
pub(crate) const USER: (&str, &str) = ("joe_", "secret");
/// The same as `htpasswd` has it.
const HTPASSWD: &str = "joe_:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// Name of the file of [`Served::gate`].
const GATE: &str = "gate";

/// A server that is ended on drop.
pub(crate) struct Served {
    child: Child,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("registry-").tempdir_in(environment("LONGSHORE_TEST_DISK")).expect("a folder")
}

impl Served {
    /// A registry of before 2015.
    pub(crate) fn old(daemon: &Daemon, flags: &[&str]) -> Self {
        let server = concat!(env!("CARGO_MANIFEST_DIR"), "/old_registry/server.py");
        let mut child = Command::new("nsenter")
            .arg(daemon.namespace())
            .args(["python3", server])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 can be started");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the registry tells its port");
        let port = line.split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
        Self { child, port, folder: folder() }
    }

    /// Debian's registry, with the user or without, by TLS if there is a certificate.
    pub(crate) fn today(daemon: &Daemon, port: u16, with_user: bool, certificate: Option<&Path>) -> Self {
        let folder = folder();
        let root = folder.path().display();
        let mut config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {root}/data\nhttp:\n  addr: 0.0.0.0:{port}\n"
        );
        if let Some(certificate) = certificate {
            let place = certificate.display();
            config += &format!("  tls:\n    certificate: {place}/server.pem\n    key: {place}/server.key\n");
        }
        if with_user {
            std::fs::write(folder.path().join("htpasswd"), HTPASSWD).expect("a file can be written");
            config += &format!("auth:\n  htpasswd:\n    realm: test\n    path: {root}/htpasswd\n");
        }
        let path = folder.path().join("config.yml");
        std::fs::write(&path, config).expect("a file can be written");
        let child = daemon.host_program(&["docker-registry", "serve", &path.display().to_string()]).start();
        let served = Self { child, port, folder };
        served.wait(daemon);
        served
    }

    /// A registry with the image `big:1` of so many megabytes, which are made while they are sent; the lowest layer comes
    /// while [`Served::gate`] is there.
    pub(crate) fn generated(daemon: &Daemon, port: u16, megabytes: u64) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/generated_registry.py");
        let folder = folder();
        let gate = folder.path().join(GATE).display().to_string();
        let words = ["python3", script, &port.to_string(), &megabytes.to_string(), &gate];
        let served = Self { child: daemon.host_program(&words).start(), port, folder };
        served.wait(daemon);
        served
    }

    /// A proxy that finds every host on this machine, by TLS if there is a certificate. What it is asked is in the file `log` of
    /// its folder.
    pub(crate) fn proxy(daemon: &Daemon, port: u16, authorization: &str, certificate: Option<&Path>) -> Self {
        let folder = folder();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/proxy.py");
        let (port_text, log) = (port.to_string(), folder.path().join("log").display().to_string());
        let certificate = certificate.map(|folder| folder.display().to_string());
        let mut words = vec!["python3", script, &port_text, &log, authorization];
        words.extend(certificate.as_deref());
        let served = Self { child: daemon.host_program(&words).start(), port, folder };
        served.wait(daemon);
        served
    }

    /// The file that lets a generated registry's lowest layer through.
    pub(crate) fn gate(&self) -> PathBuf {
        self.folder.path().join(GATE)
    }

    /// Files of a folder over plain HTTP.
    pub(crate) fn files(daemon: &Daemon, port: u16, files: &[(&str, &str)]) -> Self {
        let folder = folder();
        for (name, text) in files {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap_or(folder.path())).expect("a folder can be made");
            std::fs::write(file, text).expect("a file can be written");
        }
        let (place, text) = (folder.path().display().to_string(), port.to_string());
        let words = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", &place, &text];
        let served = Self { child: daemon.host_program(&words).start(), port, folder };
        served.wait(daemon);
        served
    }

    fn wait(&self, daemon: &Daemon) {
        let knock = format!("exec 3<>/dev/tcp/127.0.0.1/{}", self.port);
        eventually(|| daemon.on_host(&["bash", "-c", &knock]).code == Some(0));
    }

    /// The name of a repository or image there.
    pub(crate) fn name(&self, rest: &str) -> String {
        format!("127.0.0.1:{}/{rest}", self.port)
    }
}

/// A certificate for 127.0.0.1 that stands for itself, and its key: `server.pem`, `server.key`.
pub(crate) fn certificate(folder: &Path) -> PathBuf {
    Program::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
        .args([folder.join("server.key"), "-out".into(), folder.join("server.pem")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .run()
        .ok();
    folder.join("server.pem")
}
