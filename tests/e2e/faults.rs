//! SIGKILL of the daemon, the launcher or a shim: nothing that was answered is lost, nothing is left behind.

use std::time::Instant;

use testkit::{Daemon, Program};

use crate::lifecycle::eventually;
use crate::network::{fetch, server};

#[test]
fn containers_outlive_the_daemon_and_keep_output_and_exit_code() {
    let mut daemon = Daemon::with_busybox();
    let script = "echo before; sleep 2; echo after; exit 5";
    daemon.docker(&["run", "-d", "--name", "short", "busybox", "sh", "-c", script]).ok();
    daemon.docker(&["run", "-d", "--name", "long", "busybox", "sleep", "1000"]).ok();
    let pid = daemon.docker(&["inspect", "-f", "{{.State.Pid}}", "short"]).ok();
    daemon.kill();
    eventually(|| !std::path::Path::new(&format!("/proc/{pid}")).exists());
    daemon.restart();
    let state = ["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "short"];
    // Its shim may still be busy with the log.
    eventually(|| daemon.docker(&state).ok() == "exited 5");
    assert_eq!(daemon.docker(&["logs", "short"]).ok(), "before\nafter");
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.Status}}", "long"]).ok(), "running");
    assert_eq!(daemon.docker(&["exec", "long", "echo", "here"]).ok(), "here");
    daemon.docker(&["stop", "-t", "0", "long"]).ok();
}

#[test]
fn attached_clients_keep_their_stream_while_the_daemon_is_dead() {
    let mut daemon = Daemon::with_busybox();
    daemon
        .docker(&[
            "run",
            "-d",
            "--name",
            "ticking",
            "busybox",
            "sh",
            "-c",
            "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.05; done",
        ])
        .ok();
    let mut attached = daemon.connect();
    attached.request("POST", "/containers/ticking/attach?stream=1&stdout=1", "", b"");
    attached.head();
    attached.until("tick");
    daemon.kill();
    for _ in 0..10 {
        attached.until("tick");
    }
    daemon.restart();
    attached.until("tick");
}

#[test]
fn published_ports_answer_while_the_daemon_is_dead_and_afterwards() {
    let mut daemon = Daemon::with_busybox();
    server(&daemon, "web", &["-p", "8080:80"]);
    let fetch = |daemon: &Daemon| fetch(daemon, "127.0.0.1:8080").trim().to_owned();
    assert_eq!(fetch(&daemon), "served");
    daemon.kill();
    assert_eq!(fetch(&daemon), "served");
    daemon.restart();
    assert_eq!(fetch(&daemon), "served");
    let refused = daemon.docker(&["run", "--rm", "-p", "8080:80", "busybox", "true"]).fails(125);
    assert!(refused.contains("port is already allocated"), "{refused}");
}

#[test]
fn a_hundred_running_containers_are_back_within_a_second() {
    let mut daemon = Daemon::with_busybox();
    for _ in 0..100 {
        daemon.docker(&["run", "-d", "busybox", "sleep", "1000"]).ok();
    }
    let mut back = || {
        daemon.kill();
        let started = Instant::now();
        daemon.restart();
        assert_eq!(daemon.docker(&["ps", "-q"]).ok().lines().count(), 100);
        started.elapsed().as_secs_f64()
    };
    // Once is enough: other tests run beside this one, and the machine may be slow.
    let mut times = Vec::new();
    let quick = (0..10).any(|_| {
        times.push(back());
        times.last().is_some_and(|seconds| *seconds < 1.0)
    });
    assert!(quick, "it took {times:?}");
}

#[test]
fn restart_policies_that_fell_due_are_honoured() {
    let mut daemon = Daemon::with_busybox();
    daemon.docker(&["run", "-d", "--name", "again", "--restart", "always", "busybox", "sleep", "0.4"]).ok();
    daemon.kill();
    std::thread::sleep(std::time::Duration::from_secs(1));
    daemon.restart();
    eventually(|| daemon.docker(&["inspect", "-f", "{{.State.Running}}", "again"]).ok() == "true");
    daemon.docker(&["rm", "-f", "again"]).ok();
}

#[test]
fn a_killed_launcher_is_replaced_and_a_killed_shim_ends_its_container_only() {
    let daemon = Daemon::with_busybox();
    for _ in 0..2 {
        daemon.docker(&["run", "-d", "busybox", "sleep", "1000"]).ok();
    }
    let ids = daemon.docker(&["ps", "-q"]).ok();
    let companions = daemon.companions();
    let (launchers, shims): (Vec<u32>, Vec<u32>) =
        companions.into_iter().partition(|pid| is_child_of(*pid, daemon.pid()));
    assert_eq!((launchers.len(), shims.len()), (1, 2));
    kill(launchers[0]);
    assert_eq!(daemon.docker(&["run", "--rm", "busybox", "echo", "well"]).ok(), "well");
    assert_eq!(daemon.docker(&["ps", "-q"]).ok(), ids);
    kill(shims[0]);
    eventually(|| daemon.docker(&["ps", "-q"]).ok().lines().count() == 1);
    let state = daemon.docker(&["ps", "-a", "--filter", "status=exited", "--format", "{{.Status}}"]).ok();
    assert!(state.starts_with("Exited (137)"), "{state}");
}

#[test]
fn a_shim_that_does_not_greet_the_next_daemon_is_killed_with_its_container() {
    let mut daemon = Daemon::with_busybox();
    let script = "sleep 1000 & exec sleep 1000";
    daemon.docker(&["run", "-d", "--name", "stuck", "--pid", "host", "busybox", "sh", "-c", script]).ok();
    let stuck: Vec<u32> = daemon.companions().into_iter().filter(|pid| !is_child_of(*pid, daemon.pid())).collect();
    daemon.docker(&["run", "-d", "--name", "well", "busybox", "sleep", "1000"]).ok();
    let first = daemon.docker(&["inspect", "-f", "{{.State.Pid}}", "stuck"]).ok();
    let processes = |parent: &str| Program::new("pgrep").args(["-P", parent]).run().stdout;
    eventually(|| !processes(&first).is_empty());
    let second = processes(&first).trim().to_owned();
    Program::new("kill").args(["-STOP", &stuck[0].to_string()]).run().ok();
    daemon.kill();
    daemon.restart();
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "stuck"]).ok(), "exited 137");
    let gone = |pid: &str| !std::path::Path::new(&format!("/proc/{pid}")).exists();
    eventually(|| gone(&stuck[0].to_string()) && gone(&first) && gone(&second));
    assert_eq!(daemon.docker(&["exec", "well", "echo", "here"]).ok(), "here");
    daemon.docker(&["start", "stuck"]).ok();
}

#[test]
fn a_hundred_crashes_under_load_lose_nothing_and_leave_nothing() {
    let mut daemon = Daemon::with_busybox();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..100 {
        let load = start_load(&daemon, round);
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        std::thread::sleep(std::time::Duration::from_millis(seed % 60));
        match seed >> 60 {
            0..=9 => {
                daemon.kill();
                daemon.restart();
            }
            10..=12 => daemon.companions().into_iter().filter(|pid| is_child_of(*pid, daemon.pid())).for_each(kill),
            _ => daemon.companions().into_iter().filter(|pid| !is_child_of(*pid, daemon.pid())).take(1).for_each(kill),
        }
        let answered = load.join().expect("the load does not panic");
        for id in answered {
            assert_eq!(daemon.get(&format!("/containers/{id}/json")).status, 200, "round {round} lost {id}");
        }
        if round % 10 == 9 {
            remove_all(&daemon);
        }
    }
    assert_eq!(daemon.docker(&["run", "--rm", "busybox", "echo", "well"]).ok(), "well");
}

/// Creates, starts, executes in, stops and removes containers until the daemon goes away; the ids that were answered
/// and not removed.
fn start_load(daemon: &Daemon, round: usize) -> std::thread::JoinHandle<Vec<String>> {
    let host = daemon.host();
    std::thread::spawn(move || {
        let docker = |arguments: &[&str]| Program::new("docker").args(arguments).env("DOCKER_HOST", &host).run();
        let mut kept = Vec::new();
        for number in 0..4 {
            let name = format!("load-{round}-{number}");
            let created = docker(&["run", "-d", "--name", &name, "-p", "80", "busybox", "sleep", "1000"]);
            if created.code == Some(0) {
                kept.push(created.stdout.trim().to_owned());
                docker(&["exec", &name, "true"]);
            }
            if number % 2 == 1 && docker(&["stop", "-t", "0", &name]).code == Some(0) {
                let removed = docker(&["rm", &name]);
                if removed.code == Some(0)
                    || removed.stderr.contains("No such container")
                    || removed.stderr.contains("connect")
                {
                    kept.retain(|id| *id != created.stdout.trim());
                }
            }
        }
        kept
    })
}

fn remove_all(daemon: &Daemon) {
    for id in daemon.docker(&["ps", "-aq"]).ok().lines() {
        daemon.docker(&["rm", "-f", id]).ok();
    }
}

fn kill(pid: u32) {
    Program::new("kill").args(["-9", &pid.to_string()]).run();
}

fn is_child_of(pid: u32, parent: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|rest| rest.trim() == parent.to_string()))
}
