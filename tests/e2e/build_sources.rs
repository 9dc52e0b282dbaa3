//! Where the files of a build come from: addresses, repositories, standard input.

use std::process::Child;

use testkit::{Daemon, Program};

use crate::build::{archive, build, context, post};
use crate::lifecycle::eventually;

/// A server in the daemon's network, ended on drop.
/// A server that is ended on drop.
pub(crate) struct Server(Child);

impl Server {
    /// Starts it, and waits until somebody listens on the port.
    pub(crate) fn start(daemon: &Daemon, words: &[&str], port: &str) -> Self {
        let server = Self(daemon.host_program(words).start());
        let knock = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
        eventually(|| daemon.on_host(&["bash", "-c", &knock]).code == Some(0));
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().expect("a child can be killed");
        self.0.wait().expect("a child can be waited for");
    }
}

/// A repository with a branch and a tag, and a folder to build in; the folder that it is in.
pub(crate) fn repository(daemon: &Daemon) -> String {
    let folder = context(
        daemon,
        "served/r",
        &[
            ("Dockerfile", "FROM busybox\nCOPY . /src\nRUN ls -A /src > /list\n"),
            ("sub/Dockerfile", "FROM busybox\nCOPY word /word\n"),
            ("sub/word", "main\n"),
        ],
    );
    let script = "cd \"$1\" && export GIT_CONFIG_GLOBAL=/dev/null && git init -q -b main . && git add . && \
        git -c user.name=a -c user.email=a commit -q -m one && git tag v1 && git checkout -q -b other && \
        echo other > sub/word && git -c user.name=a -c user.email=a commit -q -a -m two && git checkout -q main && \
        git clone -q --bare . ../r.git && git -C ../r.git update-server-info && git rev-parse other";
    Program::new("sh").args(["-ec", script, "sh", &folder]).run().ok()
}

/// The commit of the main branch.
fn head(daemon: &Daemon) -> String {
    let repository = daemon.path("served/r.git").display().to_string();
    Program::new("git").args(["-C", &repository, "rev-parse", "main"]).run().ok()
}

#[test]
fn repositories() {
    let daemon = Daemon::with_busybox();
    let other = repository(&daemon);
    let served = daemon.path("served").display().to_string();
    let _git = Server::start(
        &daemon,
        &[
            // Not by way of `git daemon`, whose death its child outlives.
            "sh",
            "-c",
            "exec \"$(git --exec-path)/git-daemon\" \"$@\"",
            "sh",
            "--export-all",
            "--listen=127.0.0.1",
            &format!("--base-path={served}"),
            &served,
        ],
        "9418",
    );
    let _http = Server::start(&daemon, &["busybox", "httpd", "-f", "-p", "127.0.0.1:8080", "-h", &served], "8080");
    let word = |image: &str| daemon.docker(&["run", "--rm", image, "cat", "/word"]).ok();
    // The program itself fetches what looks like a repository: it is asked by the API.
    let remote = |name: &str, address: &str| {
        let address = address.replace('#', "%23");
        let answer = daemon.call("POST", &format!("/build?t={name}&remote={address}"), None);
        assert!(answer.text().contains("Successfully built"), "{address}: {}", answer.text());
    };
    remote("all", "git://127.0.0.1/r.git");
    assert_eq!(daemon.docker(&["run", "--rm", "all", "cat", "/list"]).ok(), "Dockerfile\nsub");
    remote("branch", "git://127.0.0.1/r.git#other:sub");
    assert_eq!(word("branch"), "other");
    remote("tag", "http://127.0.0.1:8080/r.git#v1:sub");
    assert_eq!(word("tag"), "main");
    let dockerfile = format!(
        "FROM busybox\nADD git://127.0.0.1/r.git#other:sub /\nADD --keep-git-dir --checksum={other} http://127.0.0.1:8080/r.git#{other} /all\n\
         RUN ls -d /all/.git && cat /word /all/sub/word\n"
    );
    let folder = context(&daemon, "add", &[("Dockerfile", &dockerfile)]);
    assert!(build(&daemon, &[&folder]).ok().contains("/all/.git\nother\nother\n"));
    let answer = daemon.call("POST", "/build?remote=git://127.0.0.1/nosuch.git", None);
    assert!(answer.status == 500 && answer.text().contains("nosuch.git failed"), "{}", answer.text());
    // As today's addresses have it; the same twice is no contradiction.
    let asked = |question: &str| format!("http://127.0.0.1:8080/r.git?{question}").replace('&', "%26");
    remote("asked", &asked("branch=other&subdir=sub#:sub"));
    assert_eq!(word("asked"), "other");
    remote("checked", &asked(&format!("tag=v1&keep-git-dir=1&checksum={}", head(&daemon))));
    assert!(daemon.docker(&["run", "--rm", "checked", "cat", "/list"]).ok().starts_with(".git\n"));
    for (question, status, words) in [
        ("ref=other#main", 400, "ref \\\"other\\\" contradicts \\\"main\\\""),
        ("reff=other", 400, "\\\"reff\\\" is not known; expected ref"),
        ("ref=other&checksum=0123", 500, "0123 was expected"),
    ] {
        let address = asked(question).replace('#', "%23");
        let answer = daemon.call("POST", &format!("/build?remote={address}"), None);
        assert!(answer.status == status && answer.text().contains(words), "{} {}", answer.status, answer.text());
    }
    // No way leads out of the repository: this is its own top.
    remote("top", "git://127.0.0.1/r.git#:../..");
    assert_eq!(daemon.docker(&["run", "--rm", "top", "cat", "/list"]).ok(), "Dockerfile\nsub");
}

#[test]
fn addresses() {
    let daemon = Daemon::with_busybox();
    let folder = context(
        &daemon,
        "web",
        &[
            ("Dockerfile", "FROM busybox\nRUN echo alone > /word\n"),
            ("other", "FROM busybox\nCOPY f /word\n"),
            ("f", "packed\n"),
        ],
    );
    Program::new("tar")
        .args(["-C", &folder, "-czf", &format!("{folder}/c.tgz"), "Dockerfile", "other", "f"])
        .run()
        .ok();
    Program::new("touch").args(["-d", "2001-02-03 04:05:06 UTC", &format!("{folder}/f")]).run().ok();
    let _http = Server::start(&daemon, &["busybox", "httpd", "-f", "-p", "127.0.0.1:8080", "-h", &folder], "8080");
    let word = |image: &str| daemon.docker(&["run", "--rm", image, "cat", "/word"]).ok();
    let remote = |query: &str| {
        let answer = daemon.call("POST", &format!("/build?{query}"), None);
        assert!(answer.text().contains("Successfully built"), "{query}: {}", answer.text());
    };
    remote("t=alone&remote=http://127.0.0.1:8080/Dockerfile");
    assert_eq!(word("alone"), "alone");
    remote("t=packed&dockerfile=other&remote=http://127.0.0.1:8080/c.tgz");
    assert_eq!(word("packed"), "packed");
    let sum = "a14ce9ab02ee47f10b2c4c05ecf4f2b1ac3a14d1b3fb7d1e0a0a6b7e0c0f4b0f";
    let good = Program::new("sha256sum").args([&format!("{folder}/f")]).run().ok();
    let good = good.split_whitespace().next().expect("a digest").to_owned();
    let adds = |name: &str, digest: &str| {
        let text = format!(
            "FROM busybox\nADD --checksum=sha256:{digest} http://127.0.0.1:8080/f /a/\nADD http://127.0.0.1:8080/c.tgz /kept\n\
             ADD --unpack=true http://127.0.0.1:8080/c.tgz /un\nADD http://127.0.0.1:8080/f /b\n"
        );
        build(&daemon, &["-t", "added", &context(&daemon, name, &[("Dockerfile", &text)])])
    };
    let told = adds("bad", sum).fails(1);
    assert!(told.contains(&format!("digest mismatch sha256:{good}")), "{told}");
    adds("good", &good).ok();
    let said = daemon.docker(&[
        "run",
        "--rm",
        "added",
        "sh",
        "-c",
        "stat -c '%a %Y' /a/f /b; cat /un/f; head -c 2 /kept | hexdump -e '\"%x\"'",
    ]);
    assert_eq!(said.ok(), "600 981173106\n600 981173106\npacked\n8b1f");
    let answer = daemon.call("POST", "/build?remote=http://127.0.0.1:8080/nosuch", None);
    assert!(answer.status >= 400 && answer.text().contains("404"), "{}", answer.text());
    let answer = daemon.call("POST", "/build?remote=nonsense", None);
    assert!(answer.status == 400 && answer.text().contains("no address of a build context"), "{}", answer.text());
}

#[test]
fn archives_of_every_kind() {
    let daemon = Daemon::with_busybox();
    for packing in ["", "gz", "bz2", "xz"] {
        let file = format!("FROM busybox\nRUN echo [{packing}]\n");
        let folder = context(&daemon, &format!("packed{packing}"), &[("Dockerfile", &file)]);
        let told = post(&daemon, "", &archive(&folder, packing));
        assert!(told.contains(&format!("\"[{packing}]\\n")) && told.contains("Successfully built"), "{told}");
    }
    let folder = context(&daemon, "folder", &[("Dockerfile/f", "")]);
    let told = post(&daemon, "", &archive(&folder, ""));
    assert!(told.contains("failed to read Dockerfile: it is not a regular file"), "{told}");
    let told = post(&daemon, "", b"no archive at all, but more than ten bytes");
    assert!(!told.contains("Successfully built") && told.contains("message"), "{told}");
}

/// An ignore file that has the Dockerfile's name before its own counts for that one, and the context's does not.
#[test]
fn ignore_files_of_one_dockerfile() {
    let daemon = Daemon::with_busybox();
    let file = "FROM busybox\nCOPY . /c\nRUN cd /c && echo $(find . -type f | sort)\n";
    let files = [
        ("Dockerfile", file),
        (".dockerignore", "common\n*.Dockerfile*\n"),
        ("deep/own.Dockerfile", file),
        ("deep/own.Dockerfile.dockerignore", "**/special\n.dockerignore\nDockerfile\n"),
        ("common", ""),
        ("deep/special", ""),
    ];
    let tar = archive(&context(&daemon, "ignores", &files), "");
    let told = post(&daemon, "dockerfile=deep/own.Dockerfile", &tar);
    assert!(told.contains("\"./common ./deep/own.Dockerfile ./deep/own.Dockerfile.dockerignore\\n\""), "{told}");
    let told = post(&daemon, "", &tar);
    let rest = "./.dockerignore ./Dockerfile ./deep/own.Dockerfile ./deep/own.Dockerfile.dockerignore ./deep/special";
    assert!(told.contains(rest) && !told.contains("common"), "{told}");
}

#[test]
fn standard_input() {
    let daemon = Daemon::with_busybox();
    let run = |arguments: &[&str], input: &[u8]| {
        daemon.docker_program(&[&["build"], arguments].concat()).env("DOCKER_BUILDKIT", "0").input(input).run().ok()
    };
    assert!(run(&["-"], b"FROM busybox\nRUN echo from stdin\n").contains("\nfrom stdin\n"));
    let folder = context(&daemon, "named", &[("f", "x"), ("deep/My.Dockerfile", "FROM busybox\nRUN echo by name\n")]);
    assert!(run(&["-f", &format!("{folder}/deep/My.Dockerfile"), &folder], b"").contains("\nby name\n"));
    assert!(run(&["-f", "-", &folder], b"FROM busybox\nCOPY f /\nRUN cat /f && ls /\n").contains("\nxbin\n"));
}
