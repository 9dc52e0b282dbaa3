//! What a client may ask of a build beside its files.

use testkit::{Daemon, Registry};

use crate::build::{archive, build, context, contexts, post};
use crate::buildkit::buildx;
use crate::lifecycle::eventually;
use crate::registry_servers::{Served, USER};

#[test]
fn limits_of_the_containers_of_steps() {
    let daemon = Daemon::with_busybox();
    let file = "FROM busybox\nRUN grep extra /etc/hosts; df -k /dev/shm | tail -1; ulimit -n; ls /sys/class/net\n\
        RUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2> /dev/null; true\n";
    let folder = context(&daemon, "limits", &[("Dockerfile", file)]);
    let flags = [
        "--network",
        "none",
        "--add-host",
        "extra:10.1.2.3",
        "--shm-size",
        "2m",
        "--ulimit",
        "nofile=123",
        "-m",
        "33m",
    ];
    let told = build(&daemon, &[&flags[..], &[&folder]].concat()).ok();
    for words in ["10.1.2.3\textra", "2048", "\n123\n", "34603008"] {
        assert!(told.contains(words), "{words} is not in {told}");
    }
    assert!(!told.contains("eth0"), "{told}");
}

#[test]
fn steps_of_images_that_came_from_elsewhere_count() {
    let daemon = Daemon::with_busybox();
    let file = "FROM busybox\nRUN echo $RANDOM > /a\nENV X=1\nRUN echo $RANDOM > /b\n";
    let folder = context(&daemon, "from", &[("Dockerfile", file)]);
    let first = build(&daemon, &["-q", "-t", "cached", &folder]).ok();
    let archive = daemon.path("cached.tar").display().to_string();
    daemon.docker(&["save", "-o", &archive, "cached", "busybox"]).ok();
    daemon.docker(&["rmi", "cached", "busybox"]).ok();
    daemon.docker(&["load", "-i", &archive]).ok();
    let told = build(&daemon, &["--cache-from", "cached,nosuch", &folder]).ok();
    assert_eq!(told.matches("Using cache").count(), 3, "{told}");
    assert!(told.contains(&format!("Successfully built {}", &first[7..19])), "{told}");
    // Once images are named, nothing but them counts.
    let told = build(&daemon, &["--cache-from", "nosuch", &folder]).ok();
    assert_eq!(told.matches("Using cache").count(), 0, "{told}");
    // One more step: all before it is there, and its layers are not made again.
    let longer = context(&daemon, "longer", &[("Dockerfile", &format!("{file}RUN cat /a /b > /c\n"))]);
    let told = build(&daemon, &["--cache-from", "cached", "-t", "longer", &longer]).ok();
    assert_eq!(told.matches("Using cache").count(), 3, "{told}");
    let layers = |image: &str| daemon.docker(&["inspect", "-f", "{{join .RootFS.Layers \" \"}}", image]).ok();
    assert!(layers("longer").starts_with(&layers("cached")));
    daemon.docker(&["rmi", "longer", "cached", "busybox"]).ok();
    daemon.docker(&["image", "prune", "-f"]).ok();
    daemon.docker(&["load", "-i", &archive]).ok();
    let told = buildx(&daemon, &["--cache-from", "cached", &folder]).run();
    assert_eq!((told.code, told.stderr.matches("CACHED").count()), (Some(0), 2), "{}", told.stderr);
}

#[test]
fn one_layer_of_many() {
    let daemon = Daemon::with_busybox();
    let file = "FROM busybox\nRUN mkdir /d && echo 1 > /d/1 && echo gone > /gone && ln -s 1 /d/l\nRUN rm -r /gone /d && mkdir /d && echo 2 > /d/2\n\
        ENV X=1\nRUN rm /bin/vi && echo 3 > /d/3\n";
    let folder = context(&daemon, "squash", &[("Dockerfile", file)]);
    build(&daemon, &["-t", "many", &folder]).ok();
    // The program offers it for daemons with experiments only.
    let told = post(&daemon, "squash=1&t=one", &archive(&folder, ""));
    assert!(told.contains("Successfully tagged one:latest"), "{told}");
    let layers = |image: &str| daemon.docker(&["inspect", "-f", "{{len .RootFS.Layers}} {{.Config.Env}}", image]).ok();
    let env = "[PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin X=1]";
    assert_eq!((layers("many"), layers("one")), (format!("4 {env}"), format!("2 {env}")));
    let files =
        |image: &str| daemon.docker(&["run", "--rm", image, "sh", "-c", "ls / /d; cat /d/*; ls /bin/vi"]).stdout;
    assert_eq!(files("one"), files("many"));
    assert!(files("one").ends_with("2\n3\n2\n3\n"), "{}", files("one"));
}

#[test]
fn base_images_are_fetched_again_when_asked() {
    let daemon = Daemon::with_busybox();
    let _registry = Registry::beside(&daemon);
    let name = format!("{}/base", Registry::ADDRESS);
    let newer = context(&daemon, "newer", &[("Dockerfile", "FROM busybox\nRUN echo newer > /word\n")]);
    build(&daemon, &["-t", &name, &newer]).ok();
    daemon.docker(&["push", &name]).ok();
    daemon.docker(&["tag", "busybox", &name]).ok();
    let folder = context(&daemon, "user", &[("Dockerfile", &format!("FROM {name}\nRUN cat /word || echo old''er\n"))]);
    assert!(build(&daemon, &[&folder]).ok().contains("older\n"));
    let told = build(&daemon, &["--pull", &folder]).ok();
    assert!(told.contains("\nnewer\n") && told.contains("Status: Downloaded newer image"), "{told}");
    daemon.docker(&["rmi", "-f", &name]).ok();
    let told = build(&daemon, &[&folder]).ok();
    assert!(told.contains("Pulling from base"), "{told}");
}

#[test]
fn base_images_behind_a_login() {
    let daemon = Daemon::with_busybox();
    let registry = Served::today(&daemon, 5000, true, None);
    let (name, host) = (registry.name("team/base"), format!("127.0.0.1:{}", registry.port));
    let folder = context(&daemon, "private", &[("Dockerfile", &format!("FROM {name}\nRUN echo let in\n"))]);
    daemon.docker(&["login", "-u", USER.0, "-p", USER.1, &host]).ok();
    daemon.docker(&["tag", "busybox", &name]).ok();
    daemon.docker(&["push", &name]).ok();
    daemon.docker(&["rmi", &name]).ok();
    assert!(build(&daemon, &[&folder]).ok().contains("\nlet in\n"));
    daemon.docker(&["logout", &host]).ok();
    let told = build(&daemon, &["--pull", &folder]).fails(1);
    assert!(told.contains("no basic auth credentials"), "{told}");
}

#[test]
fn networks_of_the_host() {
    let daemon = Daemon::with_busybox();
    let _server = Served::files(&daemon, 8081, &[("f", "of the host\n")]);
    let fetch = "wget -q -O - http://127.0.0.1:8081/f";
    let of_step = context(&daemon, "step", &[("Dockerfile", &format!("FROM busybox\nRUN --network=host {fetch}\n"))]);
    assert!(build(&daemon, &[&of_step]).ok().contains("\nof the host\n"));
    let of_build = context(&daemon, "build", &[("Dockerfile", &format!("FROM busybox\nRUN {fetch}\n"))]);
    assert!(build(&daemon, &["--network", "host", &of_build]).ok().contains("\nof the host\n"));
    build(&daemon, &["--no-cache", &of_build]).fails(1);
}

#[test]
fn times_of_folders_are_the_contexts() {
    let daemon = Daemon::with_busybox();
    let file = "FROM busybox\nCOPY . /c/\nRUN stat -c '%n %Y' /c/d /c/d/f\n\
        WORKDIR /made/deep\nRUN [ $(stat -c %Y /made/deep) -gt 1000000000 ]\n";
    let files = [("Dockerfile", file), (".dockerignore", "d/skip\n"), ("d/f", ""), ("d/skip", "")];
    let folder = context(&daemon, "times", &files);
    for path in ["d/f", "d"] {
        testkit::Program::new("touch").args(["-d", "@1000000000", &format!("{folder}/{path}")]).run().ok();
    }
    let told = build(&daemon, &[&folder]).ok();
    assert!(told.contains("/c/d 1000000000\n/c/d/f 1000000000\n"), "{told}");
}

/// By the flag's older name, which Debian's buildx of every age knows; `--check` and `--call` ask the same.
#[test]
fn questions_about_a_dockerfile() {
    let daemon = Daemon::with_busybox();
    let file = "ARG G=1\nFROM nosuch as first\nARG A\nRUN --mount=type=secret,id=token,required exit 1\nFROM first AS last\nCMD x\n";
    let folder = context(
        &daemon,
        "asked",
        &[("Dockerfile", file), ("clean", "FROM nosuch\n"), ("broken", "FROM x\nBANANA y\n")],
    );
    let ask = |words: &[&str]| buildx(&daemon, &[words, &[&folder]].concat()).env("BUILDX_EXPERIMENTAL", "1").run();
    let lint = ask(&["--print=lint"]);
    for words in ["FromAsCasing", "JSONArgsRecommended", "Dockerfile:2", "Dockerfile:6"] {
        assert!(lint.stdout.contains(words), "{words} is not in {lint:?}");
    }
    let dockerfile = |name: &str| format!("{folder}/{name}");
    let clean = ask(&["--print=lint", "-f", &dockerfile("clean")]);
    assert!(clean.code == Some(0) && !clean.stdout.contains("WARNING"), "{clean:?}");
    let broken = ask(&["--print=lint,format=json", "-f", &dockerfile("broken")]);
    assert!(broken.stdout.contains("unknown instruction: BANANA"), "{broken:?}");
    let outline = ask(&["--print=outline", "--build-arg", "A=given", "--target", "first"]);
    for words in ["first", "G", "given", "token"] {
        assert!(outline.code == Some(0) && outline.stdout.contains(words), "{words} is not in {outline:?}");
    }
    let targets = ask(&["--print=targets"]);
    assert!(targets.stdout.contains("first") && targets.stdout.contains("last (default)"), "{targets:?}");
    assert!(ask(&["--print=nonsense"]).fails(1).contains("frontend.nonsense"));
}

/// Below 1.3: a form with `Dockerfile` and `Context`, or a Dockerfile alone; told in the words of the first builder.
#[test]
fn the_first_builder() {
    let daemon = Daemon::with_busybox();
    let folder =
        context(&daemon, "first", &[("Dockerfile", "FROM busybox\nADD f /f\nBANANA x\nRUN cat /f\n"), ("f", "form\n")]);
    archive(&folder, "bz2");
    let socket = daemon.socket().display().to_string();
    let curl = |version: &str, query: &str, words: &[&str]| {
        let address = format!("http://x/{version}/build{query}");
        testkit::Program::new("curl").args(["-s", "--unix-socket", &socket, &address]).args(words).run().ok()
    };
    let form = ["-F", &format!("Dockerfile=@{folder}/Dockerfile"), "-F", &format!("Context=@{folder}.tar")];
    let told = curl("v1.2", "?t=first", &form);
    let told = told.replace('\r', "");
    let id = told.rsplit("===> ").next().unwrap_or_default().trim().to_owned();
    for words in [
        "FROM busybox ()\n===> ",
        "\nADD f /f (",
        "Skipping unknown instruction BANANA\n",
        "\nform\n",
        "Build successful.\n",
    ] {
        assert!(told.contains(words), "{words} is not in {told}");
    }
    assert!(daemon.docker(&["inspect", "-f", "{{.Id}}", "first"]).ok().contains(&id), "{told}");
    let alone =
        format!("@{}", context(&daemon, "alone", &[("Dockerfile", "FROM busybox\nRUN exit 3\n")]) + "/Dockerfile");
    let told = curl("v1.0", "", &["-H", "Content-Type: text/plain", "--data-binary", &alone]);
    assert!(
        told.contains("RUN exit 3 (")
            && told.ends_with("Error build: The command [/bin/sh -c exit 3] returned a non-zero code: 3"),
        "{told}"
    );
}

/// A daemon that is killed in the middle of a step leaves nothing of it to the next one but what was done before.
#[test]
fn a_build_that_is_cut_off_leaves_only_cache() {
    let mut daemon = Daemon::with_busybox();
    let file = "FROM busybox\nRUN echo done > /done\nVOLUME /v\nRUN sleep 1000\n";
    let folder = context(&daemon, "cut", &[("Dockerfile", file)]);
    for (kill, arguments) in [(true, &["build", "--rm=false"][..]), (false, &["build"])] {
        let words = [arguments, &[folder.as_str()]].concat();
        let mut client = daemon.docker_program(&words).env("DOCKER_BUILDKIT", "0").start();
        let running = |daemon: &Daemon| daemon.docker(&["ps", "-q"]).ok();
        eventually(|| !running(&daemon).is_empty());
        if kill {
            daemon.kill();
            client.wait().expect("a child can be waited for");
            daemon.restart();
        } else {
            client.kill().expect("a child can be killed");
            client.wait().expect("a child can be waited for");
        }
        eventually(|| running(&daemon).is_empty());
        eventually(|| contexts(&daemon) == 0);
        let left = daemon.docker(&["ps", "-aq"]).ok();
        let kept = if kill { 1 } else { 0 };
        assert!(left.lines().count() <= kept, "{left}");
        daemon.docker(&["container", "prune", "-f"]).ok();
        assert_eq!(daemon.docker(&["volume", "ls", "-q"]).ok(), "");
    }
    let file = "FROM busybox\nRUN echo done > /done\nVOLUME /v\n";
    let told = build(&daemon, &[&context(&daemon, "cut", &[("Dockerfile", file)])]).ok();
    assert_eq!(told.matches("Using cache").count(), 2, "{told}");
}
