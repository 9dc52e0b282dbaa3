//! Bad input: the right status, a clear sentence, and a daemon that goes on.

use std::os::unix::net::UnixStream;

use serde_json::json;
use testkit::Daemon;

#[track_caller]
fn still_well(daemon: &Daemon) {
    assert_eq!(daemon.docker(&["run", "--rm", "busybox", "echo", "well"]).ok(), "well");
}

#[test]
fn malformed_bodies_are_refused_with_a_sentence() {
    let daemon = Daemon::with_busybox();
    let create = |kind: &str, body: &[u8]| {
        let mut connection = daemon.connect();
        connection.request("POST", "/containers/create", kind, body);
        connection.answer()
    };
    let typed = "Content-Type: application/json\r\n";
    for body in [
        &b"{"[..],
        b"[]",
        b"\"text\"",
        b"{\"Image\": 5}",
        b"{\"Image\":\"busybox\",\"Cmd\":{\"a\":1}}",
        b"\xff\xfe",
        b"{} {}",
    ] {
        let answer = create(typed, body);
        assert_eq!(answer.status, 400, "{:?}: {}", String::from_utf8_lossy(body), answer.text());
        assert!(answer.json()["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
    assert_eq!(create("Content-Type: text/plain\r\n", b"{}").status, 400);
    assert_eq!(create(typed, b"").status, 400);
    let deep = "[".repeat(200_000);
    assert_eq!(create(typed, deep.as_bytes()).status, 400);
    still_well(&daemon);
}

#[test]
fn wrong_values_are_refused_with_a_sentence() {
    let daemon = Daemon::with_busybox();
    let refused = |body: serde_json::Value, status: u16| {
        let answer = daemon.post("/containers/create", &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(answer.json()["message"].is_string(), "{}", answer.text());
    };
    refused(json!({"Image": "no-such-image", "Cmd": ["true"]}), 404);
    refused(json!({"Image": "Bad Name", "Cmd": ["true"]}), 400);
    refused(json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Memory": 1000}}), 400);
    refused(json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Binds": ["/a:/b:c:d"]}}), 400);
    refused(json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Binds": ["/a:relative"]}}), 400);
    refused(json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": {"RestartPolicy": {"Name": "sometimes"}}}), 400);
    refused(
        json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": {"PortBindings": {"x/tcp": [{"HostPort": "1"}]}}}),
        400,
    );
    let answer = daemon.post("/containers/create?name=b%20d", &json!({"Image": "busybox", "Cmd": ["true"]}));
    assert_eq!(answer.status, 400);
    assert_eq!(daemon.get("/containers/none/json").json()["message"], "No such container: none");
    assert_eq!(daemon.get("/nothing").status, 404);
    assert_eq!(daemon.get("/containers/json?filters=x").status, 400);
    let unbuilt = daemon.post("/networks/create", &json!({"Name": "mine"}));
    assert_eq!(unbuilt.status, 501, "{}", unbuilt.text());
    still_well(&daemon);
}

#[test]
fn huge_and_unfinished_requests_do_no_harm() {
    let daemon = Daemon::with_busybox();
    let mut huge = daemon.connect();
    huge.send("POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n{");
    assert_eq!(huge.answer().status, 413);
    let mut long_head = daemon.connect();
    long_head.send(format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(60_000)));
    assert!((400..500).contains(&long_head.answer().status));
    let mut garbage = daemon.connect();
    garbage.send("\0\0\0\0 what is this\r\n\r\n");
    assert_eq!(garbage.answer().status, 400);
    let mut slow = daemon.connect();
    for byte in b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n" {
        slow.send([*byte]);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(slow.answer().text(), "OK");
    let mut half = daemon.connect();
    half.send("POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 10\r\n\r\n{");
    half.half_close();
    half.rest();
    still_well(&daemon);
}

#[test]
fn five_thousand_open_connections_do_no_harm() {
    let daemon = Daemon::with_busybox();
    let connections: Vec<UnixStream> =
        (0..5000).map(|_| UnixStream::connect(daemon.socket()).expect("a connection is accepted")).collect();
    still_well(&daemon);
    drop(connections);
    still_well(&daemon);
}
