//! Images for other machines than this.

use testkit::{Daemon, Registry};

use crate::build::{build, context};
use crate::buildkit::buildx;

/// What an image is for, and one of its labels.
fn shown(daemon: &Daemon, image: &str, label: &str) -> String {
    let inspected = daemon.get(&format!("/images/{image}/json")).json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let [os, architecture, variant] = ["Os", "Architecture", "Variant"].map(|key| text(&inspected[key]));
    format!("{os} {architecture} {variant}|{}", text(&inspected["Config"]["Labels"][label]))
}

#[test]
fn cross_compiling() {
    let daemon = Daemon::with_busybox();
    let file = "FROM --platform=$BUILDPLATFORM busybox AS made\nARG TARGETPLATFORM\nARG TARGETARCH\nARG TARGETVARIANT\n\
        RUN echo \"$TARGETPLATFORM $TARGETARCH $TARGETVARIANT\" > /out\n\
        FROM scratch AS files\nCOPY --from=made /out /out\nFROM files\nENV A=1\nADD packed.tar /d/\nLABEL l=m\n";
    let folder = context(&daemon, "cross", &[("Dockerfile", file), ("in/f", "added")]);
    testkit::Program::new("tar").args(["-C", &folder, "-cf", &format!("{folder}/packed.tar"), "in"]).run().ok();
    let cross = |platform: &str, name: &str| build(&daemon, &["--platform", platform, "-t", name, &folder]).ok();
    cross("linux/arm/v6", "cross:arm");
    let told = cross("linux/s390x", "cross:s390x");
    assert!(!told.contains("FROM scratch\n ---> Using cache"), "{told}");
    for (name, platform, out) in [
        ("cross:arm", "linux arm v6", "linux/arm/v6 arm v6\n"),
        ("cross:s390x", "linux s390x ", "linux/s390x s390x \n"),
    ] {
        assert_eq!(shown(&daemon, name, "l"), format!("{platform}|m"), "{name}");
        assert!(daemon.docker(&["inspect", "-f", "{{.Config.Env}}", name]).ok().ends_with("A=1]"));
        let container = daemon.docker(&["create", name, "none"]).ok();
        for (path, text) in [("/out", out), ("/d/in/f", "added")] {
            let to = daemon.path("copied").display().to_string();
            daemon.docker(&["cp", &format!("{container}:{path}"), &to]).ok();
            assert_eq!(std::fs::read_to_string(to).expect("a file can be read"), text, "{name} {path}");
        }
        daemon.docker(&["rm", &container]).ok();
    }
    // The same again is wholly cached.
    assert_eq!(cross("linux/arm/v6", "again").matches("Using cache").count(), 8);
    let wrong = daemon.docker(&["create", "--platform", "linux/s390x", "--pull", "never", "cross:arm", "x"]).fails(1);
    assert!(wrong.contains("does not provide the specified platform"), "{wrong}");
    daemon.docker(&["create", "--platform", "linux/s390x", "--name", "right", "cross:s390x", "x"]).ok();
}

#[test]
fn programs_of_other_machines() {
    let daemon = Daemon::with_busybox();
    let file = "FROM --platform=linux/s390x scratch\nCOPY --chmod=755 program /bin/sh\nRUN true\n";
    let folder = context(&daemon, "foreign", &[("Dockerfile", file)]);
    // For a machine that nobody has an interpreter for.
    let mut program = b"\x7fELF\x02\x02\x01\0\0\0\0\0\0\0\0\0\0\x02\xfe\xed\0\0\0\x01".to_vec();
    program.resize(256, 0);
    std::fs::write(format!("{folder}/program"), program).expect("a file can be written");
    let sentence = "cannot run programs for linux/s390x: register an interpreter for them with binfmt_misc";
    let told = build(&daemon, &[&folder]).fails(1);
    assert!(told.contains(sentence), "{told}");
    let told = buildx(&daemon, &[&folder]).run().fails(1);
    assert!(told.contains(sentence), "{told}");
    for (platform, words) in [
        ("windows/amd64", "images for windows cannot be built here"),
        ("linux//x", "an invalid platform; os/architecture[/variant] is wanted"),
    ] {
        let folder = context(&daemon, "wrong", &[("Dockerfile", &format!("FROM --platform={platform} busybox\n"))]);
        let told = build(&daemon, &[&folder]).fails(1);
        assert!(told.contains(words) && told.contains("1:"), "{told}");
    }
}

/// Pushes an image for each platform, and a list of them under one name.
fn push_list(daemon: &Daemon, name: &str, platforms: &[&str]) {
    let folder = context(
        daemon,
        "listed",
        &[("Dockerfile", "FROM scratch\nARG TARGETARCH\nLABEL for=$TARGETARCH\nCOPY f /\n"), ("f", "x")],
    );
    let mut entries = Vec::new();
    for platform in platforms {
        let architecture = platform.trim_start_matches("linux/");
        let single = format!("{name}-{architecture}");
        build(daemon, &["--platform", platform, "-t", &single, &folder]).ok();
        let pushed = daemon.docker(&["push", &single]).ok();
        let words: Vec<&str> = pushed.lines().last().unwrap_or_default().split_whitespace().collect();
        let [.., digest, _, size] = words.as_slice() else { panic!("{pushed}") };
        entries.push(format!(
            "{{\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\",\"size\":{size},\"digest\":\"{digest}\",\
             \"platform\":{{\"os\":\"linux\",\"architecture\":\"{architecture}\"}}}}"
        ));
        daemon.docker(&["rmi", &single]).ok();
    }
    let kind = "application/vnd.docker.distribution.manifest.list.v2+json";
    let list = format!("{{\"schemaVersion\":2,\"mediaType\":\"{kind}\",\"manifests\":[{}]}}", entries.join(","));
    let (repository, tag) = name.trim_start_matches(&format!("{}/", Registry::ADDRESS)).split_once(':').expect("a tag");
    let address = format!("http://{}/v2/{repository}/manifests/{tag}", Registry::ADDRESS);
    let content = format!("Content-Type: {kind}");
    daemon.on_host(&["curl", "-sf", "-X", "PUT", "-H", &content, "-d", &list, &address]).ok();
}

#[test]
fn bases_for_other_machines_are_fetched() {
    let daemon = Daemon::with_busybox();
    let _registry = Registry::beside(&daemon);
    let name = format!("{}/listed:1", Registry::ADDRESS);
    push_list(&daemon, &name, &["linux/s390x", "linux/riscv64"]);
    daemon.docker(&["image", "prune", "-f"]).ok();
    // What has the name here keeps it.
    daemon.docker(&["tag", "busybox", &name]).ok();
    let of_name = || daemon.docker(&["inspect", "-f", "{{.Id}}", &name]).ok();
    let before = of_name();
    let file = format!("ARG P\nFROM --platform=$P {name}\nCOPY f /g\n");
    let folder = context(&daemon, "upon", &[("Dockerfile", &file), ("f", "y")]);
    let for_platform =
        |platform: &str| build(&daemon, &["--build-arg", &format!("P={platform}"), "-t", "upon", &folder]);
    for_platform("linux/s390x").ok();
    assert_eq!(shown(&daemon, "upon", "for"), "linux s390x |s390x");
    let again = for_platform("linux/s390x").ok();
    assert!(again.contains("Using cache"), "{again}");
    let told =
        buildx(&daemon, &["--platform", "linux/riscv64", "--build-arg", "P=linux/riscv64", "-t", "upon:x", &folder])
            .run();
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    assert_eq!(shown(&daemon, "upon:x", "for"), "linux riscv64 |riscv64");
    assert_eq!(of_name(), before);
    let told = for_platform("linux/mips").fails(1);
    let here = format!(
        "{name} is here for linux/{}, and cannot be fetched for linux/mips: ",
        daemon.get("/version").json()["Arch"].as_str().unwrap_or_default()
    );
    assert!(told.contains(&here), "{told}");
    // What is here for the platform needs no registry.
    daemon.docker(&["tag", "upon", "other/name"]).ok();
    let local = context(&daemon, "local", &[("Dockerfile", "FROM --platform=linux/s390x other/name\nENV A=2\n")]);
    build(&daemon, &["-t", "local", &local]).ok();
    assert_eq!(shown(&daemon, "local", "for"), "linux s390x |s390x");
}
