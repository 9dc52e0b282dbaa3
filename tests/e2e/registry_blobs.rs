//! Blobs that are kept of pulled layers, so that their digests outlive the registries that they came from.

use serde_json::Value;
use testkit::Daemon;

use crate::registries::{MEMORY_KB, forget, large_megabytes, peak_kb};
use crate::registry_servers::{Served, USER};

/// The image `big:1` of a registry that may be ended, and the digest of its manifest. Its layers are not as this engine writes
/// them: Python's gzip made one, the other is not compressed.
fn pulled(daemon: &Daemon, port: u16, megabytes: u64) -> (Served, String, String) {
    let origin = Served::generated(daemon, port, megabytes);
    std::fs::write(origin.gate(), "").expect("a file can be written");
    let name = origin.name("big:1");
    let pulled = daemon.docker(&["pull", &name]).ok();
    let digest = pulled.lines().find_map(|line| line.strip_prefix("Digest: ")).expect("a digest").to_owned();
    (origin, name, digest)
}

/// Pushes an image there under another name; what was said.
fn push(daemon: &Daemon, image: &str, registry: &Served) -> String {
    let name = registry.name("copy:1");
    daemon.docker(&["tag", image, &name]).ok();
    daemon.docker(&["push", &name]).ok()
}

/// How many blobs a check of the store finds kept.
fn kept(daemon: &Daemon) -> Value {
    let report: Value = serde_json::from_str(&daemon.store(&["check", "--json"]).ok()).expect("JSON");
    report["checked"]["blobs"].clone()
}

#[test]
fn a_layer_that_needed_a_login_keeps_its_digest_when_its_registry_is_gone() {
    let mut daemon = Daemon::start();
    let (origin, first, digest) = pulled(&daemon, 8900, 3);
    assert_eq!(kept(&daemon), 0, "what everybody gets is not kept");
    let private = Served::today(&daemon, 8901, true, None);
    let host = format!("127.0.0.1:{}", private.port);
    daemon.docker(&["login", "-u", USER.0, "-p", USER.1, &host]).ok();
    push(&daemon, &first, &private);
    drop(origin);
    forget(&daemon);
    daemon.docker(&["pull", &private.name("copy:1")]).ok();
    daemon.docker(&["logout", &host]).ok();
    assert_eq!(kept(&daemon), 2);
    daemon.kill();
    daemon.restart();
    let second = private.name("copy:1");
    drop(private);
    let other = Served::today(&daemon, 8902, false, None);
    let pushed = push(&daemon, &second, &other);
    assert!(pushed.contains(&format!("1: digest: {digest} ")) && !pushed.contains("anew"), "{pushed}");
    forget(&daemon);
    assert_eq!(kept(&daemon), 0);
    daemon.docker(&["pull", &other.name("copy:1")]).ok();
}

#[test]
fn a_daemon_that_keeps_all_blobs_needs_no_registry_to_keep_digests() {
    let daemon = Daemon::with(&["--keep-blobs=all"]);
    let (origin, first, digest) = pulled(&daemon, 8910, large_megabytes());
    drop(origin);
    let wanted = format!("1: digest: {digest} ");
    let one = Served::today(&daemon, 8911, false, None);
    let pushed = push(&daemon, &first, &one);
    assert!(pushed.contains(&wanted), "{pushed}");
    let peak = peak_kb(&daemon);
    assert!(peak < MEMORY_KB, "a pull and a push of a large blob took {peak} kB");
    eprintln!("{peak} kB for a pull that keeps its blobs, and a push of them");
    drop(one);
    // A byte of one of them changes.
    let layers = std::fs::read_dir(daemon.path("data/layers")).expect("a folder");
    let mut blobs: Vec<_> = layers.map(|entry| entry.expect("an entry").path().join("blob")).collect();
    blobs.sort_by_key(|blob| blob.metadata().expect("a kept blob").len());
    let mut bytes = std::fs::read(&blobs[0]).expect("a file");
    bytes[30] ^= 1;
    std::fs::write(&blobs[0], bytes).expect("a file can be written");
    let found = daemon.store(&["check"]);
    assert_eq!(found.code, Some(1), "{}", found.stderr);
    let told = found.stdout;
    for words in ["1 problem\n", "/blob: its digest is sha256:", "repair: the layer's next push drops the blob"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let other = Served::today(&daemon, 8912, false, None);
    let pushed = push(&daemon, &first, &other);
    assert!(pushed.contains("is damaged: its digest is sha256:") && pushed.contains("compressed anew"), "{pushed}");
    assert!(!pushed.contains(&wanted), "{pushed}");
    assert_eq!(kept(&daemon), 1);
    forget(&daemon);
    daemon.docker(&["pull", &other.name("copy:1")]).ok();
    assert_eq!(kept(&daemon), 2);
}
