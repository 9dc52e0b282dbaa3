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
