//! exec: create, start, inspect, resize.

use serde_json::json;
use testkit::{Daemon, Program};

use crate::streams::until_sized;

#[test]
fn exec_runs_beside_the_first_process() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "-d", "--name", "host", "-e", "A=1", "busybox", "sleep", "1000"]).ok();
    assert_eq!(daemon.docker(&["exec", "host", "sh", "-c", "echo $A; hostname | wc -c"]).ok(), "1\n13");
    daemon.docker(&["exec", "host", "sh", "-c", "exit 4"]).fails(4);
    assert_eq!(
        daemon
            .docker(&["exec", "-u", "daemon", "-w", "/tmp", "-e", "B=2", "host", "sh", "-c", "id -un; pwd; echo $B"])
            .ok(),
        "daemon\n/tmp\n2"
    );
    assert_eq!(daemon.docker_program(&["exec", "-i", "host", "cat"]).input("in").run().ok(), "in");
    daemon.docker(&["exec", "-d", "host", "touch", "/detached"]).ok();
    crate::lifecycle::eventually(|| daemon.docker(&["exec", "host", "ls", "/detached"]).code == Some(0));
    // As from Docker Engine, the reason comes through the stream that was already open.
    let missing = daemon.docker(&["exec", "host", "no-such-program"]);
    assert_eq!(missing.code, Some(127));
    let missing = missing.stdout;
    assert!(missing.contains("executable file not found in $PATH"), "{missing}");
}

#[test]
fn exec_has_dockers_sandbox() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "-d", "--name", "host", "busybox", "sleep", "1000"]).ok();
    let status = daemon.docker(&["exec", "host", "grep", "-E", "CapEff|Seccomp:|NSpid", "/proc/self/status"]).ok();
    assert!(status.contains("00000000a80425fb") && status.contains("Seccomp:\t2"), "{status}");
    let same = daemon.docker(&["exec", "host", "sh", "-c", "for n in mnt net pid ipc uts; do [ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] || echo $n; done"]).ok();
    assert_eq!(same, "");
    let group = daemon
        .docker(&[
            "exec",
            "host",
            "sh",
            "-c",
            "[ \"$(cat /proc/self/cgroup)\" = \"$(cat /proc/1/cgroup)\" ] && echo same",
        ])
        .ok();
    assert_eq!(group, "same");
}

#[test]
fn exec_with_a_terminal() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "-d", "--name", "host", "busybox", "sleep", "1000"]).ok();
    let exec = format!("docker exec -it host timeout 20 sh -c 'tty; {}'", until_sized("21 43"));
    let inner = format!("DOCKER_HOST={} {exec}", daemon.host());
    let seen =
        Program::new("script").args(["-qec", &format!("stty rows 21 cols 43; {inner}"), "/dev/null"]).run().stdout;
    assert!(seen.contains("/dev/pts/") && seen.contains("21 43"), "{seen}");
}

#[test]
fn exec_is_inspected_and_cannot_run_twice() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "-d", "--name", "host", "busybox", "sleep", "1000"]).ok();
    let created =
        daemon.post("/containers/host/exec", &json!({"Cmd": ["sh", "-c", "exit 6"], "AttachStdout": true})).json();
    let id = created["Id"].as_str().expect("an id");
    let before = daemon.get(&format!("/exec/{id}/json")).json();
    assert_eq!((&before["Running"], &before["ExitCode"]), (&json!(false), &json!(null)));
    let mut connection = daemon.connect();
    connection.request(
        "POST",
        &format!("/exec/{id}/start"),
        "Content-Type: application/json\r\n",
        b"{\"Detach\":false,\"Tty\":false}",
    );
    assert_eq!(connection.head().0, 200);
    connection.rest();
    let after = daemon.get(&format!("/exec/{id}/json")).json();
    assert_eq!((&after["Running"], &after["ExitCode"]), (&json!(false), &json!(6)));
    assert_eq!(daemon.post(&format!("/exec/{id}/start"), &json!({"Detach": true})).status, 409);
    assert_eq!(daemon.get("/exec/0000/json").status, 404);
    daemon.docker(&["stop", "-t", "0", "host"]).ok();
    assert_eq!(daemon.post("/containers/host/exec", &json!({"Cmd": ["true"]})).status, 409);
}
