//! Volumes: named folders that outlive containers.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use api::StringMap;
use api::volume::{Volume, VolumeCreateRequest, VolumeListResponse, VolumesPruned};
use model::{ContainerId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::container::mounts::{LOCAL, check_driver};
use crate::container::record::Record;
use crate::engine::Engine;
use crate::options::Filters;
use crate::{Error, Result};

/// Label of a volume that nobody named (Docker's).
const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// All volumes.
#[derive(Debug, Default)]
pub(crate) struct Volumes {
    by_name: Mutex<BTreeMap<String, Document>>,
}

/// What is stored of a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Document {
    created: Timestamp,
    labels: Option<StringMap>,
    /// What the local driver was told: `type`, `device` and `o`.
    options: Option<StringMap>,
}

impl Document {
    /// A folder of the machine that stands for the volume's own.
    fn bound(&self) -> Option<&str> {
        self.options.as_ref().and_then(|options| options.get("device")).map(String::as_str)
    }
}

/// Checks options of the local driver. Of all that can be mounted there are bound folders (`type=none,o=bind,device=/path`).
fn check_options(options: &StringMap) -> Result<()> {
    if let Some(unknown) = options.keys().find(|key| !["type", "device", "o", "size"].contains(&key.as_str())) {
        return Err(Error::invalid(format!("invalid option: \"{unknown}\"")));
    }
    for (key, needs) in [("device", "type"), ("type", "device"), ("o", "device"), ("o", "type")] {
        if options.contains_key(key) && !options.contains_key(needs) {
            return Err(Error::invalid(format!("missing required option: \"{needs}\"")));
        }
    }
    let text = |key| options.get(key).map_or("", String::as_str);
    let binds = text("o").split(',').any(|word| matches!(word, "bind" | "rbind"));
    let known = text("o").split(',').all(|word| matches!(word, "bind" | "rbind" | "rw"));
    if !options.contains_key("size") && binds && known && text("device").starts_with('/') {
        return Ok(());
    }
    Err(Error::not_implemented(
        "of the local volume driver's options only bound folders (type=none, o=bind, device=/path) are supported yet",
    ))
}

/// Refuses what cannot be a volume's name.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if first && rest && (2..=255).contains(&name.len()) {
        return Ok(());
    }
    if name.len() < 2 {
        return Err(Error::invalid(format!(
            "create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )));
    }
    Err(Error::invalid(format!(
        "create {name}: \"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )))
}

impl Volumes {
    /// All volumes that the database knows, and those whose rows a power cut took: files of users are never thrown away. A
    /// volume whose creation or removal was cut short has a row and no folder: it is there, and empty.
    pub(crate) fn load(store: &store::Store, storage: &storage::Storage) -> Result<Self> {
        let mut by_name: BTreeMap<String, Document> = store.read(|reader| reader.volumes())?.into_iter().collect();
        let folders: BTreeSet<String> = storage.volumes()?.into_iter().collect();
        for name in by_name.keys().filter(|name| !folders.contains(*name)) {
            storage.create_volume(name)?;
        }
        for name in folders {
            if let Entry::Vacant(place) = by_name.entry(name) {
                let name = place.key();
                tracing::warn!(name, "a volume that the database does not know is taken in");
                let document = Document { created: Timestamp::now(), ..Document::default() };
                store.write(|tx| tx.put_volume(name, &document))?;
                place.insert(document);
            }
        }
        Ok(Self { by_name: Mutex::new(by_name) })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Document>> {
        // Each change is one insertion or removal: a panic leaves nothing half done.
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The volume of that name, made if it is missing; without a name a new one.
    pub(crate) fn ensure(
        &self,
        engine: &Engine,
        name: &str,
        labels: Option<StringMap>,
        options: Option<StringMap>,
    ) -> Result<Volume> {
        let mut labels = labels;
        let name = if name.is_empty() {
            labels.get_or_insert_default().insert(ANONYMOUS.to_owned(), String::new());
            ContainerId::random()
                .map_err(|error| Error::system("no random numbers for a volume's name").caused_by(error))?
                .hex()
        } else {
            check_name(name)?;
            name.to_owned()
        };
        let mut by_name = self.lock();
        if let Some(document) = by_name.get(&name) {
            return shown(engine, &name, document);
        }
        let document = Document { created: Timestamp::now(), labels, options };
        // The row first: a folder that is in no row would look like one that lost it.
        engine.store.write(|tx| tx.put_volume(&name, &document))?;
        if let Err(error) = engine.storage.create_volume(&name) {
            engine.store.write(|tx| tx.remove_volume(&name))?;
            return Err(error.into());
        }
        by_name.insert(name.clone(), document.clone());
        drop(by_name);
        engine.tell("volume", "create", &name, [("driver", LOCAL)]);
        shown(engine, &name, &document)
    }

    /// Where the files of a volume are: beneath the data root, or in the folder that it binds.
    pub(crate) fn files(&self, volume: &Volume) -> Result<String> {
        let by_name = self.lock();
        let Some(folder) = by_name.get(&volume.name).and_then(Document::bound) else {
            return Ok(volume.mountpoint.clone());
        };
        match std::fs::metadata(folder) {
            Ok(_) => Ok(folder.to_owned()),
            Err(error) => Err(Error::system(format!(
                "error while mounting volume '{at}': failed to mount local volume: mount {folder}:{at}: {error}",
                at = volume.mountpoint,
            ))
            .caused_by(error)),
        }
    }

    fn get(&self, engine: &Engine, name: &str) -> Result<Volume> {
        match self.lock().get(name) {
            Some(document) => shown(engine, name, document),
            None => Err(Error::not_found(format!("get {name}: no such volume"))),
        }
    }

    /// Removes a volume that nothing uses.
    pub(crate) fn remove(&self, engine: &Engine, name: &str) -> Result<()> {
        let mut by_name = self.lock();
        if !by_name.contains_key(name) {
            return Err(Error::not_found(format!("get {name}: no such volume")));
        }
        let users = engine.volume_users(name);
        if !users.is_empty() {
            return Err(Error::conflict(format!("remove {name}: volume is in use - [{}]", users.join(", "))));
        }
        engine.storage.remove_volume(name)?;
        engine.store.write(|tx| tx.remove_volume(name))?;
        by_name.remove(name);
        drop(by_name);
        engine.tell("volume", "destroy", name, [("driver", LOCAL)]);
        Ok(())
    }

    fn all(&self) -> Vec<(String, Document)> {
        self.lock().iter().map(|(name, document)| (name.clone(), document.clone())).collect()
    }
}

fn shown(engine: &Engine, name: &str, document: &Document) -> Result<Volume> {
    let mountpoint = engine.storage.volume_path(name)?;
    Ok(Volume {
        created_at: Some(whole_seconds(document.created)),
        driver: LOCAL.to_owned(),
        labels: document.labels.clone(),
        mountpoint: mountpoint.display().to_string(),
        name: name.to_owned(),
        options: document.options.clone(),
        scope: LOCAL.to_owned(),
        usage_data: None,
    })
}

/// RFC 3339 without a fraction.
fn whole_seconds(time: Timestamp) -> String {
    Timestamp::from_unix(time.unix_seconds(), 0).to_string()
}

impl Engine {
    /// Ids of containers that mount a volume.
    pub(crate) fn volume_users(&self, name: &str) -> Vec<String> {
        let mounts = |container: &std::sync::Arc<crate::container::Container>| {
            container
                .record()
                .mounts
                .iter()
                .any(|mounted| mounted.point.r#type == "volume" && mounted.point.name == name)
        };
        self.containers.all().iter().filter(|container| mounts(container)).map(|container| container.id.hex()).collect()
    }

    pub(crate) fn list_volumes(&self, filters: &Filters) -> Result<VolumeListResponse> {
        filters.only(&["name", "driver", "label", "dangling"])?;
        let dangling = filters.flag("dangling")?;
        let mut volumes = Vec::new();
        for (name, document) in self.volumes.all() {
            let matches = filters.any("name", |wanted| name.contains(wanted))
                && filters.any("driver", |wanted| wanted == LOCAL)
                && filters.labels(document.labels.as_ref())
                && dangling.is_none_or(|dangling| dangling == self.volume_users(&name).is_empty());
            if matches {
                volumes.push(shown(self, &name, &document)?);
            }
        }
        Ok(VolumeListResponse { volumes, warnings: None })
    }

    pub(crate) fn make_volume(&self, request: VolumeCreateRequest) -> Result<Volume> {
        let context = |error: Error| error.context(format!("create {}", request.name));
        check_driver(&request.driver).map_err(context)?;
        let options = request.driver_opts.filter(|options| !options.is_empty());
        if let Some(options) = &options {
            check_options(options).map_err(context)?;
        }
        self.volumes.ensure(self, &request.name, request.labels, options)
    }

    pub(crate) fn find_volume(&self, name: &str) -> Result<Volume> {
        self.volumes.get(self, name)
    }

    pub(crate) fn delete_volume(&self, name: &str, force: bool) -> Result<()> {
        match self.volumes.remove(self, name) {
            // Forced: one that is not there is as good as removed.
            Err(error) if force && error.kind() == model::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    pub(crate) fn prune_volumes(&self, filters: &Filters) -> Result<VolumesPruned> {
        filters.only(&["label", "label!", "all"])?;
        let all = filters.flag("all")?.unwrap_or(false);
        let sizes: BTreeMap<_, _> = self.storage.disk_usage()?.volumes.into_iter().collect();
        let mut pruned = VolumesPruned::default();
        for (name, document) in self.volumes.all() {
            let anonymous = document.labels.as_ref().is_some_and(|labels| labels.contains_key(ANONYMOUS));
            let wanted = (all || anonymous) && filters.labels(document.labels.as_ref());
            if wanted && self.volumes.remove(self, &name).is_ok() {
                pruned.space_reclaimed += sizes.get(&name).copied().unwrap_or(0);
                pruned.volumes_deleted.get_or_insert_default().push(name);
            }
        }
        let reclaimed = pruned.space_reclaimed.to_string();
        self.tell("volume", "prune", "", [("reclaimed", reclaimed.as_str())]);
        Ok(pruned)
    }

    /// Tells the world of each volume that a container gets (`mount`) or gives back (`unmount`).
    pub(crate) fn volume_events(&self, record: &Record, action: &str) {
        let id = record.id.hex();
        for point in record.mounts.iter().map(|mounted| &mounted.point).filter(|point| point.r#type == "volume") {
            let mut attributes = vec![("container", id.as_str()), ("driver", LOCAL)];
            if action == "mount" {
                let writable = if point.rw { "true" } else { "false" };
                let place = point.destination.as_str();
                attributes.extend([("destination", place), ("propagation", point.propagation.as_str())]);
                attributes.push(("read/write", writable));
            }
            self.tell("volume", action, &point.name, attributes);
        }
    }
}
