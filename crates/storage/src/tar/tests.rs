use std::io::Read as _;

use proptest::prelude::*;

use super::*;

fn read_all(bytes: &[u8]) -> crate::Result<Vec<(Entry, Vec<u8>)>> {
    let mut reader = Reader::new(bytes);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut contents = Vec::new();
        loop {
            let piece = reader.chunk()?;
            if piece.is_empty() {
                break;
            }
            let length = piece.len();
            contents.extend_from_slice(piece);
            reader.consume(length);
        }
        entries.push((entry, contents));
    }
    Ok(entries)
}

fn kinds() -> impl Strategy<Value = EntryKind> {
    prop_oneof![
        Just(EntryKind::File),
        Just(EntryKind::HardLink),
        Just(EntryKind::Symlink),
        Just(EntryKind::CharDevice),
        Just(EntryKind::BlockDevice),
        Just(EntryKind::Directory),
        Just(EntryKind::Fifo),
    ]
}

fn path() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zé]{1,12}(/[a-z.]{1,60}){0,8}", "[a-z]{90,110}", "([a-z]{20}/){5,15}[a-z]{1,99}"]
}

prop_compose! {
    fn entries()(
        path in path(),
        kind in kinds(),
        link in path(),
        mode in 0_u32..0o10000,
        uid: u32,
        gid in 0_u32..0x40_0000,
        seconds in -100_000_000_000_i64..100_000_000_000,
        nanoseconds in prop_oneof![Just(0_u32), 0_u32..1_000_000_000],
        device in (0_u32..4096, 0_u32..0x10_0000),
        xattrs in prop::collection::btree_map("[a-z.]{1,20}", prop::collection::vec(any::<u8>(), 0..300), 0..3),
        contents in prop::collection::vec(any::<u8>(), 0..1500),
    ) -> (Entry, Vec<u8>) {
        let mut entry = Entry::new(path, kind);
        let is_link = matches!(kind, EntryKind::HardLink | EntryKind::Symlink);
        let is_device = matches!(kind, EntryKind::CharDevice | EntryKind::BlockDevice);
        if kind == EntryKind::Directory { entry.path.push("/"); }
        if is_link { entry.link = link.into(); }
        if is_device { entry.device = device; }
        entry.mode = mode;
        entry.owner = Owner { uid, gid };
        entry.modified = Time { seconds, nanoseconds };
        entry.xattrs = xattrs.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let contents = if kind == EntryKind::File { contents } else { Vec::new() };
        entry.size = contents.len() as u64;
        (entry, contents)
    }
}

fn write_all(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, contents) in entries {
        writer.append(entry, contents.as_slice()).unwrap();
    }
    writer.finish().unwrap()
}

proptest! {
    #[test]
    fn what_is_written_is_read(entries in prop::collection::vec(entries(), 0..5)) {
        let bytes = write_all(&entries);
        prop_assert_eq!(read_all(&bytes).unwrap(), entries);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let _ = read_all(&bytes);
    }

    #[test]
    fn damaged_archives_never_panic(
        entries in prop::collection::vec(entries(), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        fix in any::<bool>(),
    ) {
        let mut bytes = write_all(&entries);
        for (index, byte) in damage {
            let position = index.index(bytes.len());
            bytes[position] = byte;
            if fix {
                // A valid checksum lets the damage reach what lies behind it.
                let start = position / BLOCK_BYTES * BLOCK_BYTES;
                let block: &mut [u8; BLOCK_BYTES] = (&mut bytes[start..start + BLOCK_BYTES]).try_into().unwrap();
                let sum = format!("{:06o}\0 ", header::sums(block).0);
                block[header::CHECKSUM].copy_from_slice(sum.as_bytes());
            }
        }
        let _ = read_all(&bytes);
    }

    #[test]
    fn others_read_the_same(entries in prop::collection::vec(entries(), 0..5)) {
        let bytes = write_all(&entries);
        let mut archive = ::tar::Archive::new(bytes.as_slice());
        let mut theirs = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            let path = entry.path_bytes().to_vec();
            let link = entry.link_name_bytes().map(|link| link.to_vec()).unwrap_or_default();
            theirs.push((path, link, contents, entry.header().mode().unwrap()));
        }
        let ours: Vec<_> = entries.iter().map(|(entry, contents)| {
            use std::os::unix::ffi::OsStrExt;
            (entry.path.as_bytes().to_vec(), entry.link.as_bytes().to_vec(), contents.clone(), entry.mode)
        }).collect();
        prop_assert_eq!(theirs, ours);
    }

    #[test]
    fn what_others_write_is_read(
        names in prop::collection::vec(("[a-z]{1,150}(/[a-z]{1,80}){0,3}", prop::collection::vec(any::<u8>(), 0..900)), 0..5),
    ) {
        let mut builder = ::tar::Builder::new(Vec::new());
        for (name, contents) in &names {
            let mut header = ::tar::Header::new_gnu();
            header.set_size(contents.len() as u64);
            header.set_mode(0o640);
            header.set_uid(70_000_000);
            header.set_mtime(1 << 40);
            builder.append_data(&mut header, name, contents.as_slice()).unwrap();
        }
        let bytes = builder.into_inner().unwrap();
        let read = read_all(&bytes).unwrap();
        prop_assert_eq!(read.len(), names.len());
        for ((entry, contents), (name, expected)) in read.iter().zip(&names) {
            prop_assert_eq!(entry.path.to_str().unwrap(), name.as_str());
            prop_assert_eq!(contents, expected);
            prop_assert_eq!((entry.mode, entry.owner.uid, entry.modified.seconds), (0o640, 70_000_000, 1 << 40));
        }
    }
}

/// An archive of one header with this type and size, contents and end included, records before it.
fn raw(records: &[u8], type_flag: u8, size: u64, contents: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if !records.is_empty() {
        bytes.extend(block("pax", b'x', records.len() as u64));
        bytes.extend(padded(records));
    }
    bytes.extend(block("file", type_flag, size));
    bytes.extend(padded(contents));
    bytes.extend([0; 1024]);
    bytes
}

fn padded(contents: &[u8]) -> Vec<u8> {
    let mut bytes = contents.to_vec();
    bytes.resize(contents.len().next_multiple_of(512), 0);
    bytes
}

fn block(name: &str, type_flag: u8, size: u64) -> [u8; 512] {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = type_flag;
    block[257..265].copy_from_slice(header::USTAR);
    seal(&mut block);
    block
}

fn seal(block: &mut [u8; 512]) {
    let sum = format!("{:06o}\0 ", header::sums(block).0);
    block[148..156].copy_from_slice(sum.as_bytes());
}

#[test]
fn the_pax_size_is_what_counts() {
    let mut inner = block("hidden", b'0', 0).to_vec();
    inner.resize(1024, 0);
    let bytes = raw(b"13 size=1024\n", b'0', 0, &inner);
    let entries = read_all(&bytes).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].1, inner);
}

#[test]
fn sparse_dialects() {
    let expected =
        Sparse { size: 3000, segments: vec![Segment { offset: 512, length: 5 }, Segment { offset: 2000, length: 3 }] };
    let mut records = Vec::new();
    for (key, value) in [
        ("size", "3000"),
        ("numblocks", "2"),
        ("offset", "512"),
        ("numbytes", "5"),
        ("offset", "2000"),
        ("numbytes", "3"),
    ] {
        pax::append(&mut records, &format!("GNU.sparse.{key}"), value.as_bytes());
    }
    let zero = raw(&records, b'0', 8, b"12345678");
    let mut records = Vec::new();
    for (key, value) in [("size", "3000"), ("name", "real"), ("map", "512,5,2000,3")] {
        pax::append(&mut records, &format!("GNU.sparse.{key}"), value.as_bytes());
    }
    let one = raw(&records, b'0', 8, b"12345678");
    let mut records = Vec::new();
    for (key, value) in [("major", "1"), ("minor", "0"), ("name", "real"), ("realsize", "3000")] {
        pax::append(&mut records, &format!("GNU.sparse.{key}"), value.as_bytes());
    }
    let contents = [padded(b"2\n512\n5\n2000\n3\n").as_slice(), b"12345678"].concat();
    let new = raw(&records, b'0', 520, &contents);
    let mut old = block("file", b'S', 8);
    old[257..265].copy_from_slice(b"ustar  \0");
    for (position, value) in [(386, 512), (398, 5), (410, 2000), (422, 3), (483, 3000)] {
        old[position..position + 11].copy_from_slice(format!("{value:011o}").as_bytes());
    }
    seal(&mut old);
    let old = [old.as_slice(), &padded(b"12345678"), &[0; 1024]].concat();
    for bytes in [zero, one, new, old] {
        let entries = read_all(&bytes).unwrap();
        assert_eq!(entries[0].0.sparse.as_ref(), Some(&expected));
        assert_eq!((entries[0].0.size, entries[0].1.as_slice()), (8, b"12345678".as_slice()));
    }
}

#[test]
fn contradictions_are_errors() {
    let overlapping = b"22 GNU.sparse.size=20\n29 GNU.sparse.map=0,5,3,3\n";
    let cases: [Vec<u8>; 7] = [
        raw(b"", b'Z', 0, b""),
        raw(b"", b'0', 1600, b""),
        raw(overlapping, b'0', 8, b"12345678"),
        raw(b"10 size=x\n", b'0', 0, b""),
        raw(b"13 path=a\0b\n\n", b'0', 0, b""),
        raw(b"", b'x', 2 << 20, b""),
        [block("g", b'g', 13).as_slice(), &padded(b"13 size=1024\n")].concat(),
    ];
    for bytes in cases {
        assert!(read_all(&bytes).is_err());
    }
    let bytes = raw(b"", b'0', 0, b"");
    assert!(read_all(&bytes[..700]).is_err());
    assert_eq!(read_all(&bytes[..512]).unwrap().len(), 1);
    assert_eq!(read_all(b"").unwrap().len(), 0);
}

#[test]
fn an_archive_may_end_with_its_last_contents() {
    let entry = |size| Entry { size, ..Entry::new("a", EntryKind::File) };
    let whole = write_all(&[(entry(3), b"abc".to_vec())]);
    for end in [BLOCK_BYTES + 3, BLOCK_BYTES + 100, 2 * BLOCK_BYTES] {
        assert_eq!(read_all(&whole[..end]).unwrap(), [(entry(3), b"abc".to_vec())], "{end}");
    }
    assert!(read_all(&whole[..BLOCK_BYTES + 2]).is_err());
}
