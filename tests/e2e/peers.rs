//! Docker Engine and podman of today at the other end: what one of us saves, pushes or exports, the other one runs.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{Daemon, Output, Program, environment};

use crate::lifecycle::eventually;
use crate::registry_servers::Served;

/// Files of every kind that an archive of layers has a way of its own for: hard links within a layer and to a lower one,
/// symbolic links, whiteouts, folders that hide what is below, sparse and large files, odd modes, owners and times.
const DOCKERFILE: &str = "\
FROM busybox
RUN mkdir -p /a/b /hidden && echo one > /a/one && ln /a/one /a/b/hard && echo low > /a/low && echo x > /gone && echo x > /hidden/old
RUN rm -r /gone /hidden && mkdir /hidden && echo new > /hidden/new && ln -s one /a/soft && chmod 4711 /a/b
RUN truncate -s 16M /sparse && echo end >> /sparse && head -c 8000000 /dev/urandom > /big && chown 12:34 /big
RUN ln /a/low /a/later && touch -d 2001-02-03 /big && mkfifo /pipe
ENV A=b
LABEL c=d
WORKDIR /a
EXPOSE 80
CMD [\"cat\", \"one\"]
";

/// Tells all of that, as a container sees it.
const LOOK: &str = "ls -d /gone /hidden 2>&1; ls -A /hidden /a; cat /a/one /a/soft /a/b/hard /a/later /hidden/new; cat /sparse /big | md5sum; \
    stat -c '%n %F %a %u:%g %s %Y' /a/one /a/soft /big /pipe /sparse; stat -c '%n %h' /a/one /a/b/hard /a/low /a/later; \
    stat -c '%n %a' /a/b";

/// A peer in the network of a test's daemon, whose folder it sees; ended on drop.
struct Peer {
    engine: &'static str,
    folder: PathBuf,
    process: Child,
}

impl Peer {
    fn start(daemon: &Daemon, engine: &'static str) -> Self {
        let folder = daemon.path("peer");
        std::fs::create_dir(&folder).expect("a folder can be made");
        let log = std::fs::File::create(folder.join("log")).expect("a file can be made");
        let mut command = Command::new("nsenter");
        command.arg(daemon.namespace()).arg("bash").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/programs/peers.sh"));
        command.args([environment("LONGSHORE_PEERS"), daemon.path(""), folder.clone()]).arg(engine);
        if engine == "docker" {
            // The network is the daemon's.
            command.args([
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
                "--log-level=warn",
            ]);
        }
        let output = log.try_clone().expect("a file can be cloned");
        let process = command.stdin(Stdio::piped()).stdout(output).stderr(log).spawn().expect("bash can be started");
        let mut peer = Self { engine, folder, process };
        eventually(|| {
            let ended = peer.process.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "{engine} ended at its start: {}", peer.log());
            UnixStream::connect(peer.folder.join("docker.sock")).is_ok()
        });
        peer
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// The machine's `docker` program at Docker Engine, or podman's own.
    fn program(&self, words: &[&str]) -> Program {
        if self.engine == "docker" {
            let host = format!("unix://{}", self.folder.join("docker.sock").display());
            let program = Program::new("docker").env("DOCKER_HOST", host).env("DOCKER_BUILDKIT", "0");
            return program.env("DOCKER_CONFIG", self.folder.join("config")).args(words);
        }
        let pid = std::fs::read_to_string(self.folder.join("pid")).expect("a running peer");
        let without_tls = ["pull", "push"].contains(&words[0]).then_some("--tls-verify=false");
        let program = Program::new("nsenter").args(["--all", "--target", pid.trim(), "podman", words[0]]);
        program.args(without_tls).args(&words[1..])
    }

    fn run(&self, words: &[&str]) -> Output {
        self.program(words).run()
    }

    /// The image's id, and the digests of its layers' tars.
    fn image(&self, name: &str) -> String {
        let shown = self.run(&["image", "inspect", "-f", "{{.Id}} {{json .RootFS.Layers}}", name]).ok();
        if shown.starts_with("sha256:") { shown } else { format!("sha256:{shown}") }
    }

    /// Fails unless it has that repository's image under that digest (`repository@sha256:…`).
    fn has(&self, digest: &str) {
        let digests = self.run(&["image", "inspect", "-f", "{{json .RepoDigests}}", digest]).ok();
        assert!(digests.contains(&format!("\"{digest}\"")), "{digest}: {digests}");
    }

    fn looks(&self, name: &str) -> String {
        self.run(&["run", "--rm", "--network=none", name, "sh", "-c", LOOK]).ok()
    }

    /// Builds as its own builder does, in the form that Docker Engine has.
    fn build(&self, name: &str, dockerfile: &str) {
        let form: &[&str] = if self.engine == "podman" { &["--format=docker", "--network=none"] } else { &[] };
        self.program(&[&["build", "-q", "-t", name], form, &["-"]].concat()).input(dockerfile).run().ok();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends with its standard input.
        drop(self.process.stdin.take());
        let late = Instant::now() + Duration::from_secs(60);
        while self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            if Instant::now() > late {
                // What is left of it is told below.
                drop(self.process.kill());
                drop(self.process.wait());
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}", self.engine, self.log());
            return;
        }
        let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        let group = format!("longshore-peer-{}", self.process.id());
        let left: Vec<_> = hierarchies.map(|folder| folder.path().join(&group)).filter(|path| path.exists()).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

/// As [`Peer::image`] of ours.
fn image(daemon: &Daemon, name: &str) -> String {
    daemon.docker(&["image", "inspect", "-f", "{{.Id}} {{json .RootFS.Layers}}", name]).ok()
}

fn looks(daemon: &Daemon, name: &str) -> String {
    daemon.docker(&["run", "--rm", "--network=none", name, "sh", "-c", LOOK]).ok()
}

/// A daemon that has `app:1`, and `app:two` with a layer more.
fn with_images() -> Daemon {
    let daemon = Daemon::with_busybox();
    let build = |name: &str, dockerfile: &str| {
        let program = daemon.docker_program(&["build", "-q", "-t", name, "-"]).env("DOCKER_BUILDKIT", "0");
        program.input(dockerfile).run().ok();
    };
    build("app:1", DOCKERFILE);
    build("app:two", "FROM app:1\nRUN rm /a/later; echo two > /a/two\n");
    daemon
}

/// Several images in one archive go there; one that was built there comes back.
fn archives(daemon: &Daemon, peer: &Peer) {
    let path = |name: &str| daemon.path(name).display().to_string();
    daemon.docker(&["save", "-o", &path("ours.tar"), "app:1", "app:two", "busybox"]).ok();
    let told = peer.run(&["load", "-i", &path("ours.tar")]).ok();
    for name in ["app:1", "app:two", "busybox:latest"] {
        assert!(told.contains(&format!("/{name}")) || told.contains(&format!("Loaded image: {name}")), "{told}");
        assert_eq!(peer.image(name), image(daemon, name), "{name}");
    }
    assert_eq!(peer.looks("app:1"), looks(daemon, "app:1"));
    assert_eq!(peer.run(&["run", "--rm", "--network=none", "app:1"]).ok(), "one");
    let config =
        ["-f", "{{.Config.Env}} {{.Config.Cmd}} {{.Config.WorkingDir}} {{.Config.Labels.c}} {{.Config.ExposedPorts}}"];
    let words = [&["image", "inspect"], &config[..], &["app:two"]].concat();
    assert_eq!(peer.run(&words).ok(), daemon.docker(&words).ok());

    peer.build("built:1", &DOCKERFILE.replace("echo one", "echo uno"));
    peer.run(&["save", "-o", &path("theirs.tar"), "built:1"]).ok();
    let told = daemon.docker(&["load", "-i", &path("theirs.tar")]).ok();
    let name = told.rsplit(' ').next().expect("a name").to_owned();
    daemon.docker(&["tag", &name, "built:1"]).ok();
    assert_eq!(image(daemon, "built:1"), peer.image("built:1"));
    assert_eq!(looks(daemon, "built:1"), peer.looks("built:1"));
}

/// The same through a registry, where the digest is the same for both.
fn registries(daemon: &Daemon, peer: &Peer, registry: &Served) {
    let (ours, theirs) = (registry.name("ours:1"), registry.name("theirs:1"));
    let digest = |name: &str| daemon.docker(&["image", "inspect", "-f", "{{index .RepoDigests 0}}", name]).ok();
    daemon.docker(&["tag", "app:1", &ours]).ok();
    daemon.docker(&["push", &ours]).ok();
    // Without the archive's layers: all of them come from the registry.
    peer.run(&["rmi", "-f", "app:1", "app:two", "busybox"]).ok();
    peer.run(&["pull", &ours]).ok();
    peer.has(&digest(&ours));
    assert_eq!(peer.image(&ours), image(daemon, "app:1"));
    assert_eq!(peer.looks(&ours), looks(daemon, "app:1"));

    peer.run(&["tag", "built:1", &theirs]).ok();
    peer.run(&["push", &theirs]).ok();
    let loaded = daemon.docker(&["images", "-q", "--no-trunc", "built"]).ok();
    daemon.docker(&["rmi", "-f", &loaded]).ok();
    daemon.docker(&["pull", &theirs]).ok();
    // podman knows another digest of it by itself: of layers that are not compressed.
    peer.run(&["rmi", &theirs]).ok();
    peer.run(&["pull", &digest(&theirs)]).ok();
    peer.has(&digest(&theirs));
    peer.run(&["tag", &digest(&theirs), &theirs]).ok();
    assert_eq!(image(daemon, &theirs), peer.image(&theirs));
    assert_eq!(looks(daemon, &theirs), peer.looks(&theirs));
}

/// Runs an engine's program.
type Run<'a> = &'a dyn Fn(&[&str]) -> Output;

/// A container's files go both ways.
fn exports(daemon: &Daemon, peer: &Peer, image: &str) {
    let path = |name: &str| daemon.path(name).display().to_string();
    let ours = |words: &[&str]| daemon.docker(words);
    let theirs = |words: &[&str]| peer.run(words);
    let ways: [(Run<'_>, Run<'_>); 2] = [(&ours, &theirs), (&theirs, &ours)];
    for (number, (from, to)) in ways.into_iter().enumerate() {
        let (tar, name) = (path(&format!("files{number}.tar")), format!("files:{number}"));
        from(&["create", "--network=none", "--name", "box", image]).ok();
        from(&["export", "-o", &tar, "box"]).ok();
        from(&["rm", "box"]).ok();
        to(&["import", &tar, &name]).ok();
        let look = |run: Run<'_>, image: &str| run(&["run", "--rm", "--network=none", image, "sh", "-c", LOOK]).ok();
        assert_eq!(look(to, &name), look(from, image));
    }
}

#[test]
fn docker_engine_of_today_takes_and_gives_images() {
    let daemon = with_images();
    let registry = Served::today(&daemon, 8900, false, None);
    let peer = Peer::start(&daemon, "docker");
    archives(&daemon, &peer);
    registries(&daemon, &peer, &registry);
    exports(&daemon, &peer, &registry.name("theirs:1"));
}

#[test]
fn podman_of_today_takes_and_gives_images() {
    let daemon = with_images();
    let registry = Served::today(&daemon, 8901, false, None);
    let peer = Peer::start(&daemon, "podman");
    archives(&daemon, &peer);
    // The other form of its archives.
    let tar = daemon.path("oci.tar").display().to_string();
    peer.program(&["build", "-q", "-t", "form:1", "--format=oci", "-"]).input("FROM built:1\nLABEL x=y\n").run().ok();
    peer.run(&["save", "-q", "--format=oci-archive", "-o", &tar, "form:1"]).ok();
    let told = daemon.docker(&["load", "-i", &tar]).ok();
    assert_eq!(image(&daemon, told.rsplit(' ').next().expect("a name")), peer.image("form:1"));
    registries(&daemon, &peer, &registry);
    exports(&daemon, &peer, &registry.name("theirs:1"));
}
