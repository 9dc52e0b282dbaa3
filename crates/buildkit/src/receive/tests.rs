use std::collections::BTreeMap;
use std::sync::Arc;

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

fn folder() -> (TempDir, ContextFiles) {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::open(folder.path()).unwrap();
    (folder, ContextFiles { root: root.into(), digests: Some(Arc::default()) })
}

fn begin(files: &ContextFiles) -> Receiver<'_> {
    Receiver::new(files).unwrap()
}

#[test]
fn files_of_every_kind() {
    let (folder, files) = folder();
    let mut receiver = begin(&files);
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
    assert!(receiver.is_complete() && !receiver.is_over() && receiver.bytes() > 7);
    assert_eq!(receiver.size_bytes(), None, "nothing was told of sizes");
    receiver.take(finish()).unwrap();
    assert!(receiver.is_over());
    let path = folder.path();
    assert_eq!(std::fs::read(path.join("d/b")).unwrap(), b"one two");
    let metadata = std::fs::metadata(path.join("d/a")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o4766);
    assert_eq!(metadata.modified().unwrap(), UNIX_EPOCH + Duration::from_nanos(1_500_000_000));
    assert_eq!(std::fs::read_link(path.join("l")).unwrap().to_str(), Some("/etc/passwd"));
    assert_eq!(files.root.read_dir("").unwrap().len(), 2);
}

#[test]
fn nothing_leaves_the_folder() {
    for path in ["../x", "/x", "a/../../x", "", "a//b", "./a", "a/", "a\0b"] {
        let (_folder, files) = folder();
        let refused = begin(&files).take(stat(path, 0o644, ""));
        assert!(matches!(refused, Err(Error::Protocol(_))), "{path}");
    }
    let outside = tempfile::tempdir().unwrap();
    let (folder, files) = folder();
    std::fs::write(folder.path().join("bait"), "").unwrap();
    let mut receiver = begin(&files);
    receiver.take(stat("l", mode::SYMLINK, outside.path().to_str().unwrap())).unwrap();
    assert!(receiver.take(stat("l/x", 0o644, "")).is_err());
    assert!(begin(&files).take(stat("k", 0o644, "../bait")).is_err());
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let (_folder, files) = folder();
    assert!(begin(&files).take(data(0, b"x")).is_err());
    assert!(begin(&files).take(finish()).is_err());
    let mut receiver = begin(&files);
    receiver.take(Packet::default()).unwrap();
    assert!(receiver.take(stat("late", 0o644, "")).is_err());
    let twice = stat("twice", 0o644, "");
    let mut receiver = begin(&files);
    receiver.take(twice.clone()).unwrap();
    assert!(receiver.take(twice).is_err());
}

#[test]
fn a_list_without_end_is_cut_off() {
    let (_folder, files) = folder();
    let mut receiver = begin(&files);
    let name = "n".repeat(4000);
    let told = (0..).find(|number| receiver.take(stat(&format!("{name}{number}"), 1 << 26, "")).is_err()).unwrap();
    assert!(told < PATH_BYTES / 4000 + 1, "{told}");
    let long = stat(&"n".repeat(5000), 0, "");
    assert!(begin(&files).take(long).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_tree_arrives_whole(contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..80)) {
        let (folder, files) = folder();
        let mut receiver = begin(&files);
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

/// Something of a client's folder. What a file holds follows from its size and time, by which it is known.
#[derive(Debug, Clone)]
enum Node {
    File {
        size: u8,
        mode: u32,
        modified: i64,
    },
    /// Another name of the file told before, if there is one.
    Name,
    Link {
        target: String,
        modified: i64,
    },
    Fifo,
    Socket,
    Folder {
        mode: u32,
        modified: i64,
        inside: BTreeMap<String, Node>,
    },
}

type Tree = BTreeMap<String, Node>;

fn tree() -> impl Strategy<Value = Tree> {
    let (modes, times) =
        (prop_oneof![Just(0o600), Just(mode::SETUID | 0o755)], prop_oneof![Just(-5_i64), Just(1 << 60)]);
    let leaf = prop_oneof![
        4 => (0..3_u8, modes.clone(), times.clone()).prop_map(|(size, mode, modified)| Node::File { size, mode, modified }),
        2 => Just(Node::Name),
        1 => ("[a-c](/[a-c])?", times.clone()).prop_map(|(target, modified)| Node::Link { target, modified }),
        1 => Just(Node::Fifo),
        1 => Just(Node::Socket),
    ];
    let node = leaf.prop_recursive(2, 12, 3, move |inner| {
        let inside = proptest::collection::btree_map("[a-c]0?", inner, 0..4);
        (modes.clone(), times.clone(), inside).prop_map(|(mode, modified, inside)| Node::Folder {
            mode,
            modified,
            inside,
        })
    });
    proptest::collection::btree_map("[a-c]0?", node, 0..4)
}

/// What a client tells of a folder, and the contents of what it tells.
fn told(tree: &Tree, above: &str, first: &mut Option<String>, all: &mut Vec<(Stat, Vec<u8>)>) {
    for (name, node) in tree {
        let path = if above.is_empty() { name.clone() } else { format!("{above}/{name}") };
        let stat = Stat { path: path.clone(), ..Stat::default() };
        match node {
            Node::Name if first.is_some() => {
                all.push((Stat { mode: 0o600, link: first.clone().unwrap(), ..stat }, Vec::new()));
            }
            Node::Name => {}
            Node::File { size, mode, modified } => {
                let contents = vec![modified.to_le_bytes()[0]; (*size).into()];
                all.push((Stat { mode: *mode, size: (*size).into(), modified: *modified, ..stat }, contents));
                *first = Some(path);
            }
            Node::Link { target, modified } => {
                let link = target.clone();
                all.push((Stat { mode: mode::SYMLINK | 0o777, link, modified: *modified, ..stat }, Vec::new()));
            }
            Node::Fifo => all.push((Stat { mode: mode::FIFO | 0o644, ..stat }, Vec::new())),
            Node::Socket => all.push((Stat { mode: 1 << 24 | 0o644, ..stat }, Vec::new())),
            Node::Folder { mode, modified, inside } => {
                all.push((Stat { mode: mode::DIRECTORY | mode, modified: *modified, ..stat }, Vec::new()));
                told(inside, &path, first, all);
            }
        }
    }
}

/// Sends a tree; which files were asked for. The client may leave when so many contents were sent.
fn send(tree: &Tree, files: &ContextFiles, until: usize) -> Vec<String> {
    let mut all = Vec::new();
    told(tree, "", &mut None, &mut all);
    let mut receiver = begin(files);
    let (mut asked, mut replies) = (Vec::new(), Vec::new());
    for (stat, _) in &all {
        replies.extend(receiver.take(Packet { stat: Some(stat.clone()), ..Packet::default() }).unwrap());
    }
    replies.extend(receiver.take(Packet::default()).unwrap());
    while let Some(request) = replies.pop().filter(|request| request.kind() == PacketType::Request) {
        if asked.len() == until {
            return asked;
        }
        let (stat, contents) = &all[request.id as usize];
        asked.push(stat.path.clone());
        for piece in contents.chunks(1) {
            receiver.take(Packet { data: piece.to_vec().into(), ..data(request.id, b"") }).unwrap();
        }
        replies.splice(0..0, receiver.take(data(request.id, b"")).unwrap());
    }
    assert!(receiver.is_complete());
    let files = all.iter().filter(|(_, contents)| !contents.is_empty()).count();
    assert_eq!(receiver.size_bytes(), Some(files as u64 * BLOCK_BYTES));
    asked.sort();
    asked
}

/// Everything in a folder; files of several names by the first of these.
fn listed(root: &Root) -> Vec<String> {
    let (mut lines, mut folders, mut names) = (Vec::new(), vec![String::new()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in root.read_dir(&folder).unwrap() {
            let path = format!("{folder}/{}", entry.name.to_str().unwrap());
            let metadata = root.symlink_metadata(&path).unwrap();
            let what = match entry.kind {
                Kind::Directory => {
                    folders.push(path.clone());
                    String::new()
                }
                Kind::File => {
                    let first = names.entry(metadata.identity()).or_insert_with(|| path.clone());
                    format!("{first} {:?}", root.read(&path, 9).unwrap())
                }
                Kind::Symlink => format!("{:?}", root.read_link(&path).unwrap()),
                _ => String::new(),
            };
            // When a pipe was made is nobody's business.
            let modified = Some(metadata.modified()).filter(|_| entry.kind != Kind::Fifo);
            lines.push(format!("{path} {:?} {:o} {modified:?} {what}", entry.kind, metadata.mode()));
        }
    }
    lines
}

/// What is known of contents is true.
fn check_digests(files: &ContextFiles) -> usize {
    let (mut known, mut folders) = (0, vec![String::new()]);
    while let Some(folder) = folders.pop() {
        for entry in files.root.read_dir(&folder).unwrap() {
            let path = format!("{folder}/{}", entry.name.to_str().unwrap());
            match entry.kind {
                Kind::Directory => folders.push(path),
                Kind::File => {
                    let digest = files.digests.as_ref().unwrap().of(&files.root.symlink_metadata(&path).unwrap());
                    let truth: [u8; 32] = Sha256::digest(files.root.read(&path, 9).unwrap()).into();
                    assert!(digest.is_none_or(|digest| digest == truth), "{path}");
                    known += usize::from(digest.is_some());
                }
                _ => {}
            }
        }
    }
    known
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever lay there, and wherever a transfer broke off between.
    #[test]
    fn a_folder_becomes_what_the_client_has(before in tree(), between in tree(), until in 0..4_usize, after in tree()) {
        let ((_kept, kept), (_fresh, fresh)) = (folder(), folder());
        send(&before, &kept, usize::MAX);
        send(&between, &kept, until);
        check_digests(&kept);
        send(&after, &kept, usize::MAX);
        send(&after, &fresh, usize::MAX);
        prop_assert_eq!(listed(&kept.root), listed(&fresh.root));
        check_digests(&kept);
        prop_assert_eq!(send(&after, &kept, usize::MAX), Vec::<String>::new());
        prop_assert_eq!(listed(&kept.root), listed(&fresh.root));
    }
}

#[test]
fn only_what_has_changed_is_asked_for() {
    let file = |size, modified| Node::File { size, mode: 0o644, modified };
    let tree = |files: &[(&str, Node)]| -> Tree {
        files.iter().map(|(name, node)| ((*name).to_owned(), node.clone())).collect()
    };
    let inside = |files: &[(&str, Node)]| Node::Folder { mode: 0o755, modified: 7, inside: tree(files) };
    let (_folder, files) = folder();
    let before = [
        ("a", file(1, 1)),
        ("b", file(1, 1)),
        ("d", inside(&[("c", file(2, 2)), ("e", file(0, 1))])),
        ("f", file(1, 1)),
    ];
    assert_eq!(send(&tree(&before), &files, usize::MAX).len(), 5);
    assert_eq!(check_digests(&files), 5);
    // A later time, another size, a folder that was a file, and one gone.
    let after = [
        ("a", file(1, 2)),
        ("b", file(1, 1)),
        ("d", inside(&[("c", file(1, 2))])),
        ("f", inside(&[("g", file(1, 1))])),
    ];
    assert_eq!(send(&tree(&after), &files, usize::MAX), ["a", "d/c", "f/g"]);
    assert_eq!(check_digests(&files), 4);
    // What somebody else did to the folder is seen as well.
    files.root.write("d/c", b"xx", 0o600).unwrap();
    files.root.write("stranger", b"", 0o600).unwrap();
    assert_eq!(send(&tree(&after), &files, usize::MAX), ["d/c"]);
    assert_eq!(listed(&files.root).len(), 6);
}
