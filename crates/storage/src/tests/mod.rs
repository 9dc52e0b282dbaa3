//! Tests of the storage as a whole, on a tmpfs.

mod archives;
mod blobs;
mod bombs;
mod hostile;
mod layers;
mod snapshots;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::tar::{Entry, EntryKind, Writer};
use crate::{Inspection, Storage};

/// A storage that is gone after the test.
struct Place {
    storage: Option<Storage>,
    path: PathBuf,
    /// Whether its layers must be whole at the end.
    whole: bool,
}

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("longshore-storage-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new("/dev/shm").join(name);
        Place { storage: Some(Storage::open(&path).unwrap()), path, whole: true }
    }

    fn reopen(&mut self) {
        self.storage = None;
        self.storage = Some(Storage::open(&self.path).unwrap());
    }
}

impl std::ops::Deref for Place {
    type Target = Storage;

    fn deref(&self) -> &Storage {
        self.storage.as_ref().unwrap()
    }
}

impl Drop for Place {
    /// Whatever a test did with layers, a check must find them whole and nothing beside them.
    fn drop(&mut self) {
        self.storage = None;
        if !std::thread::panicking() && self.whole {
            let inspection = Inspection::read(&self.path, &[]).unwrap();
            let strays = inspection.strays.iter().find(|(path, _)| path.starts_with("layers"));
            assert_eq!(strays, None);
            for layer in inspection.layers() {
                assert_eq!(inspection.verify(&layer.chain_id).unwrap(), [], "{layer:?}");
            }
        }
        std::fs::remove_dir_all(&self.path).unwrap();
    }
}

/// An archive put together entry by entry.
struct Tar(Writer<Vec<u8>>);

impl Tar {
    fn new() -> Tar {
        Tar(Writer::new(Vec::new()))
    }

    fn entry(mut self, entry: Entry) -> Tar {
        self.0.append(&entry, std::io::empty()).unwrap();
        self
    }

    fn file(mut self, path: &str, contents: &str) -> Tar {
        let mut entry = Entry::new(path, EntryKind::File);
        entry.size = contents.len() as u64;
        self.0.append(&entry, contents.as_bytes()).unwrap();
        self
    }

    fn dir(self, path: &str) -> Tar {
        self.entry(Entry::new(path, EntryKind::Directory))
    }

    fn link(self, kind: EntryKind, path: &str, target: &str) -> Tar {
        let mut entry = Entry::new(path, kind);
        entry.link = target.into();
        self.entry(entry)
    }

    /// The archive, with something after its end that a faithful copy must keep.
    fn bytes(self) -> Vec<u8> {
        let mut bytes = self.0.finish().unwrap();
        bytes.write_all(&[0; 3000]).unwrap();
        bytes
    }
}
