//! `longshore demo`: whole, and with a reader that leaves early.

use testkit::{Program, environment};

use crate::lifecycle::eventually;

#[test]
fn the_demo_shows_all_and_leaves_nothing_even_if_nobody_reads_on() {
    let binary = environment("LONGSHORE_BIN");
    let whole = Program::new(&binary).args(["demo"]).run().ok();
    for line in ["hello from container", "line 3 of 3", "exit code   0", "All of it is gone again."] {
        assert!(whole.contains(line), "{whole}");
    }
    eventually(|| left().is_empty());
    let cut = Program::new("sh").args(["-c", "\"$0\" demo | head -n 3"]).args([&binary]).run();
    assert_eq!((cut.stdout.lines().count(), cut.stderr.as_str()), (3, ""));
    eventually(|| left().is_empty());
}

#[test]
fn what_the_machine_lacks_is_said_in_one_sentence_with_the_remedy() {
    let copy = tempfile::tempdir().expect("a folder");
    let binary = copy.path().join("longshore");
    std::fs::copy(environment("LONGSHORE_BIN"), &binary).expect("a copy");
    crate::program::open_to_all(copy.path());
    let nobody = Program::new("setpriv").args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    let no_cgroups = "umount -l -a -t cgroup,cgroup2; exec \"$0\" demo";
    // A kernel without overlayfs: a filter answers ENODEV to fsopen(2), which is number 430 on every processor.
    let no_overlay = r#"
import ctypes, os, struct, sys
rules = [(0x20, 0, 0, 0), (0x15, 0, 1, 430), (0x06, 0, 0, 0x00050000 | 19), (0x06, 0, 0, 0x7fff0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(rules), ctypes.addressof(program)))
assert ctypes.CDLL(None).prctl(22, 2, header, 0, 0) == 0
os.execv(sys.argv[1], [sys.argv[1], "demo"])"#;
    for (program, what, remedy) in [
        (nobody.args([&binary]).args(["demo"]), "root", "sudo"),
        (
            Program::new("unshare").args(["--mount", "sh", "-c", no_cgroups]).args([&binary]),
            "no control groups",
            "mount -t cgroup2",
        ),
        (Program::new("python3").args(["-c", no_overlay]).args([&binary]), "no overlayfs", "modprobe overlay"),
    ] {
        let text = program.run().fails(1);
        assert!(text.trim().lines().count() == 1 && text.contains(what) && text.contains(remedy), "{text}");
    }
}

#[test]
fn texts_may_be_cut_off_by_their_reader() {
    for command in ["api-versions", "help", "daemon --help"] {
        let script = format!("\"$0\" {command} | head -c 10");
        let cut = Program::new("sh").args(["-c", &script]).args([environment("LONGSHORE_BIN")]).run();
        assert_eq!((cut.stdout.len(), cut.stderr.as_str()), (10, ""), "{command}");
    }
}

/// Folders of demos, and processes that have one on their command line.
fn left() -> Vec<String> {
    let names = |folder: &str| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    let mut left = names("/var/tmp");
    left.retain(|name| name.starts_with("longshore-demo-"));
    for pid in names("/proc") {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        if words.contains("/longshore-demo-") {
            left.push(words);
        }
    }
    left
}
