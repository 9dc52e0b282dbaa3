//! All images of the engine: opening, looking, naming, and the door through which every new image comes.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use model::{ChainId, ImageId, Reference, Timestamp};
use storage::{Layer, Storage};
use store::{Store, StoredImage, StoredLayer};

use crate::image::Record;
use crate::lease::Leases;
use crate::snapshot::canonical;
use crate::{Action, Error, Happening, Image, Result, Snapshot};

/// All images. Reads take the current [`Snapshot`]; changes wait for each other, but only for the moment in which they
/// are written down: layers are made before.
#[derive(Debug)]
pub struct Images {
    pub(crate) store: Arc<Store>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) leases: Leases,
    temporary: PathBuf,
    current: ArcSwap<Snapshot>,
    changing: Mutex<()>,
}

/// An image whose layers exist and which is to be registered.
#[derive(Debug, Clone, Default)]
pub struct NewImage {
    /// The config, byte for byte; its digest becomes the image's id.
    pub config: Vec<u8>,
    /// The image it was made from, if that is here.
    pub parent: Option<ImageId>,
    /// Names it shall have, moved from whatever image has them.
    pub names: Vec<Reference>,
    /// Whether it was built or committed here.
    pub built: bool,
}

/// What registering an image changed.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    pub(crate) image: Arc<Image>,
    /// Names that stood for another image before.
    pub(crate) moved: Vec<(Reference, ImageId)>,
}

impl Images {
    /// Loads all images and sweeps temporary files and layers that an earlier process left behind.
    ///
    /// `temporary` is a folder of this crate alone on the file system of the storage; it is made if it is missing.
    /// Images whose layers are gone, or whose config does not parse, are removed; the strings say which and why.
    ///
    /// # Errors
    /// The store or storage cannot be read, or the folder not be made.
    pub fn open(store: Arc<Store>, storage: Arc<Storage>, temporary: &Path) -> Result<(Self, Vec<String>)> {
        empty_folder(temporary).map_err(|source| Error::File { path: temporary.to_owned(), source })?;
        let (stored, tags, known) = store
            .read(|reader| Ok::<_, store::Error>((reader.images::<Record>()?, reader.tags()?, reader.layers()?)))?;
        let on_disk: HashMap<ChainId, Layer> =
            storage.layers()?.into_iter().map(|layer| (layer.chain_id, layer)).collect();
        let sizes = on_disk.iter().map(|(chain, layer)| (*chain, layer.size_bytes)).collect();
        let mut warnings = Vec::new();
        let mut broken = Vec::new();
        let mut snapshot = Snapshot::default();
        for image in stored {
            let id = image.id;
            match sound(image, &on_disk) {
                Ok(image) => {
                    snapshot.insert(image, &sizes);
                }
                Err(error) => {
                    warnings.push(format!("image {id} was removed: {error}"));
                    broken.push(id);
                }
            }
        }
        for tag in tags {
            if snapshot.get(&tag.image).is_some() {
                snapshot.name(&tag.reference, tag.image);
            }
        }
        let lost: Vec<ChainId> =
            known.iter().map(|layer| layer.chain).filter(|chain| !snapshot.layers.contains_key(chain)).collect();
        let rowless = rowless(&snapshot, &known, &on_disk);
        if !broken.is_empty() || !lost.is_empty() || !rowless.is_empty() {
            store.write_durable(|transaction| {
                for id in &broken {
                    transaction.remove_image(id)?;
                }
                rowless.iter().try_for_each(|layer| transaction.put_layer(layer))?;
                remove_layer_rows(transaction, &lost, &known)
            })?;
        }
        let images = Self {
            store,
            storage,
            leases: Leases::new(temporary),
            temporary: temporary.to_owned(),
            current: ArcSwap::from_pointee(snapshot),
            changing: Mutex::new(()),
        };
        if let Err(error) = images.sweep_layers() {
            warnings.push(format!("layers that nothing needs stay on the disk: {error}"));
        }
        Ok((images, warnings))
    }

    /// Removes layers from the disk that neither an image nor a container needs; says which. Opening does
    /// it; to be called also after a container was removed whose image is gone.
    ///
    /// # Errors
    /// The storage cannot be read or a layer not be removed.
    pub fn sweep_layers(&self) -> Result<Vec<ChainId>> {
        self.leases.abandon(self.storage.layers()?.into_iter().map(|layer| layer.chain_id));
        self.drop_abandoned()
    }

    /// All images at this moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// As [`Snapshot::resolve`], now.
    ///
    /// # Errors
    /// As [`Snapshot::resolve`].
    pub fn resolve(&self, text: &str) -> Result<Arc<Image>> {
        self.current.load().resolve(text)
    }

    /// Gives an image a name, taken from whatever image has it. `repository` may end in a tag, which `tag` overrides.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Reference`] or [`Error::AmbiguousName`].
    pub fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<Vec<Happening>> {
        let reference = Reference::from_repository(repository, tag)?;
        if reference.familiar_name() == "sha256" {
            return Err(Error::AmbiguousName);
        }
        let image = self.resolve(image)?;
        self.name(&image, &reference)
    }

    /// Gives an image a name with a tag or digest, as [`Images::tag`] does.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the image has just gone; the store's.
    pub fn name(&self, image: &Image, reference: &Reference) -> Result<Vec<Happening>> {
        let reference = canonical(reference);
        let record = Record { last_tagged: Some(Timestamp::now()), ..image.record.clone() };
        let changing = self.changing();
        // A power cut may take the time of a name that it had already, but no name.
        let is_new = self.current.load().referenced(&reference).is_none_or(|named| named.id != image.id);
        self.change_under(&changing, is_new, |snapshot, transaction| {
            if snapshot.get(&image.id).is_none() {
                return Err(Error::NotFound(image.id.to_string()));
            }
            transaction.update_image(&image.id, &record)?;
            transaction.put_tag(&reference, &image.id)?;
            snapshot.insert(Image { record, ..image.clone() }, &HashMap::new());
            snapshot.name(&reference, image.id);
            Ok(())
        })?;
        Ok(vec![Happening::named(Action::Tag, image, reference.familiar())])
    }

    /// Registers an image whose layers were made under a lease that still lives. An image that is there already keeps
    /// its parent and gets the names in addition.
    ///
    /// # Errors
    /// [`Error::Document`] or [`Error::Config`] if the config is none, [`Error::Layer`] if a layer of it does not exist.
    pub fn register(&self, lease: &crate::Lease<'_>, new: NewImage) -> Result<Arc<Image>> {
        self.register_all(lease, vec![new]).map(|mut all| all.remove(0).image)
    }

    /// Registers images of which each was made from the one before, in one transaction; the last of them.
    ///
    /// # Errors
    /// As [`Images::register`].
    pub fn register_line(&self, lease: &crate::Lease<'_>, new: Vec<NewImage>) -> Result<Option<Arc<Image>>> {
        Ok(self.register_all(lease, new)?.pop().map(|registered| registered.image))
    }

    /// Registers several images in one transaction.
    pub(crate) fn register_all(&self, lease: &crate::Lease<'_>, new: Vec<NewImage>) -> Result<Vec<Registered>> {
        debug_assert!(lease.is_of(self), "a lease of other images protects nothing here");
        let mut prepared = Vec::with_capacity(new.len());
        let mut layers = HashMap::new();
        for new in new {
            let record = Record { parent: new.parent, built: new.built, last_tagged: None };
            let image = Image::parse(new.config, record)?;
            for chain in &image.layers {
                if !layers.contains_key(chain) {
                    layers.insert(*chain, self.existing_layer(chain)?);
                }
            }
            prepared.push((image, new.names));
        }
        self.storage.sync_layers(layers.keys())?;
        let sizes = layers.iter().map(|(chain, layer)| (*chain, layer.size_bytes)).collect();
        self.change(|snapshot, transaction| {
            let register = |(image, names)| register(snapshot, transaction, image, names, &layers, &sizes);
            prepared.into_iter().map(register).collect()
        })
    }

    fn existing_layer(&self, chain: &ChainId) -> Result<StoredLayer> {
        Ok(row(&self.existing(chain)?.ok_or(Error::Layer(*chain))?))
    }

    /// Changes snapshot and database together: both or neither. Waits for the disk.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Snapshot, &store::Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let changing = self.changing();
        self.change_under(&changing, true, change)
    }

    /// The same under a lock that is held already; `durable`: waits for the disk.
    fn change_under<T>(
        &self,
        _changing: &MutexGuard<'_, ()>,
        durable: bool,
        change: impl FnOnce(&mut Snapshot, &store::Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut next = Snapshot::clone(&self.current.load());
        let work = |transaction: &store::Transaction<'_>| change(&mut next, transaction);
        let value = if durable { self.store.write_durable(work)? } else { self.store.write(work)? };
        self.current.store(Arc::new(next));
        Ok(value)
    }

    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        // The lock guards no value: a panic under it left the snapshot as it was.
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder for what is not an image yet.
    pub(crate) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Removes from the disk what leases and removed images left behind, as far as no image and no container needs it;
    /// says what went. While a lease lives nothing goes: it may be about to make an image of it.
    pub(crate) fn drop_abandoned(&self) -> Result<Vec<ChainId>> {
        let _changing = self.changing();
        let abandoned = self.leases.collect();
        if abandoned.is_empty() {
            return Ok(Vec::new());
        }
        let removed = self.drop_unneeded(&abandoned);
        if removed.is_err() {
            // The next lease's end tries again.
            self.leases.abandon(abandoned);
        }
        removed
    }

    fn drop_unneeded(&self, abandoned: &BTreeSet<ChainId>) -> Result<Vec<ChainId>> {
        let mut needed: BTreeSet<ChainId> = self.snapshot().layers.keys().copied().collect();
        for top in self.storage.snapshot_tops()? {
            let mut next = Some(top);
            while let Some(chain) = next.filter(|chain| needed.insert(*chain)) {
                next = self.existing(&chain)?.and_then(|layer| layer.parent);
            }
        }
        let mut free = Vec::new();
        for chain in abandoned.iter().filter(|chain| !needed.contains(chain)) {
            free.extend(self.existing(chain)?);
        }
        self.remove_layers(free)
    }

    /// A layer, if it is on the disk.
    pub(crate) fn existing(&self, chain: &ChainId) -> Result<Option<Layer>> {
        match self.storage.layer(chain) {
            Ok(layer) => Ok(Some(layer)),
            Err(storage::Error::NoLayer(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes layers from the disk, each after those that stand on it.
    fn remove_layers(&self, mut layers: Vec<Layer>) -> Result<Vec<ChainId>> {
        let mut removed = Vec::new();
        while !layers.is_empty() {
            let parents: BTreeSet<ChainId> = layers.iter().filter_map(|layer| layer.parent).collect();
            let (lower, top): (Vec<_>, Vec<_>) =
                layers.into_iter().partition(|layer| parents.contains(&layer.chain_id));
            for layer in &top {
                self.storage.remove_layer(&layer.chain_id)?;
                removed.push(layer.chain_id);
            }
            // Parents that go in a circle would be damage on the disk: they stay.
            layers = if top.is_empty() { Vec::new() } else { lower };
        }
        Ok(removed)
    }
}

fn register(
    snapshot: &mut Snapshot,
    transaction: &store::Transaction<'_>,
    mut image: Image,
    names: Vec<Reference>,
    layers: &HashMap<ChainId, StoredLayer>,
    sizes: &HashMap<ChainId, u64>,
) -> Result<Registered> {
    if let Some(known) = snapshot.get(&image.id) {
        let (parent, built) = (known.parent().or(image.record.parent), known.is_built() || image.record.built);
        image.record = Record { parent, built, ..known.record.clone() };
    }
    image.record.parent = image.record.parent.filter(|parent| *parent != image.id && snapshot.get(parent).is_some());
    if !names.is_empty() {
        image.record.last_tagged = Some(Timestamp::now());
    }
    for layer in image.layers.iter().filter_map(|chain| layers.get(chain)) {
        transaction.put_layer(layer)?;
    }
    transaction.put_image(&image.id, &image.record, &image.bytes)?;
    let image = snapshot.insert(image, sizes);
    let mut moved = Vec::new();
    for name in names {
        let name = canonical(&name);
        transaction.put_tag(&name, &image.id)?;
        moved.extend(snapshot.name(&name, image.id).map(|before| (name, before)));
    }
    Ok(Registered { image, moved })
}

/// Removes rows of layers, each after those that stand on it.
pub(crate) fn remove_layer_rows(
    transaction: &store::Transaction<'_>,
    chains: &[ChainId],
    known: &[StoredLayer],
) -> Result<(), store::Error> {
    let parents: HashMap<ChainId, Option<ChainId>> = known.iter().map(|layer| (layer.chain, layer.parent)).collect();
    let depth = |chain: &ChainId| {
        std::iter::successors(Some(*chain), |chain| parents.get(chain).copied().flatten()).take(known.len() + 1).count()
    };
    let mut ordered: Vec<(usize, &ChainId)> = chains.iter().map(|chain| (depth(chain), chain)).collect();
    ordered.sort_by(|a, b| b.cmp(a));
    for (_, chain) in ordered {
        transaction.remove_layer(chain)?;
    }
    Ok(())
}

/// An image of the store, if its config parses and its layers are on the disk.
fn sound(stored: StoredImage<Record>, on_disk: &HashMap<ChainId, Layer>) -> Result<Image> {
    let id = stored.id;
    let image = Image::parse(stored.config, stored.document).map_err(|error| match error {
        Error::Document { source, .. } => Error::Stored { id, source },
        other => other,
    })?;
    if image.id != id {
        return Err(Error::Digest { what: "its config".into(), expected: id.0, found: image.id.0 });
    }
    match image.layers.iter().find(|chain| !on_disk.contains_key(chain)) {
        Some(missing) => Err(Error::Layer(*missing)),
        None => Ok(image),
    }
}

fn row(layer: &Layer) -> StoredLayer {
    StoredLayer { chain: layer.chain_id, parent: layer.parent, diff: layer.diff_id, size_bytes: layer.size_bytes }
}

/// Layers of images that have no row, because a damaged one was removed; each after the one it stands on.
fn rowless(snapshot: &Snapshot, known: &[StoredLayer], on_disk: &HashMap<ChainId, Layer>) -> Vec<StoredLayer> {
    let mut seen: BTreeSet<ChainId> = known.iter().map(|layer| layer.chain).collect();
    let layers = snapshot.images().flat_map(|image| &image.layers);
    layers.filter(|chain| seen.insert(**chain)).filter_map(|chain| on_disk.get(chain)).map(row).collect()
}

/// The layers that a stored image needs, lowest first, if its row is whole: for whoever looks at the database from outside.
///
/// # Errors
/// The id is none, the config is not the one that the id is the digest of, or a document is damaged.
pub fn layers_of_row(row: &store::RawRow) -> Result<Vec<ChainId>> {
    let id: ImageId = row.key.parse().map_err(|_| Error::Config(format!("{:?} is no image's id", row.key)))?;
    let stored = |source| Error::Stored { id, source };
    let document = serde_json::from_slice(row.bytes("document")).map_err(stored)?;
    let image = Image::parse(row.bytes("config").to_vec(), document).map_err(|error| match error {
        Error::Document { source, .. } => stored(source),
        other => other,
    })?;
    if image.id != id {
        return Err(Error::Config(format!("its digest is {}", image.id)));
    }
    Ok(image.layers)
}

/// Makes a folder, or empties it.
fn empty_folder(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::create_dir_all(path)
}
