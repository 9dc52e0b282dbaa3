use super::*;
use std::sync::atomic::{AtomicU32, Ordering};

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("longshore-root-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new("/dev/shm").join(name);
        std::fs::create_dir_all(path.join("in")).unwrap();
        std::fs::write(path.join("secret"), "outside").unwrap();
        Scratch(path)
    }

    fn root(&self) -> Root {
        Root::open(self.0.join("in")).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn links_and_dots_stay_inside() {
    let scratch = Scratch::new();
    let root = scratch.root();
    root.symlink("../secret", "relative").unwrap();
    root.symlink(scratch.0.join("secret"), "absolute").unwrap();
    for path in ["relative", "absolute", "../secret", "/../../secret"] {
        assert!(root.read(path, 100).unwrap_err().is_not_found(), "{path}");
    }
    root.write("/../../new", b"x", 0o644).unwrap();
    assert_eq!(std::fs::read(scratch.0.join("in/new")).unwrap(), b"x");
    root.symlink("/proc/self/root", "magic").unwrap();
    assert!(root.open_dir("magic").is_err());
}

#[test]
fn dangling_links_are_made_where_they_point() {
    let scratch = Scratch::new();
    let root = scratch.root();
    root.mkdir("var", 0o755).unwrap();
    root.symlink("/run", "var/run").unwrap();
    root.mkdir_all("var/run/app", 0o750, Some(Owner { uid: 5, gid: 6 })).unwrap();
    let metadata = root.symlink_metadata("run/app").unwrap();
    assert_eq!((metadata.mode(), metadata.owner()), (0o750, Owner { uid: 5, gid: 6 }));
    root.symlink("loop", "loop").unwrap();
    assert_eq!(root.mkdir_all("loop/x", 0o755, None).unwrap_err().errno(), Errno::LOOP);
    assert_eq!(root.canonical("var/run/app").unwrap(), Path::new("/run/app"));
}

#[test]
fn removal_does_not_follow_links_and_copes_with_depth() {
    let scratch = Scratch::new();
    let root = scratch.root();
    root.mkdir("tree", 0o755).unwrap();
    root.symlink(&scratch.0, "tree/out").unwrap();
    let mut dir = root.open_dir("tree").unwrap();
    for _ in 0..3000 {
        dir.mkdir("d", 0o755).unwrap();
        dir.write("f", b"1", 0o644).unwrap();
        dir.write(".deep-1", b"1", 0o644).unwrap();
        dir = dir.open_dir("d").unwrap();
    }
    assert!(root.remove("tree").unwrap());
    assert!(!root.remove("tree").unwrap());
    assert!(scratch.0.join("secret").exists());
    assert_eq!(root.read_dir("/").unwrap(), vec![]);
}

#[test]
fn reading_is_bounded_and_refuses_fifos() {
    let scratch = Scratch::new();
    let root = scratch.root();
    root.write("f", b"12345", 0o600).unwrap();
    assert_eq!(root.read("f", 5).unwrap(), b"12345");
    assert_eq!(root.read("f", 4).unwrap_err().errno(), Errno::FBIG);
    root.mknod("pipe", Kind::Fifo, 0o600, 0).unwrap();
    assert_eq!(root.read("pipe", 4).unwrap_err().errno(), Errno::INVAL);
    assert!(root.create("pipe", 0o600).is_err());
}

#[test]
fn attributes_are_of_the_entry_itself() {
    let scratch = Scratch::new();
    let root = scratch.root();
    root.write("f", b"", 0o600).unwrap();
    root.symlink("f", "l").unwrap();
    root.chown("l", Owner { uid: 7, gid: 8 }).unwrap();
    assert_eq!(root.symlink_metadata("f").unwrap().owner(), Owner { uid: 0, gid: 0 });
    assert_eq!(root.chmod("l", 0o777).unwrap_err().errno(), Errno::NOTSUP);
    root.chmod("f", 0o4755).unwrap();
    assert_eq!(root.symlink_metadata("f").unwrap().mode(), 0o4755);
    let time = Time { seconds: -5, nanoseconds: 123_456_789 };
    root.set_modified("l", time).unwrap();
    assert_eq!(root.symlink_metadata("l").unwrap().modified(), time);
    let (name, value) = (OsStr::new("trusted.test"), vec![9; 4000]);
    root.set_xattr("f", name, &value).unwrap();
    assert_eq!(root.xattr("f", name).unwrap(), Some(value));
    assert_eq!(root.xattr("l", name).unwrap(), None);
    assert_eq!(root.xattr_names("f").unwrap(), [name]);
    assert!(root.xattr_names("/").unwrap().is_empty());
}
