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

/// How many contexts and fetched files builds have now.
pub(crate) fn contexts(daemon: &Daemon) -> usize {
    let entries = std::fs::read_dir(daemon.path("data/tmp")).expect("a folder can be read");
    entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("build-")).count()
}

/// A tar of a folder, packed by what Python calls it: not at all, `gz`, `bz2` or `xz`.
pub(crate) fn archive(folder: &str, packing: &str) -> Vec<u8> {
    let script = "import sys, tarfile\nwith tarfile.open(sys.argv[1] + '.tar', 'w:' + sys.argv[2]) as tar: tar.add(sys.argv[1], '.')";
    testkit::Program::new("python3").args(["-c", script, folder, packing]).run().ok();
    std::fs::read(format!("{folder}.tar")).expect("a file can be read")
}

/// Builds what is in an archive by the API; what it told.
pub(crate) fn post(daemon: &Daemon, query: &str, archive: &[u8]) -> String {
    let mut connection = daemon.connect();
    connection.request("POST", &format!("/build?{query}"), "Content-Type: application/x-tar\r\n", archive);
    connection.answer().text()
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

/// A small plain context whose steps are all cached is answered out of memory; a packed one takes the long way.
#[test]
fn what_is_remembered_is_told_as_what_is_built() {
    let daemon = Daemon::with_busybox();
    let base = context(&daemon, "base", &[("Dockerfile", "FROM busybox\nONBUILD ENV A=$A\nONBUILD COPY f /f\n")]);
    build(&daemon, &["-q", "-t", "triggers", &base]).ok();
    let metadata =
        "ARG V=1\nFROM busybox AS first\nARG V\nENV A=$V B=b\nRUN echo $A > /a\nWORKDIR /w\nLABEL l=$V\nCMD [\"sh\"]\n";
    let metadata_steps = 6;
    let cases = [
        ("metadata", metadata.to_owned()),
        ("stages", format!("{metadata}FROM first\nRUN echo 2 > /2\nFROM first AS unused\nRUN false\nFROM 1\nUSER 1\n")),
        ("files", format!("{metadata}COPY f /f\nRUN cat /f\n")),
        ("mounts", format!("{metadata}RUN --mount=type=bind,target=/c cat /c/f\n")),
        ("triggers", "FROM triggers\nRUN cat /f\n".to_owned()),
        ("fails", format!("{metadata}RUN exit 3\n")),
        ("malformed", format!("{metadata}ENV\n")),
    ];
    for (name, dockerfile) in cases {
        let folder = context(&daemon, name, &[("Dockerfile", &dockerfile), ("f", "1\n")]);
        let (plain, packed) = (archive(&folder, ""), archive(&folder, "gz"));
        for query in ["", "q=1", "t=named:1", "buildargs={\"none\":\"x\"}"] {
            post(&daemon, query, &plain);
            let [long, short] = [&packed, &plain].map(|archive| post(&daemon, query, archive));
            match name {
                // With the ids of containers.
                "fails" => assert_eq!(short.lines().last(), long.lines().last()),
                _ => assert_eq!(short, long, "{name}, {query}"),
            }
            let cached = if query == "q=1" { 0 } else { metadata_steps };
            assert!(name != "metadata" || short.matches("Using cache").count() == cached, "{query}: {short}");
        }
        let again = post(&daemon, "nocache=1", &plain);
        assert!(!again.contains("Using cache"), "{again}");
    }
    assert_eq!(contexts(&daemon), 0);
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
    let place =
        "dockerfile parse error on line 2: unknown instruction: BANANA\n 2:1 | BANANA x\n     | ^^^^^^ expected: ";
    assert!(told.contains(place), "{told}");
    let told = fails("word", "FROM busybox\nENV A=1 \\\n  B=${b\n", 1);
    let place = "failed to process \"${b\": syntax error: missing '}'\n 3:5 |   B=${b\n     |     ^^^ expected: ENV name=value...";
    assert!(told.contains(place), "{told}");
    let told = fails("port", "FROM busybox\nEXPOSE 80 http\n", 1);
    assert!(told.contains("invalid containerPort: http\n 2:8 | EXPOSE 80 http\n"), "{told}");
    let told = fails("frontend", "# syntax=somebody/else:1\nFROM busybox\n", 1);
    assert!(told.contains("# syntax=somebody/else:1 names a frontend for another language"), "{told}");
    let told = fails("check", "# check=error=true\nFROM busybox\nCMD x\n", 1);
    assert!(told.contains("lint violation found for rules: JSONArgsRecommended (line 3)"), "{told}");
    missing_sources(&fails);
    let told = fails("device", "FROM busybox\nRUN --device=vendor.com/class=name true\n", 1);
    assert!(told.contains("RUN --device=vendor.com/class=name: devices"), "{told}");
    let told = fails("target", "FROM busybox\nFROM busybox AS x\nCOPY --from=7 /a /b\n", 1);
    assert!(told.contains("invalid stage index 7"), "{told}");
}

/// A source that is not there is shown where it is written.
fn missing_sources(fails: &dyn Fn(&str, &str, i32) -> String) {
    let ignored = "file not found in build context or excluded by .dockerignore: stat nosuch: file does not exist";
    for (name, line, words, place) in [
        ("copied", "COPY . nosuch /d/", &format!("COPY failed: {ignored}"), (2, 8, "COPY . nosuch /d/", 6)),
        (
            "added",
            "ADD a* \\\n  nosuch /d/",
            &"ADD failed: no source files were specified".to_owned(),
            (2, 5, "ADD a* \\", 2),
        ),
        ("variable", "ENV X=nosuch\nADD $X /", &format!("ADD failed: {ignored}"), (3, 5, "ADD $X /", 2)),
        (
            "stage",
            "COPY --from=0 /bin/sh /nosuch /",
            &"COPY failed: stat /nosuch: file does not exist".to_owned(),
            (3, 23, "COPY --from=0 /bin/sh /nosuch /", 7),
        ),
        (
            "outside",
            "COPY ../../etc/passwd /",
            &"COPY failed: forbidden path outside the build context: ../../etc/passwd ()".to_owned(),
            (2, 6, "COPY ../../etc/passwd /", 16),
        ),
    ] {
        let from = if name == "stage" { "FROM busybox\nFROM busybox\n" } else { "FROM busybox\n" };
        let told = fails(name, &format!("{from}{line}\n"), 1);
        let (number, column, text, length) = place;
        let shown = format!("{words}\n {number}:{column} | {text}\n");
        assert!(told.contains(&shown), "{shown:?} is not in {told}");
        assert!(told.contains(&format!("{} expected: a pa", "^".repeat(length))), "{told}");
    }
}

#[test]
fn stages_that_need_nothing_of_each_other_run_at_once() {
    let daemon = Daemon::with_busybox();
    // Each of two stages waits for the other; what the target does not need would fail.
    let stage = |own: &str, other: &str| {
        format!(
            "FROM busybox AS {own}\nRUN --mount=type=cache,target=/met touch /met/{own}; n=0; \
             until [ -e /met/{other} ]; do sleep 0.1; n=$((n + 1)); [ $n -lt 300 ] || exit 1; done\n"
        )
    };
    let file = format!(
        "{}{}FROM busybox AS unwanted\nRUN exit 9\nFROM busybox\nCOPY --from=one /bin/true /1\nCOPY --from=two /bin/true /2\n",
        stage("one", "two"),
        stage("two", "one")
    );
    let told = build(&daemon, &[&context(&daemon, "met", &[("Dockerfile", &file)])]).ok();
    assert!(!told.contains("unwanted"), "{told}");
}

#[test]
fn arguments_that_need_no_declaration() {
    let daemon = Daemon::with_busybox();
    let file = "FROM --platform=$BUILDPLATFORM busybox\nRUN echo \"proxy=$HTTP_PROXY arch=$TARGETARCH\"\nARG TARGETARCH\n\
        ARG TARGETPLATFORM\nRUN echo \"arch=$TARGETARCH platform=$TARGETPLATFORM\"\n";
    let folder = context(&daemon, "arguments", &[("Dockerfile", file)]);
    let version = daemon.get("/version").json();
    let architecture = version["Arch"].as_str().expect("an architecture");
    let platform = format!("linux/{architecture}");
    let of_proxy = |proxy: &str| {
        let argument = format!("HTTP_PROXY={proxy}");
        build(&daemon, &["--platform", &platform, "--build-arg", &argument, "-t", "arguments", &folder]).ok()
    };
    let told = of_proxy("http://one:1");
    assert!(told.contains("proxy=http://one:1 arch=\n"), "{told}");
    assert!(told.contains(&format!("arch={architecture} platform={platform}\n")), "{told}");
    // A proxy is how files come, not which: it is no part of the image.
    let told = of_proxy("http://two:2");
    assert_eq!(told.matches("Using cache").count(), 4, "{told}");
    assert!(!daemon.docker(&["history", "--no-trunc", "arguments"]).ok().contains("http://one"));
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
