//! Writing an archive's members.

use std::io::{BufReader, BufWriter, Read, Write};

use serde::Serialize;
use storage::tar::{Entry, EntryKind, Writer};
use storage::{Layer, Storage};

use crate::{Error, Result};

/// An archive being written. All members belong to root and are of 1970, so that the same images give the same bytes.
pub(super) struct Members<'a, W: Write> {
    tar: Writer<BufWriter<W>>,
    storage: &'a Storage,
}

impl<'a, W: Write> Members<'a, W> {
    pub(super) fn new(out: W, storage: &'a Storage) -> Self {
        Self { tar: Writer::new(BufWriter::with_capacity(1 << 17, out)), storage }
    }

    pub(super) fn directory(&mut self, path: &str) -> Result<()> {
        Ok(self.tar.append(&Entry::new(path, EntryKind::Directory), std::io::empty())?)
    }

    pub(super) fn file(&mut self, path: &str, contents: &[u8]) -> Result<()> {
        self.contents(path, contents.len() as u64, contents)
    }

    pub(super) fn json(&mut self, path: &str, document: &impl Serialize) -> Result<()> {
        let json =
            serde_json::to_vec(document).map_err(|source| Error::Document { member: path.to_owned(), source })?;
        self.file(path, &json)
    }

    pub(super) fn symlink(&mut self, path: &str, target: &str) -> Result<()> {
        let mut entry = Entry::new(path, EntryKind::Symlink);
        entry.link = target.into();
        Ok(self.tar.append(&entry, std::io::empty())?)
    }

    /// A layer's tar; exporting it and writing it down run side by side.
    pub(super) fn layer(&mut self, path: &str, layer: &Layer) -> Result<()> {
        let (reader, writer) = std::io::pipe().map_err(|source| Error::Stream { what: "saving a layer", source })?;
        let storage = self.storage;
        std::thread::scope(|scope| {
            let exported = scope.spawn(move || -> Result<()> {
                let mut out = BufWriter::with_capacity(1 << 16, writer);
                storage.export_layer(&layer.chain_id, &mut out)?;
                out.flush().map_err(|source| Error::Stream { what: "saving a layer", source })
            });
            let written = self.contents(path, layer.tar_bytes, BufReader::with_capacity(1 << 16, reader));
            match exported.join() {
                // An export that failed is why too little came; a client that left is why nobody took the rest.
                Ok(Err(error)) if !is_broken_pipe(&error) => Err(error),
                Ok(_) => written,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn contents(&mut self, path: &str, size: u64, contents: impl Read) -> Result<()> {
        let mut entry = Entry::new(path, EntryKind::File);
        entry.size = size;
        Ok(self.tar.append(&entry, contents)?)
    }

    pub(super) fn finish(self) -> Result<()> {
        self.tar.finish()?;
        Ok(())
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    match error {
        Error::Stream { source, .. } | Error::Storage(storage::Error::Io { source, .. }) => {
            source.kind() == std::io::ErrorKind::BrokenPipe
        }
        _ => false,
    }
}
