//! The daemon as a program among others: side by side, started by systemd, reloaded, refused, ended.

use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Connection, Daemon, Program, environment};

use crate::lifecycle::eventually;

/// Every flag that Docker's users know, with a value that longshore takes.
const FLAGS: &str = "-D --debug -H unix:///tmp/a.sock --host tcp://127.0.0.1:2375 -H fd:// -p /tmp/pid --pidfile /tmp/pid \
    --exec-root /tmp/exec --bip 10.0.0.1/16 --fixed-cidr 10.0.1.0/24 --dns 192.0.2.1 --dns-search test --dns-opt ndots:1 \
    --icc=false --icc --iptables=true --ip 127.0.0.1 --ip-forward=false --ip-masq=false --mtu 1400 -G root --group root \
    --tls --tlsverify --tlscacert /ca --tlscert /c --tlskey /k --api-enable-cors --api-cors-header http://a.test \
    -s overlay2 --storage-driver overlay2 -e native --exec-driver native -l warn --log-level debug \
    --log-driver json-file --log-opt max-size=1m --live-restore=false --label a=b --userland-proxy=false \
    --default-ulimit nofile=5:6 --cgroup-parent /a --init --insecure-registry r.test --registry-mirror http://m.test \
    --shutdown-timeout 3 --max-concurrent-downloads 2";

#[test]
fn dockers_flags_and_keys_are_taken() {
    let bare = Bare::new();
    let file = bare.path("daemon.json");
    std::fs::write(&file, "{}").expect("a file can be written");
    let validate = |words: &[&str]| {
        let program = longshore().args(["daemon", "--validate", "--config-file"]).args([&file]).args(words);
        program.run().ok()
    };
    let words: Vec<&str> = FLAGS.split_whitespace().collect();
    for root in ["-g", "--graph", "--data-root"] {
        validate(&[&words[..], &[root, "/tmp/data"]].concat());
    }
    for bridge in [["-b", "br0"], ["--bridge", "none"]] {
        validate(&bridge);
    }
    let keys = json!({"hosts": ["unix:///tmp/a.sock"], "data-root": "/tmp/data", "exec-root": "/tmp/exec", "pidfile": "/tmp/p",
        "bip": "10.0.0.1/16", "fixed-cidr": "10.0.1.0/24", "dns": ["192.0.2.1"], "dns-search": ["test"], "icc": false,
        "iptables": true, "ip": "127.0.0.1", "ip-forward": false, "ip-masq": false, "mtu": 1400, "group": "root", "debug": true,
        "tls": true, "tlsverify": true, "tlscacert": "/ca", "tlscert": "/c", "tlskey": "/k", "log-level": "warn",
        "storage-driver": "overlay2", "log-driver": "json-file", "log-opts": {"max-size": "1m"}, "live-restore": true,
        "labels": ["a=b"], "userland-proxy": false, "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 5, "Hard": 6}},
        "features": {"buildkit": true}, "registry-mirrors": ["http://m.test"], "insecure-registries": ["r.test"]});
    std::fs::write(&file, keys.to_string()).expect("a file can be written");
    validate(&[]);
    // The same in both is a contradiction.
    let twice = longshore().args(["daemon", "--validate", "--mtu", "1", "--config-file"]).args([&file]).run().fails(1);
    assert!(twice.contains("mtu"), "{twice}");
}

#[test]
fn plain_tcp_is_served_on_the_loopback_and_beyond_only_if_so_said() {
    let daemon = Daemon::with(&["-H", "tcp://127.0.0.1:2375", "-H", "tcp://0.0.0.0:2376", "--tls=false"]);
    for port in ["2375", "2376"] {
        let address = format!("http://127.0.0.1:{port}/_ping");
        assert_eq!(daemon.on_host(&["curl", "-s", &address]).ok(), "OK");
    }
    let daemon = Daemon::with(&["-H", "tcp://127.0.0.1:2375"]);
    assert_eq!(daemon.on_host(&["curl", "-s", "http://127.0.0.1:2375/_ping"]).ok(), "OK");
}

/// A daemon without a bridge, started as the test likes; ended on drop.
struct Bare {
    folder: TempDir,
    process: Option<Child>,
}

impl Bare {
    fn new() -> Self {
        Self { folder: tempfile::tempdir_in(environment("LONGSHORE_TEST_DISK")).expect("a folder"), process: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Flags that keep it away from all other daemons.
    fn flags(&self) -> Vec<String> {
        let named = [("-g", "data"), ("--exec-root", "exec"), ("-p", "pid"), ("--bridge", "")];
        let value = |name: &str| if name.is_empty() { "none".to_owned() } else { self.text(name) };
        named.into_iter().flat_map(|(flag, name)| [flag.to_owned(), value(name)]).collect()
    }

    fn start(&mut self, program: Program) {
        self.process = Some(program.start());
        eventually(|| std::os::unix::net::UnixStream::connect(self.path("sock")).is_ok());
        assert_eq!(self.get("/_ping").text(), "OK");
    }

    fn get(&self, path: &str) -> testkit::Answer {
        let mut connection = Connection::open(&self.path("sock"));
        connection.request("GET", path, "", b"");
        connection.answer()
    }

    fn signal(&self, name: &str) {
        let pid = self.process.as_ref().expect("it runs").id().to_string();
        Program::new("kill").args(["-s", name, &pid]).run().ok();
    }

    fn end(&mut self) -> Option<i32> {
        self.signal("TERM");
        let mut process = self.process.take()?;
        let mut status = None;
        eventually(|| {
            status = process.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        status?.code()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.end();
        }
    }
}

fn longshore() -> Program {
    Program::new(environment("LONGSHORE_BIN"))
}

#[test]
fn two_daemons_share_a_host_with_a_bridge_each() {
    let one = Daemon::with(&["--bip", "10.77.1.1/24"]);
    let mut two = Daemon::beside(&one, &["--bridge", "lsa0"]);
    let serve = "while :; do echo -e 'HTTP/1.0 200 OK\r\n\r\nserved' | nc -l -p 80 >/dev/null; done";
    for (daemon, port) in [(&one, "8081:80"), (&two, "8082:80")] {
        daemon.import_busybox();
        daemon.docker(&["run", "-d", "--name", "web", "-p", port, "busybox", "sh", "-c", serve]).ok();
    }
    let fetch = |daemon: &Daemon, port: u16| {
        daemon.on_host(&["curl", "-s", "-m", "3", &format!("http://127.0.0.1:{port}/")]).stdout.trim() == "served"
    };
    let all = |daemon: &Daemon| eventually(|| fetch(daemon, 8081) && fetch(daemon, 8082));
    all(&one);
    let address = one.docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web"]).ok();
    assert!(address.starts_with("10.77.1."), "{address}");
    let taken = two.docker(&["run", "--rm", "-p", "8081:80", "busybox", "true"]).fails(125);
    assert!(taken.contains("port is already allocated"), "{taken}");
    two.end();
    two.restart();
    all(&one);
    two.docker(&["rm", "-f", "web"]).ok();
    eventually(|| fetch(&one, 8081));
    assert!(!fetch(&one, 8082));
}

#[test]
fn without_live_restore_containers_end_with_the_daemon_and_policies_hold() {
    let mut daemon = Daemon::with(&["--live-restore=false"]);
    daemon.import_busybox();
    for (name, policy) in [("once", "no"), ("kept", "unless-stopped"), ("stopped", "unless-stopped")] {
        let flags = ["run", "-d", "--name", name, "--restart", policy, "--stop-signal", "KILL"];
        daemon.docker(&[&flags[..], &["busybox", "sleep", "1000"]].concat()).ok();
    }
    daemon.docker(&["stop", "stopped"]).ok();
    daemon.end();
    eventually(|| daemon.companions().is_empty());
    daemon.restart();
    eventually(|| daemon.docker(&["ps", "--format", "{{.Names}}"]).ok() == "kept");
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.Status}}", "once"]).ok(), "exited");
}

#[test]
fn systemd_hands_the_socket_over_and_is_told_when_it_is_ready() {
    let mut bare = Bare::new();
    let notified = UnixDatagram::bind(bare.path("notify")).expect("a socket can be bound");
    notified.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout can be set");
    // What systemd does: bind, hand over as descriptor 3, execute.
    let script = r#"
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
if listener.fileno() != 3: os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])"#;
    let binary = environment("LONGSHORE_BIN").display().to_string();
    let arguments = ["-c", script, &bare.text("sock"), &binary, "daemon", "-H", "fd://"].map(str::to_owned);
    let program = Program::new("python3").args(arguments).args(bare.flags()).env("NOTIFY_SOCKET", bare.path("notify"));
    bare.start(program);
    let mut message = [0; 64];
    let count = notified.recv(&mut message).expect("the daemon says that it is ready");
    assert_eq!(String::from_utf8_lossy(&message[..count]).trim(), "READY=1");
    assert_eq!(bare.end(), Some(0));
    assert!(bare.path("sock").exists(), "the socket is systemd's to remove");
}

#[test]
fn the_file_of_settings_is_read_and_read_again() {
    let mut bare = Bare::new();
    let settings = |level: &str| {
        json!({"hosts": [format!("unix://{}", bare.text("sock"))], "data-root": bare.text("data"),
            "exec-root": bare.text("exec"), "pidfile": bare.text("pid"), "bridge": "none", "labels": ["where=here"],
            "log-level": level, "group": "daemon"})
    };
    let file = bare.path("daemon.json");
    std::fs::write(&file, settings("error").to_string()).expect("a file can be written");
    let mut changed = settings("debug");
    for (key, value) in [
        ("debug", json!(true)),
        ("live-restore", json!(false)),
        ("labels", json!(["where=there"])),
        ("registry-mirrors", json!(["http://mirror.test:5000"])),
        ("insecure-registries", json!(["r.test:5001"])),
        ("max-concurrent-downloads", json!(7)),
        ("max-concurrent-uploads", json!(8)),
        ("shutdown-timeout", json!(20)),
        ("features", json!({"x": true})),
        ("data-root", json!("/elsewhere")),
    ] {
        changed[key] = value;
    }
    bare.start(longshore().args(["-d", "--config-file"]).args([&file]));
    let info = bare.get("/info").json();
    assert_eq!((&info["Labels"][0], &info["DockerRootDir"]), (&"where=here".into(), &bare.text("data").into()));
    let socket = std::fs::metadata(bare.path("sock")).expect("the socket is there");
    assert_eq!((socket.mode() & 0o777, socket.gid()), (0o660, 1));
    std::fs::write(&file, "{").expect("a file can be written");
    bare.signal("HUP");
    assert_eq!(bare.get("/_ping").status, 200);
    // Also refused whole: a label without a value.
    std::fs::write(&file, json!({"debug": true, "labels": ["where"]}).to_string()).expect("a file can be written");
    bare.signal("HUP");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(bare.get("/info").json()["Debug"], json!(false));
    let mut events = Connection::open(&bare.path("sock"));
    events.request("GET", "/events?filters=%7B%22type%22%3A%5B%22daemon%22%5D%7D", "", b"");
    assert_eq!(events.head().0, 200);
    std::fs::write(&file, changed.to_string()).expect("a file can be written");
    bare.signal("HUP");
    // The chunk's length, then the event.
    events.until("\r\n");
    let event: Value = serde_json::from_str(&events.until("\n")).expect("JSON");
    assert_eq!((&event["Type"], &event["Action"]), (&json!("daemon"), &json!("reload")));
    let told = &event["Actor"]["Attributes"];
    for (name, value) in [
        ("debug", "true"),
        ("live-restore", "false"),
        ("labels", r#"["where=there"]"#),
        ("registry-mirrors", r#"["http://mirror.test:5000/"]"#),
        ("insecure-registries", r#"["::1/128","127.0.0.0/8","r.test:5001"]"#),
        ("max-concurrent-downloads", "7"),
        ("max-concurrent-uploads", "8"),
        ("shutdown-timeout", "20"),
        ("features", "map[x:true]"),
    ] {
        assert_eq!(told[name], json!(value), "{name}");
    }
    let info = bare.get("/info").json();
    assert_eq!((&info["Debug"], &info["LiveRestoreEnabled"]), (&json!(true), &json!(false)));
    assert_eq!((&info["Labels"], &info["DockerRootDir"]), (&json!(["where=there"]), &json!(bare.text("data"))));
    assert_eq!(info["RegistryConfig"]["Mirrors"], json!(["http://mirror.test:5000/"]));
    assert_eq!(info["RegistryConfig"]["IndexConfigs"]["r.test:5001"]["Secure"], json!(false));
    assert_eq!(bare.end(), Some(0));
    assert!(!bare.path("sock").exists() && !bare.path("pid").exists());
}

#[test]
fn what_cannot_be_is_refused_in_one_sentence() {
    let mut bare = Bare::new();
    let host = format!("unix://{}", bare.text("sock"));
    bare.start(longshore().args(["daemon", "-H", &host]).args(bare.flags()));
    let refused = |program: Program| {
        let text = program.run().fails(1);
        assert_eq!(text.trim().lines().count(), 1, "{text}");
        text
    };
    let other = Bare::new();
    let daemon = || longshore().args(["daemon"]);
    let flags = |bare: &Bare| bare.flags().into_iter();
    let pid = refused(
        daemon()
            .args(["-H", &format!("unix://{}", other.text("sock"))])
            .args(flags(&other))
            .args(["-p", &bare.text("pid")]),
    );
    assert!(pid.contains(&bare.text("pid")), "{pid}");
    let taken = refused(daemon().args(["-H", &host]).args(flags(&other)));
    assert!(taken.contains("another daemon is listening"), "{taken}");
    let group = refused(
        daemon().args(["-H", &format!("unix://{}", other.text("sock")), "-G", "no-such-group"]).args(flags(&other)),
    );
    assert!(group.contains("no-such-group"), "{group}");
    let copy = tempfile::tempdir().expect("a folder");
    let binary = copy.path().join("longshore");
    std::fs::copy(environment("LONGSHORE_BIN"), &binary).expect("a copy");
    open_to_all(copy.path());
    let activated = refused(daemon().args(["-H", "fd://"]).args(flags(&other)));
    assert!(activated.contains("socket activation"), "{activated}");
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let words = ["daemon", "-H", &host];
    let nobody = refused(Program::new("setpriv").args(nobody).args([&binary]).args(words).args(flags(&other)));
    assert!(nobody.contains("root"), "{nobody}");
}

#[test]
fn what_containers_are_given_can_be_read_whatever_the_daemon_s_umask() {
    let mut bare = Bare::new();
    let host = format!("unix://{}", bare.text("sock"));
    let strict = Program::new("sh").args(["-c", "umask 077; exec \"$@\"", "sh"]).args([environment("LONGSHORE_BIN")]);
    bare.start(strict.args(["daemon", "-H", &host]).args(bare.flags()));
    let docker = |words: &[&str]| {
        let program = Program::new("docker").args(words).env("DOCKER_HOST", &host);
        program.env("DOCKER_CONFIG", bare.path("config")).run().ok()
    };
    docker(&["import", &testkit::busybox_tar().display().to_string(), "busybox"]);
    let read = "cat /etc/hosts /etc/hostname /etc/resolv.conf > /dev/null && id -un";
    assert_eq!(docker(&["run", "--rm", "--network", "none", "-u", "daemon", "busybox", "sh", "-c", read]), "daemon");
}

pub(crate) fn open_to_all(folder: &Path) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder, mode).expect("permissions can be set");
}
