//! Copying into and out of containers, with their mounts, whether they run or not.

use testkit::{Daemon, Program};

/// `docker cp` of a file to standard output: its contents.
fn read(daemon: &Daemon, from: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("copied").display().to_string();
    daemon.docker(&["cp", "-L", from, &file]).ok();
    std::fs::read_to_string(file).expect("a copied file can be read")
}

fn write(daemon: &Daemon, text: &str, to: &str) -> testkit::Output {
    let file = daemon.path("source");
    std::fs::write(&file, text).expect("a file can be written");
    daemon.docker(&["cp", &file.display().to_string(), to])
}

#[test]
fn stopped_containers_are_copied_with_their_volumes_and_binds() {
    let daemon = Daemon::with_busybox();
    let bound = daemon.path("bound");
    std::fs::create_dir(&bound).expect("a folder can be made");
    let bind = format!("{}:/data/inner", bound.display());
    let script = "echo outer > /data/file; echo inner > /data/inner/file; ln -s /data/inner /link";
    let flags = ["run", "--name", "box", "-v", "/data", "-v", &bind, "busybox", "sh", "-c", script];
    daemon.docker(&flags).ok();
    assert_eq!(read(&daemon, "box:/data/file"), "outer\n");
    assert_eq!(read(&daemon, "box:/data/inner/file"), "inner\n");
    assert_eq!(read(&daemon, "box:/link/file"), "inner\n");
    write(&daemon, "new", "box:/data/inner/new").ok();
    assert_eq!(std::fs::read_to_string(bound.join("new")).expect("the bind's source has it"), "new");
    write(&daemon, "over", "box:/data/over").ok();
    daemon.docker(&["run", "--rm", "--volumes-from", "box", "busybox", "grep", "over", "/data/over"]).ok();
    assert_eq!(daemon.docker(&["diff", "box"]).ok().lines().filter(|line| line.contains("over")).count(), 0);
}

#[test]
fn a_volume_of_a_container_that_never_ran_holds_the_images_files() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["create", "--name", "fresh", "-v", "filled:/etc", "busybox", "true"]).ok();
    assert!(read(&daemon, "fresh:/etc/passwd").contains("root:"));
}

#[test]
fn what_is_mounted_read_only_cannot_be_copied_into() {
    let daemon = Daemon::with_busybox();
    let bind = format!("{}:/mnt:ro", daemon.path("data").display());
    daemon.docker(&["create", "--name", "box", "-v", &bind, "busybox", "true"]).ok();
    daemon.docker(&["run", "-d", "--name", "up", "-v", &bind, "busybox", "sleep", "1000"]).ok();
    daemon.docker(&["create", "--name", "solid", "--read-only", "-v", "/free", "busybox", "true"]).ok();
    for to in ["box:/mnt/x", "up:/mnt/x"] {
        let refused = write(&daemon, "x", to).fails(1);
        assert!(refused.contains("mounted volume is marked read-only"), "{refused}");
    }
    let refused = write(&daemon, "x", "solid:/x").fails(1);
    assert!(refused.contains("container rootfs is marked read-only"), "{refused}");
    write(&daemon, "x", "solid:/free/x").ok();
}

#[test]
fn running_containers_are_copied_into_and_exported_without_what_is_mounted() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "-d", "--name", "up", "-v", "/data", "busybox", "sleep", "1000"]).ok();
    write(&daemon, "hello", "up:/tmp/file").ok();
    write(&daemon, "hello", "up:/data/file").ok();
    assert_eq!(daemon.docker(&["exec", "up", "cat", "/tmp/file", "/data/file"]).ok(), "hellohello");
    let tar = daemon.path("export.tar").display().to_string();
    daemon.docker(&["export", "-o", &tar, "up"]).ok();
    let names = Program::new("tar").args(["-tf", &tar]).run().ok();
    assert!(names.lines().any(|name| name == "tmp/file"), "{names}");
    let mounted = |name: &&str| ["proc/", "sys/", "data/"].iter().any(|top| name.starts_with(top) && name != top);
    assert_eq!(names.lines().filter(mounted).count(), 0, "{names}");
}
