//! Registries with real programs: `docker` at Debian's registry, skopeo and podman at the other end.

use std::time::Duration;

use testkit::{Daemon, Output};

use crate::registry_servers::{Served, USER, certificate};

/// Text that a file of the test image holds.
const HELLO: &str = "hello from an image";

/// An image of two layers under this name.
pub(crate) fn image(daemon: &Daemon, name: &str) {
    let dockerfile = format!("FROM busybox\nRUN echo {HELLO} > /hello\nLABEL a=b\nCMD [\"cat\", \"/hello\"]\n");
    daemon.docker_program(&["build", "-q", "-t", name, "-"]).env("DOCKER_BUILDKIT", "0").input(dockerfile).run().ok();
}

pub(crate) fn runs(daemon: &Daemon, name: &str) {
    assert_eq!(daemon.docker(&["run", "--rm", name]).ok(), HELLO);
}

/// Removes all images, so that the next is really fetched.
pub(crate) fn forget(daemon: &Daemon) {
    let all = daemon.docker(&["images", "-aq", "--no-trunc"]).ok();
    let mut words = vec!["rmi", "-f"];
    words.extend(all.lines());
    daemon.docker(&words);
    assert_eq!(daemon.docker(&["images", "-aq"]).ok(), "");
}

/// The digest of a repository's image as `docker` shows it.
fn digest(daemon: &Daemon, name: &str) -> String {
    let shown = daemon.docker(&["image", "inspect", "-f", "{{index .RepoDigests 0}}", name]).ok();
    shown.split_once('@').expect("a digest").1.to_owned()
}

#[test]
fn docker_at_a_registry_with_tls_and_users() {
    let daemon = Daemon::with_busybox();
    let folder = tempfile::tempdir_in(testkit::environment("LONGSHORE_TEST_DISK")).expect("a folder");
    certificate(folder.path());
    let registry = Served::today(&daemon, 8443, true, Some(folder.path()));
    let (name, host) = (registry.name("team/app:1"), format!("127.0.0.1:{}", registry.port));
    image(&daemon, &name);
    let refused = daemon.docker(&["push", &name]).fails(1);
    assert!(refused.contains("no basic auth credentials"), "{refused}");
    let login = |secret: &str| -> Output { daemon.docker(&["login", "-u", USER.0, "-p", secret, &host]) };
    let wrong = login("wrong").fails(1);
    assert!(wrong.contains("unauthorized: incorrect username or password"), "{wrong}");
    assert!(login(USER.1).ok().contains("Login Succeeded"));
    let pushed = daemon.docker(&["push", &name]).ok();
    assert!(pushed.contains("Pushed") && pushed.contains("1: digest: sha256:"), "{pushed}");
    let before = digest(&daemon, &name);
    daemon.docker(&["logout", &host]).ok();
    forget(&daemon);
    assert!(daemon.docker(&["pull", &name]).fails(1).contains("no basic auth credentials"));
    login(USER.1).ok();
    let pulled = daemon.docker(&["pull", &name]).ok();
    for words in ["Pull complete", &format!("Digest: {before}"), "Status: Downloaded newer image"] {
        assert!(pulled.contains(words), "{words}: {pulled}");
    }
    runs(&daemon, &name);
    let missing = daemon.docker(&["pull", &registry.name("team/app:none")]).fails(1);
    assert!(missing.contains("manifest unknown"), "{missing}");
}

#[test]
fn docker_at_a_registry_of_before_2015() {
    let daemon = Daemon::with_busybox();
    let registry = Served::old(&daemon, &["--user", &format!("{}:{}", USER.0, USER.1)]);
    let (name, host) = (registry.name("team/app:1"), format!("127.0.0.1:{}", registry.port));
    image(&daemon, &name);
    assert!(daemon.docker(&["push", &name]).fails(1).contains("no basic auth credentials"));
    let wrong = daemon.docker(&["login", "-u", USER.0, "-p", "wrong", &host]).fails(1);
    assert!(wrong.contains("unauthorized: incorrect username or password"), "{wrong}");
    assert!(daemon.docker(&["login", "-u", USER.0, "-p", USER.1, &host]).ok().contains("Login Succeeded"));
    daemon.docker(&["push", &name]).ok();
    let found = daemon.docker(&["search", &registry.name("app")]).ok();
    assert!(found.contains("team/app"), "{found}");
    forget(&daemon);
    daemon.docker(&["pull", &name]).ok();
    runs(&daemon, &name);
    let steps = daemon.docker(&["history", "-q", "--no-trunc", &name]).ok();
    assert!(!steps.contains("<missing>"), "each step is an image of its own: {steps}");
}

#[test]
fn skopeo_at_the_other_end() {
    let daemon = Daemon::with_busybox();
    let registry = Served::today(&daemon, 8500, false, None);
    let name = registry.name("app:1");
    image(&daemon, &name);
    daemon.docker(&["push", &name]).ok();
    let shown = daemon.on_host(&["skopeo", "inspect", "--tls-verify=false", &format!("docker://{name}")]).ok();
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["Digest"], digest(&daemon, &name));
    let known = daemon.get(&format!("/distribution/{name}/json")).json();
    assert_eq!((&known["Descriptor"]["digest"], &known["Platforms"][0]["os"]), (&shown["Digest"], &"linux".into()));
    assert_eq!((&shown["Labels"]["a"], shown["Layers"].as_array().map(Vec::len)), (&"b".into(), Some(2)));

    let copy = |from: String, to: String, further: &[&str]| {
        let words = ["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false"];
        let words: Vec<&str> = words.iter().chain(further).copied().chain([from.as_str(), to.as_str()]).collect();
        daemon.on_host(&words).ok();
    };
    let layout = format!("oci:{}:x", registry.folder.path().join("layout").display());
    copy(format!("docker://{name}"), layout.clone(), &[]);
    for (tag, further) in [
        ("oci", &[][..]),
        ("docker", &["--format", "v2s2"]),
        ("zstd", &["--dest-compress-format", "zstd", "--dest-compress"]),
    ] {
        let back = registry.name(&format!("back:{tag}"));
        copy(layout.clone(), format!("docker://{back}"), further);
        forget(&daemon);
        daemon.docker(&["pull", &back]).ok();
        runs(&daemon, &back);
    }
    // An archive that this engine saves, and one that it loads.
    let archive = daemon.path("saved.tar").display().to_string();
    daemon.docker(&["save", "-o", &archive, &registry.name("back:zstd")]).ok();
    let third = registry.name("third:1");
    copy(format!("docker-archive:{archive}"), format!("docker://{third}"), &[]);
    forget(&daemon);
    daemon.docker(&["pull", &third]).ok();
    runs(&daemon, &third);
}

#[test]
fn podman_at_the_other_end() {
    let daemon = Daemon::with_busybox();
    let registry = Served::today(&daemon, 8600, false, None);
    let (name, own) = (registry.name("app:1"), registry.name("podmans:1"));
    image(&daemon, &name);
    daemon.docker(&["push", &name]).ok();
    let id = daemon.docker(&["image", "inspect", "-f", "{{.Id}}", &name]).ok();
    daemon.podman(&["pull", "-q", "--tls-verify=false", &name]).ok();
    assert_eq!(format!("sha256:{}", daemon.podman(&["image", "inspect", "-f", "{{.Id}}", &name]).ok()), id);

    daemon.podman(&["tag", &name, &own]).ok();
    daemon.podman(&["push", "-q", "--tls-verify=false", &own]).ok();
    forget(&daemon);
    daemon.docker(&["pull", &own]).ok();
    runs(&daemon, &own);
    daemon.podman(&["rmi", "-af"]).ok();
}

#[test]
fn a_pull_ends_when_the_last_client_that_waits_for_it_has_gone() {
    let daemon = Daemon::start();
    let registry = Served::generated(&daemon, 8650, 24);
    let open_gate = || std::fs::write(registry.gate(), "").expect("a file can be written");
    let name = registry.name("big:1");
    let pull = || {
        let mut connection = daemon.connect();
        connection.request("POST", &format!("/images/create?fromImage={name}"), "", b"");
        connection
    };
    let nothing_stays = || {
        let report: serde_json::Value = serde_json::from_str(&daemon.store(&["check", "--json"]).ok()).expect("JSON");
        report["unfinished"] == serde_json::json!([])
    };
    let mut both = [pull(), pull()];
    both[0].until("\"Downloading\"");
    drop(both);
    crate::lifecycle::eventually(nothing_stays);
    // Had it gone on, it would be here now.
    open_gate();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(daemon.docker(&["images", "-aq"]).ok(), "");
    // One that stays gets it.
    std::fs::remove_file(registry.gate()).expect("a file can be removed");
    let (mut leaves, mut stays) = (pull(), pull());
    leaves.until("\"Downloading\"");
    drop(leaves);
    open_gate();
    stays.until("Status: ");
    assert_eq!(daemon.docker(&["images", "-q"]).ok().lines().count(), 1);
}

#[test]
fn a_pulled_image_keeps_its_digest_wherever_it_is_pushed_as_long_as_a_registry_has_it() {
    let daemon = Daemon::start();
    let origin = Served::generated(&daemon, 8750, 3);
    std::fs::write(origin.gate(), "").expect("a file can be written");
    let first = origin.name("big:1");
    let pulled = daemon.docker(&["pull", &first]).ok();
    let digest = pulled.lines().find_map(|line| line.strip_prefix("Digest: ")).expect("a digest").to_owned();
    let push = |registry: &Served| {
        daemon.docker(&["tag", &first, &registry.name("copy:1")]).ok();
        daemon.docker(&["push", &registry.name("copy:1")]).ok()
    };
    let wanted = format!("1: digest: {digest} ");
    // Python's gzip made one of its layers, and the other is not compressed at all.
    let second = Served::today(&daemon, 8751, false, None);
    let pushed = push(&second);
    assert!(pushed.contains(&wanted) && pushed.contains("Fetching from 127.0.0.1:8750/big"), "{pushed}");
    drop(origin);
    let third = Served::today(&daemon, 8752, false, None);
    let pushed = push(&third);
    assert!(pushed.contains(&wanted) && pushed.contains("Fetching from 127.0.0.1:8751/copy"), "{pushed}");
    // Where none has it any more, it is pushed all the same.
    drop((second, third));
    let last = Served::today(&daemon, 8753, false, None);
    let pushed = push(&last);
    assert!(!pushed.contains(&wanted) && pushed.contains("compressed anew"), "{pushed}");
    forget(&daemon);
    daemon.docker(&["pull", &last.name("copy:1")]).ok();
}

/// What a pull or push may add to the daemon's memory, in kB: a layer of 2 GB must fit as well.
pub(crate) const MEMORY_KB: u64 = 64 << 10;

/// How large the large layer is: with `LONGSHORE_LAYER_MB=2048` as large as is promised; 192 show the same in seconds.
pub(crate) fn large_megabytes() -> u64 {
    std::env::var("LONGSHORE_LAYER_MB").map_or(192, |text| text.parse().expect("a number"))
}

/// The most memory that the daemon has had resident, in kB.
pub(crate) fn peak_kb(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn a_large_layer_takes_little_memory() {
    let megabytes = large_megabytes();
    let mut daemon = Daemon::start();
    let registry = Served::generated(&daemon, 8700, megabytes);
    // So that much of the large layer is there before it can be unpacked.
    let gate = registry.gate();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        std::fs::write(gate, "").expect("a file can be written");
    });
    let pulled = daemon.call("POST", &format!("/images/create?fromImage={}&tag=1", registry.name("big")), None);
    assert!(pulled.text().contains("Status: Downloaded newer image"), "{}", pulled.text());
    let pull_kb = peak_kb(&daemon);
    assert!(pull_kb < MEMORY_KB, "a pull of {megabytes} MB took {pull_kb} kB");
    let name = registry.name("big:1");
    let push = |daemon: &mut Daemon, to: &Served| {
        daemon.docker(&["tag", &name, &to.name("big:1")]).ok();
        daemon.end();
        daemon.restart();
        let pushed = daemon.call("POST", &format!("/images/{}/push?tag=1", to.name("big")), None).text();
        assert!(pushed.contains("digest: sha256:"), "{pushed}");
        let peak = peak_kb(daemon);
        assert!(peak < MEMORY_KB, "a push of {megabytes} MB took {peak} kB");
        (peak, pushed.contains("compressed anew"))
    };
    let real = Served::today(&daemon, 8701, false, None);
    let (carry_kb, anew) = push(&mut daemon, &real);
    assert!(!anew, "the registry that it came from has it still");
    // What no other registry has is compressed.
    drop((registry, real));
    let real = Served::today(&daemon, 8702, false, None);
    let (push_kb, anew) = push(&mut daemon, &real);
    assert!(anew);
    eprintln!(
        "{megabytes} MB: {pull_kb} kB for a pull, {carry_kb} kB from registry to registry, {push_kb} kB for a push"
    );
}
