//! Health checks: states, log, events, lists, the next daemon.

use testkit::Daemon;

use crate::lifecycle::eventually;

fn status(daemon: &Daemon, name: &str) -> String {
    daemon.docker(&["inspect", "-f", "{{.State.Health.Status}}", name]).ok()
}

fn run(daemon: &Daemon, name: &str, check: &str, flags: &[&str]) {
    let often = ["run", "-d", "--name", name, "--health-cmd", check, "--health-interval", "50ms"];
    daemon.docker(&[&often[..], flags, &["busybox", "sleep", "1000"]].concat()).ok();
}

#[test]
fn a_container_gets_well_and_unwell_and_says_so() {
    let mut daemon = Daemon::with_busybox();
    // Its failures count only once it has been well.
    run(&daemon, "web", "echo looked; test -e /well", &["--health-retries", "2", "--health-start-period", "1h"]);
    assert_eq!(status(&daemon, "web"), "starting");
    let listed = |daemon: &Daemon, flags: &[&str]| {
        daemon.docker(&[&["ps", "--format", "{{.Names}} {{.Status}}"], flags].concat()).ok()
    };
    assert!(listed(&daemon, &[]).ends_with("(health: starting)"));
    daemon.docker(&["exec", "web", "touch", "/well"]).ok();
    eventually(|| status(&daemon, "web") == "healthy");
    assert!(listed(&daemon, &["--filter", "health=healthy"]).ends_with("(healthy)"));
    daemon.docker(&["exec", "web", "rm", "/well"]).ok();
    eventually(|| status(&daemon, "web") == "unhealthy");
    let log = daemon.docker(&["inspect", "-f", "{{json .State.Health.Log}}", "web"]).ok();
    assert!(log.contains(r#""ExitCode":1,"Output":"looked\n""#), "{log}");

    daemon.kill();
    daemon.restart();
    assert_eq!(status(&daemon, "web"), "unhealthy");
    daemon.docker(&["exec", "web", "touch", "/well"]).ok();
    eventually(|| status(&daemon, "web") == "healthy");
    let events =
        ["events", "--since", "1h", "--until=-1s", "--filter", "event=health_status", "--format", "{{.Action}}"];
    let seen = daemon.docker(&events).ok();
    assert_eq!(
        seen.lines().collect::<Vec<_>>(),
        ["health_status: healthy", "health_status: unhealthy", "health_status: healthy"]
    );
    daemon.docker(&["stop", "-t", "0", "web"]).ok();
    assert_eq!(status(&daemon, "web"), "unhealthy");
}

#[test]
fn a_check_that_hangs_or_cannot_start_has_failed() {
    let daemon = Daemon::with_busybox();
    run(&daemon, "slow", "echo begun; sleep 77", &["--health-timeout", "200ms", "--health-retries", "1"]);
    eventually(|| status(&daemon, "slow") == "unhealthy");
    // One of the last five: on a busy machine it may not come so far within that time.
    let last = "\"ExitCode\":-1,\"Output\":\"Health check exceeded timeout (200ms): begun\\n\"";
    eventually(|| daemon.docker(&["inspect", "-f", "{{json .State.Health.Log}}", "slow"]).ok().contains(last));
    let none = ["run", "-d", "--name", "none", "--no-healthcheck", "busybox", "sleep", "1000"];
    daemon.docker(&none).ok();
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.Health}}", "none"]).ok(), "<nil>");
    let body = serde_json::json!({"Image": "busybox", "Cmd": ["sleep", "1000"],
        "Healthcheck": {"Test": ["CMD", "/no/such/program"], "Interval": 50_000_000, "Retries": 1}});
    let id = daemon.post("/containers/create", &body).json()["Id"].as_str().expect("an id").to_owned();
    daemon.docker(&["start", &id]).ok();
    eventually(|| status(&daemon, &id) == "unhealthy");
    let odd =
        serde_json::json!({"Image": "busybox", "Cmd": ["true"], "Healthcheck": {"Test": ["CMD", "x"], "Interval": 1}});
    let refused = daemon.post("/containers/create", &odd);
    assert_eq!((refused.status, refused.text().contains("cannot be less than 1ms")), (400, true));
}
