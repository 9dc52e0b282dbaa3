//! Archives nobody would write in good faith.

use proptest::prelude::*;

use super::*;

fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![8 => Just("a"), 8 => Just("b"), 4 => Just("c"), 1 => Just(".."), 1 => Just("."), 1 => Just(".wh.a")];
    (any::<bool>(), prop::collection::vec(part, 1..4))
        .prop_map(|(absolute, parts)| format!("{}{}", if absolute { "/" } else { "" }, parts.join("/")))
}

fn entry() -> impl Strategy<Value = Entry> {
    let kind = prop_oneof![
        4 => Just(EntryKind::File),
        3 => Just(EntryKind::Directory),
        2 => Just(EntryKind::Symlink),
        1 => Just(EntryKind::HardLink),
    ];
    let link =
        prop_oneof![3 => path(), 1 => Just("../../../../outside".to_string()), 1 => Just("/dev/shm".to_string())];
    (path(), kind, link).prop_map(|(path, kind, link)| {
        let mut entry = Entry::new(path, kind);
        if matches!(kind, EntryKind::Symlink | EntryKind::HardLink) {
            entry.link = link.into();
        }
        entry
    })
}

#[test]
fn nothing_gets_out_and_what_is_taken_comes_out_the_same() {
    let mut runner = proptest::test_runner::TestRunner::default();
    let entries = prop::collection::vec(entry(), 1..8);
    let outcome = runner.run(&(entries, any::<bool>()), |(entries, on_base)| {
        // One a case: its end is a check of what was stored, and a case that fails it is told.
        let place = Place::new();
        let outside = place.path.join("outside");
        std::fs::create_dir(&outside).unwrap();
        let base = Tar::new().file("a/b/c", "1").link(EntryKind::Symlink, "b", "/a").file("c", "2").bytes();
        let base = place.import(base.as_slice(), None).unwrap();
        let mut tar = Tar::new();
        for (number, entry) in entries.into_iter().enumerate() {
            tar = match entry.kind {
                EntryKind::File => tar.file(entry.path.to_str().unwrap(), &format!("contents {number}")),
                _ => tar.entry(entry),
            };
        }
        let bytes = tar.bytes();
        if let Ok(layer) = place.import(bytes.as_slice(), on_base.then_some(&base.chain_id)) {
            let mut out = Vec::new();
            place.export_layer(&layer.chain_id, &mut out).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(out == bytes);
        }
        prop_assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
        Ok(())
    });
    outcome.unwrap();
}

/// The check at the test's end must not take what the archive wrote over its own link for damage.
#[test]
fn a_link_may_be_replaced_by_way_of_itself() {
    let place = Place::new();
    let plain = Tar::new().link(EntryKind::Symlink, "a", ".").file("a/a", "1").bytes();
    let deep = Tar::new().dir("b").link(EntryKind::Symlink, "b/c", "../b").file("b/c/c", "2").bytes();
    // The link that replaces the first leads where the rest of the way goes on.
    let by_another = Tar::new().dir("b").link(EntryKind::Symlink, "c/a", ".").link(EntryKind::Symlink, "c/a/a", "/b");
    let by_its_twin = Tar::new().link(EntryKind::Symlink, "a", "b").link(EntryKind::HardLink, "c/d", "a").dir("c/b");
    let by_its_twin = by_its_twin.link(EntryKind::Symlink, "c/d/x", "y").link(EntryKind::Symlink, "c/d", "/");
    for tar in [plain, deep, by_another.bytes(), by_its_twin.bytes()] {
        place.import(tar.as_slice(), None).unwrap();
    }
}
