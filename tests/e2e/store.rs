//! `longshore store`: the data root looked at from outside.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use serde_json::Value;
use testkit::{Daemon, Program};

use crate::lifecycle::eventually;

/// What a check says, as JSON.
fn report(daemon: &Daemon) -> Value {
    let output = daemon.store(&["check", "--json"]);
    let report: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {} {}", output.stdout, output.stderr);
    });
    let sound = report["problems"].as_array().expect("a list").is_empty();
    assert_eq!(output.code, Some(i32::from(!sound)), "{report:#}");
    report
}

/// Asserts that a check finds exactly one thing, and what it says of it.
#[track_caller]
fn finds(daemon: &Daemon, wanted: &[&str]) {
    let report = report(daemon);
    let problems = report["problems"].as_array().expect("a list");
    assert_eq!(problems.len(), 1, "{report:#}");
    let text = problems[0].to_string();
    for word in wanted {
        assert!(text.contains(word), "{word:?} is not in {report:#}");
    }
    assert!(!problems[0]["repair"].as_str().expect("a text").is_empty());
}

/// Runs SQL on the database of a daemon that does not run.
fn sql(daemon: &Daemon, statement: &str) {
    let script =
        "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as db: assert db.execute(sys.argv[2]).rowcount == 1";
    let database = daemon.path("data/longshore.db").display().to_string();
    Program::new("python3").args(["-c", script, &database, statement]).run().ok();
}

/// The folder of the only layer of busybox.
fn layer(daemon: &Daemon) -> PathBuf {
    let digest = daemon.docker(&["inspect", "-f", "{{index .RootFS.Layers 0}}", "busybox"]).ok();
    daemon.path("data/layers").join(digest.trim_start_matches("sha256:"))
}

#[test]
fn a_store_is_whole_after_a_busy_run() {
    let mut daemon = Daemon::with_busybox();
    daemon
        .docker(&[
            "run",
            "--name",
            "one",
            "-v",
            "named:/a",
            "-v",
            "/b",
            "busybox",
            "sh",
            "-c",
            "rm /bin/ls; echo 1 > /a/1",
        ])
        .ok();
    daemon.docker(&["commit", "one", "kept:1"]).ok();
    daemon.docker(&["create", "--name", "two", "kept:1", "true"]).ok();
    let archive = daemon.path("kept.tar").display().to_string();
    daemon.docker(&["save", "-o", &archive, "kept:1", "busybox"]).ok();
    daemon.docker(&["rm", "-v", "one"]).ok();
    daemon.docker(&["rmi", "-f", "kept:1"]).ok();
    let whole = |daemon: &Daemon| {
        let report = report(daemon);
        assert_eq!(report["problems"], Value::Array(Vec::new()), "{report:#}");
        report
    };
    let running = whole(&daemon);
    assert_eq!((&running["daemon_running"], &running["daemon"]), (&true.into(), &daemon.pid().into()));
    // The layer that only a container needs is one of them.
    assert_eq!((&running["checked"]["images"], &running["checked"]["layers"]), (&1.into(), &2.into()));
    daemon.docker(&["load", "-i", &archive]).ok();
    daemon.docker(&["rm", "-f", "two"]).ok();
    eventually(|| whole(&daemon)["unfinished"] == Value::Array(Vec::new()));
    assert!(daemon.store(&["check"]).ok().ends_with("all is well"));
    let dump: Value = serde_json::from_str(&daemon.store(&["dump"]).ok()).expect("it is JSON");
    assert_eq!(dump["volumes"][0]["name"], "named");
    assert_eq!(dump["images"].as_array().map(Vec::len), Some(2));
    daemon.end();
    let stopped = whole(&daemon);
    assert_eq!((&stopped["daemon_running"], &stopped["checked"]["layers"]), (&false.into(), &2.into()));
    daemon.restart();
}

#[test]
fn each_sort_of_damage_is_found_and_named() {
    let mut daemon = Daemon::with_busybox();
    daemon.docker(&["create", "--name", "one", "busybox", "true"]).ok();
    let layer = layer(&daemon);
    let id = daemon.docker(&["inspect", "-f", "{{.Id}}", "busybox"]).ok();
    // One flipped byte, beside a running daemon.
    let path = layer.join("diff/bin/busybox");
    let file = fs::File::options().read(true).write(true).open(&path).expect("a layer's file can be opened");
    let mut byte = [0];
    file.read_exact_at(&mut byte, 100_000).expect("it is long enough");
    file.write_all_at(&[byte[0] ^ 1], 100_000).expect("it can be written");
    finds(
        &daemon,
        &[
            &format!("sha256:{}", layer.file_name().expect("it has a name").display()),
            "image busybox",
            "container one",
            "its tar gives",
            "docker rmi",
        ],
    );
    file.write_all_at(&byte, 100_000).expect("it can be written");
    // Deleted files, with contents and without, and one more than there should be.
    for name in ["etc/passwd", "bin/sh"] {
        let (path, aside) = (layer.join("diff").join(name), daemon.path("aside"));
        fs::rename(&path, &aside).expect("a file can be moved");
        finds(&daemon, &[&format!("/diff/{name}\"")]);
        fs::rename(&aside, &path).expect("a file can be moved");
    }
    fs::write(layer.join("diff/etc/more"), "").expect("a file can be written");
    finds(&daemon, &["/diff/etc/more\"", "no such file"]);
    fs::remove_file(layer.join("diff/etc/more")).expect("a file can be removed");
    Program::new("chmod").args(["4755"]).args([&path]).run().ok();
    finds(&daemon, &["/diff/bin/busybox\"", "its mode is 4755, and was 0755"]);
    Program::new("chmod").args(["755"]).args([&path]).run().ok();
    // Folders of nobody.
    for name in ["layers/x", "containers/x", "volume-data/x", "more"] {
        fs::create_dir(daemon.path("data").join(name)).expect("a folder can be made");
        finds(&daemon, &[&format!("\"path\":\"{name}\"")]);
        fs::remove_dir(daemon.path("data").join(name)).expect("a folder can be removed");
    }
    // Rows that were cut off, listed things without files.
    daemon.end();
    sql(&daemon, "UPDATE images SET config = substr(config, 1, 100)");
    finds(&daemon, &[&id, "table images", "--repair"]);
    sql(&daemon, "UPDATE containers SET document = substr(document, 1, 100)");
    let both = report(&daemon);
    assert_eq!(both["problems"].as_array().map(Vec::len), Some(2), "{both:#}");
    let repaired: Value =
        serde_json::from_str(&daemon.store(&["check", "--json", "--repair"]).ok()).expect("it is JSON");
    assert_eq!(repaired["checked"]["containers"], 0);
    daemon.restart();
    assert_eq!(daemon.docker(&["images", "-aq"]).ok(), "");
    eventually(|| report(&daemon)["unfinished"] == Value::Array(Vec::new()) && !layer.exists());
}
