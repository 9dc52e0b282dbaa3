//! The blobs that layers came as: kept beside a layer's files where its importer wants that, for no two compressors write
//! the same.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::PoisonError;

use model::{ChainId, Digest};
use sha2::Sha256;
use sys::root::Root;

use crate::error::Doing;
use crate::layer::folder;
use crate::sum::Witnessed;
use crate::{Error, Result, Storage};

/// Its name in a layer's folder. An empty one was dropped.
pub(crate) const NAME: &str = "blob";

/// What a layer was imported from, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeptBlob {
    /// Digest of the blob, which usually is compressed.
    pub digest: Digest,
    /// What whoever had it calls it.
    pub media_type: String,
    /// Length in bytes.
    pub size_bytes: u64,
}

impl Storage {
    /// The blob that was kept of a layer, as it is on the disk now: whoever reads it compares its digest.
    ///
    /// # Errors
    /// There is no such layer; the blob cannot be opened.
    pub fn kept_blob(&self, chain_id: &ChainId) -> Result<Option<(KeptBlob, File)>> {
        let Some(blob) = self.kept(chain_id)?.blob else { return Ok(None) };
        let path = folder(chain_id).join(NAME);
        let file = match self.root.open_file(&path) {
            Ok(file) => file,
            // Without it there is nothing to drop: `Inspection` tells.
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_dropped = file.metadata().doing("opening a layer's blob")?.len() == 0;
        Ok((!is_dropped).then_some((blob, file)))
    }

    /// Gives back the room of the blob that was kept of a layer. What stays of it is an empty file, so that dropping is one
    /// step and a blob that something else took away is told from one that was dropped.
    ///
    /// # Errors
    /// There is no such layer; the file system's.
    pub fn drop_blob(&self, chain_id: &ChainId) -> Result<()> {
        let kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let layer = kept.get(chain_id).ok_or(Error::NoLayer(*chain_id))?;
        if layer.blob.is_some() {
            self.root.create(folder(chain_id).join(NAME), 0o600)?;
        }
        Ok(())
    }
}

/// Compares a kept blob with its digest; what is wrong with it.
///
/// # Errors
/// It cannot be read.
pub(crate) fn damage(root: &Root, path: &Path, blob: &KeptBlob) -> Result<Option<String>> {
    let mut file = match root.open_file(path) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(Some("it is missing".to_owned())),
        Err(error) => return Err(error.into()),
    };
    let mut hash = Witnessed::<_, Sha256>::new(io::sink());
    let length = io::copy(&mut file, &mut hash).doing("reading a layer's blob")?;
    let found = Digest::new(hash.verdict());
    Ok((length > 0 && found != blob.digest).then(|| format!("its digest is {found}, and was {}", blob.digest)))
}

/// Keeps what is read.
pub(crate) struct Keeping<R> {
    input: R,
    file: Option<File>,
    length: u64,
}

impl<R: Read> Keeping<R> {
    /// Into `file`, if there is one.
    pub(crate) fn new(input: R, file: Option<File>) -> Self {
        Self { input, file, length: 0 }
    }

    /// Keeps what follows the archive too; length of all. Of what is not kept the rest is left where it is.
    pub(crate) fn finish(mut self) -> Result<u64> {
        if self.file.is_some() {
            io::copy(&mut self, &mut io::sink()).doing("keeping a layer's blob")?;
        }
        Ok(self.length)
    }
}

impl<R: Read> Read for Keeping<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(buffer)?;
        if let Some(file) = &mut self.file {
            let failed = |error: io::Error| io::Error::new(error.kind(), format!("keeping a layer's blob: {error}"));
            file.write_all(&buffer[..length]).map_err(failed)?;
        }
        self.length += length as u64;
        Ok(length)
    }
}
