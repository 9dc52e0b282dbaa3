//! Dockerfiles as people write them, on images made of Debian's packages, built offline: `tests/dockerfiles`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use testkit::{Daemon, Output, Program, environment};

/// One of the folders in `tests/dockerfiles`.
pub(crate) struct Case {
    /// The folder, and the image's name.
    pub(crate) name: &'static str,
    /// Flags of the build.
    pub(crate) flags: &'static [&'static str],
    /// Images that it needs: see `debian.sh`.
    pub(crate) bases: &'static [&'static str],
    /// Arguments of the container.
    pub(crate) arguments: &'static [&'static str],
    /// What the container prints.
    pub(crate) prints: &'static str,
    /// Whether the classic builder of Docker knows all of it; others are BuildKit's alone there.
    pub(crate) classic: bool,
}

const BASE: &[&str] = &["base"];

/// All of them, in the order in which they can be built.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "static",
        flags: &[],
        bases: &["toolchain"],
        arguments: &["you"],
        prints: "hello, you",
        classic: true,
    },
    Case { name: "python", flags: &[], bases: &["python"], arguments: &[], prints: "hello, nobody", classic: true },
    Case {
        name: "caches",
        flags: &[],
        bases: &["base", "toolchain"],
        arguments: &[],
        prints: "built with a cache\n0",
        classic: false,
    },
    Case {
        name: "onbuild-base",
        flags: &["-t", "onbuild:base"],
        bases: BASE,
        arguments: &["sh", "-c", "echo $STAGE"],
        prints: "base",
        classic: true,
    },
    Case {
        name: "onbuild",
        flags: &["--build-arg", "NAME=somebody"],
        bases: BASE,
        arguments: &[],
        prints: "child\nsomebody reads settings",
        classic: true,
    },
    Case {
        name: "heredocs",
        flags: &["--build-arg", "WHO=you"],
        bases: BASE,
        arguments: &[],
        prints: "hello, builder\nwho = you\nkept = ${WHO}\nWRITTEN BY AWK\n640",
        classic: false,
    },
    Case {
        name: "big",
        flags: &[],
        bases: BASE,
        arguments: &[],
        prints: "2001\n100\n20\nfile 99 of 19",
        classic: true,
    },
    Case {
        name: "variants",
        flags: &["--build-arg", "VERSION=1.2", "--build-arg", "VARIANT=debug", "--target", "final"],
        bases: BASE,
        arguments: &[],
        prints: "[1.2] [unset] [hidden] [1.2-default] plain",
        classic: true,
    },
    Case {
        name: "service",
        flags: &[],
        bases: BASE,
        arguments: &["sh", "-c", "id -un; pwd"],
        prints: "service\n/srv/data",
        classic: true,
    },
    Case {
        name: "escape",
        flags: &[],
        bases: BASE,
        arguments: &[],
        prints: "C:\\\ninside\nfile1.txt,other.txt,with blank,with blank.txt,",
        classic: true,
    },
    Case {
        name: "copies",
        flags: &[],
        bases: BASE,
        arguments: &[],
        prints: "/made/deep 7:8 700\n/made/deep/one 7:8 644\n/owned/a.txt 65534:65534 604\n/added 0:0 400\n/linked:\na.txt\n\n\
                 /with/sub:\nx\ny\n\n/without:\nDockerfile\nb.txt\nc.conf\nsub\n1\ncopied",
        classic: false,
    },
];

/// The images of Debian's packages, as tars: made once a test run.
fn debian() -> PathBuf {
    static MADE: Once = Once::new();
    let disk = environment("LONGSHORE_TEST_DISK");
    let out = disk.join(format!("debian-{}", std::process::id()));
    MADE.call_once(|| {
        // `cargo xtask test` keeps the packages from run to run.
        let cache = std::env::var_os("LONGSHORE_DEBS").map_or_else(|| disk.join("debs"), PathBuf::from);
        Program::new(sources().join("debian.sh")).args([&out, &cache]).run().ok();
    });
    out
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dockerfiles")
}

/// A daemon with the base images that some cases need.
pub(crate) fn daemon_for(cases: &[&Case]) -> Daemon {
    let daemon = Daemon::start();
    for base in ["base", "toolchain", "python"] {
        if cases.iter().any(|case| case.bases.contains(&base)) {
            let name = if base == "base" { "debian:mini".to_owned() } else { format!("{base}:mini") };
            let tar = debian().join(format!("{base}.tar")).display().to_string();
            daemon.docker(&["import", "-c", "CMD [\"sh\"]", &tar, &name]).ok();
        }
    }
    daemon
}

/// A copy of a case's folder, with what is not kept in the repository.
pub(crate) fn context(daemon: &Daemon, case: &Case) -> String {
    let folder = daemon.path(case.name);
    Program::new("cp").args(["-r"]).args([sources().join(case.name), folder.clone()]).run().ok();
    match case.name {
        "big" => big(&folder),
        "escape" => {
            let script = "cd \"$1\" && mkdir -p files && echo inside > files/inside && tar -czf files.tar.gz files && rm -r files";
            Program::new("sh").args(["-ec", script, "sh"]).args([&folder]).run().ok();
        }
        _ => {}
    }
    folder.display().to_string()
}

/// Twenty folders with a hundred files each, and what is to be left out.
fn big(folder: &Path) {
    let write = |path: PathBuf, text: &str| fs::write(path, text).expect("a file can be written");
    for number in 0..20 {
        let tree = folder.join(format!("tree/{number:02}"));
        fs::create_dir_all(&tree).expect("a folder can be made");
        for file in 0..100 {
            write(tree.join(format!("{file}.txt")), &format!("file {file} of {number:02}\n"));
        }
        write(tree.join("3.tmp"), "left out");
    }
    write(folder.join("tree/05/keep.tmp"), "kept");
    fs::create_dir(folder.join("node_modules")).expect("a folder can be made");
    write(folder.join("node_modules/module"), "left out");
}

/// Builds all of some cases with one way of building, and runs what came out.
pub(crate) fn all(cases: &[&Case], build: impl Fn(&Daemon, &[&str]) -> Output) {
    let daemon = daemon_for(cases);
    for case in cases {
        let context = context(&daemon, case);
        build(&daemon, &[&["-t", case.name], case.flags, &[context.as_str()]].concat()).ok();
        let run = [&["run", "--rm", "--network", "none", case.name], case.arguments].concat();
        assert_eq!(daemon.docker(&run).ok(), case.prints, "{}", case.name);
    }
    if cases.iter().any(|case| case.name == "service") {
        service(&daemon);
    }
}

/// What a service's Dockerfile says about running it.
fn service(daemon: &Daemon) {
    let format = "{{.Config.User}} {{.Config.StopSignal}} {{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{json .Config.Shell}} \
                  {{.Author}} {{index .Config.Labels \"com.example.vendor\"}} {{.Config.Labels.description}}";
    let shown = daemon.docker(&["inspect", "-f", format, "service"]).ok();
    let wanted = r#"service:1000 SIGINT {"53/udp":{},"8080/tcp":{}} {"/srv/data":{}} ["/bin/sh","-euc"] "#.to_owned()
        + "Somebody <somebody@example.org> Some Body two words";
    assert_eq!(shown, wanted);
    daemon.docker(&["run", "-d", "--name", "service", "--network", "none", "service"]).ok();
    let health = || daemon.docker(&["inspect", "-f", "{{.State.Health.Status}}", "service"]).ok();
    crate::lifecycle::eventually(|| health() == "healthy");
    daemon.docker(&["stop", "service"]).ok();
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.ExitCode}}", "service"]).ok(), "0");
    daemon.docker(&["rm", "-v", "service"]).ok();
}

fn classic(daemon: &Daemon, arguments: &[&str]) -> Output {
    daemon.docker_program(&[&["build"], arguments].concat()).env("DOCKER_BUILDKIT", "0").run()
}

#[test]
fn the_classic_builder_builds_what_docker_s_does_and_more() {
    all(&CASES.iter().filter(|case| case.classic).collect::<Vec<_>>(), classic);
}

#[test]
fn the_classic_builder_builds_what_others_need_buildkit_for() {
    all(&CASES.iter().filter(|case| !case.classic).collect::<Vec<_>>(), classic);
}
