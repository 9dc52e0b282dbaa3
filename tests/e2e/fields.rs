//! Fields that moved between Config and HostConfig, or went: they work from wherever their version had them.

use serde_json::{Value, json};
use testkit::Daemon;

/// What a container with a script prints, of a version's create and start.
fn output(daemon: &Daemon, minor: u32, config: Value, host_config: Option<Value>, script: &str) -> String {
    let mut body = json!({"Image": "busybox", "Cmd": ["sh", "-c", script]});
    body.as_object_mut().expect("an object").extend(config.as_object().cloned().expect("an object"));
    let created = daemon.post(&format!("/v1.{minor}/containers/create"), &body);
    assert_eq!(created.status, 201, "1.{minor}: {}", created.text());
    let id = created.json()["Id"].as_str().expect("an id").to_owned();
    let path = format!("/v1.{minor}/containers/{id}/start");
    let started = match host_config {
        Some(host_config) => daemon.post(&path, &host_config),
        None => daemon.call("POST", &path, None),
    };
    assert_eq!(started.status, 204, "1.{minor}: {}", started.text());
    daemon.call("POST", &format!("/v1.{minor}/containers/{id}/wait"), None);
    let shown = daemon.get(&format!("/v1.5/containers/{id}/logs?stdout=1&stderr=1")).text();
    assert_eq!(daemon.call("DELETE", &format!("/containers/{id}"), None).status, 204);
    shown.trim().to_owned()
}

const MEMORY: &str = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";
const CPUS: &str = "grep -i Cpus_allowed_list /proc/self/status | cut -f 2";

#[test]
fn limits_lay_in_config_up_to_1_17() {
    let daemon = Daemon::with_busybox();
    let limits = json!({"Memory": 64 << 20, "Cpuset": "0", "CpusetCpus": "0"});
    let script = format!("{MEMORY}; {CPUS}");
    for minor in 0..=17 {
        assert_eq!(output(&daemon, minor, limits.clone(), None, &script), "67108864\n0", "1.{minor}");
        // A start's HostConfig says nothing of them.
        let seen = output(&daemon, minor, limits.clone(), Some(json!({"Binds": ["/tmp:/host"]})), &script);
        assert_eq!(seen, "67108864\n0", "1.{minor}");
    }
    for minor in [18, 21, 24, 51] {
        let config = json!({"HostConfig": limits});
        assert_eq!(output(&daemon, minor, config, None, &script), "67108864\n0", "1.{minor}");
    }
}

#[test]
fn ports_were_specified_in_config() {
    let daemon = Daemon::with_busybox();
    for minor in 0..=14 {
        let body = json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "PortSpecs": ["8080:80", "53/udp"]});
        let created = daemon.post(&format!("/v1.{minor}/containers/create"), &body).json();
        let id = created["Id"].as_str().expect("an id");
        assert_eq!(daemon.call("POST", &format!("/v1.{minor}/containers/{id}/start"), None).status, 204);
        let shown = daemon.get(&format!("/v1.14/containers/{id}/json")).json();
        let ports = &shown["NetworkSettings"]["Ports"];
        assert_eq!(ports["80/tcp"], json!([{"HostIp": "0.0.0.0", "HostPort": "8080"}]), "1.{minor}: {ports}");
        assert!(ports["53/udp"][0]["HostPort"].as_str().is_some_and(|port| port != "0"), "1.{minor}: {ports}");
        assert_eq!(daemon.call("DELETE", &format!("/containers/{id}?force=1"), None).status, 204);
    }
}

#[test]
fn dns_and_volumes_of_others_lay_in_config_up_to_1_9() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "--name", "donor", "-v", "/shared", "busybox", "sh", "-c", "echo kept > /shared/file"]).ok();
    let script =
        "grep -c 192.0.2.7 /etc/resolv.conf; cat /shared/file; touch /shared/new 2>/dev/null || echo read-only";
    let seen = "1\nkept\nread-only";
    for minor in 0..=9 {
        let config = json!({"Dns": ["192.0.2.7"], "VolumesFrom": "donor:ro"});
        assert_eq!(output(&daemon, minor, config.clone(), None, script), seen, "1.{minor}");
        let start = Some(json!({"Binds": ["/tmp:/host"]}));
        assert_eq!(output(&daemon, minor, config, start, script), seen, "1.{minor}");
    }
    for minor in [10, 12, 14] {
        let start = Some(json!({"Dns": ["192.0.2.7"], "VolumesFrom": ["donor:ro"]}));
        assert_eq!(output(&daemon, minor, json!({}), start, script), seen, "1.{minor}");
    }
    for minor in [15, 21, 51] {
        let config = json!({"HostConfig": {"Dns": ["192.0.2.7"], "VolumesFrom": ["donor:ro"]}});
        assert_eq!(output(&daemon, minor, config, None, script), seen, "1.{minor}");
    }
}

#[test]
fn privileges_lay_in_config_up_to_1_5() {
    let daemon = Daemon::with_busybox();
    let script = "test $(ls /dev | wc -l) -gt 20 && echo privileged";
    for minor in [4, 5] {
        assert_eq!(output(&daemon, minor, json!({"Privileged": true}), None, script), "privileged", "1.{minor}");
        let start = Some(json!({"Binds": ["/tmp:/host"]}));
        assert_eq!(output(&daemon, minor, json!({"Privileged": true}), start, script), "privileged", "1.{minor}");
    }
    for minor in [6, 14] {
        assert_eq!(output(&daemon, minor, json!({"Privileged": true}), None, script), "", "1.{minor}");
        let start = Some(json!({"Privileged": true}));
        assert_eq!(output(&daemon, minor, json!({}), start, script), "privileged", "1.{minor}");
    }
}

#[test]
fn a_start_takes_host_config_before_create_could() {
    let daemon = Daemon::with_busybox();
    let folder = daemon.path("bound");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    std::fs::write(folder.join("file"), "bound").expect("a file can be written");
    let binds = json!({"Binds": [format!("{}:/bound", folder.display())]});
    for minor in 0..=23 {
        assert_eq!(output(&daemon, minor, json!({}), Some(binds.clone()), "cat /bound/file"), "bound", "1.{minor}");
    }
    // Up to 1.14 a create did not look at it.
    let in_create = json!({"HostConfig": binds});
    for (minor, seen) in [(0, ""), (6, ""), (14, ""), (15, "bound"), (51, "bound")] {
        let script = "cat /bound/file 2>/dev/null";
        assert_eq!(output(&daemon, minor, in_create.clone(), None, script), seen, "1.{minor}");
    }
}

#[test]
fn settings_of_lxc_take_effect() {
    let daemon = Daemon::with_busybox();
    let settings = json!([
        {"Key": "lxc.utsname", "Value": "wombat"},
        {"Key": "lxc.cgroup.memory.limit_in_bytes", "Value": "64M"},
        {"Key": "lxc.cgroup.cpuset.cpus", "Value": "0"},
        {"Key": "lxc.network.type", "Value": "empty"},
        {"Key": "lxc.tty", "Value": "4"},
    ]);
    let script = format!("hostname; echo $HOSTNAME; cat /etc/hostname; {MEMORY}; {CPUS}; ls /sys/class/net");
    let seen = "wombat\nwombat\nwombat\n67108864\n0\nlo";
    for minor in [4, 6, 9, 14, 15, 21] {
        let start = Some(json!({"LxcConf": settings}));
        assert_eq!(output(&daemon, minor, json!({}), start, &script), seen, "1.{minor}");
    }
    assert!(daemon.log().contains("LxcConf lxc.tty=4 has no effect"), "{}", daemon.log());
    let body = json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": {"LxcConf": settings}});
    let created = daemon.post("/v1.21/containers/create", &body).json();
    assert!(created["Warnings"][0].as_str().is_some_and(|text| text.contains("lxc.tty=4")), "{created}");
    let config = json!({"HostConfig": {"LxcConf": settings}});
    for minor in [15, 21] {
        assert_eq!(output(&daemon, minor, config.clone(), None, &script), seen, "1.{minor}");
    }
}
