//! `docker build` with the classic builder, and the API's own ways of failing.

use std::path::Path;

use testkit::{Daemon, Output};

/// Writes a context's files; names that end in a slash are folders.
pub(crate) fn context(daemon: &Daemon, name: &str, files: &[(&str, &str)]) -> String {
    let folder = daemon.path(name);
    for (file, text) in files {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder can be made");
        std::fs::write(path, text).expect("a file can be written");
    }
    folder.display().to_string()
}

pub(crate) fn build(daemon: &Daemon, arguments: &[&str]) -> Output {
    daemon.docker_program(&[&["build"], arguments].concat()).env("DOCKER_BUILDKIT", "0").run()
}

#[test]
fn stages_arguments_and_documents() {
    let daemon = Daemon::with_busybox();
    let dockerfile = "ARG BASE=none\nFROM $BASE AS first\nARG GREETING=hi\nENV A=1 B=\"two words\"\n\
        RUN echo \"$GREETING $A $B\" > /out\nWORKDIR /work/$A\nCOPY tree ./t/\nCOPY --chown=5:6 --chmod=600 tree/a /owned/dir/\n\
        COPY <<EOF /conf/file\nvalue=$A 'q' \\$A\nEOF\nRUN <<EOF\nset -e\npwd\ncat t/sub/b\nEOF\n\
        FROM scratch AS tools\nCOPY --from=first /bin/busybox /bin/box\n\
        FROM busybox\nCOPY --from=first /out /conf/file /res/\nCOPY --from=1 /bin/box /box\nCMD [\"cat\", \"/res/out\", \"/res/file\"]\n";
    let files = [("Dockerfile", dockerfile), ("tree/a", "a\n"), ("tree/sub/b", "b\n")];
    let folder = context(&daemon, "stages", &files);
    let told = build(
        &daemon,
        &["-t", "multi", "--build-arg", "BASE=busybox", "--build-arg", "GREETING=hello", "--label", "l=m", &folder],
    )
    .ok();
    assert!(told.contains("/work/1\nb\n") && told.ends_with("Successfully tagged multi:latest"), "{told}");
    assert_eq!(daemon.docker(&["run", "--rm", "multi"]).ok(), "hello 1 two words\nvalue=1 'q' $A");
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.Config.Labels.l}}", "multi"]).ok(), "m");
    let first = ["--target", "first", "-q", "--build-arg", "BASE=busybox", "--build-arg", "GREETING=hello", &folder];
    let id = build(&daemon, &first).ok();
    assert!(id.starts_with("sha256:"), "{id}");
    let owners = daemon.docker(&["run", "--rm", &id, "stat", "-c", "%u:%g %a", "/owned/dir/a", "/work/1/t/a"]).ok();
    assert_eq!(owners, "5:6 600\n0:0 644");
}

#[test]
fn the_cache_knows_files_by_their_content() {
    let daemon = Daemon::with_busybox();
    let dockerfile = "FROM busybox\nRUN echo once > /once\nCOPY f /f\nRUN cat /f > /g\n";
    let folder = context(&daemon, "cache", &[("Dockerfile", dockerfile), ("f", "1")]);
    let first = build(&daemon, &["-q", &folder]).ok();
    let again = build(&daemon, &[&folder]).ok();
    assert_eq!(again.matches("Using cache").count(), 3, "{again}");
    assert_eq!(build(&daemon, &["-q", &folder]).ok(), first);
    context(&daemon, "cache", &[("f", "2")]);
    let changed = build(&daemon, &[&folder]).ok();
    assert_eq!(changed.matches("Using cache").count(), 1, "{changed}");
    assert_eq!(build(&daemon, &["--no-cache", &folder]).ok().matches("Using cache").count(), 0);
    assert_eq!(daemon.docker(&["ps", "-aq"]).ok(), "");
}

#[test]
fn triggers_archives_and_ignored_files() {
    let daemon = Daemon::with_busybox();
    let parent = context(
        &daemon,
        "parent",
        &[("Dockerfile", "FROM busybox\nONBUILD COPY . /src\nONBUILD RUN ls -A /src > /list\n")],
    );
    build(&daemon, &["-t", "parent", &parent]).ok();
    let child = context(
        &daemon,
        "child",
        &[
            ("Dockerfile", "FROM parent\nADD a.tar /un/\n"),
            (".dockerignore", "*.log\n!keep.log\nDockerfile\n"),
            ("x.log", ""),
            ("keep.log", ""),
        ],
    );
    let packed =
        testkit::Program::new("tar").args(["-C", &parent, "-cf", &format!("{child}/a.tar"), "Dockerfile"]).run();
    packed.ok();
    let told = build(&daemon, &["-t", "child", &child]).ok();
    assert!(told.contains("# Executing 2 build triggers"), "{told}");
    assert_eq!(daemon.docker(&["run", "--rm", "child", "cat", "/list"]).ok(), ".dockerignore\na.tar\nkeep.log");
    assert!(daemon.docker(&["run", "--rm", "child", "cat", "/un/Dockerfile"]).ok().starts_with("FROM busybox"));
}

#[test]
fn failures_say_why() {
    let daemon = Daemon::with_busybox();
    let fails = |name: &str, dockerfile: &str, code: i32| {
        let folder = context(&daemon, name, &[("Dockerfile", dockerfile)]);
        build(&daemon, &[&folder]).fails(code)
    };
    let told = fails("exit", "FROM busybox\nRUN exit 3\n", 3);
    assert!(told.contains("The command '/bin/sh -c exit 3' returned a non-zero code: 3"), "{told}");
    let told = fails("unknown", "FROM busybox\nBANANA x\n", 1);
    assert!(told.contains("dockerfile parse error on line 2: unknown instruction: BANANA"), "{told}");
    let told = fails("missing", "FROM busybox\nCOPY nosuch /\n", 1);
    assert!(told.contains("file not found in build context"), "{told}");
    let told = fails("outside", "FROM busybox\nCOPY ../../etc/passwd /\n", 1);
    assert!(told.contains("forbidden path outside the build context"), "{told}");
    let told = fails("target", "FROM busybox\nFROM busybox AS x\nCOPY --from=7 /a /b\n", 1);
    assert!(told.contains("invalid stage index 7"), "{told}");
}

#[test]
fn a_dockerfile_from_elsewhere() {
    let daemon = Daemon::with_busybox();
    // The program rewrites the context then, and leaves its last block unpadded.
    let folder = context(&daemon, "elsewhere", &[("tree/a", "a\n")]);
    let file = context(&daemon, "dockerfiles", &[("other", "FROM busybox\nCOPY a /a\n")]) + "/other";
    build(&daemon, &["-t", "elsewhere", "-f", &file, &format!("{folder}/tree")]).ok();
    assert_eq!(daemon.docker(&["run", "--rm", "elsewhere", "cat", "/a"]).ok(), "a");
}

#[test]
fn a_base_that_is_not_here_is_pulled() {
    let daemon = Daemon::with_busybox();
    let registry = crate::space::Registry::start(&daemon);
    daemon.docker(&["tag", "busybox", "127.0.0.1:5000/base"]).ok();
    daemon.docker(&["push", "127.0.0.1:5000/base"]).ok();
    daemon.docker(&["rmi", "127.0.0.1:5000/base", "busybox"]).ok();
    let folder = context(&daemon, "pulled", &[("Dockerfile", "FROM 127.0.0.1:5000/base\nRUN echo here\n")]);
    let told = build(&daemon, &["-t", "pulled", &folder]).ok();
    assert!(told.contains("Pulling from base") && told.contains("here"), "{told}");
    drop(registry);
}
