//! Space comes back: what failed, was cancelled, removed, or was killed at any byte leaves nothing that belongs to nobody.

use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{Connection, Daemon, Program};

/// Rounds of the crash test in a usual run, and the variable that asks for more.
const ROUNDS: u64 = 20;
const ROUNDS_VARIABLE: &str = "LONGSHORE_CRASH_ROUNDS";

/// Archives to send, made once a test: a root file system with many files, and two saved images that share a layer.
struct Archives {
    rootfs: Vec<u8>,
    saved: Vec<u8>,
}

impl Archives {
    /// Makes them with `daemon`, and removes the images again.
    fn make(daemon: &Daemon) -> Self {
        let (tree, rootfs, saved) = (daemon.path("tree"), daemon.path("tree.tar"), daemon.path("saved.tar"));
        let script = r#"mkdir -p "$1/d" && cd "$1" && for i in $(seq 400); do echo "$i" > "d/$i"; done
            head -c 6000000 /dev/urandom > big && tar -cf "$2" ."#;
        Program::new("sh").args(["-ec", script, "sh"]).args([&tree, &rootfs]).run().ok();
        daemon.docker(&["import", &rootfs.display().to_string(), "one"]).ok();
        build(daemon, "FROM one\nCOPY d /e\nLABEL a=b\n", "two").ok();
        daemon.docker(&["save", "-o", &saved.display().to_string(), "one", "two"]).ok();
        daemon.docker(&["rmi", "two", "one"]).ok();
        let read = |path: &PathBuf| fs::read(path).expect("it was just written");
        Self { rootfs: read(&rootfs), saved: read(&saved) }
    }
}

fn build(daemon: &Daemon, dockerfile: &str, name: &str) -> testkit::Output {
    build_program(daemon, dockerfile, name).run()
}

/// A build whose context is the tree of [`Archives`].
fn build_program(daemon: &Daemon, dockerfile: &str, name: &str) -> Program {
    let file = daemon.path(&format!("Dockerfile.{name}")).display().to_string();
    fs::write(&file, dockerfile).expect("a file can be written");
    let tree = daemon.path("tree").display().to_string();
    daemon.docker_program(&["build", "--no-cache", "-t", name, "-f", &file, &tree]).env("DOCKER_BUILDKIT", "0")
}

/// Waits until nothing is unfinished; there must never be a problem.
#[track_caller]
fn settled(daemon: &Daemon) -> Value {
    let started = Instant::now();
    loop {
        let output = daemon.store(&["check", "--json"]);
        let images = || daemon.docker(&["images", "-a"]).ok() + "\n" + &daemon.docker(&["ps", "-a"]).ok();
        assert_eq!(output.code, Some(0), "{}{}\n{}", output.stdout, output.stderr, images());
        let report: Value = serde_json::from_str(&output.stdout).expect("it is JSON");
        if report["unfinished"].as_array().expect("a list").is_empty() {
            return report;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{report:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Everything beneath the data root that belongs to images, containers or operations.
fn entries(daemon: &Daemon) -> Vec<String> {
    let folders = ["layers", "init", "containers", "volume-data", "tmp", "trash"];
    let script = r#"cd "$1" && shift && find "$@" -mindepth 1 -maxdepth 2 | sort"#;
    let found = Program::new("sh").args(["-ec", script, "sh"]).args([daemon.path("data")]).args(folders).run().ok();
    found.lines().map(str::to_owned).collect()
}

/// Sends the first bytes of a request's body, and no more.
fn begin(daemon: &Daemon, path: &str, body: &[u8], count: usize) -> Connection {
    let mut connection = daemon.connect();
    connection.send(format!(
        "POST {path} HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    connection.send(&body[..count]);
    connection
}

#[test]
fn what_failed_or_was_removed_leaves_nothing() {
    let daemon = Daemon::with_busybox();
    let archives = Archives::make(&daemon);
    // The first container of an image leaves the files that all of them find.
    daemon.docker(&["run", "--rm", "busybox", "true"]).ok();
    settled(&daemon);
    let before = entries(&daemon);
    // Cut off in the middle: the client is gone, or says that this was all.
    for (path, body) in [("/images/load", &archives.saved), ("/images/create?fromSrc=-&repo=cut", &archives.rootfs)] {
        for part in [600, body.len() / 3, body.len() - 20_000] {
            drop(begin(&daemon, path, body, part));
            let mut connection = daemon.connect();
            connection.request("POST", path, "Content-Type: application/x-tar\r\n", &body[..part]);
            let answer = connection.answer();
            assert!(answer.status >= 400 || answer.text().contains("errorDetail"), "{path} {part}: {}", answer.text());
        }
    }
    assert_eq!(daemon.docker(&["images", "-aq"]).ok().lines().count(), 1);
    // Damaged: a manifest whose layer is another.
    let mut lying = archives.saved.clone();
    let middle = lying.len() / 2;
    lying[middle] ^= 1;
    let mut connection = daemon.connect();
    connection.request("POST", "/images/load", "", &lying);
    assert!(connection.answer().text().contains("errorDetail"));
    let dockerfile = "FROM busybox\nCOPY d /d\nRUN echo 1 > /1\nRUN false\n";
    assert_eq!(build(&daemon, dockerfile, "failing").code, Some(1));
    let mut cancelled = build_program(&daemon, "FROM busybox\nCOPY d /d\nRUN sleep 100\n", "cancelled").start();
    eventually_running(&daemon);
    cancelled.kill().and_then(|()| cancelled.wait()).expect("a child can be killed");
    // Made well, used, and removed again.
    daemon.docker(&["import", &daemon.path("tree.tar").display().to_string(), "made"]).ok();
    daemon.docker(&["load", "-i", &daemon.path("saved.tar").display().to_string()]).ok();
    daemon.docker(&["run", "--name", "changed", "-v", "/v", "busybox", "sh", "-c", "echo 1 > /v/1; echo 2 > /2"]).ok();
    daemon.docker(&["commit", "changed", "committed"]).ok();
    daemon.docker(&["rm", "-v", "changed"]).ok();
    daemon.docker(&["rmi", "made", "committed", "two", "one"]).ok();
    crate::lifecycle::eventually(|| daemon.docker(&["ps", "-q"]).ok().is_empty());
    daemon.docker(&["container", "prune", "-f"]).ok();
    daemon.docker(&["image", "prune", "-f"]).ok();
    let report = settled(&daemon);
    assert_eq!(report["checked"]["images"], 1, "{report:#}");
    assert_eq!(entries(&daemon), before);
}

/// Waits for a container to run.
fn eventually_running(daemon: &Daemon) {
    crate::lifecycle::eventually(|| !daemon.docker(&["ps", "-q"]).ok().is_empty());
}

/// What goes on while the daemon is killed.
enum Doing {
    Program(Child),
    Request(Connection),
}

#[test]
fn killed_at_any_byte_nothing_is_left_that_belongs_to_nobody() {
    let rounds = std::env::var(ROUNDS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let mut daemon = Daemon::with(&["--keep-blobs=all"]);
    daemon.import_busybox();
    let archives = Archives::make(&daemon);
    let registry = Registry::start(&daemon);
    daemon.docker(&["load", "-i", &daemon.path("saved.tar").display().to_string()]).ok();
    daemon.docker(&["tag", "two", "127.0.0.1:5000/two"]).ok();
    daemon.docker(&["push", "127.0.0.1:5000/two"]).ok();
    daemon.docker(&["rmi", "127.0.0.1:5000/two", "two", "one"]).ok();
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds {
        let doing = begin_round(&daemon, &archives, round, &mut chance);
        std::thread::sleep(Duration::from_millis(chance.below(250)));
        daemon.kill();
        match doing {
            Doing::Program(mut child) => drop(child.wait().expect("a child can be waited for")),
            Doing::Request(connection) => drop(connection),
        }
        daemon.restart();
        settled(&daemon);
        if round % 8 == 7 {
            remove_all(&daemon);
        }
    }
    remove_all(&daemon);
    drop(registry);
}

/// Containers, and all images but busybox.
fn remove_all(daemon: &Daemon) {
    for id in daemon.docker(&["ps", "-aq"]).ok().lines() {
        daemon.docker(&["rm", "-fv", id]).ok();
    }
    let names = daemon.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok();
    for name in names.lines().filter(|name| !name.starts_with("busybox") && !name.starts_with('<')) {
        daemon.docker(&["rmi", "-f", name]).ok();
    }
    daemon.docker(&["image", "prune", "-f"]).ok();
    let report = settled(daemon);
    assert_eq!(report["checked"]["layers"], 1, "{report:#}");
}

fn begin_round(daemon: &Daemon, archives: &Archives, round: u64, chance: &mut Chance) -> Doing {
    let program = |arguments: &[&str]| Doing::Program(daemon.docker_program(arguments).start());
    let name = format!("r{round}");
    match round % 8 {
        0 => {
            let count = chance.below(archives.rootfs.len() as u64) as usize;
            let path = format!("/images/create?fromSrc=-&repo={name}");
            Doing::Request(begin(daemon, &path, &archives.rootfs, count))
        }
        1 => {
            let count = chance.below(archives.saved.len() as u64) as usize;
            Doing::Request(begin(daemon, "/images/load", &archives.saved, count))
        }
        2 => {
            let script = "for i in $(seq 300); do echo $i > /$i; done; head -c 4000000 /dev/urandom > /big";
            daemon.docker(&["run", "--name", &name, "-v", "/v", "busybox", "sh", "-c", script]).ok();
            program(&["commit", &name, &name])
        }
        3 => {
            let dockerfile = "FROM busybox\nRUN echo 1 > /1\nCOPY d /d\nCOPY big /\nRUN rm -r /d\n";
            Doing::Program(build_program(daemon, dockerfile, &name).start())
        }
        4 => program(&["pull", "-q", "127.0.0.1:5000/two"]),
        5 => program(&["load", "-i", &daemon.path("saved.tar").display().to_string()]),
        6 => {
            let ids = daemon.docker(&["ps", "-aq"]).ok();
            program(&[&["rm", "-fv"], ids.lines().collect::<Vec<_>>().as_slice()].concat())
        }
        _ => {
            let (ids, busybox) =
                (daemon.docker(&["images", "-q"]).ok(), daemon.docker(&["images", "-q", "busybox"]).ok());
            program(
                &[&["rmi", "-f"], ids.lines().filter(|id| *id != busybox).take(3).collect::<Vec<_>>().as_slice()]
                    .concat(),
            )
        }
    }
}

/// Numbers of chance, the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

/// Debian's registry on the loopback of a daemon's network namespace.
pub(crate) struct Registry(Child);

impl Registry {
    pub(crate) fn start(daemon: &Daemon) -> Self {
        let root = daemon.path("registry").display().to_string();
        let config = daemon.path("registry.yml").display().to_string();
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\nhttp: {{addr: '127.0.0.1:5000'}}\n"
        );
        fs::write(&config, text).expect("a file can be written");
        let registry =
            Self(Program::new("nsenter").args([&daemon.namespace(), "docker-registry", "serve", &config]).start());
        let ping = ["curl", "-s", "-f", "-m", "2", "http://127.0.0.1:5000/v2/"];
        crate::lifecycle::eventually(|| daemon.on_host(&ping).code == Some(0));
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait().map(drop)).expect("a child can be killed");
    }
}
