//! Layers that do not depend on what lies beneath them: `COPY --link`, `ADD --link`.

use testkit::Daemon;

use crate::build::{archive, build, context};

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
    let expected = "/data 755 7 8\n/data/deep 755 7 8\n/data/deep/f 640 7 8\n/l 755 0 0\n/w/here 644 0 0\nunpacked";
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
