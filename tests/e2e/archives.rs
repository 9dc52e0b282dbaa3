//! save, load, import and what lists images show, with the `docker` program and with podman and skopeo as counterparts.

use testkit::{Daemon, Program};

use crate::registry_servers::Served;

/// A daemon with busybox and `second:1`, which has one layer more; and the archive of both.
fn with_two_images() -> (Daemon, String) {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "--name", "made", "busybox", "sh", "-c", "echo 2 > /second; rm /etc/group"]).ok();
    daemon.docker(&["commit", "-c", "LABEL a=b", "made", "second:1"]).ok();
    daemon.docker(&["rm", "made"]).ok();
    let archive = daemon.path("ours.tar").display().to_string();
    daemon.docker(&["save", "-o", &archive, "second:1", "busybox"]).ok();
    (daemon, archive)
}

fn id(daemon: &Daemon, name: &str) -> String {
    daemon.docker(&["inspect", "-f", "{{.Id}}", name]).ok()
}

fn skopeo(daemon: &Daemon, arguments: &[&str]) {
    let policy = daemon.path("policy.json");
    std::fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).expect("a file can be written");
    Program::new("skopeo").args(["--policy"]).args([policy]).args(["copy", "-q"]).args(arguments).run().ok();
}

#[test]
fn podman_and_skopeo_read_what_is_saved_and_write_what_is_loaded() {
    let (daemon, ours) = with_two_images();
    let (busybox, second) = (id(&daemon, "busybox"), id(&daemon, "second:1"));
    let path = |name: &str| daemon.path(name).display().to_string();
    assert!(daemon.podman(&["load", "-i", &ours]).ok().contains("localhost/second:1"));
    let ids = daemon.podman(&["images", "-q", "--no-trunc"]).ok();
    assert!(ids.contains(&busybox) && ids.contains(&second), "{ids}");
    for (format, name) in [("docker-archive", "podman.tar"), ("oci-archive", "podman-oci.tar")] {
        daemon.podman(&["save", "-q", "--format", format, "-o", &path(name), "localhost/second:1"]).ok();
    }
    skopeo(
        &daemon,
        &[&format!("docker-archive:{ours}:second:1"), &format!("docker-archive:{}:sk:docker", path("sk.tar"))],
    );
    skopeo(
        &daemon,
        &[&format!("docker-archive:{ours}:busybox:latest"), &format!("oci-archive:{}:sk:oci", path("sk-oci.tar"))],
    );
    // The layout within ours that OCI tools read, and one with layers in zstd.
    let (oci, zstd) = (format!("oci:{}:a:1", path("oci")), format!("oci:{}:z:1", path("zstd")));
    skopeo(&daemon, &[&format!("oci-archive:{}", path("podman-oci.tar")), &oci]);
    skopeo(&daemon, &["--dest-compress-format", "zstd", "--format", "oci", &oci, &zstd]);
    Program::new("tar").args(["-C", &path("zstd"), "-cf", &path("zstd.tar"), "."]).run().ok();
    daemon.docker(&["rmi", "second:1", "busybox"]).ok();
    for (name, loaded, same) in [
        ("podman.tar", "localhost/second:1", true),
        ("podman-oci.tar", "localhost/second:1", false),
        ("sk.tar", "sk:docker", true),
        ("sk-oci.tar", "sk:oci", false),
        ("zstd.tar", "z:1", false),
    ] {
        let told = daemon.docker(&["load", "-i", &path(name)]).ok();
        assert!(told.ends_with(&format!("Loaded image: {loaded}")), "{name}: {told}");
        // A layout of the OCI has another config, and so another id.
        assert_eq!(id(&daemon, loaded) == second, same, "{name}");
        let file = if loaded == "sk:oci" { "/etc/group" } else { "/second" };
        daemon.docker(&["run", "--rm", loaded, "cat", file]).ok();
        daemon.docker(&["rmi", loaded]).ok();
    }
    assert_eq!(daemon.docker(&["images", "-aq"]).ok(), "");
}

#[test]
fn one_archive_is_in_every_layout() {
    let (daemon, ours) = with_two_images();
    let unpacked = daemon.path("unpacked");
    std::fs::create_dir(&unpacked).expect("a folder can be made");
    Program::new("tar").args(["-xf", &ours, "-C"]).args([&unpacked]).run().ok();
    let json = |name: &str| -> serde_json::Value {
        let text = std::fs::read_to_string(unpacked.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    assert_eq!(json("oci-layout")["imageLayoutVersion"], "1.0.0");
    assert_eq!(json("index.json")["manifests"].as_array().map(Vec::len), Some(2));
    assert_eq!(json("manifest.json")[0]["RepoTags"][0], "second:1");
    let top = json("repositories")["second"]["1"].as_str().expect("an id").to_owned();
    assert_eq!(json(&format!("{top}/json"))["id"], top.as_str());
    let parent = json(&format!("{top}/json"))["parent"].as_str().expect("a parent").to_owned();
    assert!(unpacked.join(parent).join("layer.tar").exists());
    // What an engine of 2014 reads of it.
    for name in ["oci-layout", "index.json", "manifest.json"] {
        std::fs::remove_file(unpacked.join(name)).expect("it is there");
    }
    let old = daemon.path("old.tar").display().to_string();
    Program::new("tar").args(["-C"]).args([&unpacked]).args(["-cf", &old, "."]).run().ok();
    let before = id(&daemon, "second:1");
    daemon.docker(&["rmi", "second:1", "busybox"]).ok();
    let told = daemon.docker(&["load", "-q", "-i", &old]).ok();
    assert!(told.contains("Loaded image: second:1") && !told.contains("Loading"), "{told}");
    assert_eq!(id(&daemon, "second:1"), before);
    assert_eq!(daemon.docker(&["run", "--rm", "second:1", "cat", "/second"]).ok(), "2");
    // Each step is an image, and the parent of the next.
    let parent = daemon.docker(&["inspect", "-f", "{{.Parent}}", "second:1"]).ok();
    assert_eq!(id(&daemon, &parent), parent);
    let history = daemon.docker(&["history", "-q", "--no-trunc", "second:1"]).ok();
    assert_eq!(history, format!("{before}\n{parent}"));
}

#[test]
fn imports_take_changes_and_loads_read_their_input() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["create", "--name", "box", "busybox", "true"]).ok();
    let (tar, saved) = (daemon.path("box.tar"), daemon.path("saved.tar.gz"));
    daemon.docker(&["export", "-o", &tar.display().to_string(), "box"]).ok();
    let bytes = std::fs::read(&tar).expect("it was exported");
    let changes = [
        "-c",
        "ENV A=1 B=2",
        "-c",
        "CMD echo $A$B",
        "-c",
        "EXPOSE 80",
        "-m",
        "by hand",
        "--platform",
        "linux/arm64/v8",
    ];
    let import =
        daemon.docker_program(&[&["import"], &changes[..], &["-", "imported:1"]].concat()).input(bytes).run().ok();
    assert_eq!(import, id(&daemon, "imported:1"));
    let format = "{{.Comment}} {{.Architecture}}{{.Variant}} {{json .Config.ExposedPorts}} {{json .Config.Cmd}}";
    let shown = daemon.docker(&["inspect", "-f", format, "imported:1"]).ok();
    assert_eq!(shown, r#"by hand arm64v8 {"80/tcp":{}} ["/bin/sh","-c","echo $A$B"]"#);
    assert_eq!(daemon.docker(&["run", "--rm", "imported:1"]).ok(), "12");
    // From an address.
    let served = Served::files(&daemon, 8651, &[]);
    std::fs::copy(&tar, served.folder.path().join("box.tar")).expect("a file can be copied");
    let address = format!("http://{}", served.name("box.tar"));
    daemon.docker(&["import", "-c", "CMD [\"echo\", \"fetched\"]", &address, "fetched:1"]).ok();
    assert_eq!(daemon.docker(&["run", "--rm", "fetched:1"]).ok(), "fetched");
    let missing = daemon.docker(&["import", &format!("http://{}", served.name("none.tar")), "none:1"]).fails(1);
    assert!(missing.contains("404"), "{missing}");
    let script = "docker save imported:1 | gzip > \"$1\"; docker rmi imported:1; docker load < \"$1\"";
    let program = Program::new("sh").args(["-ec", script, "sh"]).args([&saved]).env("DOCKER_HOST", daemon.host());
    assert!(program.run().ok().ends_with("Loaded image: imported:1"));
    let refused = daemon.docker_program(&["load"]).input("no archive").run().fails(1);
    assert!(refused.contains("invalid"), "{refused}");
    let missing = daemon.docker(&["save", "-o", &saved.display().to_string(), "busybox", "missing"]).fails(1);
    assert!(missing.contains("No such image: missing:latest"), "{missing}");
}

#[test]
fn lists_history_usage_and_prune() {
    let (daemon, _) = with_two_images();
    let list = |arguments: &[&str]| {
        let format = ["images", "--format", "{{.Repository}}:{{.Tag}}"];
        let mut lines: Vec<String> =
            daemon.docker(&[&format[..], arguments].concat()).ok().lines().map(str::to_owned).collect();
        lines.sort();
        lines.join(" ")
    };
    assert_eq!(list(&[]), "busybox:latest second:1");
    assert_eq!(list(&["-f", "label=a=b"]), "second:1");
    assert_eq!(list(&["-f", "before=second:1"]), "busybox:latest");
    assert_eq!(list(&["-f", "since=busybox"]), "second:1");
    assert_eq!(list(&["-f", "reference=sec*:1"]), "second:1");
    assert_eq!(list(&["-f", "until=1h"]), "");
    assert_eq!(list(&["second"]), "second:1");
    let wrong = daemon.docker(&["images", "-f", "nosuch=1"]).fails(1);
    assert!(wrong.contains("invalid filter 'nosuch'"), "{wrong}");
    let digests =
        daemon.docker(&["images", "--digests", "--no-trunc", "--format", "{{.ID}} {{.Digest}} {{.Size}}", "second"]);
    let size = daemon.docker(&["images", "--format", "{{.Size}}", "busybox"]).ok();
    assert_eq!(digests.ok(), format!("{} <none> {size}", id(&daemon, "second:1")));
    let history =
        daemon.docker(&["history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Size}}|{{.Comment}}", "second:1"]).ok();
    assert_eq!(history, format!("sh -c echo 2 > /second; rm /etc/group|2B|\n|{size}|Imported from -"));
    let df = daemon.docker(&["system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}}"]).ok();
    assert!(df.starts_with("Images 2 0 ") && df.contains("\nContainers 0 0 0B\nLocal Volumes 0 0 0B"), "{df}");
    let size = df.lines().next().unwrap_or_default().trim_start_matches("Images 2 0 ");
    let verbose = daemon.docker(&["system", "df", "-v", "--format", "{{json .Images}}"]).ok();
    let usage: serde_json::Value = serde_json::from_str(&verbose).unwrap_or_else(|error| panic!("{error}: {verbose}"));
    let second =
        usage.as_array().into_iter().flatten().find(|image| image["Repository"] == "second").expect("it is there");
    assert_eq!((&second["SharedSize"], &second["UniqueSize"]), (&size.into(), &"2B".into()), "{verbose}");
    // A name that moves on leaves an image without one.
    daemon.docker(&["tag", "busybox", "second:1"]).ok();
    assert_eq!(list(&["-f", "dangling=true"]), "<none>:<none>");
    assert_eq!(daemon.docker(&["image", "prune", "-f", "--filter", "label!=a"]).ok(), "Total reclaimed space: 0B");
    let pruned = daemon.docker(&["image", "prune", "-f", "--filter", "label=a"]).ok();
    assert!(pruned.contains("deleted: sha256:") && pruned.ends_with("Total reclaimed space: 2B"), "{pruned}");
    let bytes: f64 = daemon.docker(&["inspect", "-f", "{{.Size}}", "busybox"]).ok().parse().expect("a number");
    let pruned = daemon.docker(&["image", "prune", "-af"]).ok();
    let (words, megabytes) = pruned.rsplit_once("Total reclaimed space: ").expect("the space");
    let megabytes: f64 = megabytes.trim_end_matches("MB").parse().expect("a number");
    assert!(words.contains("untagged: busybox:latest") && (megabytes - bytes / 1e6).abs() < 0.01, "{pruned}");
    assert_eq!(daemon.docker(&["images", "-aq"]).ok(), "");
}

#[test]
fn lists_tell_the_manifests_that_archives_have() {
    let (daemon, ours) = with_two_images();
    let index = Program::new("tar").args(["-xOf", &ours, "index.json"]).run().ok();
    let index: serde_json::Value = serde_json::from_str(&index).expect("JSON");
    let saved = index["manifests"].as_array().into_iter().flatten();
    let saved = saved.map(|one| one["digest"].as_str().expect("a digest").to_owned()).collect::<Vec<_>>();
    let container = daemon.docker(&["create", "second:1"]).ok();
    let list = daemon.get("/v1.47/images/json?manifests=1").json();
    let row = list.as_array().and_then(|list| list.iter().find(|row| row["RepoTags"][0] == "second:1")).expect("it");
    let manifest = &row["Manifests"][0];
    assert!(saved.iter().any(|digest| manifest["ID"] == *digest), "{saved:?} {manifest:#}");
    assert_eq!((&manifest["Kind"], &manifest["Available"]), (&"image".into(), &true.into()));
    assert_eq!(
        (&manifest["Descriptor"]["digest"], &manifest["ImageData"]["Platform"]["os"]),
        (&manifest["ID"], &"linux".into())
    );
    assert_eq!(
        (&manifest["ImageData"]["Containers"][0], &manifest["ImageData"]["Size"]["Unpacked"]),
        (&container.as_str().into(), &row["Size"])
    );
    assert_eq!(daemon.get("/v1.48/images/second:1/json?manifests=1").json()["Manifests"], row["Manifests"]);
    for path in ["/v1.47/images/json", "/v1.46/images/json?manifests=1"] {
        assert!(daemon.get(path).json()[0].get("Manifests").is_none(), "{path}");
    }
    assert!(daemon.get("/v1.47/images/second:1/json?manifests=1").json().get("Manifests").is_none());
    daemon.docker(&["rm", &container]).ok();
}

#[test]
fn layers_are_images_to_clients_of_their_time() {
    let (daemon, ours) = with_two_images();
    // Out of an archive that knows no parents.
    let bare = daemon.path("bare.tar").display().to_string();
    skopeo(&daemon, &[&format!("docker-archive:{ours}:second:1"), &format!("docker-archive:{bare}:second:1")]);
    daemon.docker(&["rmi", "second:1", "busybox"]).ok();
    daemon.docker(&["load", "-i", &bare]).ok();
    let second = id(&daemon, "second:1").trim_start_matches("sha256:").to_owned();
    let get = |path: &str| {
        let answer = daemon.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    };
    let ids = |history: &serde_json::Value| -> Vec<String> {
        let steps = history.as_array().into_iter().flatten();
        steps.map(|step| step["Id"].as_str().unwrap_or_default().to_owned()).collect()
    };
    // Since then only the image has an id.
    assert_eq!(ids(&get("/v1.22/images/second:1/history")), [format!("sha256:{second}"), "<missing>".to_owned()]);
    for version in ["1.8", "1.14", "1.21"] {
        let line = ids(&get(&format!("/v{version}/images/second:1/history")));
        assert_eq!((line.len(), &line[0]), (2, &second), "{version}");
        let layer = get(&format!("/v{version}/images/{}/json", &line[1][..12]));
        let (key, parent) = if layer["Id"].is_string() { ("Id", "Parent") } else { ("id", "parent") };
        assert_eq!(
            (&layer[key], layer[parent].as_str().unwrap_or_default()),
            (&line[1].as_str().into(), ""),
            "{version}"
        );
        assert_eq!(get(&format!("/v{version}/images/second:1/json"))[parent], line[1].as_str(), "{version}");
        assert_eq!(ids(&get(&format!("/v{version}/images/{}/history", line[1]))), line[1..], "{version}");
        let list = get(&format!("/v{version}/images/json?all=1"));
        let row = |id: &str| list.as_array().and_then(|list| list.iter().find(|row| row["Id"] == id)).cloned();
        assert_eq!(row(&second).expect("it is listed")["ParentId"], line[1].as_str(), "{version}");
        let layer = row(&line[1]).expect("the layer is listed");
        assert_eq!((&layer["ParentId"], &layer["RepoTags"][0]), (&"".into(), &"<none>:<none>".into()), "{version}");
        assert_eq!(daemon.get(&format!("/v{version}/images/json")).json().as_array().map(Vec::len), Some(1));
    }
    assert_eq!(daemon.get("/v1.14/images/0123456789ab/json").status, 404);
    // The platform that is asked for, and where the files lie.
    let platform = |words: &str| daemon.get(&format!("/v1.49/images/second:1/json?platform={words}"));
    let arm = platform("%7B%22os%22:%22linux%22,%22architecture%22:%22arm64%22%7D");
    assert!(
        arm.status == 404 && arm.text().contains("does not provide the specified platform (linux/arm64)"),
        "{}",
        arm.text()
    );
    let both = platform("%7B%7D&manifests=1");
    assert_eq!(both.status, 400, "{}", both.text());
    let paths = get("/images/second:1/json")["GraphDriver"]["Data"].clone();
    for (key, file) in [("UpperDir", "second"), ("LowerDir", "bin/busybox")] {
        let path = std::path::Path::new(paths[key].as_str().expect("a path")).join(file);
        assert!(path.exists(), "{}", path.display());
    }
}
