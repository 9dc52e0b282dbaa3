//! create, start, stop, kill, pause, wait, restart, remove, list, inspect, as the `docker` program asks for them.

use serde_json::json;
use testkit::Daemon;

#[test]
fn run_prints_the_output_and_passes_the_exit_code_on() {
    let daemon = Daemon::with_busybox();
    assert_eq!(daemon.docker(&["run", "--rm", "busybox", "echo", "hello world"]).ok(), "hello world");
    daemon.docker(&["run", "--rm", "busybox", "sh", "-c", "exit 7"]).fails(7);
    let errors = daemon.docker(&["run", "--rm", "busybox", "sh", "-c", "echo oops >&2; exit 3"]).fails(3);
    assert_eq!(errors, "oops\n");
    assert_eq!(daemon.docker(&["ps", "-aq"]).ok(), "");
}

#[test]
fn a_missing_program_is_127_and_a_file_that_is_none_126() {
    let daemon = Daemon::with_busybox();
    let errors = daemon.docker(&["run", "--rm", "busybox", "no-such-program"]).fails(127);
    assert!(errors.contains("no-such-program") && errors.contains("executable file not found in $PATH"), "{errors}");
    let errors = daemon.docker(&["run", "--rm", "busybox", "/etc/passwd"]).fails(126);
    assert!(errors.contains("permission denied"), "{errors}");
}

#[test]
fn detached_containers_are_listed_inspected_stopped_and_removed() {
    let daemon = Daemon::with_busybox();
    let id = daemon.docker(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    assert_eq!(id.len(), 64);
    assert_eq!(daemon.docker(&["ps", "-q", "--no-trunc"]).ok(), id);
    let line = daemon.docker(&["ps", "--format", "{{.Names}} {{.Image}} {{.Command}} {{.State}}"]).ok();
    assert_eq!(line, "web busybox \"sleep 1000\" running");
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.Status}} {{.State.Running}}", "web"]).ok(), "running true");
    let refused = daemon.docker(&["rm", "web"]).fails(1);
    assert!(refused.contains("container is running"), "{refused}");
    daemon.docker(&["kill", "web"]).ok();
    assert_eq!(daemon.docker(&["wait", "web"]).ok(), "137");
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "web"]).ok(), "exited 137");
    daemon.docker(&["start", "web"]).ok();
    daemon.docker(&["stop", "-t", "1", "web"]).ok();
    daemon.docker(&["rm", "web"]).ok();
    let gone = daemon.docker(&["inspect", "web"]).fails(1);
    assert!(gone.to_lowercase().contains("no such object"), "{gone}");
}

#[test]
fn stop_lets_a_program_end_by_itself() {
    let daemon = Daemon::with_busybox();
    let script = "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done";
    daemon.docker(&["run", "-d", "--name", "polite", "busybox", "sh", "-c", script]).ok();
    eventually(|| daemon.docker(&["logs", "polite"]).ok() == "up");
    daemon.docker(&["stop", "polite"]).ok();
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.ExitCode}}", "polite"]).ok(), "5");
    assert_eq!(daemon.docker(&["logs", "polite"]).ok(), "up\nbye");
}

#[test]
fn pause_freezes_and_unpause_goes_on() {
    let daemon = Daemon::with_busybox();
    let script = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done";
    daemon.docker(&["run", "-d", "--name", "counter", "busybox", "sh", "-c", script]).ok();
    eventually(|| !daemon.docker(&["logs", "counter"]).ok().is_empty());
    daemon.docker(&["pause", "counter"]).ok();
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.Status}}", "counter"]).ok(), "paused");
    // What it had written before is still on its way into the log.
    let logged = || daemon.docker(&["logs", "counter"]).ok();
    eventually(|| {
        let before = logged();
        std::thread::sleep(std::time::Duration::from_millis(200));
        logged() == before
    });
    let frozen = logged();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(logged(), frozen);
    daemon.docker(&["unpause", "counter"]).ok();
    eventually(|| logged() != frozen);
}

#[test]
fn restart_policies_bring_a_container_back() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "-d", "--name", "thrice", "--restart", "on-failure:2", "busybox", "false"]).ok();
    eventually(|| {
        daemon.docker(&["inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "thrice"]).ok() == "2 exited"
    });
    daemon
        .docker(&[
            "run",
            "-d",
            "--name",
            "always",
            "--restart",
            "always",
            "busybox",
            "sh",
            "-c",
            "echo once; sleep 0.1",
        ])
        .ok();
    eventually(|| daemon.docker(&["logs", "always"]).ok().lines().count() >= 3);
    daemon.docker(&["stop", "always"]).ok();
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.Status}}", "always"]).ok(), "exited");
}

#[test]
fn a_running_container_is_restarted_at_once() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "-d", "--name", "again", "busybox", "sleep", "1000"]).ok();
    let pid = || daemon.docker(&["inspect", "-f", "{{.State.Pid}}", "again"]).ok();
    for _ in 0..5 {
        let before = pid();
        daemon.docker(&["restart", "-t", "0", "again"]).ok();
        assert_ne!(pid(), before);
    }
}

#[test]
fn names_are_unique_and_may_be_changed() {
    let daemon = Daemon::with_busybox();
    let id = daemon.docker(&["create", "--name", "one", "busybox", "true"]).ok();
    let taken = daemon.docker(&["create", "--name", "one", "busybox", "true"]).fails(1);
    assert!(taken.contains(&format!("The container name \"/one\" is already in use by container \"{id}\"")), "{taken}");
    daemon.docker(&["rename", "one", "two"]).ok();
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.Id}}", "two"]).ok(), id);
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.Name}}", &id[..6]]).ok(), "/two");
}

#[test]
fn top_shows_the_processes_and_diff_the_changes() {
    let daemon = Daemon::with_busybox();
    let script = "echo new > /tmp/new; rm /etc/group; echo more >> /etc/passwd; exec sleep 1234";
    daemon.docker(&["run", "-d", "--name", "busy", "busybox", "sh", "-c", script]).ok();
    // Not the shell any more, which has the same words on its command line.
    let slept = |shown: &str| shown.contains("sleep 1234") && !shown.contains("exec");
    eventually(|| slept(&daemon.docker(&["top", "busy"]).ok()));
    let changes = daemon.docker(&["diff", "busy"]).ok();
    for change in ["A /tmp/new", "D /etc/group", "C /etc/passwd", "C /etc", "C /tmp"] {
        assert!(changes.lines().any(|line| line == change), "{change} is not in\n{changes}");
    }
}

#[test]
fn wait_with_a_condition_answers_its_head_at_once() {
    let daemon = Daemon::with_busybox();
    let id = daemon.docker(&["create", "busybox", "sh", "-c", "exit 9"]).ok();
    let mut wait = daemon.connect();
    wait.request("POST", &format!("/containers/{id}/wait?condition=next-exit"), "", b"");
    let (status, _) = wait.head();
    assert_eq!(status, 200);
    assert_eq!(daemon.post(&format!("/containers/{id}/start"), &json!(null)).status, 204);
    assert!(wait.until("}").contains("\"StatusCode\":9"));
}

#[test]
fn events_tell_a_life_in_order() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "--rm", "--name", "short", "busybox", "true"]).ok();
    // The program asks in whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let events = daemon.docker(&["events", "--since", "1h", "--until", "0s", "--format", "{{.Action}}"]).ok();
    let order: Vec<&str> =
        events.lines().filter(|action| ["create", "start", "die", "destroy"].contains(action)).collect();
    assert_eq!(order, ["create", "start", "die", "destroy"]);
}

/// Waits until something comes true, for a minute at most: far longer than anything takes, for machines under load.
#[track_caller]
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !condition() {
        assert!(started.elapsed().as_secs() < 60, "it did not come true within a minute");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// `docker` takes a 404 of a create for a missing image, and would pull one.
#[test]
fn a_container_that_is_not_there_is_no_missing_image() {
    let daemon = Daemon::with_busybox();
    for (flag, value) in [("--link", "nosuch:x"), ("--volumes-from", "nosuch")] {
        let told = daemon.docker(&["run", "--rm", flag, value, "busybox", "true"]).fails(125);
        assert!(told.contains("No such container: nosuch") && !told.contains("Unable to find image"), "{told}");
    }
}

#[test]
fn volumes_tell_who_mounts_them() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "--rm", "-v", "data:/d:ro", "-v", "/tmp:/t", "busybox", "true"]).ok();
    daemon.docker(&["volume", "prune", "-af"]).ok();
    let format = "{{.Action}} {{index .Actor.Attributes \"destination\"}} {{index .Actor.Attributes \"read/write\"}}";
    let told = || {
        let words = ["events", "--since", "1h", "--until", "0s", "--filter", "type=volume", "--format", format];
        daemon.docker(&words).ok()
    };
    let expected = ["create", "mount /d false", "unmount", "destroy", "prune"];
    let lines = |told: &str| told.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    eventually(|| lines(&told()) == expected);
}

#[test]
fn the_root_file_systems_of_containers_that_have_ended_are_let_go_of() {
    let daemon = Daemon::with_busybox();
    // Root file systems are mounted nowhere: a descriptor of one reads as its own root.
    let held = || {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("the daemon's descriptors");
        let roots = descriptors.flatten().filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to == *"/"));
        roots.count()
    };
    let before = held();
    for round in 0..3 {
        daemon.docker(&["run", "--rm", "busybox", "true"]).ok();
        daemon.docker(&["run", "--name", &format!("kept{round}"), "busybox", "sh", "-c", "echo x >>/file"]).ok();
        // At once: the last run's is let go of first, and what was written to it is there.
        daemon.docker(&["start", "-a", &format!("kept{round}")]).ok();
        let files = daemon.docker(&["cp", &format!("kept{round}:/file"), "-"]).ok();
        assert!(files.contains("x\nx\n"), "{files:?}");
    }
    eventually(|| held() <= before);
}
