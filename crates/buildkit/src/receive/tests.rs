use super::*;
use proptest::prelude::*;
use tempfile::TempDir;

fn stat(path: &str, mode: u32, link: &str) -> Packet {
    let stat = Stat { path: path.to_owned(), mode, link: link.to_owned(), modified: 1_500_000_000, ..Stat::default() };
    Packet { stat: Some(stat), ..Packet::default() }
}

fn data(id: u32, bytes: &'static [u8]) -> Packet {
    Packet { kind: PacketType::Data as i32, id, data: bytes.into(), ..Packet::default() }
}

fn finish() -> Packet {
    Packet { kind: PacketType::Finish as i32, ..Packet::default() }
}

fn folder() -> (TempDir, Root) {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::open(folder.path()).unwrap();
    (folder, root)
}

#[test]
fn files_of_every_kind() {
    let (folder, root) = folder();
    let mut receiver = Receiver::new(&root);
    let mut take = |packet| receiver.take(packet).unwrap();
    assert!(take(stat("d", mode::DIRECTORY | 0o755, "")).is_empty());
    assert_eq!(take(stat("d/a", mode::SETUID | 0o766, ""))[0].id, 1);
    take(stat("d/b", 0o644, "d/a"));
    take(stat("l", mode::SYMLINK | 0o777, "/etc/passwd"));
    take(stat("n", 1 << 26, ""));
    assert!(take(Packet::default()).is_empty());
    take(data(1, b"one "));
    take(data(1, b"two"));
    let replies = take(data(1, b""));
    assert_eq!(replies[0].kind(), PacketType::Finish);
    assert!(receiver.is_complete() && !receiver.is_over() && receiver.bytes() == 7);
    receiver.take(finish()).unwrap();
    assert!(receiver.is_over());
    let path = folder.path();
    assert_eq!(std::fs::read(path.join("d/b")).unwrap(), b"one two");
    let metadata = std::fs::metadata(path.join("d/a")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o4766);
    assert_eq!(metadata.modified().unwrap(), UNIX_EPOCH + Duration::from_nanos(1_500_000_000));
    assert_eq!(std::fs::read_link(path.join("l")).unwrap().to_str(), Some("/etc/passwd"));
    assert_eq!(root.read_dir("").unwrap().len(), 2);
}

#[test]
fn nothing_leaves_the_folder() {
    for path in ["../x", "/x", "a/../../x", "", "a//b", "./a", "a/", "a\0b"] {
        let (_folder, root) = folder();
        let refused = Receiver::new(&root).take(stat(path, 0o644, ""));
        assert!(matches!(refused, Err(Error::Protocol(_))), "{path}");
    }
    let outside = tempfile::tempdir().unwrap();
    let (folder, root) = folder();
    std::fs::write(folder.path().join("bait"), "").unwrap();
    let mut receiver = Receiver::new(&root);
    receiver.take(stat("l", mode::SYMLINK, outside.path().to_str().unwrap())).unwrap();
    assert!(receiver.take(stat("l/x", 0o644, "")).is_err());
    assert!(Receiver::new(&root).take(stat("k", 0o644, "../bait")).is_err());
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let (_folder, root) = folder();
    assert!(Receiver::new(&root).take(data(0, b"x")).is_err());
    assert!(Receiver::new(&root).take(finish()).is_err());
    let mut receiver = Receiver::new(&root);
    receiver.take(Packet::default()).unwrap();
    assert!(receiver.take(stat("late", 0o644, "")).is_err());
    let twice = stat("twice", 0o644, "");
    let mut receiver = Receiver::new(&root);
    receiver.take(twice.clone()).unwrap();
    assert!(receiver.take(twice).is_err());
}

#[test]
fn a_list_without_end_is_cut_off() {
    let (_folder, root) = folder();
    let mut receiver = Receiver::new(&root);
    let name = "n".repeat(4000);
    let told = (0..).find(|number| receiver.take(stat(&format!("{name}{number}"), 1 << 26, "")).is_err()).unwrap();
    assert!(told < PATH_BYTES / 4000 + 1, "{told}");
    let long = stat(&"n".repeat(5000), 0, "");
    assert!(Receiver::new(&root).take(long).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_tree_arrives_whole(contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..80)) {
        let (folder, root) = folder();
        let mut receiver = Receiver::new(&root);
        let mut asked = Vec::new();
        for number in 0..contents.len() {
            asked.extend(receiver.take(stat(&format!("f{number}"), 0o600, "")).unwrap());
        }
        asked.extend(receiver.take(Packet::default()).unwrap());
        // Last first: the order of answers is the sender's.
        while let Some(request) = asked.pop() {
            if request.kind() != PacketType::Request {
                continue;
            }
            for byte in &contents[request.id as usize] {
                let packet = Packet { data: vec![*byte].into(), ..data(request.id, b"") };
                prop_assert!(receiver.take(packet).unwrap().is_empty());
            }
            asked.extend(receiver.take(data(request.id, b"")).unwrap());
        }
        prop_assert!(receiver.is_complete());
        for (number, bytes) in contents.iter().enumerate() {
            prop_assert_eq!(&std::fs::read(folder.path().join(format!("f{number}"))).unwrap(), bytes);
        }
    }
}
