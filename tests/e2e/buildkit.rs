//! `docker buildx build`, `POST /build?version=2`, and strangers at `/session` and `/grpc`.

use std::os::unix::net::UnixListener;

use testkit::{Daemon, Output, Program, Registry, environment};

use crate::build::{context, contexts};
use crate::lifecycle::eventually;

/// `docker buildx build` with plain progress.
pub(crate) fn buildx(daemon: &Daemon, arguments: &[&str]) -> Program {
    let plugins = daemon.path("docker-config/cli-plugins");
    if !plugins.exists() {
        std::fs::create_dir_all(&plugins).expect("a folder can be made");
        std::os::unix::fs::symlink(environment("LONGSHORE_BUILDX"), plugins.join("docker-buildx"))
            .expect("a link can be made");
    }
    daemon.docker_program(&[&["buildx", "build", "--progress=plain"], arguments].concat())
}

/// What a build told; buildx tells it on standard error.
fn told(output: &Output) -> String {
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    output.stderr.clone()
}

#[test]
fn stages_arguments_labels_and_the_cache() {
    let daemon = Daemon::with_busybox();
    let dockerfile = "ARG BASE=none\nFROM $BASE AS first\nARG GREETING\nRUN echo \"$GREETING\" > /out\n\
        FROM busybox AS never\nRUN exit 1\nFROM busybox\nCOPY --from=first /out /out\nCOPY . /all\n\
        RUN ls -A /all && stat -c '%a %u' /all/run.sh\nCMD [\"cat\", \"/out\"]\n";
    let files =
        [("Dockerfile", dockerfile), (".dockerignore", "*.log\n!keep.log\n"), ("run.sh", "x"), ("sub/deep/f", "y")];
    let folder = context(&daemon, "everything", &[&files[..], &[("a.log", ""), ("keep.log", "")]].concat());
    std::fs::set_permissions(format!("{folder}/run.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o751))
        .expect("a mode can be set");
    std::os::unix::fs::symlink("sub/deep", format!("{folder}/link")).expect("a link can be made");
    let arguments =
        ["--build-arg", "BASE=busybox", "--build-arg", "GREETING=hello", "--label", "l=m", "-t", "all", &folder];
    let first = told(&buildx(&daemon, &arguments).run());
    for line in [
        "[internal] load build definition from Dockerfile",
        "[internal] load build context",
        "[first 2/2] RUN echo \"$GREETING\" > /out",
        "[stage-2 4/4] RUN ls -A /all",
        ".dockerignore\n",
        "keep.log\n",
        "link\n",
        "751 0\n",
        "naming to docker.io/library/all",
    ] {
        assert!(first.contains(line), "{line:?} in {first}");
    }
    assert!(!first.contains("a.log") && !first.contains("CACHED"), "{first}");
    assert_eq!(daemon.docker(&["run", "--rm", "all"]).ok(), "hello");
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.Config.Labels.l}}", "all"]).ok(), "m");
    let again = told(&buildx(&daemon, &arguments).run());
    assert_eq!(again.matches("CACHED").count(), 4, "{again}");
    assert_eq!(told(&buildx(&daemon, &[&["--no-cache"], &arguments[..]].concat()).run()).matches("CACHED").count(), 0);
    let quiet = ["buildx", "build", "-q", "--target", "first", "--build-arg", "BASE=busybox", &folder];
    let target = daemon.docker(&quiet).ok();
    assert!(target.starts_with("sha256:"), "{target}");
}

#[test]
fn contexts_from_everywhere() {
    let daemon = Daemon::with_busybox();
    let folder = context(
        &daemon,
        "main",
        &[("other.Dockerfile", "FROM busybox\nCOPY --from=named f /\nCOPY --from=shell /bin/sh /s\nRUN cat /f\n")],
    );
    let named = context(&daemon, "named", &[("f", "of another context\n")]);
    let file = format!("{folder}/other.Dockerfile");
    let named = format!("named={named}");
    let arguments =
        ["-f", &file, "--build-context", &named, "--build-context", "shell=docker-image://busybox", &folder];
    let text = told(&buildx(&daemon, &arguments).run());
    let work = ["[internal] load build definition from other.Dockerfile", "[context named] load from client"];
    for line in [&work[..], &["transferring dockerfile:", "transferring context:", "of another context\n"]].concat() {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    let alone = buildx(&daemon, &["-"]).input("FROM busybox\nRUN echo alone\n").run();
    assert!(told(&alone).contains("alone\n"));
    let beside =
        buildx(&daemon, &["-f", "-", &folder]).input("FROM busybox\nCOPY other.Dockerfile /o\nRUN wc -l /o\n").run();
    assert!(told(&beside).contains("4 /o\n"));
    std::fs::write(format!("{folder}/Dockerfile"), "FROM busybox\nCOPY . /c\nRUN ls /c\n")
        .expect("a file can be written");
    let tar = daemon.path("context.tar");
    Program::new("tar").args(["-C", &folder, "-cf"]).args([&tar]).args(["."]).run().ok();
    let archive = buildx(&daemon, &["-"]).input(std::fs::read(&tar).expect("a file can be read")).run();
    assert!(told(&archive).contains("other.Dockerfile\n"));
}

#[test]
fn one_dockerfile_s_own_ignore_file_and_the_platform() {
    let daemon = Daemon::with_busybox();
    let dockerfile =
        "FROM --platform=$BUILDPLATFORM busybox\nARG TARGETARCH\nCOPY . /c\nRUN echo \"<$TARGETARCH>\"; ls /c\n";
    let files = [
        ("own.Dockerfile", dockerfile),
        ("own.Dockerfile.dockerignore", "skipped\n"),
        (".dockerignore", "seen\n"),
        ("skipped", ""),
        ("seen", ""),
    ];
    let folder = context(&daemon, "ignores", &files);
    let told = told(&buildx(&daemon, &["-f", &format!("{folder}/own.Dockerfile"), &folder]).run());
    assert!(told.contains(" seen\n") && !told.contains(" skipped\n") && !told.contains("<>"), "{told}");
}

/// As BuildKit 0.23 (Docker Engine 28.5.2) does it.
#[test]
fn folders_that_copying_makes_and_slashes_before_ignored_names() {
    let daemon = Daemon::with_busybox();
    let dockerfile = "FROM busybox\nCOPY --chmod=750 a /by/number/\nCOPY --chmod=u=rwX,go= a /by-letters/\n\
        COPY . /all/\nRUN find /all/tree; stat -c 'mode %a %n' /by /by/number /by-letters\n";
    let files = [("Dockerfile", dockerfile), (".dockerignore", "/tree/a\n"), ("a", ""), ("tree/a", ""), ("tree/c", "")];
    let folder = context(&daemon, "folders", &files);
    let told = told(&buildx(&daemon, &[&folder]).run());
    let there = ["/all/tree/c", "mode 750 /by", "mode 750 /by/number", "mode 755 /by-letters"];
    for line in there {
        assert!(told.contains(&format!(" {line}\n")), "{line:?}: {told}");
    }
    assert!(!told.contains("/all/tree/a\n"), "{told}");
}

#[test]
fn results_as_files() {
    let daemon = Daemon::with_busybox();
    let dockerfile = "FROM busybox AS made\nRUN mkdir -p /out/deep && echo made > /out/deep/f && ln -s deep/f /out/l && chmod 750 /out/deep\n\
        FROM scratch\nCOPY --from=made /out /\n";
    let folder = context(&daemon, "files", &[("Dockerfile", dockerfile)]);
    let output = daemon.path("output");
    told(&buildx(&daemon, &["-o", &output.display().to_string(), &folder]).run());
    assert_eq!(std::fs::read_to_string(output.join("l")).expect("the file came"), "made\n");
    let mode = std::fs::metadata(output.join("deep")).expect("the folder came").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o750);
    let archive = daemon.path("output.tar").display().to_string();
    told(&buildx(&daemon, &["-o", &format!("type=tar,dest={archive}"), &folder]).run());
    let listed = Program::new("tar").args(["-tf", &archive]).run().ok();
    assert!(listed.contains("deep/f\n") && listed.contains("l"), "{listed}");
    let refused = format!("type=oci,dest={archive}");
    assert!(buildx(&daemon, &["-o", &refused, &folder]).run().fails(1).contains("not supported"));
}

#[test]
fn an_image_is_pushed_and_built_upon() {
    let daemon = Daemon::with_busybox();
    let _registry = Registry::beside(&daemon);
    let name = format!("{}/team/base:1", Registry::ADDRESS);
    let folder = context(&daemon, "base", &[("Dockerfile", "FROM busybox\nRUN echo based > /base\n")]);
    told(&buildx(&daemon, &["--push", "-t", &name, &folder]).run());
    daemon.docker(&["rmi", &name]).ok();
    let dockerfile = format!("FROM {name}\nRUN cat /base\n");
    let folder = context(&daemon, "upon", &[("Dockerfile", &dockerfile)]);
    assert!(told(&buildx(&daemon, &[&folder]).run()).contains(" based\n"));
}

#[test]
fn what_a_client_lends() {
    let daemon = Daemon::with_busybox();
    let agent = daemon.path("agent.sock");
    // What is said over it is a test of the crate: an image of busybox has nothing that speaks with Unix sockets.
    let _listener = UnixListener::bind(&agent).expect("a socket can be bound");
    let dockerfile = "FROM busybox\n\
        RUN --mount=type=secret,id=token --mount=type=secret,id=word,env=WORD echo \"$(cat /run/secrets/token) $WORD\"\n\
        RUN --mount=type=cache,target=/cache echo n >> /cache/n; wc -l /cache/n\n\
        RUN --mount=type=ssh test -S $SSH_AUTH_SOCK && echo lent\n\
        RUN ls /run/secrets /run/buildkit 2>&1; true\n";
    let folder = context(&daemon, "lent", &[("Dockerfile", dockerfile), ("token", "from a file")]);
    let secret = format!("id=token,src={folder}/token");
    let arguments = ["--ssh", "default", "--secret", &secret, "--secret", "id=word,env=SECRET_WORD", &folder];
    let build = || buildx(&daemon, &arguments).env("SECRET_WORD", "from the environment").env("SSH_AUTH_SOCK", &agent);
    let first = told(&build().run());
    assert!(first.contains("from a file from the environment\n"), "{first}");
    assert!(first.contains(" lent\n") && first.contains(" 1 /cache/n\n"), "{first}");
    let usage = daemon.docker(&["buildx", "du", "--verbose"]).ok();
    assert!(usage.contains("exec.cachemount"), "{usage}");
    daemon.docker(&["buildx", "prune", "-f"]).ok();
    assert!(!daemon.docker(&["buildx", "du", "--verbose"]).ok().contains("exec.cachemount"));
    assert!(!daemon.docker(&["history", "--no-trunc", "-q", "busybox"]).ok().contains("from a file"));
    let missing =
        context(&daemon, "missing", &[("Dockerfile", "FROM busybox\nRUN --mount=type=secret,id=no,required true\n")]);
    assert!(buildx(&daemon, &[&missing]).run().fails(1).contains("secret no: not found"));
}

#[test]
fn failures_say_why_and_where() {
    let daemon = Daemon::with_busybox();
    let fails = |name: &str, dockerfile: &str, words: &[&str]| {
        let folder = context(&daemon, name, &[("Dockerfile", dockerfile)]);
        let told = buildx(&daemon, &[&folder]).run().fails(1);
        for words in words {
            assert!(told.contains(words), "{words:?} in {told}");
        }
    };
    let exit = "FROM busybox\nRUN echo before; exit 3\nRUN true\n";
    let process = "process \"/bin/sh -c echo before; exit 3\" did not complete successfully: exit code: 3";
    fails("exit", exit, &["before\n", "   2 | >>> RUN echo before; exit 3", process]);
    let folder = context(&daemon, "words", &[("Dockerfile", exit)]);
    let told = buildx(&daemon, &[&folder]).run().fails(1);
    assert_eq!(told.matches(process).count(), 2, "{told}");
    fails("parse", "FROM busybox\nBANANA x\n", &["   2 | >>> BANANA x", "unknown instruction: BANANA"]);
    fails("outside", "FROM busybox\nCOPY ../../etc/passwd /\n", &["ERROR: failed to"]);
    let missing = "failed to compute cache key: \"/nosuch\": not found";
    fails("missing", "FROM busybox\nRUN true\nCOPY nosuch /\n", &[missing, " 3:6 | ", "   3 | >>> COPY nosuch /"]);
    let folder = context(&daemon, "none", &[("other", "")]);
    let told = buildx(&daemon, &[&folder]).run().fails(1);
    assert!(told.contains("Dockerfile"), "{told}");
    let folder = context(&daemon, "refused", &[("Dockerfile", "FROM busybox\n")]);
    for arguments in [
        &["--build-arg", "BUILDKIT_SYNTAX=docker/dockerfile:1", &folder] as &[&str],
        &["--platform", "linux/amd64,linux/s390x", &folder],
    ] {
        let told = buildx(&daemon, arguments).run().fails(1);
        assert!(told.contains("not built into") || told.contains("not supported"), "{told}");
    }
}

#[test]
fn an_interrupted_build_leaves_nothing() {
    let daemon = Daemon::with_busybox();
    let folder = context(&daemon, "long", &[("Dockerfile", "FROM busybox\nRUN echo begun && sleep 1000\n")]);
    // The program behind `docker buildx` itself: not every `docker` hands signals on to it.
    let client = Program::new(environment("LONGSHORE_BUILDX")).args(["build", &folder]);
    let client = client.env("DOCKER_HOST", daemon.host()).env("DOCKER_CONFIG", daemon.path("docker-config"));
    let mut client = client.start();
    let running = || daemon.docker(&["ps", "-q"]).ok();
    eventually(|| !running().is_empty());
    Program::new("kill").args(["-INT", &client.id().to_string()]).run().ok();
    eventually(|| client.try_wait().expect("a child can be waited for").is_some());
    eventually(|| daemon.docker(&["ps", "-aq"]).ok().is_empty());
    eventually(|| contexts(&daemon) == 0);
    let quick = context(&daemon, "quick", &[("Dockerfile", "FROM busybox\nRUN true\n")]);
    told(&buildx(&daemon, &[&quick]).run());
}

#[test]
fn two_builds_at_once() {
    let daemon = Daemon::with_busybox();
    let builds = ["one", "two"].map(|name| {
        let dockerfile = format!("FROM busybox\nRUN echo {name} > /name\n");
        let folder = context(&daemon, name, &[("Dockerfile", &dockerfile)]);
        buildx(&daemon, &["-t", name, &folder])
    });
    let outputs: Vec<Output> = std::thread::scope(|scope| {
        let running = builds.map(|build| scope.spawn(|| build.run()));
        running.into_iter().map(|build| build.join().expect("a build ends")).collect()
    });
    outputs.iter().for_each(|output| drop(told(output)));
    for name in ["one", "two"] {
        assert_eq!(daemon.docker(&["run", "--rm", name, "cat", "/name"]).ok(), name);
    }
}

/// Several targets at once, whose files come over one session.
#[test]
fn baking() {
    let daemon = Daemon::with_busybox();
    let dockerfile = "FROM busybox AS one\nARG X\nCOPY f /\nRUN echo $X >> /f\nFROM one AS two\nRUN echo two >> /f\n\
        FROM other AS three\nCOPY --from=other /f /g\nRUN echo three >> /f\n";
    let target = |name: &str| {
        format!(
            "target \"{name}\" {{\n  target = \"{name}\"\n  tags = [\"baked:{name}\"]\n  args = {{ X = \"y\" }}\n}}\n"
        )
    };
    // The third stands on what the second makes.
    let linked = target("three").replacen("{\n", "{\n  contexts = { other = \"target:two\" }\n", 1);
    let group = "group \"default\" { targets = [\"one\", \"two\", \"three\"] }";
    let file = format!("{group}\n{}{}{linked}", target("one"), target("two"));
    let files = [("Dockerfile", dockerfile), ("docker-bake.hcl", &file), ("f", "x\n")];
    let folder = context(&daemon, "baked", &files);
    let buildx = daemon.path("docker-config/buildx").display().to_string();
    let client = Program::new("sh").args(["-c", "cd \"$0\" && exec \"$@\"", &folder]);
    let client = client
        .args([environment("LONGSHORE_BUILDX")])
        .args(["bake", "--progress=plain"])
        .env("DOCKER_HOST", daemon.host());
    told(&client.env("DOCKER_CONFIG", daemon.path("docker-config")).env("BUILDX_CONFIG", &buildx).run());
    for (name, contents) in [("one", "x\ny"), ("two", "x\ny\ntwo"), ("three", "x\ny\ntwo\nthree")] {
        assert_eq!(daemon.docker(&["run", "--rm", &format!("baked:{name}"), "cat", "/f"]).ok(), contents);
    }
}

#[test]
fn docker_programs_without_buildx() {
    let daemon = Daemon::with_busybox();
    assert_eq!(daemon.get("/_ping").header("Builder-Version"), Some("2"));
    let folder =
        context(&daemon, "old", &[("Dockerfile", "FROM busybox\nCOPY f /\nRUN cat /f\n"), ("f", "contents\n")]);
    let tar = daemon.path("context.tar");
    Program::new("tar").args(["-C", &folder, "-cf"]).args([&tar]).args(["."]).run().ok();
    let tar = std::fs::read(tar).expect("a file can be read");
    let post = |path: &str| {
        let mut connection = daemon.connect();
        connection.request("POST", path, "Content-Type: application/x-tar\r\n", &tar);
        connection.answer()
    };
    let answer = post("/v1.41/build?version=2&t=old:1");
    let text = answer.text();
    assert!(text.contains("\"moby.buildkit.trace\"") && text.contains("\"moby.image.id\""), "{text}");
    assert!(post("/build?version=2&q=1").text().starts_with("{\"stream\":\"sha256:"));
    assert_eq!(daemon.docker(&["run", "--rm", "old:1", "cat", "/f"]).ok(), "contents");
    // The context comes with a request of its own.
    std::thread::scope(|scope| {
        let build =
            scope.spawn(|| daemon.call("POST", "/build?version=2&remote=upload-request&buildid=b1&t=old:2", None));
        assert_eq!(post("/build?version=2&buildid=upload-request%3Ab1").status, 200);
        let text = build.join().expect("a build ends").text();
        assert!(text.contains("\"moby.image.id\""), "{text}");
    });
    assert_eq!(daemon.call("POST", "/build/cancel", None).status, 400);
    assert_eq!(daemon.call("POST", "/build/cancel?id=nosuch", None).status, 200);
    // The program itself, where it is of that age.
    let version = daemon.docker(&["version", "--format", "{{.Client.Version}}"]).ok();
    let age: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default();
    if age < 23 {
        let build =
            daemon.docker_program(&["build", "--progress=plain", "--no-cache", &folder]).env("DOCKER_BUILDKIT", "1");
        assert!(told(&build.run()).contains("contents\n"));
    }
}

#[test]
fn strangers_at_the_upgraded_connections() {
    let daemon = Daemon::with_busybox();
    let upgrade = "Connection: Upgrade\r\nUpgrade: h2c\r\n";
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for path in ["/grpc", "/session"] {
        assert_eq!(daemon.call("POST", path, None).status, 400);
        for (number, garbage) in
            [&b"\0\xff\xff"[..], preface, &[0xff; 70_000], b"GET / HTTP/1.1\r\n\r\n"].iter().enumerate()
        {
            let headers = format!("{upgrade}X-Docker-Expose-Session-Uuid: s{number}\r\n");
            let mut connection = daemon.connect();
            connection.request("POST", path, &headers, b"");
            let (status, head) = connection.head();
            assert!(status == 101 && head.to_ascii_lowercase().contains("upgrade: h2c"), "{status} {head}");
            connection.offer(garbage);
            drop(connection);
        }
    }
    let mut nameless = daemon.connect();
    nameless.request("POST", "/session", upgrade, b"");
    assert_eq!(nameless.answer().status, 400);
    // A build whose session nobody opens comes to an end.
    let text = daemon.call("POST", "/build?version=2&remote=client-session&session=nobody", None).text();
    assert!(text.contains("no active session for nobody"), "{text}");
    assert_eq!(daemon.get("/_ping").status, 200);
}
