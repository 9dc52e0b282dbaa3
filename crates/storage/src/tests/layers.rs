use std::ffi::OsStr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use sha2::{Digest as _, Sha256};
use sys::root::{Owner, Root, Time};

use super::*;
use crate::Error;

fn rich() -> Vec<u8> {
    let mut special = Entry::new("bin/tool", EntryKind::File);
    special.mode = 0o4755;
    special.owner = Owner { uid: 1000, gid: 2000 };
    special.modified = Time { seconds: 1_000_000_000, nanoseconds: 123_456_789 };
    special.xattrs = vec![
        ("security.capability".into(), [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].to_vec()),
        ("trusted.overlay.opaque".into(), b"y".to_vec()),
        ("user.note".into(), b"kept".to_vec()),
    ];
    let mut device = Entry::new("dev/null", EntryKind::CharDevice);
    device.device = (1, 3);
    let mut old = Entry::new("bin/", EntryKind::Directory);
    old.modified = Time { seconds: 5, nanoseconds: 7 };
    old.mode = 0o1777;
    Tar::new()
        .entry(old)
        .entry(special)
        .file("bin/data", "some contents")
        .link(EntryKind::HardLink, "bin/again", "bin/data")
        .link(EntryKind::Symlink, "sbin", "/bin")
        .file("sbin/through", "a link")
        .entry(device)
        .entry(Entry::new("run/pipe", EntryKind::Fifo))
        .file("twice", "first")
        .file("twice", "second")
        .file("tree/a/b", "one")
        .file("tree", "two")
        .dir("empty")
        .bytes()
}

fn exported(place: &Place, layer: &crate::Layer) -> Vec<u8> {
    let mut out = Vec::new();
    place.export_layer(&layer.chain_id, &mut out).unwrap();
    out
}

#[test]
fn a_layer_keeps_everything_and_comes_out_as_it_went_in() {
    let mut place = Place::new();
    let bytes = rich();
    let layer = place.import(bytes.as_slice(), None).unwrap();
    assert_eq!(layer.diff_id.hex(), model::Digest::new(Sha256::digest(&bytes).into()).hex());
    assert_eq!(layer.tar_bytes, bytes.len() as u64);
    let diff = Root::open(place.path.join("layers").join(layer.chain_id.hex()).join("diff")).unwrap();
    let tool = diff.symlink_metadata("bin/tool").unwrap();
    assert_eq!((tool.mode(), tool.owner().uid, tool.owner().gid), (0o4755, 1000, 2000));
    assert_eq!(tool.modified(), Time { seconds: 1_000_000_000, nanoseconds: 123_456_789 });
    assert_eq!(diff.xattr("bin/tool", OsStr::new("security.capability")).unwrap().unwrap().len(), 20);
    assert!(diff.xattr("bin/tool", OsStr::new("trusted.overlay.opaque")).unwrap().is_none());
    assert_eq!(diff.symlink_metadata("bin/again").unwrap().links(), 2);
    assert_eq!(diff.read("bin/through", 100).unwrap(), b"a link");
    let bin = diff.symlink_metadata("bin").unwrap();
    assert_eq!((bin.modified(), bin.mode()), (Time { seconds: 5, nanoseconds: 7 }, 0o1777));
    assert_eq!(diff.symlink_metadata("dev/null").unwrap().device_numbers(), (1, 3));
    assert_eq!(diff.read("twice", 100).unwrap(), b"second");
    assert_eq!(diff.read("tree", 100).unwrap(), b"two");
    assert_eq!(exported(&place, &layer), bytes);
    place.reopen();
    assert_eq!(place.layers().unwrap(), std::slice::from_ref(&layer));
    assert_eq!(exported(&place, &layer), bytes);
    assert_eq!(place.import(bytes.as_slice(), None).unwrap(), layer);
    diff.write("bin/data", b"SOME contents", 0o644).unwrap();
    let error = place.export_layer(&layer.chain_id, std::io::sink()).unwrap_err();
    assert!(matches!(error, Error::LayerChanged { .. }));
    place.remove_layer(&layer.chain_id).unwrap();
    assert!(matches!(place.layer(&layer.chain_id), Err(Error::NoLayer(_))));
}

/// What a changed layer gives is told by its digest, whether its sum was kept or not.
#[test]
fn a_layer_that_was_changed_on_disk_is_not_exported() {
    let mut place = Place::new();
    let layer = place.import(rich().as_slice(), None).unwrap();
    let root = Root::open(place.path.join("layers").join(layer.chain_id.hex())).unwrap();
    let whole = root.read("layer.json", 1 << 20).unwrap();
    let mut description: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    assert!(description["sum"].as_str().unwrap().starts_with("xxh3:"), "{description}");
    let changed = |place: &Place| match place.export_layer(&layer.chain_id, std::io::sink()) {
        Err(Error::LayerChanged { expected, found, .. }) => {
            assert_eq!(expected, layer.diff_id);
            found
        }
        other => panic!("{other:?}"),
    };
    root.write("diff/bin/data", b"some Contents", 0o644).unwrap();
    let by_sum = changed(&place);
    root.write("diff/bin/data", b"some contents", 0o644).unwrap();
    assert_eq!(exported(&place, &layer), rich());
    // As a layer without a sum, of an earlier build.
    description.as_object_mut().unwrap().remove("sum");
    root.write("layer.json", description.to_string().as_bytes(), 0o600).unwrap();
    place.reopen();
    assert_eq!(exported(&place, &layer), rich());
    root.write("diff/bin/data", b"some Contents", 0o644).unwrap();
    assert_eq!(changed(&place), by_sum);
    root.write("diff/bin/data", b"some contents", 0o644).unwrap();
    // A sum that is itself wrong is no reason to trust what was written.
    description["sum"] = "xxh3:00000000000000000000000000000000".into();
    root.write("layer.json", description.to_string().as_bytes(), 0o600).unwrap();
    place.reopen();
    let error = place.export_layer(&layer.chain_id, std::io::sink()).unwrap_err();
    assert!(matches!(&error, Error::Damaged { path, .. } if path.ends_with("layer.json")), "{error}");
    let faults = crate::Inspection::read(&place.path, &[]).unwrap().verify(&layer.chain_id).unwrap();
    assert_eq!(faults.len(), 1, "{faults:?}");
    root.write("layer.json", &whole, 0o600).unwrap();
}

#[test]
fn compressed_layers_are_the_same_layers() {
    let place = Place::new();
    let bytes = rich();
    let plain = place.import(bytes.as_slice(), None).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes).unwrap();
    assert_eq!(place.import(gzip.finish().unwrap().as_slice(), None).unwrap(), plain);
    let zstd = zstd::stream::encode_all(bytes.as_slice(), 1).unwrap();
    assert_eq!(place.import(zstd.as_slice(), None).unwrap(), plain);
}

#[test]
fn whiteouts_hide_what_lies_beneath() {
    let place = Place::new();
    let base =
        Tar::new().file("etc/a", "a").file("etc/b", "b").file("opt/x/y", "y").file("var/z", "z").file("w/f", "f");
    let base = place.import(base.bytes().as_slice(), None).unwrap();
    let mut private = Entry::new("root", EntryKind::Directory);
    private.mode = 0o700;
    let top = Tar::new()
        .file("etc/.wh.a", "")
        .file("opt/.wh..wh..opq", "")
        .file("opt/new", "n")
        .file(".wh.var", "")
        .file("var/only", "o")
        .file("w", "no longer a directory")
        .entry(private)
        .file(".wh..wh.aufs", "internal")
        .file(".wh..wh.plnk/12.34", "shared")
        .link(EntryKind::HardLink, "linked", ".wh..wh.plnk/12.34")
        .link(EntryKind::HardLink, "b-again", "etc/b")
        .bytes();
    let layer = place.import(top.as_slice(), Some(&base.chain_id)).unwrap();
    let root = Root::from(place.mount_layers(Some(&layer.chain_id)).unwrap());
    let names = |path: &str| -> Vec<_> {
        root.read_dir(path).unwrap().into_iter().map(|entry| entry.name.into_string().unwrap()).collect()
    };
    assert_eq!(names("/"), ["b-again", "etc", "linked", "opt", "root", "var", "w"]);
    assert_eq!((names("etc"), names("opt"), names("var")), (vec!["b".into()], vec!["new".into()], vec!["only".into()]));
    assert_eq!(root.read("linked", 100).unwrap(), b"shared");
    assert_eq!(root.read("b-again", 100).unwrap(), b"b");
    assert_eq!(exported(&place, &layer), top);
}

#[test]
fn directories_not_mentioned_look_as_beneath() {
    let place = Place::new();
    let mut home = Entry::new("home", EntryKind::Directory);
    home.mode = 0o711;
    home.owner = Owner { uid: 7, gid: 7 };
    home.modified = Time { seconds: 99, nanoseconds: 1 };
    let mut top = Entry::new("./", EntryKind::Directory);
    top.mode = 0o750;
    let base = place.import(Tar::new().entry(top).entry(home).bytes().as_slice(), None).unwrap();
    let layer = place.import(Tar::new().file("home/f", "f").bytes().as_slice(), Some(&base.chain_id)).unwrap();
    let root = Root::from(place.mount_layers(Some(&layer.chain_id)).unwrap());
    let home = root.symlink_metadata("home").unwrap();
    assert_eq!((home.mode(), home.owner().uid, home.modified().seconds), (0o711, 7, 99));
    assert_eq!(root.symlink_metadata("/").unwrap().mode(), 0o750);
}

#[test]
fn nothing_gets_out_and_nothing_half_stays() {
    let place = Place::new();
    let outside = place.path.join("outside");
    std::fs::create_dir(&outside).unwrap();
    let hostile = [
        Tar::new().file("../outside/f", "x").bytes(),
        Tar::new().file("a/../../outside/f", "x").bytes(),
        Tar::new().link(EntryKind::HardLink, "h", "../../../../../outside").bytes(),
        Tar::new().file("f", "x").link(EntryKind::HardLink, "f", "f").bytes(),
        Tar::new().file(".wh..", "").bytes(),
        Tar::new().file("file", "x").file("file/below", "y").bytes(),
        Tar::new().link(EntryKind::HardLink, "h", "missing").bytes(),
        Tar::new().file("f", "cut off").bytes()[..515].to_vec(),
    ];
    for bytes in hostile {
        assert!(place.import(bytes.as_slice(), None).is_err());
    }
    let inside = [
        Tar::new().link(EntryKind::Symlink, "l", outside.to_str().unwrap()).dir("l").file("l/f", "x").bytes(),
        Tar::new().link(EntryKind::Symlink, "l", "../../../../outside").dir("outside").file("l/f", "x").bytes(),
        Tar::new().link(EntryKind::Symlink, "l", "..").file("l/l/f", "x").bytes(),
        Tar::new().file("/absolute", "x").bytes(),
    ];
    for bytes in inside {
        let layer = place.import(bytes.as_slice(), None).unwrap();
        assert_eq!(exported(&place, &layer), bytes);
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(place.path.join("tmp")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(place.path.join("layers")).unwrap().count(), 4);
}

#[test]
fn sparse_files_stay_sparse() {
    let place = Place::new();
    let mut records = Vec::new();
    for (key, value) in [("GNU.sparse.size", "50000000"), ("GNU.sparse.map", "40000000,5")] {
        let line = format!("{key}={value}\n");
        write!(records, "{} {line}", line.len() + 3).unwrap();
    }
    let mut header = ::tar::Header::new_ustar();
    header.set_entry_type(::tar::EntryType::XHeader);
    header.set_size(records.len() as u64);
    header.set_path("pax").unwrap();
    header.set_cksum();
    let mut builder = ::tar::Builder::new(Vec::new());
    builder.append(&header, records.as_slice()).unwrap();
    let mut header = ::tar::Header::new_ustar();
    header.set_size(5);
    header.set_path("big").unwrap();
    header.set_mode(0o644);
    header.set_cksum();
    builder.append(&header, &b"hello"[..]).unwrap();
    let bytes = builder.into_inner().unwrap();
    let layer = place.import(bytes.as_slice(), None).unwrap();
    let metadata = std::fs::metadata(place.path.join("layers").join(layer.chain_id.hex()).join("diff/big")).unwrap();
    assert_eq!((metadata.len(), layer.size_bytes), (50_000_000, 50_000_000));
    assert!(metadata.blocks() * 512 < 100_000);
    assert!(!metadata.file_type().is_fifo());
    assert_eq!(exported(&place, &layer), bytes);
}

#[test]
fn imports_in_parallel_share_the_layer() {
    let place = Place::new();
    let bytes = rich();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| place.import(bytes.as_slice(), None).unwrap())).collect();
        let layers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(layers.windows(2).all(|pair| pair[0] == pair[1]));
    });
    assert_eq!(place.layers().unwrap().len(), 1);
}

#[test]
fn what_is_not_whole_is_swept() {
    let mut place = Place::new();
    let layer = place.import(rich().as_slice(), None).unwrap();
    for folder in ["tmp/left/diff", "layers/0123/diff", "containers/half/upper", "trash/old/x"] {
        std::fs::create_dir_all(place.path.join(folder)).unwrap();
    }
    place.reopen();
    assert_eq!(place.layers().unwrap(), [layer]);
    assert!(place.snapshots().unwrap().is_empty());
    assert_eq!(std::fs::read_dir(place.path.join("tmp")).unwrap().count(), 0);
}

/// After a reboot a daemon may have the number that the one before had, whose trash is not empty yet.
#[test]
fn names_of_what_goes_are_not_used_again() {
    let mut place = Place::new();
    let before = place.fresh();
    place.reopen();
    assert_ne!(place.fresh(), before);
}

#[test]
fn every_format_of_gnu_tar_is_read() {
    use std::os::unix::fs::FileExt;
    use std::process::Command;

    let place = Place::new();
    let source = place.path.join("source");
    let long = format!("{}/{}", "directory".repeat(9), "name".repeat(20));
    std::fs::create_dir_all(source.join(&long).parent().unwrap()).unwrap();
    std::fs::write(source.join("plain"), "plain").unwrap();
    std::fs::hard_link(source.join("plain"), source.join("second")).unwrap();
    let big = std::fs::File::create(source.join("sparse")).unwrap();
    for part in 0..40_u64 {
        big.write_all_at(b"data", part * 1_000_000).unwrap();
    }
    big.set_len(50_000_000).unwrap();
    let formats = [
        &["--format=ustar"][..],
        &["--format=oldgnu", "--sparse"],
        &["--format=gnu", "--sparse"],
        &["--format=posix", "--sparse", "--sparse-version=0.0"],
        &["--format=posix", "--sparse", "--sparse-version=0.1"],
        &["--format=posix", "--sparse", "--sparse-version=1.0"],
        &["--format=v7"],
    ];
    for format in formats {
        if format[0] != "--format=v7" && format[0] != "--format=ustar" {
            std::fs::write(source.join(&long), "long").unwrap();
        }
        let mut tar = Command::new("tar");
        if format[0] == "--format=v7" {
            tar.args(["--exclude", "directory*"]);
        }
        let output = tar.args(format).args(["-cf", "-", "-C"]).arg(&source).arg(".").output().unwrap();
        assert!(output.status.success(), "{format:?} {output:?}");
        let layer = place.import(output.stdout.as_slice(), None).unwrap();
        assert!(exported(&place, &layer) == output.stdout, "{format:?}");
        let diff = place.path.join("layers").join(layer.chain_id.hex()).join("diff");
        let same = |name: &str| std::fs::read(source.join(name)).unwrap() == std::fs::read(diff.join(name)).unwrap();
        assert!(same("plain") && same("second") && same("sparse"), "{format:?}");
        assert!(!source.join(&long).exists() || format[0] == "--format=v7" || same(&long), "{format:?}");
        let blocks = std::fs::metadata(diff.join("sparse")).unwrap().blocks();
        assert!(format.len() == 1 || blocks * 512 < 1_000_000, "{format:?}");
    }
}

#[test]
fn a_layer_s_contents_stand_on_several_parents() {
    let place = Place::new();
    let below = |name: &str| {
        let mut root = Entry::new("./", EntryKind::Directory);
        root.mode = 0o711;
        place.import(Tar::new().entry(root).file(name, name).bytes().as_slice(), None).unwrap()
    };
    let (one, other) = (below("one"), below("other"));
    let bytes = rich();
    let first = place.import(bytes.as_slice(), Some(&one.chain_id)).unwrap();
    let second = place.graft(&first.chain_id, Some(&other.chain_id)).unwrap();
    assert_eq!((second.diff_id, second.parent), (first.diff_id, Some(other.chain_id)));
    assert_ne!(second.chain_id, first.chain_id);
    assert_eq!(place.graft(&second.chain_id, Some(&other.chain_id)).unwrap(), second);
    let folder = |layer: &crate::Layer| Root::open(place.layer_path(&layer.chain_id)).unwrap();
    let tool = |layer: &crate::Layer| folder(layer).symlink_metadata("bin/tool").unwrap();
    assert_eq!(tool(&first).identity(), tool(&second).identity());
    let bin = folder(&second).symlink_metadata("bin").unwrap();
    assert_eq!((bin.mode(), bin.modified()), (0o1777, Time { seconds: 5, nanoseconds: 7 }));
    assert_eq!(folder(&second).symlink_metadata(".").unwrap().mode(), 0o711);
    place.remove_layer(&first.chain_id).unwrap();
    assert_eq!(exported(&place, &second), bytes);
    assert!(matches!(place.graft(&first.chain_id, None), Err(Error::NoLayer(_))));
}

#[test]
fn a_layer_is_made_while_the_one_beneath_it_is() {
    let beneath =
        Tar::new().dir("etc").file("etc/old", "old").file("data/a", "a").file("data/b", "b").dir("gone").bytes();
    let above = Tar::new()
        .file("new", "first")
        .file("etc/.wh.old", "")
        .file("data/.wh..wh..opq", "")
        .file("data/c", "c")
        .file(".wh.gone", "")
        .link(EntryKind::HardLink, "copy", "etc/old")
        .bytes();
    let (place, other) = (Place::new(), Place::new());
    let one = other.import(beneath.as_slice(), None).unwrap();
    let two = other.import(above.as_slice(), Some(&one.chain_id)).unwrap();

    let (tell, told) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let awaited = || told.lock().unwrap().recv().unwrap();
    std::thread::scope(|scope| {
        let made = scope.spawn(|| place.import_above(above.as_slice(), Some(&one.chain_id), &awaited, None).unwrap());
        assert!(place.layer(&two.chain_id).is_err());
        place.import(beneath.as_slice(), None).unwrap();
        tell.send(true).unwrap();
        assert_eq!(made.join().unwrap(), two);
    });
    let listing = |place: &Place| {
        let root = sys::root::Root::from(place.mount_layers(Some(&two.chain_id)).unwrap());
        let mut seen = Vec::new();
        crate::tree::walk(&root, OsStr::new(""), |_, _, path, found| {
            seen.push((path.to_os_string(), found.mode(), found.is_dir() || found.size() > 0));
            Ok(())
        })
        .unwrap();
        seen
    };
    assert_eq!(listing(&place), listing(&other));
    // One whose parent never comes leaves nothing; the end of the test looks for it.
    let empty = Place::new();
    let error = empty.import_above(above.as_slice(), Some(&one.chain_id), &|| false, None).unwrap_err();
    assert!(matches!(error, crate::Error::NoLayer(_)), "{error}");
}
