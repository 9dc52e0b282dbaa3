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
