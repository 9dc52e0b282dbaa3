//! `squash`: what a stage adds to its base image, as one layer.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use image::{Commit, Image};
use model::{ChainId, ContainerId};
use serde_json::Value;
use storage::tar::Reader;
use storage::{Storage, Unarchive};
use sys::root::Root;

use crate::work::Work;
use crate::{Error, Result};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

impl Work<'_> {
    /// Replaces the stage's image by one with a single layer on its base.
    pub(crate) fn squash(&mut self) -> Result<()> {
        let (Some(image), site) = (self.stage()?.image.clone(), self.solve.site) else { return Ok(()) };
        let base = self.base.clone();
        let kept = base.as_ref().map_or(0, |base| base.layers.len());
        let added = image.layers.get(kept..).unwrap_or_default();
        if added.len() < 2 {
            return Ok(());
        }
        let id = ContainerId::random().map_err(|error| Error::Step(format!("no random numbers for an id: {error}")))?;
        site.storage.create_snapshot(&id.hex(), base.as_ref().and_then(|base| base.top()).as_ref())?;
        let squashed = self.merge(&id.hex(), added).and_then(|()| {
            let (squashed, _) = site.images.commit(&squashed(&image, base.as_deref(), &id.hex()))?;
            Ok(squashed)
        });
        let removed = site.storage.remove_snapshot(&id.hex());
        self.stage_mut()?.image = Some(squashed?);
        Ok(removed?)
    }

    fn merge(&self, snapshot: &str, layers: &[ChainId]) -> Result<()> {
        let storage: &Storage = self.solve.site.storage;
        let root = Root::from(storage.mount(snapshot, false)?);
        for layer in layers {
            self.solve.go_on()?;
            let merging = "merging layers";
            let mut tar = tempfile::tempfile_in(self.solve.site.temporary).map_err(Error::io(merging))?;
            storage.export_layer(layer, &tar)?;
            tar.rewind().map_err(Error::io(merging))?;
            let marks = delete(&root, tar.try_clone().map_err(Error::io(merging))?)?;
            tar.rewind().map_err(Error::io(merging))?;
            storage::archive::unarchive(&root, Path::new("/"), tar, &Unarchive::default())?;
            for mark in marks {
                root.remove(&mark)?;
            }
        }
        Ok(())
    }
}

/// Removes what a layer says is not there any more; the marks that say it.
fn delete(root: &Root, tar: File) -> Result<HashSet<PathBuf>> {
    let mut marks = HashSet::new();
    let mut reader = Reader::new(BufReader::new(tar));
    while let Some(entry) = reader.next_entry()? {
        let path = PathBuf::from(entry.path);
        let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
        let Some(hidden) = name.strip_prefix(WHITEOUT) else { continue };
        if name == OPAQUE {
            let folder = path.parent().unwrap_or(Path::new(""));
            for entry in root.read_dir(folder).unwrap_or_default() {
                root.remove(folder.join(entry.name))?;
            }
        } else {
            root.remove(path.with_file_name(OsStr::from_bytes(hidden)))?;
        }
        marks.insert(path);
    }
    Ok(marks)
}

/// The step that leaves the squashed image: all that the other one was, in one layer.
fn squashed(image: &Image, base: Option<&Image>, snapshot: &str) -> Commit {
    let from = base.map(|base| base.id.to_string()).unwrap_or_default();
    let mut config = image.config.config.clone().unwrap_or_default();
    config.other.insert("Image".to_owned(), Value::from(from.clone()));
    Commit {
        parent: base.map(|base| base.id),
        snapshot: snapshot.to_owned(),
        container: String::new(),
        container_config: config.clone(),
        config,
        comment: format!("merge {} to {from}", image.id),
        author: image.config.author.clone(),
        engine_version: image.config.docker_version.clone(),
        platform: Some(image.platform()),
        ..Commit::default()
    }
}
