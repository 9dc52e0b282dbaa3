//! Images into archives.
//!
//! One tar serves every engine and tool: content lies once beneath `blobs/sha256`, as the OCI layout wants it;
//! `manifest.json` and `repositories` point at it, and the folders of the layout of before 2016 hold links to it.

mod member;
mod oci;
pub(crate) mod v1;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;

use model::{DiffId, ImageId, Reference};
use storage::{Layer, Storage};
use store::StoredManifest;

use crate::{Action, Error, Happening, Image, Images, Result, Snapshot};
use member::Members;

/// Which archive is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArchiveForm {
    /// An OCI layout that is at once `docker save`'s of all times: `manifest.json`, `repositories` and a folder a layer.
    #[default]
    Combined,
    /// Only `repositories` and a folder a layer, as engines up to 1.9 wrote it and their clients know it.
    Version1,
}

/// An image to save and the names that go with it.
struct Chosen {
    image: Arc<Image>,
    names: BTreeSet<Reference>,
}

impl Images {
    /// Writes images into one tar. A repository without a tag stands for all its tags; an id brings no name along.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] before the first byte; otherwise the stream's or the storage's.
    pub fn save(&self, names: &[String], form: ArchiveForm, out: impl Write) -> Result<Vec<Happening>> {
        // No layer of a snapshot taken from here on is removed while the lease lives.
        let _lease = self.lease();
        let snapshot = self.snapshot();
        let chosen = choose(&snapshot, names)?;
        let layers = self.layers_of(&chosen)?;
        let mut members = Members::new(out, &self.storage);
        let chains: Vec<Vec<v1::Step>> =
            chosen.iter().map(|one| v1::steps(&snapshot, &one.image)).collect::<Result<_>>()?;
        if form == ArchiveForm::Combined {
            oci::write(&mut members, &snapshot, &chosen, &layers)?;
        }
        let tops = chosen.iter().zip(&chains).filter_map(|(one, chain)| Some((one, chain.last()?)));
        let repositories = repositories(tops);
        if !repositories.is_empty() {
            members.json("repositories", &repositories)?;
        }
        let mut written = BTreeSet::new();
        for step in chains.iter().flatten().filter(|step| written.insert(step.id.clone())) {
            write_step(&mut members, step, &layers, form)?;
        }
        members.finish()?;
        Ok(chosen.iter().map(|one| Happening::new(Action::Save, &one.image)).collect())
    }

    /// The layers of the images; by diff id, since the archive keeps contents and not places.
    fn layers_of(&self, chosen: &[Chosen]) -> Result<BTreeMap<DiffId, Layer>> {
        let mut layers = BTreeMap::new();
        for chain in chosen.iter().flat_map(|one| &one.image.layers) {
            let layer = self.storage.layer(chain)?;
            layers.insert(layer.diff_id, layer);
        }
        Ok(layers)
    }
}

/// The manifest that an image has in archives.
pub(crate) fn described(storage: &Storage, image: &Image) -> Result<StoredManifest> {
    let mut layers = BTreeMap::new();
    for chain in &image.layers {
        let layer = storage.layer(chain)?;
        layers.insert(layer.diff_id, layer);
    }
    oci::stored(image, &layers)
}

/// The images that the client's names stand for, each once.
fn choose(snapshot: &Snapshot, names: &[String]) -> Result<Vec<Chosen>> {
    let mut chosen: Vec<Chosen> = Vec::new();
    let mut add =
        |image: Arc<Image>, name: Option<Reference>| match chosen.iter_mut().find(|one| one.image.id == image.id) {
            Some(one) => one.names.extend(name),
            None => chosen.push(Chosen { image, names: name.into_iter().collect() }),
        };
    for text in names {
        let reference = Reference::loose(text).ok();
        let bare = reference.as_ref().filter(|name| name.tag().is_none() && name.digest().is_none());
        let tags: Vec<(Reference, ImageId)> = bare.map(|bare| snapshot.tags_of(bare)).unwrap_or_default();
        if tags.is_empty() {
            let image = snapshot.resolve(text)?;
            let tagged = reference.filter(|name| name.tag().is_some() && name.digest().is_none());
            let name = tagged.filter(|name| snapshot.referenced(name).is_some_and(|found| found.id == image.id));
            add(image, name);
        }
        for (name, id) in tags {
            let image = snapshot.get(&id).cloned().ok_or_else(|| Error::NotFound(id.to_string()))?;
            add(image, Some(name));
        }
    }
    Ok(chosen)
}

type Repositories = BTreeMap<String, BTreeMap<String, String>>;

/// `{"busybox": {"latest": "<id of the topmost step>"}}`
fn repositories<'a>(tops: impl Iterator<Item = (&'a Chosen, &'a v1::Step)>) -> Repositories {
    let mut all = Repositories::new();
    for (one, top) in tops {
        for name in &one.names {
            let tag = name.tag().unwrap_or_default().to_owned();
            all.entry(name.familiar_name()).or_default().insert(tag, top.id.clone());
        }
    }
    all
}

fn write_step<W: Write>(
    members: &mut Members<'_, W>,
    step: &v1::Step,
    layers: &BTreeMap<DiffId, Layer>,
    form: ArchiveForm,
) -> Result<()> {
    members.directory(&format!("{}/", step.id))?;
    members.file(&format!("{}/VERSION", step.id), b"1.0")?;
    members.file(&format!("{}/json", step.id), &step.json)?;
    let tar = format!("{}/layer.tar", step.id);
    match step.diff.and_then(|diff| layers.get(&diff)) {
        None => members.file(&tar, &[0; 1024]),
        Some(layer) if form == ArchiveForm::Version1 => members.layer(&tar, layer),
        Some(layer) => members.symlink(&tar, &format!("../{}", oci::blob(layer.diff_id.0))),
    }
}
