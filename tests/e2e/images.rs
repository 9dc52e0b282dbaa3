//! import, load, save, list, inspect, history, tag, commit, export, remove.

use std::time::Duration;

use serde_json::json;
use testkit::Daemon;

#[test]
fn an_image_is_tagged_listed_and_removed() {
    let daemon = Daemon::with_busybox();
    assert_eq!(daemon.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok(), "busybox:latest");
    daemon.docker(&["tag", "busybox", "example.com:5000/team/box:v1"]).ok();
    assert_eq!(daemon.docker(&["images", "-q", "example.com:5000/team/box"]).ok().len(), 12);
    let untagged = daemon.docker(&["rmi", "example.com:5000/team/box:v1"]).ok();
    assert_eq!(untagged, "Untagged: example.com:5000/team/box:v1");
    daemon.docker(&["create", "--name", "user", "busybox", "true"]).ok();
    let refused = daemon.docker(&["rmi", "busybox"]).fails(1);
    assert!(refused.contains("must force") || refused.contains("must be forced"), "{refused}");
    daemon.docker(&["rm", "user"]).ok();
    assert!(daemon.docker(&["rmi", "busybox"]).ok().contains("Deleted: sha256:"));
    assert_eq!(daemon.docker(&["images", "-q"]).ok(), "");
}

#[test]
fn commit_takes_a_container_that_ends_meanwhile() {
    let daemon = Daemon::with_busybox();
    for number in 0..60 {
        let create = json!({"Image": "busybox", "Cmd": ["true"]});
        let created = daemon.post("/containers/create", &create).json();
        let id = created["Id"].as_str().expect("an id");
        daemon.call("POST", &format!("/containers/{id}/start"), None);
        std::thread::sleep(Duration::from_micros(number * 50));
        let committed = daemon.call("POST", &format!("/commit?container={id}"), None);
        assert_eq!(committed.status, 201, "{}", committed.text());
    }
}

#[test]
fn commit_makes_an_image_of_the_changes() {
    let daemon = Daemon::with_busybox();
    daemon
        .docker(&["run", "--name", "made", "busybox", "sh", "-c", "echo mine > /mine; rm /etc/group; ln /mine /linked"])
        .ok();
    let change = ["--change", "CMD [\"cat\", \"/mine\"]", "--change", "ENV A=1", "-m", "a message", "-a", "somebody"];
    let id = daemon.docker(&[&["commit"], &change[..], &["made", "mine:1"]].concat()).ok();
    assert!(id.starts_with("sha256:"));
    assert_eq!(daemon.docker(&["run", "--rm", "mine:1"]).ok(), "mine");
    assert_eq!(
        daemon
            .docker(&[
                "run",
                "--rm",
                "mine:1",
                "sh",
                "-c",
                "echo $A; ls /etc/group 2>/dev/null | wc -l; stat -c %h /mine"
            ])
            .ok(),
        "1\n0\n2"
    );
    let history = daemon.docker(&["history", "--format", "{{.Comment}}", "mine:1"]).ok();
    assert!(history.starts_with("a message"), "{history}");
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.Author}}", "mine:1"]).ok(), "somebody");
}

#[test]
fn saved_images_load_again_with_the_same_ids() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "--name", "made", "busybox", "sh", "-c", "echo 2 > /second"]).ok();
    let second = daemon.docker(&["commit", "made", "second:1"]).ok();
    let tar = daemon.path("saved.tar").display().to_string();
    daemon.docker(&["save", "-o", &tar, "second:1", "busybox"]).ok();
    daemon.docker(&["rm", "made"]).ok();
    daemon.docker(&["rmi", "second:1", "busybox"]).ok();
    let loaded = daemon.docker(&["load", "-i", &tar]).ok();
    assert!(loaded.contains("Loaded image: second:1") && loaded.contains("Loaded image: busybox:latest"), "{loaded}");
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.Id}}", "second:1"]).ok(), second);
    assert_eq!(daemon.docker(&["run", "--rm", "second:1", "cat", "/second"]).ok(), "2");
}

#[test]
fn export_and_copy_give_the_files_as_they_are() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["create", "--name", "box", "busybox", "true"]).ok();
    let tar = daemon.path("box.tar").display().to_string();
    daemon.docker(&["export", "-o", &tar, "box"]).ok();
    let listed = testkit::Program::new("tar").args(["-tf", &tar]).run().ok();
    assert!(
        listed.lines().any(|line| line == "etc/passwd") && listed.lines().any(|line| line == "bin/busybox"),
        "{listed}"
    );
    daemon.docker(&["import", &tar, "again"]).ok();
    assert_eq!(daemon.docker(&["run", "--rm", "again", "echo", "again"]).ok(), "again");

    let file = daemon.path("copied");
    std::fs::write(&file, "copied in\n").expect("a file can be written");
    daemon.docker(&["cp", &file.display().to_string(), "box:/tmp/in"]).ok();
    let out = daemon.path("out").display().to_string();
    daemon.docker(&["cp", "box:/tmp/in", &out]).ok();
    assert_eq!(std::fs::read_to_string(&out).expect("it was copied"), "copied in\n");
}

#[test]
fn an_image_of_130_layers_runs() {
    let daemon = Daemon::with_busybox();
    for layer in 0..129 {
        let name = format!("layer{layer}");
        let image = if layer == 0 { "busybox" } else { "deep" };
        daemon.docker(&["run", "--name", &name, "--network", "none", image, "touch", &format!("/file{layer}")]).ok();
        daemon.docker(&["commit", &name, "deep"]).ok();
        daemon.docker(&["rm", &name]).ok();
    }
    assert_eq!(daemon.docker(&["run", "--rm", "deep", "sh", "-c", "ls / | grep -c file"]).ok(), "129");
}
