//! Small archives that stand for much: time and memory are bounded, and nothing of them is kept.

use std::io::Read;
use std::process::Command;
use std::time::{Duration, Instant};

use super::*;

/// A file system of 32 MB: what a bomb may fill.
struct Small(PathBuf);

impl Small {
    fn new() -> Small {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("longshore-small-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=32m,nr_inodes=20k", "tmpfs"]).arg(&path));
        Small(path)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        run(Command::new("umount").arg(&self.0));
        std::fs::remove_dir(&self.0).unwrap();
    }
}

/// What would write or read all that a bomb promises takes far longer, and a machine under load far less.
const QUICK: Duration = Duration::from_secs(60);

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// Imports what must be refused, quickly; nothing of it may be left.
fn refused(storage: &Storage, archive: impl Read) -> String {
    let begun = Instant::now();
    let message = storage.import(archive, None).unwrap_err().to_string();
    assert!(begun.elapsed() < QUICK, "{message} after {:?}", begun.elapsed());
    assert_eq!(storage.layers().unwrap(), []);
    for folder in ["layers", "tmp"] {
        assert_eq!(std::fs::read_dir(storage.path().join(folder)).unwrap().count(), 0, "{message}");
    }
    message
}

/// A header for contents that are not there to be held in memory.
fn header(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    // The writer refuses contents that end early, after the header is out.
    let mut writer = Writer::new(&mut bytes);
    let _shorter = writer.append(entry, std::io::empty());
    drop(writer);
    bytes.truncate(512);
    bytes
}

/// Sets a header's checksum anew.
fn seal(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn gzip(bytes: impl Read) -> Vec<u8> {
    let mut bytes = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
    let mut all = Vec::new();
    bytes.read_to_end(&mut all).unwrap();
    all
}

/// What was refused is deleted in the background.
fn wait_for_room(storage: &Storage) {
    let begun = Instant::now();
    while std::fs::read_dir(storage.path().join("trash")).unwrap().count() > 0 {
        assert!(begun.elapsed() < QUICK, "the trash is not emptied");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_file_that_fills_the_disk_is_gone_again() {
    let small = Small::new();
    let storage = Storage::open(&small.0).unwrap();
    let size = 1 << 28;
    let head = header(&Entry { size, ..Entry::new("zeros", EntryKind::File) });
    let bomb = gzip(head.as_slice().chain(std::io::repeat(0).take(size + 1024)));
    assert!(bomb.len() < 8 << 20);
    assert!(refused(&storage, bomb.as_slice()).contains("No space left"));
    wait_for_room(&storage);
    // A bomb in a bomb is a file like any other.
    let inner = Entry { size: bomb.len() as u64, ..Entry::new("inner.tar.gz", EntryKind::File) };
    let mut writer = Writer::new(Vec::new());
    writer.append(&inner, bomb.as_slice()).unwrap();
    let layer = storage.import(gzip(writer.finish().unwrap().as_slice()).as_slice(), None).unwrap();
    assert_eq!(layer.size_bytes, bomb.len() as u64);
}

#[test]
fn files_without_number() {
    let small = Small::new();
    let storage = Storage::open(&small.0).unwrap();
    let entries = |kind, count: u32| {
        let tar = (0..count).fold(Tar::new(), |tar, number| tar.entry(Entry::new(format!("{number}"), kind)));
        gzip(tar.bytes().as_slice())
    };
    assert!(refused(&storage, entries(EntryKind::File, 30_000).as_slice()).contains("No space left"));
    wait_for_room(&storage);
    assert!(refused(&storage, entries(EntryKind::Directory, 6_000).as_slice()).contains("more than 5000 folders"));
    wait_for_room(&storage);
    let again = header(&Entry::new("again", EntryKind::File)).repeat(10_100);
    assert!(refused(&storage, again.as_slice()).contains("entries replace others"));
}

#[test]
fn depth_has_an_end() {
    let place = Place::new();
    let deep = |depth| Tar::new().file(&"d/".repeat(depth), "").bytes();
    assert!(refused(&place, deep(300_000).as_slice()).contains("too long"));
    assert!(refused(&place, deep(2_100).as_slice()).contains("too long"));
    let mut nested = Tar::new();
    for depth in (1..2_100).step_by(50) {
        nested = nested.dir(&"d/".repeat(depth));
    }
    assert!(refused(&place, nested.bytes().as_slice()).contains("too long"));
    // Each step a link to the next: the kernel's own limit holds.
    let mut links = Tar::new();
    for step in 0..100 {
        links = links.link(EntryKind::Symlink, &format!("l{step}"), &format!("l{}", step + 1));
    }
    refused(&place, links.file("l0/f", "x").bytes().as_slice());
}

#[test]
fn headers_that_are_huge_or_lie() {
    let place = Place::new();
    for (flag, wanted) in [(b'x', "too long"), (b'g', "too long"), (b'L', "too long")] {
        // As long as a disk, and not there.
        let mut block = header(&Entry { size: 1 << 32, ..Entry::new("h", EntryKind::File) });
        block[156] = flag;
        seal(&mut block);
        assert!(refused(&place, block.as_slice().chain(std::io::repeat(b'x'))).contains(wanted), "{flag}");
    }
    let lying = header(&Entry { size: 1 << 32, ..Entry::new("f", EntryKind::File) });
    assert!(refused(&place, [lying, vec![0; 4096]].concat().as_slice()).contains("ends in the middle"));
}

#[test]
fn holes_take_no_space() {
    let small = Small::new();
    let storage = Storage::open(&small.0).unwrap();
    let sparse = |size: u64| {
        let records = |key: &str, value: &str| {
            let length =
                (key.len() + value.len() + 3..).find(|n| n.to_string().len() + key.len() + value.len() + 3 == *n);
            format!("{} {key}={value}\n", length.unwrap())
        };
        let map = "1\n0\n1\n";
        let pax = records("GNU.sparse.major", "1")
            + &records("GNU.sparse.minor", "0")
            + &records("GNU.sparse.name", "hole")
            + &records("GNU.sparse.realsize", &size.to_string());
        let mut block = header(&Entry { size: pax.len() as u64, ..Entry::new("pax", EntryKind::File) });
        block[156] = b'x';
        seal(&mut block);
        let padded = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes.resize(bytes.len().next_multiple_of(512), 0);
            bytes
        };
        let file = header(&Entry { size: 512 + 1, ..Entry::new("f", EntryKind::File) });
        [block, padded(pax.as_bytes()), file, padded(map.as_bytes()), padded(b"x"), vec![0; 1024]].concat()
    };
    let begun = Instant::now();
    let tar = sparse(1 << 40);
    let layer = storage.import(tar.as_slice(), None).unwrap();
    assert_eq!(layer.size_bytes, 1 << 40);
    let mut again = Vec::new();
    storage.export_layer(&layer.chain_id, &mut again).unwrap();
    assert_eq!(again, tar);
    storage.remove_layer(&layer.chain_id).unwrap();
    assert!(begun.elapsed() < QUICK);
    assert!(refused(&storage, sparse(u64::MAX / 2).as_slice()).contains("larger than"));
}
