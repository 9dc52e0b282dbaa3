//! Blobs that are kept of layers.

use std::io::{Read, Write};

use model::Digest;
use sha2::{Digest as _, Sha256};

use super::{Place, Tar};
use crate::{Inspection, KeptBlob};

#[test]
fn a_blob_stays_as_it_came_until_it_is_dropped() {
    let storage = Place::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&Tar::new().dir("x").bytes()).unwrap();
    let bytes = gzip.finish().unwrap();
    let digest = Digest::new(Sha256::digest(&bytes).into());
    let wanted = KeptBlob { digest, media_type: "a".to_owned(), size_bytes: bytes.len() as u64 };
    let import = |blob| storage.import_above(bytes.as_slice(), None, &|| true, blob).unwrap().chain_id;
    let chain = import(None);
    assert!(storage.kept_blob(&chain).unwrap().is_none());
    storage.drop_blob(&chain).unwrap();
    storage.remove_layer(&chain).unwrap();
    import(Some(&wanted));
    let read = || {
        let (blob, mut file) = storage.kept_blob(&chain).unwrap()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        Some((blob, bytes))
    };
    assert_eq!(read(), Some((wanted, bytes.clone())));
    // What is left of the file, and whether that is as it should be.
    let path = storage.path().join(crate::layer::folder(&chain)).join("blob");
    let look = || {
        let inspection = Inspection::read(storage.path(), &[]).unwrap();
        let faults = inspection.verify(&chain).unwrap();
        assert!(faults.iter().all(|fault| fault.of_blob), "{faults:?}");
        (inspection.blobs().unwrap().len(), faults.into_iter().next().map(|fault| fault.reason))
    };
    assert_eq!(look(), (1, None));
    std::fs::write(&path, &bytes[1..]).unwrap();
    assert!(matches!(look(), (1, Some(reason)) if reason.contains("its digest is")));
    storage.drop_blob(&chain).unwrap();
    assert_eq!((look(), read()), ((0, None), None));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(look(), (0, Some(reason)) if reason.contains("missing")));
    assert_eq!(read(), None);
    storage.remove_layer(&chain).unwrap();
    assert!(!path.parent().unwrap().exists());
}
