use std::ffi::OsStr;

use sys::root::{Owner, Root};

use super::*;
use crate::tar::Reader;
use crate::{ChangeKind, Directories, Error};

fn changes(place: &Place, id: &str) -> Vec<String> {
    let letter = |kind| match kind {
        ChangeKind::Modified => 'C',
        ChangeKind::Added => 'A',
        ChangeKind::Deleted => 'D',
    };
    let changes = place.changes(id, Directories::default()).unwrap();
    changes.into_iter().map(|change| format!("{} {}", letter(change.kind), change.path.display())).collect()
}

fn names(tar: &[u8]) -> Vec<String> {
    let mut reader = Reader::new(tar);
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        names.push(entry.path.into_string().unwrap());
    }
    names
}

fn base(place: &Place) -> crate::Layer {
    let tar = Tar::new()
        .file("etc/hosts", "the image's")
        .file("etc/passwd", "root")
        .file("etc/gone", "x")
        .file("opt/d/e/f", "x")
        .file("opt/d/g", "x")
        .file("usr/bin/tool", "x")
        .link(EntryKind::Symlink, "alias", "usr");
    place.import(tar.bytes().as_slice(), None).unwrap()
}

#[test]
fn a_directory_is_told_for_itself_or_for_what_is_in_it() {
    use std::os::fd::AsRawFd;
    let place = Place::new();
    let layer = base(&place);
    place.create_snapshot("one", Some(&layer.chain_id)).unwrap();
    let mount = place.mount("one", false).unwrap();
    let path = |path: &str| format!("/proc/self/fd/{}/{path}", mount.as_raw_fd());
    // Written in place, so that the directory stays as it was.
    let mut passwd = std::fs::OpenOptions::new().append(true).open(path("etc/passwd")).unwrap();
    std::io::Write::write_all(&mut passwd, b"more").unwrap();
    std::fs::write(path("opt/d/new"), "x").unwrap();
    std::fs::write(path("usr/bin/new"), "x").unwrap();
    std::fs::remove_file(path("usr/bin/new")).unwrap();
    let told = |directories| -> Vec<String> {
        let changes = place.changes("one", directories).unwrap();
        changes.into_iter().map(|change| change.path.display().to_string()).collect()
    };
    assert_eq!(told(Directories::WithContents), ["/etc", "/etc/passwd", "/opt", "/opt/d", "/opt/d/new"]);
    assert_eq!(told(Directories::Themselves), ["/etc/passwd", "/opt/d", "/opt/d/new", "/usr/bin"]);
}

#[test]
fn a_container_changes_only_its_own_layer() {
    let place = Place::new();
    let layer = base(&place);
    place.create_snapshot("one", Some(&layer.chain_id)).unwrap();
    assert!(matches!(place.create_snapshot("one", Some(&layer.chain_id)), Err(Error::SnapshotExists(_))));
    let root = Root::from(place.mount("one", false).unwrap());
    // Other programs mount at the same time: look for what could only be this one.
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let name = place.path.file_name().unwrap().to_str().unwrap();
    assert!(!mounts.contains(name) && !mounts.contains("/proc/self/fd/"), "{mounts}");
    assert_eq!(root.read("etc/hosts", 10).unwrap(), b"");
    assert!(root.symlink_metadata("proc").unwrap().is_dir());
    assert_eq!(root.read_link("etc/mtab").unwrap(), Path::new("/proc/mounts"));
    assert!(changes(&place, "one").is_empty());
    root.write("etc/new", b"12345", 0o644).unwrap();
    root.write("etc/passwd", b"changed", 0o644).unwrap();
    root.remove("etc/gone").unwrap();
    root.remove("opt/d").unwrap();
    root.mkdir_all("opt/d/e", 0o755, None).unwrap();
    root.remove("alias").unwrap();
    root.mkdir_all("alias/bin/tool", 0o755, None).unwrap();
    root.chmod("usr/bin", 0o700).unwrap();
    root.set_xattr("etc/new", OsStr::new("user.kept"), b"1").unwrap();
    let expected = [
        "C /alias",
        "A /alias/bin",
        "A /alias/bin/tool",
        "C /etc",
        "D /etc/gone",
        "A /etc/new",
        "C /etc/passwd",
        "C /opt",
        "C /opt/d",
        "C /opt/d/e",
        "D /opt/d/e/f",
        "D /opt/d/g",
        "C /usr",
        "C /usr/bin",
    ];
    let mut found = changes(&place, "one");
    // /opt/d and /opt/d/e were made anew with the same attributes; what is missing in them makes them modified.
    found.sort_by(|a, b| a[2..].cmp(&b[2..]));
    assert_eq!(found, expected);
    assert_eq!(place.usage("one").unwrap(), 12);
    let mut tar = Vec::new();
    place.diff_tar("one", &mut tar).unwrap();
    let committed = place.import(tar.as_slice(), Some(&layer.chain_id)).unwrap();
    place.create_snapshot("two", Some(&committed.chain_id)).unwrap();
    let two = Root::from(place.mount("two", true).unwrap());
    assert!(two.create("x", 0o644).is_err());
    let trees = [&root, &two].map(|root| {
        let mut out = Vec::new();
        crate::archive::export(root, &mut out).unwrap();
        out
    });
    assert_eq!(names(&trees[0]), names(&trees[1]));
    assert!(names(&tar).contains(&"etc/.wh.gone".to_string()));
    assert!(names(&tar).contains(&"opt/d/.wh..wh..opq".to_string()));
    drop(root);
    place.remove_snapshot("one").unwrap();
    place.remove_snapshot("one").unwrap();
    assert!(matches!(place.mount("one", false), Err(Error::NoSnapshot(_))));
    assert_eq!(place.snapshots().unwrap(), ["two"]);
}

#[test]
fn nothing_beneath() {
    let place = Place::new();
    place.create_snapshot("empty", None).unwrap();
    let root = Root::from(place.mount("empty", false).unwrap());
    root.write("f", b"1", 0o644).unwrap();
    assert_eq!(changes(&place, "empty"), ["A /f"]);
    assert!(matches!(place.create_snapshot("../x", None), Err(Error::InvalidName(_))));
}

#[test]
fn two_hundred_layers() {
    let place = Place::new();
    let mut top = None;
    for number in 0..200 {
        let tar = Tar::new().file(&format!("f{number}"), "x").bytes();
        top = Some(place.import(tar.as_slice(), top.as_ref()).unwrap().chain_id);
    }
    place.create_snapshot("deep", top.as_ref()).unwrap();
    for readonly in [false, true] {
        let root = Root::from(place.mount("deep", readonly).unwrap());
        assert!(root.read_dir("/").unwrap().len() >= 200);
    }
}

#[test]
fn a_closed_storage_can_be_opened_with_its_containers() {
    let mut place = Place::new();
    let layer = base(&place);
    place.create_snapshot("kept", Some(&layer.chain_id)).unwrap();
    Root::from(place.mount("kept", false).unwrap()).write("f", b"1", 0o644).unwrap();
    place.reopen();
    assert_eq!(changes(&place, "kept"), ["A /f"]);
    assert_eq!(place.disk_usage().unwrap().snapshots, [("kept".to_string(), 1)]);
}

#[test]
fn volumes_take_what_the_image_has() {
    let place = Place::new();
    let mut owned = Entry::new("data", EntryKind::Directory);
    owned.owner = Owner { uid: 5, gid: 6 };
    owned.mode = 0o2770;
    let tar = Tar::new().entry(owned).file("data/a/b", "contents").link(EntryKind::HardLink, "data/c", "data/a/b");
    let layer = place.import(tar.bytes().as_slice(), None).unwrap();
    let root = Root::from(place.mount_layers(Some(&layer.chain_id)).unwrap());
    let path = place.create_volume("v").unwrap();
    assert!(place.populate_volume("v", &root, Path::new("/data")).unwrap());
    assert!(!place.populate_volume("v", &root, Path::new("/data")).unwrap());
    let volume = Root::open(&path).unwrap();
    let metadata = volume.symlink_metadata("/").unwrap();
    assert_eq!((metadata.mode(), metadata.owner()), (0o2770, Owner { uid: 5, gid: 6 }));
    assert_eq!(volume.symlink_metadata("c").unwrap().links(), 2);
    assert_eq!(place.disk_usage().unwrap().volumes, [("v".to_string(), 8)]);
    assert_eq!(place.volumes().unwrap(), ["v"]);
    place.remove_volume("v").unwrap();
    assert!(matches!(place.remove_volume("v"), Err(Error::NoVolume(_))));
    assert!(matches!(place.volume_path("v"), Err(Error::NoVolume(_))));
}
