//! The crate as a whole, on a storage and store of its own in memory.

mod archives;
mod hostile;
mod naming;
mod removal;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::ImageId;
use serde_json::Value;
use storage::Storage;
use storage::tar::{Entry, EntryKind, Writer};
use store::Store;

use crate::{Commit, Config, Image, Images, Import, NewImage, Progress, RunConfig, Usage, Use};

/// An engine's images; the folder goes with it.
struct Engine {
    images: Images,
    folder: tempfile::TempDir,
}

impl Engine {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("longshore-image-").tempdir_in("/dev/shm").unwrap();
        let (images, warnings) = open(folder.path());
        assert_eq!(warnings, [""; 0]);
        Self { images, folder }
    }

    /// Stops and starts again.
    fn reopened(self) -> (Self, Vec<String>) {
        let Self { images, folder } = self;
        drop(images);
        let (images, warnings) = open(folder.path());
        (Self { images, folder }, warnings)
    }

    fn import(&self, name: &str, files: &[(&str, &str)], labels: &[&str]) -> Arc<Image> {
        let pairs = labels.iter().filter_map(|label| label.split_once('='));
        let labels = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>();
        let config = (!labels.is_empty()).then(|| RunConfig { labels: Some(labels), ..RunConfig::default() });
        let import = Import {
            name: Some(name.parse().unwrap()),
            message: "Imported from -".into(),
            config,
            engine_version: "1.0".into(),
            ..Import::default()
        };
        self.images.import(tar(files).as_slice(), &import).unwrap().0
    }

    /// A build step: a child with a layer, or with an empty step if there are no files.
    fn step(&self, parent: &Image, files: &[(&str, &str)], command: &str, name: Option<&str>) -> Arc<Image> {
        let lease = self.images.lease();
        let mut config: Config = parent.config.clone();
        let run = RunConfig { cmd: Some(vec![command.to_owned()]), ..full_config() };
        config.created = Some(model::Timestamp::now());
        config.comment = String::new();
        config.container = "c".repeat(64);
        config.container_config = Some(run.clone());
        config.config = Some(run);
        if !files.is_empty() {
            let layer = lease.import(tar(files).as_slice(), parent.top().as_ref()).unwrap();
            config.rootfs.diff_ids.push(layer.diff_id);
        }
        config.history.push(crate::History {
            created: config.created,
            created_by: command.to_owned(),
            empty_layer: files.is_empty(),
            ..Default::default()
        });
        let names = name.iter().map(|name| name.parse().unwrap()).collect();
        let config = serde_json::to_vec(&config).unwrap();
        self.images.register(&lease, NewImage { config, parent: Some(parent.id), names, built: false }).unwrap()
    }

    fn load(&self, archive: &[u8]) -> crate::Result<Vec<Progress>> {
        let mut progress = Vec::new();
        self.images.load(archive, &mut |step| progress.push(step))?;
        Ok(progress)
    }

    fn save(&self, names: &[&str], form: crate::ArchiveForm) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut archive = Vec::new();
        self.images.save(&names, form, &mut archive).unwrap();
        archive
    }

    fn id(&self, name: &str) -> ImageId {
        self.images.resolve(name).unwrap().id
    }

    fn count(&self) -> usize {
        self.images.snapshot().images().count()
    }

    /// Layers on the disk.
    fn layers(&self) -> usize {
        self.images.storage.layers().unwrap().len()
    }

    fn temporary_files(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("load")).unwrap().count()
    }
}

fn open(folder: &std::path::Path) -> (Images, Vec<String>) {
    let storage = Arc::new(Storage::open(&folder.join("storage")).unwrap());
    let store = Arc::new(Store::open(&folder.join("store.db")).unwrap());
    Images::open(store, storage, &folder.join("load")).unwrap()
}

/// A config with the keys that the engine always writes.
fn full_config() -> RunConfig {
    serde_json::from_str(
        r#"{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,
            "Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":["A=b"],"Cmd":null,"Image":"x","Volumes":null,
            "WorkingDir":"/w","Entrypoint":null,"OnBuild":null,"Labels":null}"#,
    )
    .unwrap()
}

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let members: Vec<(&str, Vec<u8>)> = files.iter().map(|(path, text)| (*path, text.as_bytes().to_vec())).collect();
    archive(&members)
}

fn archive(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (path, contents) in members {
        let mut entry = Entry::new(*path, EntryKind::File);
        entry.size = contents.len() as u64;
        writer.append(&entry, contents.as_slice()).unwrap();
    }
    writer.finish().unwrap()
}

/// Paths, kinds and contents of an archive.
fn members(archive: &[u8]) -> Vec<(String, EntryKind, Vec<u8>)> {
    let mut reader = storage::tar::Reader::new(archive);
    let mut members = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let mut contents = Vec::new();
        loop {
            let chunk = reader.chunk().unwrap();
            if chunk.is_empty() {
                break;
            }
            contents.extend_from_slice(chunk);
            let length = chunk.len();
            reader.consume(length);
        }
        members.push((entry.path.into_string().unwrap(), entry.kind, contents));
    }
    members
}

fn json(members: &[(String, EntryKind, Vec<u8>)], path: &str) -> Value {
    let (.., bytes) = members.iter().find(|(found, ..)| found == path).unwrap_or_else(|| panic!("no {path}"));
    serde_json::from_slice(bytes).unwrap()
}

/// Containers by the image they use.
#[derive(Default)]
struct Users(Vec<(ImageId, Use)>);

impl Users {
    fn one(image: &Image, running: bool) -> Self {
        Self(vec![(image.id, Use { container: "abcdef012345".into(), running })])
    }
}

impl Usage for Users {
    fn containers(&self, image: &ImageId) -> Vec<Use> {
        self.0.iter().filter(|(used, _)| used == image).map(|(_, user)| user.clone()).collect()
    }
}

#[test]
fn import_has_one_step_and_survives_a_restart() {
    let engine = Engine::new();
    let image = engine.import("tiny:v1", &[("hello.txt", "hello\n")], &["a=b"]);
    assert_eq!(image.comment(), "Imported from -");
    assert_eq!(image.size_bytes, 6);
    let steps = engine.images.snapshot().history(&image).unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!((steps[0].id, steps[0].size_bytes), (Some(image.id), 6));
    assert_eq!(steps[0].tags, ["tiny:v1"]);
    let (engine, warnings) = engine.reopened();
    assert_eq!(warnings, [""; 0]);
    let again = engine.images.resolve("tiny:v1").unwrap();
    assert_eq!((again.id, &again.bytes, again.size_bytes), (image.id, &image.bytes, 6));
    assert!(again.last_tagged() > image.created());
}

#[test]
fn a_failed_import_leaves_nothing() {
    let engine = Engine::new();
    assert!(engine.images.import(&b"this is no tar archive at all".repeat(40)[..], &Import::default()).is_err());
    assert_eq!((engine.count(), engine.layers()), (0, 0));
}

#[test]
fn commit_continues_its_parent() {
    let engine = Engine::new();
    let base = engine.import("base", &[("a", "a")], &[]);
    let storage = &engine.images.storage;
    storage.create_snapshot("c1", base.top().as_ref()).unwrap();
    let commit = Commit {
        parent: Some(base.id),
        snapshot: "c1".into(),
        container: "c".repeat(64),
        container_config: RunConfig { cmd: Some(vec!["sh".into(), "-c".into()]), ..full_config() },
        config: RunConfig { env: Some(vec!["A=b".into(), "X=y".into()]), ..full_config() },
        name: Some("saved:v1".parse().unwrap()),
        comment: "a comment".into(),
        author: "Me <me@example.com>".into(),
        engine_version: "1.0".into(),
        // Its parent tells.
        platform: Some("linux/arm/v6".parse().unwrap()),
    };
    let (image, happenings) = engine.images.commit(&commit).unwrap();
    storage.remove_snapshot("c1").unwrap();
    assert_eq!(happenings.len(), 1);
    assert_eq!(happenings[0].name, "saved:v1");
    assert_eq!(image.layers, base.layers, "nothing changed, so there is no layer");
    assert!(image.config.history[1].empty_layer);
    assert_eq!(image.config.history[1].created_by, "sh -c");
    assert_eq!(image.parent(), Some(base.id));
    assert_eq!(image.config.config.as_ref().unwrap().env, Some(vec!["A=b".into(), "X=y".into()]));
    assert_eq!(image.comment(), "a comment");
    let steps = engine.images.snapshot().history(&image).unwrap();
    assert_eq!(steps.iter().map(|step| step.id).collect::<Vec<_>>(), [Some(image.id), Some(base.id)]);
}

#[test]
fn an_image_without_its_layers_is_removed_at_the_start() {
    let engine = Engine::new();
    let lost = engine.import("lost", &[("a", "a")], &[]);
    let kept = engine.import("kept", &[("b", "b")], &[]);
    engine.images.storage.remove_layer(&lost.layers[0]).unwrap();
    let (engine, warnings) = engine.reopened();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains(&lost.id.to_string()), "{warnings:?}");
    assert_eq!(engine.count(), 1);
    assert_eq!(engine.id("kept"), kept.id);
    assert!(engine.images.resolve("lost").is_err());
    let (_, warnings) = engine.reopened();
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn orphaned_layers_are_swept_but_not_those_of_containers() {
    let engine = Engine::new();
    let base = engine.import("base", &[("a", "a")], &[]);
    let storage = &engine.images.storage;
    let used = storage.import(tar(&[("u", "u")]).as_slice(), None).unwrap();
    storage.import(tar(&[("o", "o")]).as_slice(), base.top().as_ref()).unwrap();
    storage.create_snapshot("c1", Some(&used.chain_id)).unwrap();
    assert_eq!(engine.images.sweep_layers().unwrap().len(), 1);
    assert_eq!(engine.layers(), 2);
}
