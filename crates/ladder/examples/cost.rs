//! Measures what version 1.0 pays for the way down: one inspect, and a list of a thousand containers.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ladder::{Body, Climbed, Descent, Request, Response, Version};
use serde_json::{Value, json};

fn container(number: usize) -> Value {
    json!({
        "Id": format!("{number:064x}"), "Names": [format!("/box{number}")], "Image": "busybox", "ImageID": "sha256:00", "Command": "sh -c true", "Created": 1,
        "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}], "Labels": {}, "State": "running", "Status": "Up 3 seconds",
        "HostConfig": {"NetworkMode": "bridge"}, "Mounts": [],
        "NetworkSettings": {"Networks": {"bridge": {"NetworkID": "n", "EndpointID": "e", "Gateway": "172.17.0.1", "IPAddress": "172.17.0.2", "DNSNames": null}}},
    })
}

fn inspected() -> Value {
    let mut inspected = json!({
        "Id": format!("{:064x}", 1), "Created": "2026-01-01T00:00:00Z", "Path": "sh", "Args": ["-c", "true"], "Image": "sha256:00", "Name": "/web", "RestartCount": 0,
        "State": {"Status": "running", "Running": true, "Paused": false, "Restarting": false, "OOMKilled": false, "Dead": false, "Pid": 7, "ExitCode": 0, "Error": "",
            "StartedAt": "2026-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z"},
        "Mounts": [{"Type": "bind", "Source": "/a", "Destination": "/b", "Mode": "", "RW": true, "Propagation": "rprivate"}],
        "Config": {"Hostname": "web", "Env": ["PATH=/bin"], "Cmd": ["sh", "-c", "true"], "Image": "busybox", "Labels": {}},
        "NetworkSettings": {"IPAddress": "172.17.0.2", "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}, "Networks": {"bridge": {"DNSNames": null}}},
        "HostConfig": {},
    });
    for number in 0..60 {
        inspected["HostConfig"][format!("Field{number}")] = json!(null);
    }
    inspected
}

fn ask(version: Version, path: &str) -> Box<Descent> {
    let request =
        Request { method: "GET".into(), path: path.into(), query: Vec::new(), headers: Vec::new(), body: Body::Empty };
    match ladder::climb(version, request) {
        Climbed::Forward { descent, .. } => descent,
        Climbed::Answer(answer) => panic!("{answer:?}"),
    }
}

fn measure(what: &str, rounds: u32, mut run: impl FnMut()) -> Duration {
    run();
    let start = Instant::now();
    (0..rounds).for_each(|_| run());
    let each = start.elapsed() / rounds;
    println!("{what}: {each:?}");
    each
}

fn main() {
    let oldest = Version::new(1, 0);
    let inspect = inspected().to_string();
    let list = Value::from_iter((0..1000).map(container)).to_string();
    measure("climb of a request at 1.0", 10_000, || {
        black_box(ask(oldest, "/containers/web/json"));
    });
    for (what, path, text, rounds) in
        [("inspect", "/containers/web/json", &inspect, 5_000), ("list of 1000", "/containers/json", &list, 50)]
    {
        let parse = measure(&format!("{what}: only parsed and written again"), rounds, || {
            let value: Value = serde_json::from_str(text).unwrap_or_default();
            black_box(value.to_string());
        });
        let whole = measure(&format!("{what}: down to 1.0"), rounds, || {
            let value: Value = serde_json::from_str(text).unwrap_or_default();
            let Body::Json(value) = ask(oldest, path).response(Response::json(200, value)).body else { return };
            black_box(value.to_string());
        });
        println!("{what}: the rungs alone cost about {:?}", whole.saturating_sub(parse));
    }
}
