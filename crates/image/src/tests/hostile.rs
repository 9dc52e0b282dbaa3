use super::*;
use crate::image::digest;
use proptest::prelude::*;

fn refused(engine: &Engine, archive: &[u8]) -> String {
    let message = engine.load(archive).unwrap_err().to_string();
    assert_eq!((engine.count(), engine.layers(), engine.temporary_files()), (0, 0, 0), "{message}");
    message
}

fn with_manifest(manifest: &str, more: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut all = vec![("manifest.json", manifest.as_bytes().to_vec())];
    all.extend_from_slice(more);
    archive(&all)
}

#[test]
fn what_is_no_image() {
    let engine = Engine::new();
    assert!(refused(&engine, b"").contains("no image"));
    assert!(refused(&engine, &tar(&[("hello.txt", "hello\n")])).contains("no image"));
    refused(&engine, &b"this is no tar archive at all".repeat(40));
    assert!(refused(&engine, &with_manifest("[]", &[])).contains("no image"));
    refused(&engine, &with_manifest("{", &[]));
    assert!(refused(&engine, &with_manifest(r#"[{"Config":"c","Layers":[]}]"#, &[])).contains("c is missing"));
    assert!(refused(&engine, &archive(&[("index.json", br#"{"manifests":[]}"#.to_vec())])).contains("no image"));
    assert!(refused(&engine, &archive(&[("repositories", b"{}".to_vec())])).contains("no image"));
}

#[test]
fn layers_that_lie() {
    let engine = Engine::new();
    let (good, evil) = (tar(&[("a", "a")]), tar(&[("a", "b")]));
    let config = |diffs: &[model::Digest]| {
        serde_json::json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diffs}})
            .to_string()
            .into_bytes()
    };
    let manifest = r#"[{"Config":"c","RepoTags":["x:y"],"Layers":["l"]}]"#;
    let lying = with_manifest(manifest, &[("c", config(&[digest(&good)])), ("l", evil)]);
    assert!(refused(&engine, &lying).contains("has digest"));
    let short = with_manifest(manifest, &[("c", config(&[digest(&good), digest(&good)])), ("l", good.clone())]);
    assert!(refused(&engine, &short).contains("layers length mismatch: expected 2, got 1"));
    let outside = r#"[{"Config":"c","Layers":["../../../../etc/passwd"]}]"#;
    assert!(refused(&engine, &with_manifest(outside, &[("c", config(&[digest(&good)]))])).contains("is missing"));
    let windows = br#"{"os":"windows","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}"#.to_vec();
    let archive = with_manifest(r#"[{"Config":"c","Layers":[]}]"#, &[("c", windows)]);
    assert_eq!(refused(&engine, &archive), "cannot load windows image on linux");
    let named = with_manifest(r#"[{"Config":"c","RepoTags":["Bad Name"],"Layers":[]}]"#, &[("c", config(&[]))]);
    assert!(refused(&engine, &named).starts_with("invalid reference format"));
    let blob = format!("blobs/sha256/{}", "0".repeat(64));
    let renamed = with_manifest(&format!(r#"[{{"Config":"{blob}","Layers":[]}}]"#), &[(&blob, config(&[]))]);
    assert!(refused(&engine, &renamed).contains("has digest"));
}

#[test]
fn links_that_lead_out_or_round() {
    let engine = Engine::new();
    let link = |path: &str, kind, target: &str| {
        let mut entry = Entry::new(path, kind);
        entry.link = target.into();
        entry
    };
    let mut writer = Writer::new(Vec::new());
    for entry in [
        link("manifest.json", EntryKind::Symlink, "a"),
        link("a", EntryKind::HardLink, "b"),
        link("b", EntryKind::Symlink, "./a"),
        link("index.json", EntryKind::Symlink, "/etc/passwd"),
        link("repositories", EntryKind::Symlink, "../../../etc/passwd"),
        link("dev", EntryKind::CharDevice, ""),
    ] {
        writer.append(&entry, std::io::empty()).unwrap();
    }
    assert!(refused(&engine, &writer.finish().unwrap()).contains("no image"));
}

#[test]
fn old_archives_that_go_round() {
    let engine = Engine::new();
    let ids = ["1".repeat(64), "2".repeat(64)];
    let folder = |id: &str, parent: &str| {
        serde_json::json!({"id": id, "parent": parent, "os": "linux"}).to_string().into_bytes()
    };
    let repositories = serde_json::json!({"x": {"y": ids[0]}}).to_string().into_bytes();
    let (one, two) = (format!("{}/json", ids[0]), format!("{}/json", ids[1]));
    let archive =
        archive(&[("repositories", repositories), (&one, folder(&ids[0], &ids[1])), (&two, folder(&ids[1], &ids[0]))]);
    assert!(refused(&engine, &archive).contains("limit"));
    let lost = self::archive(&[("repositories", br#"{"x":{"y":"../../z"}}"#.to_vec())]);
    assert!(refused(&engine, &lost).contains("is missing"));
}

#[test]
fn documents_have_a_limit() {
    let engine = Engine::new();
    let huge = vec![b' '; (16 << 20) + 1];
    assert!(refused(&engine, &archive(&[("manifest.json", huge)])).contains("limit"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damage_is_refused_or_harmless(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let engine = Engine::new();
        let image = engine.import("app", &[("a", "a")], &[]);
        let mut archive = engine.save(&["app"], crate::ArchiveForm::Combined);
        let at = at.index(archive.len());
        archive[at] = byte;
        archive.truncate(archive.len() - cut.index(archive.len()) / 4);
        let other = Engine::new();
        if other.load(&archive).is_ok() {
            for image in other.images.snapshot().images() {
                prop_assert_eq!(digest(&image.bytes), image.id.0);
            }
        } else {
            prop_assert_eq!((other.count(), other.layers()), (0, 0));
        }
        prop_assert_eq!(engine.id("app"), image.id);
    }
}
