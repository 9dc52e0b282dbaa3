//! Layers that are not made again: those that do not depend on what lies beneath them (`COPY --link`, `ADD --link`), and those
//! of images at registries (`--cache-from`).

use testkit::{Daemon, Registry};

use crate::build::{archive, build, context};
use crate::buildkit::buildx;

/// Two bases, of which one has links where the steps copy to.
fn bases(daemon: &Daemon) {
    for (name, run) in [("plain", "true"), ("linked", "mkdir /elsewhere && ln -s /elsewhere /data && ln -s /bin /l")] {
        let file = format!(
            "FROM busybox\nRUN {run}\nRUN echo u:x:7:8:::/bin/sh >> /etc/passwd && echo u:x:8: >> /etc/group\n"
        );
        build(daemon, &["-t", name, &context(daemon, name, &[("Dockerfile", &file)])]).ok();
    }
}

/// The digests of an image's topmost layers.
fn layers(daemon: &Daemon, image: &str, count: usize) -> Vec<String> {
    let all = daemon.docker(&["inspect", "-f", "{{join .RootFS.Layers \" \"}}", image]).ok();
    let all: Vec<String> = all.split(' ').map(str::to_owned).collect();
    all[all.len() - count..].to_vec()
}

#[test]
fn layers_stand_on_any_base() {
    let daemon = Daemon::with_busybox();
    bases(&daemon);
    let packed = context(&daemon, "packed", &[("in/archive", "unpacked")]);
    archive(&packed, "gz");
    let file = "ARG BASE\nFROM $BASE\nWORKDIR /w\nCOPY --link --chown=u --chmod=640 f /data/deep/f\nADD --link packed.tar /l/\nCOPY --link f here\n\
        RUN stat -c '%n %a %u %g' /data /data/deep /data/deep/f /l /w/here; cat /l/in/archive; ls /elsewhere; true\n";
    let folder = context(&daemon, "context", &[("Dockerfile", file), ("f", "linked")]);
    std::fs::copy(format!("{packed}.tar"), format!("{folder}/packed.tar")).expect("a file can be copied");
    let on = |base: &str| {
        let argument = format!("BASE={base}");
        build(&daemon, &["--build-arg", &argument, "-t", &format!("on-{base}"), &folder]).ok()
    };
    let expected = "/data 640 7 8\n/data/deep 640 7 8\n/data/deep/f 640 7 8\n/l 755 0 0\n/w/here 644 0 0\nunpacked";
    let told = on("plain");
    assert!(told.contains(expected) && !told.contains("Using cache"), "{told}");
    // Neither of the base's links is followed, and none of the layers is made again.
    let told = on("linked");
    assert!(told.contains(expected), "{told}");
    assert_eq!(told.matches("Using cache").count(), 3, "{told}");
    assert_eq!(layers(&daemon, "on-linked", 3), layers(&daemon, "on-plain", 3));
    // They outlive the image that they were made for.
    daemon.docker(&["rmi", "on-plain", "plain"]).ok();
    daemon.docker(&["image", "prune", "-f"]).ok();
    assert_eq!(daemon.docker(&["run", "--rm", "on-linked", "cat", "here", "/l/in/archive"]).ok(), "linkedunpacked");
    // Without the flag the same words mean something else.
    let file = "FROM linked\nCOPY f /data/\nRUN ls -d /elsewhere/f\n";
    let folder = context(&daemon, "followed", &[("Dockerfile", file), ("f", "linked")]);
    assert!(build(&daemon, &[&folder]).ok().contains("/elsewhere/f\n"));
}

#[test]
fn steps_of_images_at_registries_count() {
    let daemon = Daemon::with_busybox();
    let _registry = Registry::beside(&daemon);
    let name = format!("{}/team/cache:1", Registry::ADDRESS);
    let file = "FROM busybox\nRUN head -c 9 /dev/urandom > /random\nCOPY f /\nRUN head -c 9 /dev/urandom > /more\n";
    let folder = context(&daemon, "imported", &[("Dockerfile", file), ("f", "x")]);
    build(&daemon, &["-t", &name, &folder]).ok();
    let before = layers(&daemon, &name, 3);
    daemon.docker(&["push", &name]).ok();
    let forget = || {
        let all = daemon.docker(&["images", "-aq", "--no-trunc"]).ok();
        let keep = daemon.docker(&["inspect", "-f", "{{.Id}}", "busybox"]).ok();
        for image in all.lines().filter(|image| *image != keep) {
            // One that went with another is gone.
            drop(daemon.docker(&["rmi", "-f", image]));
        }
    };
    forget();
    let from = format!("type=registry,ref={name}");
    let told = buildx(&daemon, &["--cache-from", &from, "-t", "again", &folder]).run();
    assert_eq!((told.code, told.stderr.matches("CACHED").count()), (Some(0), 3), "{}", told.stderr);
    assert_eq!(layers(&daemon, "again", 3), before);
    // Its own steps count without any registry, though the client names another.
    let nowhere = format!("type=registry,ref={}/no/such:1", Registry::ADDRESS);
    let told = buildx(&daemon, &["--cache-from", &nowhere, &folder]).run();
    // All but the last, which came whole and has no parent here.
    assert_eq!((told.code, told.stderr.matches("CACHED").count()), (Some(0), 2), "{}", told.stderr);
    forget();
    let told = buildx(&daemon, &["--cache-from", &nowhere, &folder]).run();
    assert_eq!((told.code, told.stderr.matches("CACHED").count()), (Some(0), 0), "{}", told.stderr);
    let warning = format!("importing cache from {}/no/such:1 failed", Registry::ADDRESS);
    assert!(told.stderr.contains(&warning), "{}", told.stderr);
}

/// Whoever sends an image could say that it is what a step leaves; only what was built here counts.
#[test]
fn an_image_that_was_sent_is_no_step() {
    let daemon = Daemon::with_busybox();
    let folder = context(&daemon, "first", &[("Dockerfile", "FROM scratch\nCOPY --link f /\n"), ("f", "x")]);
    let again = || build(&daemon, &["-t", "first", &folder]).ok().contains("Using cache");
    assert!(!again() && again());
    let archive = daemon.path("first.tar").display().to_string();
    daemon.docker(&["save", "-o", &archive, "first"]).ok();
    daemon.docker(&["rmi", "first"]).ok();
    daemon.docker(&["load", "-i", &archive]).ok();
    assert!(!again() && again());
}
