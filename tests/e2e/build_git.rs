//! Repositories that are reached by way of SSH, where a client's agent logs in: OpenSSH at both ends.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;

use testkit::{Daemon, Program, environment};

use crate::build::context;
use crate::build_sources::{Server, repository};
use crate::buildkit::buildx;

/// Starts the server ($2) in a mount namespace with users ($1) and a /run of its own.
const SERVE: &str =
    "mount --bind \"$1\" /etc/passwd; mount -t tmpfs none /run; mkdir /run/sshd; exec \"$2\" -D -e -f \"$3\"";
/// Whom the server knows: `git`, and the user that it becomes to speak to those who are not let in yet.
const USERS: &str = "root:*:0:0::/:/bin/sh\ngit:*:0:0::/:/bin/sh\nsshd:*:65533:65534::/:/bin/false\n";

/// A key of a user or a host; its file.
fn key(daemon: &Daemon, name: &str) -> String {
    let file = daemon.path(name).display().to_string();
    Program::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &file]).run().ok();
    file
}

/// An SSH server on the usual port of the daemon's machine, which lets in whoever has the key.
fn server(daemon: &Daemon, allowed: &str) -> Server {
    let (sshd, host) = (environment("LONGSHORE_SSHD"), key(daemon, "host"));
    let root = sshd.ancestors().nth(3).unwrap_or(Path::new("/")).to_owned();
    let mut config = format!(
        "ListenAddress 127.0.0.1:22\nHostKey {host}\nAuthorizedKeysFile {allowed}.pub\nAllowUsers git\nPermitRootLogin yes\n\
         StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\n"
    );
    // Later versions are of several programs.
    for (setting, program) in [("SshdSessionPath", "sshd-session"), ("SshdAuthPath", "sshd-auth")] {
        let program = root.join("usr/lib/openssh").join(program);
        if program.exists() {
            config += &format!("{setting} {}\n", program.display());
        }
    }
    let (users, settings) = (daemon.path("users"), daemon.path("sshd_config"));
    std::fs::write(&users, USERS).expect("a file can be written");
    std::fs::write(&settings, config).expect("a file can be written");
    // What Debian's package needs beside it, where it was not installed.
    let library = format!("{}-linux-gnu", std::env::consts::ARCH);
    let libraries = ["usr/lib", "lib"].map(|folder| root.join(folder).join(&library).display().to_string());
    let libraries = format!("LD_LIBRARY_PATH={}", libraries.join(":"));
    let paths = [users, sshd, settings].map(|path: PathBuf| path.display().to_string());
    let words = ["env", &libraries, "unshare", "--mount", "--propagation=private", "sh", "-ec", SERVE, "sh"];
    let paths = paths.iter().map(String::as_str);
    Server::start(daemon, &words.into_iter().chain(paths).collect::<Vec<_>>(), "22")
}

/// An SSH agent with a key; it ends when it is dropped.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn with(daemon: &Daemon, key: &str) -> Self {
        let socket = PathBuf::from(format!("{key}.agent"));
        let mut listening = daemon.host_program(&["ssh-agent", "-D", "-a"]);
        listening = listening.args([&socket]);
        let agent = Self { child: listening.start(), socket };
        crate::lifecycle::eventually(|| UnixStream::connect(&agent.socket).is_ok());
        Program::new("ssh-add").args(["-q", key]).env("SSH_AUTH_SOCK", &agent.socket).run().ok();
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_client_s_agent_opens_repositories() {
    let daemon = Daemon::with_busybox();
    let other = repository(&daemon);
    let (mine, theirs) = (key(&daemon, "mine"), key(&daemon, "theirs"));
    let _server = server(&daemon, &mine);
    let (agent, stranger) = (Agent::with(&daemon, &mine), Agent::with(&daemon, &theirs));
    let served = daemon.path("served/r.git").display().to_string();
    let file = format!(
        "FROM busybox\nADD git@127.0.0.1:{served}#other:sub /one/\n\
         ADD --checksum={other} ssh://git@127.0.0.1{served}?branch=other&subdir=sub /two/\nRUN cat /one/word /two/word\n"
    );
    let folder = context(&daemon, "add", &[("Dockerfile", &file)]);
    let build = |agent: &Agent, words: &[&str]| buildx(&daemon, words).env("SSH_AUTH_SOCK", &agent.socket).run();
    let told = build(&agent, &["--ssh", "default", &folder]);
    assert_eq!((told.code, told.stderr.matches(" other\n").count()), (Some(0), 2), "{}", told.stderr);
    let context = format!("git@127.0.0.1:{served}#other:sub");
    let told = build(&agent, &["--ssh", "default", "-t", "context", &context]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    assert_eq!(daemon.docker(&["run", "--rm", "context", "cat", "/word"]).ok(), "other");
    let told = build(&agent, &[&folder]).fails(1);
    assert!(told.contains("unset ssh forward key default"), "{told}");
    // By the old way nobody lends anything.
    let told = crate::build::build(&daemon, &[&folder]).fails(1);
    assert!(told.contains("docker buildx build --ssh default lends the client's SSH agent"), "{told}");
    // Last, for servers remember whom they did not let in.
    let refused = build(&stranger, &["--ssh", "default", &folder]).fails(1);
    assert!(refused.contains("git@127.0.0.1: Permission denied (publickey)"), "{refused}");
}

/// `ssh` as on a machine whose administrator has written down servers' keys in the file `known_hosts` beside it.
const ADMINISTERED: &str = "#!/bin/sh
exec unshare --mount --propagation=private sh -ec \
    'mount -t tmpfs none /etc/ssh; cp \"$0\" /etc/ssh/ssh_known_hosts; exec SSH \"$@\"' \"${0%/*}/known_hosts\" \"$@\"
";

#[test]
fn a_server_with_another_key_than_the_administrator_knows_is_refused() {
    let mut daemon = Daemon::with_busybox();
    repository(&daemon);
    let mine = key(&daemon, "mine");
    let _server = server(&daemon, &mine);
    let agent = Agent::with(&daemon, &mine);
    let ssh = Program::new("sh").args(["-c", "command -v ssh"]).run().ok();
    let programs = context(&daemon, "bin", &[("ssh", &ADMINISTERED.replace("SSH", &ssh))]);
    std::fs::set_permissions(format!("{programs}/ssh"), PermissionsExt::from_mode(0o755)).expect("a mode can be set");
    daemon.end();
    daemon.set_environment(&[("PATH", &format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()))]);
    daemon.restart();
    let knows = |name: &str| {
        let key = std::fs::read_to_string(daemon.path(name)).expect("a file can be read");
        std::fs::write(format!("{programs}/known_hosts"), format!("127.0.0.1 {key}")).expect("a file can be written");
    };
    let file = format!("FROM busybox\nADD git@127.0.0.1:{} /src/\n", daemon.path("served/r.git").display());
    let folder = context(&daemon, "add", &[("Dockerfile", &file)]);
    let build = || buildx(&daemon, &["--ssh", "default", &folder]).env("SSH_AUTH_SOCK", &agent.socket).run();
    knows("mine.pub");
    let told = build().fails(1);
    assert!(told.contains("Host key verification failed"), "{told}");
    knows("host.pub");
    build().ok();
}
