use super::*;
use crate::{ArchiveForm, image::digest};

fn built(engine: &Engine) -> Vec<Arc<Image>> {
    let base = engine.import("busybox", &[("a", "a")], &[]);
    let one = engine.step(&base, &[("b", "b")], "one", None);
    let two = engine.step(&one, &[], "two", None);
    let three = engine.step(&two, &[("c", "c")], "three", Some("app:v1"));
    vec![base, one, two, three]
}

#[test]
fn a_round_trip_keeps_ids_parents_and_names() {
    for form in [ArchiveForm::Combined, ArchiveForm::Version1] {
        let engine = Engine::new();
        let line = built(&engine);
        engine.images.tag("app:v1", "app", "v2").unwrap();
        let archive = engine.save(&["app"], form);
        let other = Engine::new();
        let progress = other.load(&archive).unwrap();
        let loaded = progress.iter().filter(|step| matches!(step, Progress::Loaded { .. })).count();
        assert_eq!(loaded, 2, "{form:?} {progress:?}");
        let id = other.id("app:v1");
        assert_eq!(id, line[3].id, "{form:?}");
        assert_eq!(other.id("app:v2"), id);
        let snapshot = other.images.snapshot();
        let steps = snapshot.history(snapshot.get(&id).unwrap()).unwrap();
        let known: Vec<_> = steps.iter().rev().map(|step| step.id).collect();
        assert_eq!(known, line.iter().map(|image| Some(image.id)).collect::<Vec<_>>(), "{form:?}");
        assert_eq!(other.save(&["app"], form), archive, "{form:?}: the same bytes again");
        assert_eq!(other.temporary_files(), 0);
    }
}

#[test]
fn the_combined_archive_is_many_things_at_once() {
    let engine = Engine::new();
    let line = built(&engine);
    let archive = engine.save(&["app:v1", &line[0].id.hex()], ArchiveForm::Combined);
    let members = members(&archive);
    assert_eq!(json(&members, "oci-layout")["imageLayoutVersion"], "1.0.0");
    let manifest = json(&members, "manifest.json");
    assert_eq!(manifest.as_array().unwrap().len(), 2);
    assert_eq!(manifest[0]["RepoTags"][0], "app:v1");
    assert_eq!(manifest[1]["RepoTags"], Value::Null, "an id brings no name along");
    assert_eq!(json(&members, "repositories"), serde_json::json!({"app": {"v1": line[3].id.hex()}}));
    let index = json(&members, "index.json");
    assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "docker.io/library/app:v1");
    // Every blob is what its name says, and all that is named is there.
    for (path, _, contents) in
        members.iter().filter(|(path, kind, _)| path.starts_with("blobs/sha256/") && *kind == EntryKind::File)
    {
        assert_eq!(*path, format!("blobs/sha256/{}", digest(contents).hex()));
    }
    for layer in manifest[0]["Layers"].as_array().unwrap() {
        assert!(members.iter().any(|(path, ..)| path == layer.as_str().unwrap()));
    }
    // The old folders make a line from the image down.
    let mut next = Some(line[3].id.hex());
    let mut steps = 0;
    while let Some(id) = next {
        let folder = json(&members, &format!("{id}/json"));
        assert_eq!(folder["id"], id.as_str());
        assert!(members.iter().any(|(path, ..)| *path == format!("{id}/layer.tar")));
        next = folder["parent"].as_str().map(str::to_owned);
        steps += 1;
    }
    assert_eq!(steps, 4);
}

#[test]
fn the_old_layout_has_only_old_keys() {
    let engine = Engine::new();
    let line = built(&engine);
    let archive = engine.save(&["app"], ArchiveForm::Version1);
    let members = members(&archive);
    let roots: Vec<&str> = members.iter().map(|(path, ..)| path.as_str()).filter(|path| !path.contains('/')).collect();
    assert_eq!(roots, ["repositories"]);
    let folder = json(&members, &format!("{}/json", line[0].id.hex()));
    let keys: Vec<&str> = folder.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["Size", "architecture", "comment", "container_config", "created", "docker_version", "id", "os"]);
    assert_eq!(folder["container_config"]["Memory"], 0);
    assert!(folder["container_config"].get("Labels").is_none());
    assert!(members.iter().all(|(_, kind, _)| matches!(kind, EntryKind::File | EntryKind::Directory)));
    let by_id = self::members(&engine.save(&[&line[3].id.short()], ArchiveForm::Version1));
    assert!(by_id.iter().all(|(path, ..)| path != "repositories"));
}

#[test]
fn the_old_layout_keeps_ids_that_were_made_here() {
    let engine = Engine::new();
    let parent = built(&engine).remove(3);
    let other = serde_json::json!({"Hostname": "h", "Image": parent.id.to_string()});
    let other = other.as_object().unwrap().clone();
    let run =
        RunConfig { cmd: Some(vec!["sh".to_owned()]), volumes: Some(Default::default()), other, ..Default::default() };
    let mut config = parent.config.clone();
    (config.config, config.container_config) = (Some(run.clone()), Some(run));
    config.history.push(crate::History {
        created: config.created,
        created_by: "sh".into(),
        empty_layer: true,
        ..Default::default()
    });
    let new = NewImage {
        config: serde_json::to_vec(&config).unwrap(),
        parent: Some(parent.id),
        names: vec!["bare:latest".parse().unwrap()],
        built: true,
    };
    let bare = engine.images.register(&engine.images.lease(), new).unwrap();
    let archive = engine.save(&["bare"], ArchiveForm::Version1);
    let folder = json(&members(&archive), &format!("{}/json", bare.id.hex()));
    assert_eq!(folder["config"]["Image"], parent.id.hex());
    let other = Engine::new();
    other.load(&archive).unwrap();
    assert_eq!(other.id("bare"), bare.id);
}

/// Parts of an archive as `docker save` wrote it from 1.10 to 24, by hand.
fn by_hand(name: &str) -> (ImageId, Vec<(String, Vec<u8>)>) {
    let (lower, upper) = (tar(&[("x", "lower")]), tar(&[("y", "upper")]));
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "created": "2020-01-01T00:00:00Z", "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(&lower), digest(&upper)]},
        "history": [{"created_by": "a"}, {"created_by": "b"}],
    });
    let config = serde_json::to_vec_pretty(&config).unwrap();
    let id = ImageId(digest(&config));
    let manifest = serde_json::json!([{"Config": format!("{}.json", id.hex()), "RepoTags": [name], "Layers": ["l1/layer.tar", "l2/layer.tar"]}]);
    let members = vec![
        ("l2/layer.tar".to_owned(), upper),
        ("manifest.json".to_owned(), manifest.to_string().into_bytes()),
        ("./l1/layer.tar".to_owned(), lower),
        (format!("{}.json", id.hex()), config),
    ];
    (id, members)
}

fn pack(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    archive(&members.iter().map(|(path, contents)| (path.as_str(), contents.clone())).collect::<Vec<_>>())
}

#[test]
fn docker_archives_in_any_order() {
    let (id, mut members) = by_hand("hand:v1");
    for _ in 0..members.len() {
        let engine = Engine::new();
        let progress = engine.load(&pack(&members)).unwrap();
        assert!(matches!(progress.last(), Some(Progress::Loaded { name, .. }) if name.familiar() == "hand:v1"));
        let image = engine.images.resolve("hand:v1").unwrap();
        assert_eq!((image.id, image.layers.len(), image.size_bytes), (id, 2, 10));
        members.rotate_left(1);
    }
}

#[test]
fn a_name_moves_to_the_loaded_image() {
    let engine = Engine::new();
    let before = engine.import("hand:v1", &[("z", "z")], &[]);
    let (_, members) = by_hand("hand:v1");
    let progress = engine.load(&pack(&members)).unwrap();
    assert!(progress.contains(&Progress::Renamed { name: "hand:v1".into(), before: before.id }));
    let again = engine.load(&pack(&members)).unwrap();
    assert_eq!(again.len(), 1, "all is here already: {again:?}");
}

/// The layout of docker 1.2, by hand: ids that are no digests of anything.
#[test]
fn old_archives() {
    let (one, two) = ("1".repeat(64), "2".repeat(64));
    let json = |id: &str, parent: Option<&str>| {
        serde_json::json!({"id": id, "parent": parent, "created": "2014-08-20T10:00:00.5Z", "docker_version": "1.2.0",
            "container_config": {"Cmd": ["/bin/sh", "-c", "x"], "Memory": 0, "PortSpecs": null}, "architecture": "amd64", "os": "linux", "Size": 1})
        .to_string()
        .into_bytes()
    };
    let repositories = serde_json::json!({"old": {"latest": two, "v1": one}}).to_string().into_bytes();
    let members = [
        (format!("{two}/VERSION"), b"1.0".to_vec()),
        (format!("{two}/json"), json(&two, Some(&one))),
        (format!("{two}/layer.tar"), vec![0; 1024]),
        (format!("{one}/json"), json(&one, None)),
        (format!("{one}/layer.tar"), tar(&[("a", "a")])),
        ("repositories".to_owned(), repositories),
    ];
    let engine = Engine::new();
    engine.load(&pack(&members)).unwrap();
    let image = engine.images.resolve("old").unwrap();
    assert_eq!(image.parent(), Some(engine.id("old:v1")));
    assert_eq!(image.layers.len(), 1);
    let steps = engine.images.snapshot().history(&image).unwrap();
    assert_eq!(steps.len(), 2);
    assert_eq!(steps[0].created_by, "/bin/sh -c x");
    // Without names: the image that is nobody's parent.
    let unnamed = Engine::new();
    let progress = unnamed.load(&pack(&members[..5])).unwrap();
    assert_eq!(progress.last(), Some(&Progress::LoadedId(image.id)));
    assert_eq!(unnamed.count(), 2);
}

#[test]
fn an_index_of_several_platforms() {
    let layer = tar(&[("x", "x")]);
    let mut blobs: Vec<(String, Vec<u8>)> = Vec::new();
    let mut put = |bytes: Vec<u8>, kind: &str| {
        let found = digest(&bytes);
        let descriptor = serde_json::json!({"mediaType": kind, "digest": found, "size": bytes.len()});
        blobs.push((format!("blobs/sha256/{}", found.hex()), bytes));
        descriptor
    };
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut zipped, &layer).unwrap();
    let layer_descriptor = put(zipped.finish().unwrap(), "application/vnd.oci.image.layer.v1.tar+gzip");
    let mut manifests = Vec::new();
    for architecture in ["s390x", model::native_architecture()] {
        let config = serde_json::json!({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]}});
        let config = put(config.to_string().into_bytes(), "application/vnd.oci.image.config.v1+json");
        let manifest = serde_json::json!({"schemaVersion": 2, "config": config, "layers": [layer_descriptor]});
        let mut manifest = put(manifest.to_string().into_bytes(), "application/vnd.oci.image.manifest.v1+json");
        manifest["platform"] = serde_json::json!({"architecture": architecture, "os": "linux"});
        manifests.push(manifest);
    }
    let mut attestation = put(b"{}".to_vec(), "application/vnd.oci.image.manifest.v1+json");
    attestation["platform"] = serde_json::json!({"architecture": "unknown", "os": "unknown"});
    manifests.insert(0, attestation);
    let mut top = put(
        serde_json::json!({"manifests": manifests}).to_string().into_bytes(),
        "application/vnd.oci.image.index.v1+json",
    );
    top["annotations"] = serde_json::json!({"io.containerd.image.name": "docker.io/library/multi:1"});
    blobs.push(("index.json".to_owned(), serde_json::json!({"manifests": [top]}).to_string().into_bytes()));
    let engine = Engine::new();
    engine.load(&pack(&blobs)).unwrap();
    assert_eq!(engine.images.resolve("multi:1").unwrap().config.architecture, model::native_architecture());
    // A layer that is not what its descriptor says.
    let (path, bytes) = &mut blobs[0];
    assert!(path.starts_with("blobs"));
    bytes.push(0);
    let other = Engine::new();
    assert!(other.load(&pack(&blobs)).is_err());
    assert_eq!((other.count(), other.layers()), (0, 0));
}
