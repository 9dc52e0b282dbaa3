//! The same engine in the words of other API versions.

use serde_json::json;
use testkit::Daemon;

#[test]
fn every_version_from_1_44_up_runs_a_container() {
    let daemon = Daemon::with_busybox();
    for minor in 44..=51 {
        let body = json!({"Image": "busybox", "Cmd": ["true"]});
        let created = daemon.post(&format!("/v1.{minor}/containers/create"), &body);
        assert_eq!(created.status, 201, "{}", created.text());
        let id = created.json()["Id"].as_str().expect("an id").to_owned();
        assert_eq!(daemon.call("POST", &format!("/v1.{minor}/containers/{id}/start"), None).status, 204);
        let waited = daemon.call("POST", &format!("/v1.{minor}/containers/{id}/wait"), None);
        assert_eq!(waited.json()["StatusCode"], 0);
        assert_eq!(daemon.call("DELETE", &format!("/v1.{minor}/containers/{id}"), None).status, 204);
    }
}

#[test]
fn a_version_newer_than_ours_is_served_as_our_newest() {
    let daemon = Daemon::start();
    let mut connection = daemon.connect();
    connection.request("HEAD", "/_ping", "", b"");
    let (status, head) = connection.head();
    assert!(status == 200 && head.to_ascii_lowercase().contains("api-version: 1.51"), "{status} {head}");
    assert_eq!(daemon.get("/v1.99/_ping").status, 200);
    let strict = Daemon::with(&["--strict-api-version"]);
    assert_eq!(strict.get("/v1.99/_ping").status, 400);
}

/// People write `filters={"name":["web"]}` into a shell as it stands; Docker takes it.
#[test]
fn filters_are_taken_as_people_write_them() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["create", "--name", "web", "busybox", "true"]).ok();
    let socket = daemon.socket().display().to_string();
    let addresses = ["web", "other"]
        .map(|name| format!("http://x/v1.41/containers/json?all=1&filters={{\"name\":[\"^/{name}$\"]}}"));
    let [first, second] = addresses;
    // Both on one connection.
    let both = ["-s", "-g", "--unix-socket", &socket, &first, &second];
    let told = testkit::Program::new("curl").args(both).run().ok();
    assert!(told.contains("\"Names\":[\"/web\"]") && told.ends_with("[]"), "{told}");
}

/// As Docker Engine 28.5.2 tells them at these versions.
#[test]
fn an_image_tells_at_each_version_what_it_told_then() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["create", "--name", "made", "--label", "a=b", "busybox", "true"]).ok();
    daemon.docker(&["commit", "made", "made"]).ok();
    let image = |minor: u32, name: &str| daemon.get(&format!("/v1.{minor}/images/{name}/json")).json();
    for (minor, is_told) in [(51, false), (45, false), (44, true), (25, true)] {
        let shown = image(minor, "made");
        assert_eq!(shown["ContainerConfig"].is_object(), is_told, "1.{minor}: {shown}");
        assert_eq!(shown["Container"].as_str().is_some_and(|id| id.len() == 64), is_told, "1.{minor}: {shown}");
    }
    let empty = json!({
        "Cmd": null, "Entrypoint": null, "Env": null, "Labels": null, "OnBuild": null, "User": "", "Volumes": null,
        "WorkingDir": "",
    });
    assert_eq!(image(51, "busybox")["Config"], empty);
    assert_eq!(daemon.get("/v1.51/containers/made/json").json()["Config"]["Labels"], json!({"a": "b"}));
    let names =
        |minor: u32| daemon.get(&format!("/v1.{minor}/images/json?filters={{\"reference\":[\"made\"]}}")).json();
    assert_eq!(names(42)[0]["RepoDigests"], json!(null));
    assert_eq!(names(43)[0]["RepoDigests"], json!([]));
    let used = |minor: u32| daemon.get(&format!("/v1.{minor}/system/df")).json()["Images"].clone();
    for minor in [30, 51] {
        let counts: Vec<_> =
            used(minor).as_array().into_iter().flatten().map(|image| image["Containers"].clone()).collect();
        assert!(counts.contains(&json!(1)) && counts.contains(&json!(0)), "1.{minor}: {counts:?}");
    }
}

#[test]
fn version_1_14_speaks_as_in_2014() {
    let daemon = Daemon::with_busybox();
    let missing = daemon.get("/v1.14/containers/none/json");
    assert_eq!((missing.status, missing.text().as_str()), (404, "No such container: none\n"));
    let created = daemon
        .post("/v1.14/containers/create", &json!({"Image": "busybox", "Cmd": ["true"], "Memory": 8 << 20}))
        .json();
    assert!(created["Warnings"].is_null());
    let id = created["Id"].as_str().expect("an id");
    let started = daemon.post(&format!("/v1.14/containers/{id}/start"), &json!({"Binds": ["/tmp:/mnt:ro"]}));
    assert_eq!(started.status, 204, "{}", started.text());
    let inspected = daemon.get(&format!("/v1.14/containers/{id}/json")).json();
    assert_eq!(inspected["Volumes"]["/mnt"], "/tmp");
    assert_eq!(inspected["VolumesRW"]["/mnt"], false);
    assert_eq!(inspected["Config"]["Memory"], 8 << 20);
}

#[test]
fn parameters_may_be_a_form_in_the_body() {
    let daemon = Daemon::with_busybox();
    let form = |path: &str, body: &str| {
        let mut connection = daemon.connect();
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        connection.request("POST", path, kind, body.as_bytes());
        connection.answer()
    };
    for version in ["1.0", "1.14", "1.24", "1.51"] {
        let tagged = form(&format!("/v{version}/images/busybox/tag?tag=lost"), "repo=copy&tag=kept");
        assert_eq!(tagged.status, 201, "{version}: {}", tagged.text());
        assert_eq!(daemon.call("DELETE", "/images/copy:kept", None).status, 200, "{version}");
    }
    let created = form("/v1.14/containers/create", "{\"Image\": \"busybox\"}");
    assert_eq!((created.status, created.text().as_str()), (500, "EOF\n"));
}
