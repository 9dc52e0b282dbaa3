//! What was decided where Docker 1.2.0 refused what it served, broke, or left more than one way.
//!
//! The table decision -> test is [`ladder::DECISIONS`], which is also a part of `docs/api-versions.md`;
//! [`every_decision_has_its_test`] holds it to the functions of these files.

use serde_json::{Value, json};
use testkit::{Answer, Daemon};

use crate::lifecycle::eventually;

/// Creates a container at a version; returns its id.
fn create(daemon: &Daemon, version: &str, body: &Value) -> String {
    let created = daemon.post(&format!("/v{version}/containers/create"), body);
    assert_eq!(created.status, 201, "{version}: {}", created.text());
    created.json()["Id"].as_str().expect("an id").to_owned()
}

/// Creates and starts `sh -c script`.
fn run(daemon: &Daemon, version: &str, script: &str) -> String {
    let id = create(daemon, version, &json!({"Image": "busybox", "Cmd": ["sh", "-c", script]}));
    let started = daemon.call("POST", &format!("/v{version}/containers/{id}/start"), None);
    assert_eq!(started.status, 204, "{version}: {}", started.text());
    id
}

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.text())
}

#[test]
fn every_decision_has_its_test() {
    for decision in ladder::DECISIONS {
        let (module, function) = decision.test.split_once("::").expect("module::function");
        let file = format!("{}/e2e/{module}.rs", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("#[test]\nfn {function}()")), "{} is no test", decision.test);
    }
}

#[test]
fn versions_that_are_too_new() {
    let daemon = Daemon::start();
    let newest = daemon.get(&format!("/v{}/version", ladder::NEWEST)).json();
    for version in ["1.99", "2.0", "9", "99999999999999999999.1"] {
        assert_eq!(daemon.get(&format!("/v{version}/version")).json(), newest, "{version}");
    }
    let strict = Daemon::with(&["--strict-api-version"]);
    let newest = ladder::NEWEST;
    let refused = strict.get("/v1.99/info");
    let text = format!("client version 1.99 is too new. Maximum supported API version is {newest}");
    assert_eq!((refused.status, refused.json()["message"].as_str()), (400, Some(text.as_str())));
    assert_eq!(strict.get("/v1.99/_ping").status, 400);
    assert_eq!(strict.get(&format!("/v{newest}/_ping")).status, 200);
    assert_eq!(strict.get("/v1.0/_ping").status, 200);
}

#[test]
fn malformed_versions() {
    let daemon = Daemon::start();
    let missing = |version: &str| daemon.get(&format!("/v{version}/containers/nosuch/json")).text();
    let oldest = missing("1.0");
    assert_eq!(oldest, "No such container: nosuch\n");
    for version in ["1", "1.", ".", ".5", "0", "0.9", "1..14", "01.0.7"] {
        assert_eq!(missing(version), oldest, "{version}");
    }
    // Numbers after the second do not matter.
    assert_eq!(daemon.get("/v1.14.9/images/viz").text(), "This is now implemented in the client.\n");
    for path in ["/vabc/_ping", "/v/_ping", "/V1.14/_ping", "/v1.14a/_ping", "/v-1/_ping", "/v1.14"] {
        assert_eq!(daemon.get(path).status, 404, "{path}");
    }
}

#[test]
fn requests_without_a_version() {
    let daemon = Daemon::with(&["--default-api-version", "1.14"]);
    let asked = |host: &str, path: &str| {
        let mut connection = daemon.connect();
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        connection.answer().text()
    };
    let (drawn, told, newest) = ("digraph docker {\n", "This is now implemented in the client.\n", "page not found");
    for host in ["", "d", "/var/run/docker.sock", "vagrant:2375", "v", "version", "127.0.0.1:4243"] {
        assert_eq!(asked(host, "/images/viz"), told, "{host}");
    }
    for host in ["v1.3", "v1.6", "v1"] {
        assert!(asked(host, "/images/viz").starts_with(drawn), "{host}");
    }
    assert_eq!(asked("v1.9", "/images/viz"), told);
    assert!(asked("v1.9", "/v1.6/images/viz").starts_with(drawn), "the path counts before the host");
    assert!(asked("v1.99", "/images/viz").contains(newest));
    let today = Daemon::start();
    assert!(today.get("/images/viz").text().contains(newest));
}

#[test]
fn exit_codes_of_signals() {
    let daemon = Daemon::with_busybox();
    let killed = run(&daemon, "1.14", "exec sleep 1000");
    assert_eq!(daemon.call("POST", &format!("/v1.14/containers/{killed}/kill"), None).status, 204);
    let chosen = run(&daemon, "1.14", "exit 137");
    for version in ["1.0", "1.5", "1.9", "1.12", "1.14", "1.16", "1.17", "1.51"] {
        let code = |id: &str| {
            let waited = daemon.call("POST", &format!("/v{version}/containers/{id}/wait"), None).json();
            let shown = daemon.get(&format!("/v{version}/containers/{id}/json")).json();
            assert_eq!(waited["StatusCode"], shown["State"]["ExitCode"], "{version}");
            let list = daemon.get(&format!("/v{version}/containers/json?all=1")).json();
            let listed = list.as_array().and_then(|list| list.iter().find(|listed| listed["Id"] == id)).expect("it");
            let status = format!("Exited ({}) ", waited["StatusCode"]);
            assert!(listed["Status"].as_str().is_some_and(|text| text.starts_with(&status)), "{version}: {listed}");
            waited["StatusCode"].as_i64()
        };
        let of_signal = if matches!(version, "1.17" | "1.51") { 137 } else { -1 };
        assert_eq!((code(&killed), code(&chosen)), (Some(of_signal), Some(137)), "{version}");
    }
}

#[test]
fn attach_is_hijacked() {
    let daemon = Daemon::with_busybox();
    let id = run(&daemon, "1.14", "echo out; exec sleep 1000");
    eventually(|| !daemon.get(&format!("/v1.5/containers/{id}/logs?stdout=1")).body.is_empty());
    let attached = |version: &str, upgrade: &str| {
        let mut connection = daemon.connect();
        let target = format!("/v{version}/containers/{id}/attach?logs=1&stdout=1");
        connection.send(format!("POST {target} HTTP/1.1\r\nHost: d\r\n{upgrade}\r\n"));
        connection.rest()
    };
    let plain = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n";
    let upgraded = |kind: &str| {
        format!("HTTP/1.1 101 UPGRADED\r\nContent-Type: {kind}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    };
    let framed = "\u{1}\0\0\0\0\0\0\u{4}out\n";
    let upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n";
    for (version, output) in [("1.0", "out\n"), ("1.5", "out\n"), ("1.6", framed), ("1.14", framed), ("1.16", framed)] {
        for asked in ["", upgrade] {
            assert_eq!(String::from_utf8_lossy(&attached(version, asked)), format!("{plain}{output}"), "{version}");
        }
    }
    for (version, kind) in [
        ("1.17", "application/vnd.docker.raw-stream"),
        ("1.41", "application/vnd.docker.raw-stream"),
        ("1.42", "application/vnd.docker.multiplexed-stream"),
    ] {
        let seen = attached(version, upgrade);
        assert_eq!(String::from_utf8_lossy(&seen), upgraded(kind) + framed, "{version}");
    }
}

#[test]
fn top_of_1_3() {
    let daemon = Daemon::with_busybox();
    let id = run(&daemon, "1.3", "exec sleep 1000");
    let processes = || daemon.get(&format!("/v1.3/containers/{id}/top")).json();
    eventually(|| processes()[0]["Cmd"] == "sleep 1000");
    let process = &processes()[0];
    assert_eq!((&process["Tty"], &process["Time"]), (&json!("?"), &json!("00:00:00")));
    assert!(process["PID"].as_str().is_some_and(|pid| pid.parse::<u32>().is_ok()), "{process}");
    assert_eq!(process.as_object().map(serde_json::Map::len), Some(4));
    let refused = (500, "top was improved a lot since 1.3, Please upgrade your docker client.\n".to_owned());
    for version in ["1.0", "1.2"] {
        assert_eq!(refusal(&daemon.get(&format!("/v{version}/containers/{id}/top"))), refused, "{version}");
    }
    assert!(daemon.get(&format!("/v1.4/containers/{id}/top")).json()["Titles"].is_array());
}

#[test]
fn builds_below_1_3() {
    let daemon = Daemon::with_busybox();
    let build = |version: &str, kind: &str, body: &str| {
        let mut connection = daemon.connect();
        let head = format!("Content-Type: {kind}\r\n");
        connection.request("POST", &format!("/v{version}/build?t=first"), &head, body.as_bytes());
        connection.answer().text()
    };
    // What a tar of one file holds, as far as it is text: the name, fields of numbers, the content.
    let mut header = [0; 512];
    header[..4].copy_from_slice(b"file");
    header[100..156].copy_from_slice(b"0000644\x000000000\x000000000\x0000000000005\x0000000000000\x00        ");
    header[156] = b'0';
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let context = String::from_utf8(header.to_vec()).expect("a header is text") + "hello" + &"\0".repeat(507 + 1024);
    for version in ["1.0", "1.1", "1.2"] {
        let told = build(version, "text/plain", "FROM busybox\nRUN echo hi\n");
        assert!(told.starts_with("FROM busybox ()\n===> ") && told.contains("\nRUN echo hi ("), "{version}: {told}");
        let parts = [("Dockerfile", "FROM busybox\nADD file /file\n"), ("Context", &context)].map(|(name, text)| {
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n\r\n{text}\r\n")
        });
        let told = build(version, "multipart/form-data; boundary=x", &format!("{}--x--\r\n", parts.concat()));
        assert!(
            told.contains("\nADD file /file (") && told.contains("\nBuild successful.\n===> "),
            "{version}: {told}"
        );
        assert_eq!(daemon.docker(&["run", "--rm", "first", "cat", "/file"]).ok(), "hello");
        let failed = build(version, "text/plain", "FROM busybox\nRUN false\n");
        assert!(failed.contains("\nError build: "), "{version}: {failed}");
    }
}

#[test]
fn a_context_from_nowhere() {
    let daemon = Daemon::start();
    for version in ["1.0", "1.6", "1.14"] {
        let refused = daemon.call("POST", &format!("/v{version}/build?remote=nonsense"), None);
        assert_eq!(refused.status, 500, "{version}: {}", refused.text());
    }
}

#[test]
fn a_commit_leaves_paused_what_was() {
    let daemon = Daemon::with_busybox();
    let id = run(&daemon, "1.14", "sleep 60");
    assert_eq!(daemon.call("POST", &format!("/v1.14/containers/{id}/pause"), None).status, 204);
    assert_eq!(daemon.call("POST", &format!("/v1.14/commit?container={id}"), None).status, 201);
    assert_eq!(daemon.get(&format!("/v1.14/containers/{id}/json")).json()["State"]["Paused"], json!(true));
    assert_eq!(daemon.call("POST", &format!("/v1.14/containers/{id}/unpause"), None).status, 204);
}

#[test]
fn names_of_images_are_those_of_today() {
    let daemon = Daemon::with_busybox();
    let id = |name: &str| daemon.get(&format!("/v1.14/images/{name}/json")).json()["Id"].clone();
    assert!(id("busybox").is_string());
    assert_eq!((id("library/busybox"), id("docker.io/busybox")), (id("busybox"), id("busybox")));
    for (query, text) in [
        (format!("repo={}", "a".repeat(256)), "repository name must not be more than 255 characters".to_owned()),
        (format!("repo=a&tag={}", "t".repeat(129)), format!("Illegal tag name: {}", "t".repeat(129))),
    ] {
        let refused = daemon.call("POST", &format!("/v1.14/images/busybox/tag?{query}"), None);
        assert_eq!(refusal(&refused), (500, format!("{text}\n")));
    }
}

#[test]
fn images_were_drawn() {
    let daemon = Daemon::with_busybox();
    assert_eq!(daemon.call("POST", "/v1.6/images/busybox/tag?repo=other&tag=2", None).status, 201);
    let id = daemon.get("/v1.12/images/busybox/json").json()["Id"].as_str().expect("an id").to_owned();
    let short = &id[..12];
    let label = format!("{short}\\nbusybox:latest\\nother:2");
    let drawn = format!(
        "digraph docker {{\n base -> \"{id}\" [style=invis]\n \"{short}\" [label=\"{label}\",shape=box,\
         fillcolor=\"paleturquoise\",style=\"filled,rounded\"];\n base [style=invisible]\n}}\n"
    );
    for version in ["1.0", "1.3", "1.6"] {
        let answer = daemon.get(&format!("/v{version}/images/viz"));
        assert_eq!((answer.status, answer.text()), (200, drawn.clone()), "{version}");
        assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
    }
    for version in ["1.7", "1.14"] {
        let gone = (404, "This is now implemented in the client.\n".to_owned());
        assert_eq!(refusal(&daemon.get(&format!("/v{version}/images/viz"))), gone, "{version}");
    }
}

#[test]
fn lists_below_1_5_are_not_empty() {
    let daemon = Daemon::with_busybox();
    let body = json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "ExposedPorts": {"80/tcp": {}, "53/udp": {}}});
    let id = create(&daemon, "1.6", &body);
    let bindings = json!({"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}});
    assert_eq!(daemon.post(&format!("/v1.6/containers/{id}/start"), &bindings).status, 204);
    for path in ["/v1.0/containers/json", "/v1.0/containers/ps", "/v1.4/containers/json"] {
        let list = daemon.get(path).json();
        assert_eq!(list[0]["Ports"], "53/udp, 127.0.0.1:8080->80/tcp", "{path}: {list}");
    }
    assert_eq!(daemon.get("/v1.5/containers/json").json()[0]["Ports"].as_array().map(Vec::len), Some(2));
}

#[test]
fn the_cache_of_old_clients_is_empty() {
    let daemon = Daemon::start();
    let asked = |version: &str| daemon.post(&format!("/v{version}/images/getCache"), &json!({"Id": "busybox"}));
    for version in ["1.0", "1.4"] {
        assert_eq!(refusal(&asked(version)), (404, String::new()), "{version}");
    }
    assert_eq!(refusal(&asked("1.5")), (404, "404 page not found\n".to_owned()));
}

#[test]
fn sizes_if_asked_for() {
    let daemon = Daemon::with_busybox();
    run(&daemon, "1.14", "echo 0123456789 > /file; exec sleep 1000");
    for version in ["1.0", "1.2", "1.4", "1.8", "1.12", "1.14", "1.24", "1.51"] {
        let list = |query: &str| daemon.get(&format!("/v{version}/containers/json?{query}")).json()[0].clone();
        let plain = list("");
        assert!(plain.get("SizeRw").is_none() && plain.get("SizeRootFs").is_none(), "{version}: {plain}");
        eventually(|| list("size=1")["SizeRw"] == 11);
        let root = list("size=1")["SizeRootFs"].as_i64();
        assert!(root.is_some_and(|bytes| bytes > 100_000), "{version}: {root:?}");
    }
}

#[test]
fn resize_without_a_terminal() {
    let daemon = Daemon::with_busybox();
    let never = create(&daemon, "1.14", &json!({"Image": "busybox", "Cmd": ["true"], "Tty": true}));
    let resized = |id: &str| refusal(&daemon.call("POST", &format!("/v1.14/containers/{id}/resize?h=5&w=7"), None));
    assert_eq!(resized(&never), (500, format!("Container {never} is not running\n")));
    let plain = run(&daemon, "1.14", "exec sleep 1000");
    assert_eq!(resized(&plain), (200, String::new()));
    assert_eq!(daemon.call("POST", &format!("/v1.14/containers/{plain}/kill"), None).status, 204);
    assert_eq!(daemon.call("POST", &format!("/v1.14/containers/{plain}/wait"), None).status, 200);
    assert_eq!(resized(&plain), (200, String::new()));
    assert_eq!(resized("nosuch"), (404, "No such container: nosuch\n".to_owned()));
}

#[test]
fn a_device_that_is_not_there() {
    let daemon = Daemon::with_busybox();
    let id = create(&daemon, "1.14", &json!({"Image": "busybox", "Cmd": ["true"]}));
    let device = json!({"PathOnHost": "/dev/nosuch", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"});
    let started = daemon.post(&format!("/v1.14/containers/{id}/start"), &json!({"Devices": [device]}));
    let text = format!(
        "Cannot start container {id}: error gathering device information while adding custom device \"/dev/nosuch\": \
         no such file or directory\n"
    );
    assert_eq!(refusal(&started), (500, text));
}

#[test]
fn privileges_are_what_the_machine_grants() {
    let daemon = Daemon::with_busybox();
    let granted = std::fs::read_to_string("/proc/self/status").expect("proc is mounted");
    let granted = granted.lines().find(|line| line.starts_with("CapBnd:")).expect("a bounding set").to_owned();
    for host_config in [json!({"Privileged": true}), json!({"CapAdd": ["ALL"]})] {
        let body = json!({"Image": "busybox", "Cmd": ["grep", "CapEff", "/proc/self/status"]});
        let id = create(&daemon, "1.14", &body);
        let started = daemon.post(&format!("/v1.14/containers/{id}/start"), &host_config);
        assert_eq!(started.status, 204, "{}", started.text());
        daemon.call("POST", &format!("/v1.14/containers/{id}/wait"), None);
        let seen = daemon.get(&format!("/v1.0/containers/{id}/logs?stdout=1")).text();
        assert_eq!(seen.trim().replace("CapEff", "CapBnd"), granted);
    }
}

#[test]
fn a_last_line_without_its_end() {
    let daemon = Daemon::with_busybox();
    let id = run(&daemon, "1.14", "echo one; printf two");
    daemon.call("POST", &format!("/v1.14/containers/{id}/wait"), None);
    assert_eq!(daemon.get(&format!("/v1.5/containers/{id}/logs?stdout=1")).text(), "one\ntwo");
    let mut attached = daemon.connect();
    attached.request("POST", &format!("/v1.5/containers/{id}/attach?logs=1&stdout=1"), "", b"");
    attached.head();
    assert_eq!(attached.rest(), b"one\ntwo");
}

#[test]
fn streams_of_the_dead_end() {
    let daemon = Daemon::with_busybox();
    let id = run(&daemon, "1.14", "echo out");
    daemon.call("POST", &format!("/v1.14/containers/{id}/wait"), None);
    for version in ["1.0", "1.14", "1.51"] {
        let mut attached = daemon.connect();
        let target = format!("/v{version}/containers/{id}/attach?logs=1&stream=1&stdin=1&stdout=1");
        attached.request("POST", &target, "", b"");
        attached.head();
        assert!(attached.rest().ends_with(b"out\n"), "{version}");
        let followed = daemon.get(&format!("/v{version}/containers/{id}/logs?follow=1&stdout=1"));
        assert!(followed.body.ends_with(b"out\n"), "{version}");
    }
}

#[test]
fn a_stop_without_seconds_waits() {
    let daemon = Daemon::with_busybox();
    let script = "trap 'sleep 0.5; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    for version in ["1.0", "1.8", "1.9", "1.14"] {
        let id = run(&daemon, version, script);
        eventually(|| daemon.get(&format!("/v1.5/containers/{id}/logs?stdout=1")).text() == "ready\n");
        assert_eq!(daemon.call("POST", &format!("/v{version}/containers/{id}/stop"), None).status, 204);
        let waited = daemon.call("POST", &format!("/v{version}/containers/{id}/wait"), None).json();
        assert_eq!(waited["StatusCode"], 5, "{version}: killed after all");
    }
}
