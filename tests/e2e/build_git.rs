//! Repositories that are reached by way of SSH, where a client's agent logs in.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use testkit::Daemon;

use crate::build::context;
use crate::build_sources::repository;
use crate::buildkit::buildx;

/// Stands in for `ssh` and the server behind it: asks the agent for its keys, and does what the server would.
const SSH: &str = "#!/usr/bin/env python3
import os, socket, sys
agent = socket.socket(socket.AF_UNIX)
agent.settimeout(60)
agent.connect(os.environ['SSH_AUTH_SOCK'])
agent.sendall(bytes([0, 0, 0, 1, 11]))
answer = b''
while len(answer) < 5:
    answer += agent.recv(5 - len(answer)) or sys.exit('the agent is silent')
if answer[4:5] != bytes([12]) or 'git@127.0.0.1' not in sys.argv:
    sys.exit('no key opens this door: ' + ' '.join(sys.argv))
os.execvp('sh', ['sh', '-c', sys.argv[-1]])
";

/// An agent without keys, for as long as the process lives.
fn agent(socket: &std::path::Path) {
    let listener = UnixListener::bind(socket).expect("a socket can be bound");
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // Until the client has enough, as real agents do.
                while client.read_exact(&mut [0; 5]).is_ok() {
                    client.write_all(&[0, 0, 0, 5, 12, 0, 0, 0, 0]).expect("the client listens");
                }
            });
        }
    });
}

#[test]
fn a_client_s_agent_opens_repositories() {
    let mut daemon = Daemon::with_busybox();
    let other = repository(&daemon);
    let programs = context(&daemon, "bin", &[("ssh", SSH)]);
    std::fs::set_permissions(format!("{programs}/ssh"), PermissionsExt::from_mode(0o755)).expect("a mode can be set");
    daemon.end();
    let path = std::env::var("PATH").unwrap_or_default();
    daemon.set_environment(&[("PATH", &format!("{programs}:{path}"))]);
    daemon.restart();
    let socket = daemon.path("agent.sock");
    agent(&socket);
    let served = daemon.path("served/r.git").display().to_string();
    let file = format!(
        "FROM busybox\nADD git@127.0.0.1:{served}#other:sub /one/\n\
         ADD --checksum={other} ssh://git@127.0.0.1{served}?branch=other&subdir=sub /two/\nRUN cat /one/word /two/word\n"
    );
    let folder = context(&daemon, "add", &[("Dockerfile", &file)]);
    let build = |words: &[&str]| buildx(&daemon, words).env("SSH_AUTH_SOCK", &socket).run();
    let told = build(&["--ssh", "default", &folder]);
    assert_eq!((told.code, told.stderr.matches(" other\n").count()), (Some(0), 2), "{}", told.stderr);
    let context = format!("git@127.0.0.1:{served}#other:sub");
    let told = build(&["--ssh", "default", "-t", "context", &context]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    assert_eq!(daemon.docker(&["run", "--rm", "context", "cat", "/word"]).ok(), "other");
    let told = build(&[&folder]).fails(1);
    assert!(told.contains("unset ssh forward key default"), "{told}");
    // By the old way nobody lends anything.
    let told = crate::build::build(&daemon, &[&folder]).fails(1);
    assert!(told.contains("docker buildx build --ssh default lends the client's SSH agent"), "{told}");
}
