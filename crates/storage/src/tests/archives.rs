use sys::root::{Owner, Root};

use super::*;
use crate::archive::{archive, stat, unarchive};
use crate::tar::Reader;
use crate::{Error, Unarchive};

fn listed(root: &Root, path: &str) -> Vec<String> {
    let mut tar = Vec::new();
    archive(root, Path::new(path), &mut tar).unwrap();
    let mut reader = Reader::new(tar.as_slice());
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        names.push(entry.path.into_string().unwrap());
    }
    names
}

fn furnished(place: &Place) -> Root {
    place.create_snapshot("c", None).unwrap();
    let root = Root::from(place.mount("c", false).unwrap());
    root.mkdir_all("etc/conf/deep", 0o755, None).unwrap();
    root.write("etc/conf/file", b"text", 0o640).unwrap();
    root.symlink("conf/file", "etc/link").unwrap();
    root.symlink("/etc/conf", "etc/dir").unwrap();
    root.mknod("etc/conf/socket", sys::root::Kind::Socket, 0o600, 0).unwrap();
    root.hard_link("etc/conf/file", "etc/conf/second").unwrap();
    root
}

#[test]
fn copying_out() {
    let place = Place::new();
    let root = furnished(&place);
    let inside = ["conf/", "conf/deep/", "conf/file", "conf/second"];
    assert_eq!(listed(&root, "/etc/conf"), inside);
    assert_eq!(listed(&root, "etc/conf/"), inside);
    assert_eq!(listed(&root, "/etc/conf/."), ["./", "deep/", "file", "second"]);
    assert_eq!(listed(&root, "/etc/link"), ["link"]);
    assert_eq!(listed(&root, "/etc/dir/."), ["./", "deep/", "file", "second"]);
    assert_eq!(listed(&root, "/etc/dir/file"), ["file"]);
    assert!(matches!(archive(&root, Path::new("/nope"), std::io::sink()), Err(Error::NoPath(_))));
    let link = stat(&root, Path::new("/etc/link")).unwrap();
    assert_eq!((link.name.as_str(), link.link_target.to_str()), ("link", Some("/etc/conf/file")));
    let file = stat(&root, Path::new("/etc/dir/file")).unwrap();
    assert_eq!((file.name.as_str(), file.metadata.size(), file.metadata.mode()), ("file", 4, 0o640));
    let top = stat(&root, Path::new("/")).unwrap();
    assert!(top.metadata.is_dir() && top.name == "/");
}

#[test]
fn copying_in() {
    let place = Place::new();
    let root = furnished(&place);
    let tar = Tar::new().file("new/f", "x").file(".wh.file", "plain name").file("dir/through", "y").bytes();
    let how = Unarchive { owner: Some(Owner { uid: 3, gid: 4 }), ..Unarchive::default() };
    unarchive(&root, Path::new("/etc"), tar.as_slice(), &how).unwrap();
    assert_eq!(root.symlink_metadata("etc/new/f").unwrap().owner(), Owner { uid: 3, gid: 4 });
    assert!(root.lookup("etc/.wh.file").unwrap().is_some());
    assert_eq!(root.read("etc/conf/through", 10).unwrap(), b"y");
    let refuse = |path: &str, tar: Tar| {
        let how = Unarchive { no_overwrite_dir_non_dir: true, owner: None };
        unarchive(&root, Path::new(path), tar.bytes().as_slice(), &how).unwrap_err()
    };
    assert!(matches!(refuse("/etc", Tar::new().file("conf", "x")), Error::DirectoryInTheWay(_)));
    assert!(matches!(refuse("/etc", Tar::new().dir("link")), Error::NonDirectoryInTheWay(_)));
    assert!(matches!(refuse("/etc/link", Tar::new()), Error::NotADirectory));
    assert!(matches!(refuse("/none", Tar::new()), Error::NoPath(_)));
    unarchive(&root, Path::new("/etc"), Tar::new().file("conf", "x").bytes().as_slice(), &Unarchive::default())
        .unwrap();
    assert_eq!(root.read("etc/conf", 10).unwrap(), b"x");
}
