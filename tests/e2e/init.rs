//! `--init`: an init of ours is the container's first process.

use serde_json::json;
use testkit::Daemon;

use crate::lifecycle::eventually;

/// A process whose parent ends before it does.
const ORPHAN: &str = "sh -c 'sleep 0.1 & exit'";

#[test]
fn orphans_are_reaped_by_the_init_and_only_by_it() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "-d", "--init", "--name", "with", "busybox", "sleep", "1000"]).ok();
    daemon.docker(&["run", "-d", "--name", "without", "busybox", "sleep", "1000"]).ok();
    let shown = |name, script| daemon.docker(&["exec", name, "sh", "-c", script]).ok();
    let processes = || shown("with", "set -- /proc/[0-9]*; echo $#");
    let before = processes();
    shown("with", ORPHAN);
    eventually(|| processes() == before);
    shown("without", ORPHAN);
    eventually(|| shown("without", "grep -h ^State: /proc/[0-9]*/status").contains("Z (zombie)"));
    let words = daemon.docker(&["exec", "with", "sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline; cat /proc/1/comm"]).ok();
    assert_eq!(words, "/sbin/docker-init -- sleep 1000 docker-init");
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.HostConfig.Init}} {{.Path}}", "with"]).ok(), "true sleep");
}

#[test]
fn signals_and_exit_codes_pass_through_the_init() {
    let daemon = Daemon::with_busybox();
    let run = |more: &[&str]| daemon.docker(&[&["run", "--rm", "--init"], more].concat());
    assert_eq!(run(&["busybox", "sh", "-c", "exit 7"]).code, Some(7));
    assert_eq!(run(&["busybox", "sh", "-c", "kill -9 $$"]).code, Some(137));
    assert!(run(&["busybox", "no-such-program"]).fails(127).contains("no-such-program"));
    assert!(run(&["busybox", "/etc/passwd"]).fails(126).contains("/etc/passwd"));
    let script = "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done";
    daemon.docker(&["run", "-d", "--init", "--name", "polite", "busybox", "sh", "-c", script]).ok();
    eventually(|| daemon.docker(&["logs", "polite"]).ok() == "up");
    daemon.docker(&["stop", "polite"]).ok();
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.ExitCode}}", "polite"]).ok(), "9");
    // A program without a handler would be immune as a first process.
    daemon.docker(&["run", "-d", "--init", "--name", "plain", "busybox", "sleep", "1000"]).ok();
    daemon.docker(&["stop", "plain"]).ok();
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.ExitCode}}", "plain"]).ok(), "143");
}

#[test]
fn the_init_cannot_be_written_and_runs_confined() {
    let daemon = Daemon::with_busybox();
    let run = |more: &[&str]| daemon.docker(&[&["run", "--rm", "--init"], more].concat());
    let written = run(&["--privileged", "busybox", "sh", "-c", ": > /proc/1/exe"]).fails(1);
    assert!(written.contains("Read-only file system") || written.contains("Text file busy"), "{written}");
    let modest = ["-u", "daemon", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--read-only"];
    let status = ["busybox", "sh", "-c", "id -u; ls /proc/1/fd | wc -l; grep CapEff /proc/1/status"];
    assert_eq!(run(&[&modest[..], &status[..]].concat()).ok(), "1\n4\nCapEff:\t0000000000000000");
    // The fourth descriptor is its handle on the program.
    // A pid namespace that is not its own has an init already.
    assert_eq!(run(&["--pid", "host", "busybox", "sh", "-c", "exit 3"]).code, Some(3));
}

#[test]
fn a_key_that_interrupts_reaches_the_program_once() {
    let daemon = Daemon::with_busybox();
    let script = "trap 'echo caught' INT; echo up; while :; do read line && echo \"$line\"; done";
    let body = json!({"Image": "busybox", "Cmd": ["sh", "-c", script], "OpenStdin": true, "Tty": true,
       "AttachStdin": true, "AttachStdout": true, "HostConfig": {"Init": true}});
    let created = daemon.post("/containers/create", &body).json();
    let id = created["Id"].as_str().expect("an id");
    let mut attached = daemon.connect();
    attached.send(format!("POST /containers/{id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"));
    assert_eq!(attached.head().0, 101);
    assert_eq!(daemon.call("POST", &format!("/containers/{id}/start"), None).status, 204);
    attached.until("up\r\n");
    attached.send("\x03");
    attached.until("caught\r\n");
    attached.send("done\n");
    assert!(!attached.until("done\r\ndone\r\n").contains("caught"));
}

#[test]
fn the_daemon_can_give_all_containers_an_init() {
    let daemon = Daemon::with(&["--init"]);
    daemon.import_busybox();
    let first = ["busybox", "cat", "/proc/1/comm"];
    assert_eq!(daemon.docker(&[&["run", "--rm"], &first[..]].concat()).ok(), "docker-init");
    assert_eq!(daemon.docker(&[&["run", "--rm", "--init=false"], &first[..]].concat()).ok(), "cat");
    assert_eq!(daemon.docker(&["info", "-f", "{{.InitBinary}}"]).ok(), "docker-init");
}
