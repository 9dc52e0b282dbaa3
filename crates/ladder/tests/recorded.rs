//! What Docker 1.2.0 answered at 1.14 and below, from what the newest version says of the same thing.
#![recursion_limit = "512"]

use ladder::{Body, Climbed, Descent, Request, Response, Version};
use serde_json::{Value, json};

fn climb(minor: u32, method: &str, path: &str, query: &[(&str, &str)], body: Value) -> (Request, Box<Descent>) {
    let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    let body = if body.is_null() { Body::Empty } else { Body::Json(body) };
    match ladder::climb(
        Version::new(1, minor),
        Request { method: method.into(), path: path.into(), query, headers, body },
    ) {
        Climbed::Forward { request, descent, .. } => (request, descent),
        Climbed::Answer(answer) => panic!("{answer:?}"),
    }
}

fn down(minor: u32, path: &str, newest: Value) -> Value {
    match climb(minor, "GET", path, &[], Value::Null).1.response(Response::json(200, newest)).body {
        Body::Json(value) => value,
        other => panic!("{other:?}"),
    }
}

fn error(minor: u32, method: &str, path: &str, body: Value, status: u16, message: &str) -> (u16, String) {
    let answer = climb(minor, method, path, &[], body).1.response(Response::error(status, message));
    match answer.body {
        Body::Text(text) => (answer.status, text),
        other => panic!("{other:?}"),
    }
}

const ID: &str = "4d9bd06cbb2f4d9bd06cbb2f4d9bd06cbb2f4d9bd06cbb2f4d9bd06cbb2f1234";

/// A container of `sh -c true` that never ran, as the newest version shows it.
fn fresh() -> Value {
    json!({
        "Id": ID, "Created": "2026-01-01T00:00:00.5Z", "Path": "sh", "Args": ["-c", "true"],
        "State": {
            "Status": "created", "Running": false, "Paused": false, "Restarting": false, "OOMKilled": false, "Dead": false, "Pid": 0, "ExitCode": 0, "Error": "",
            "StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z",
        },
        "Image": "sha256:1234", "ResolvConfPath": "", "HostnamePath": "", "HostsPath": "", "LogPath": "/l", "Name": "/web", "RestartCount": 0, "Driver": "overlay2",
        "Platform": "linux", "MountLabel": "", "ProcessLabel": "", "AppArmorProfile": "", "ExecIDs": null,
        "HostConfig": {
            "Binds": null, "ContainerIDFile": "", "LogConfig": {"Type": "json-file", "Config": {}}, "NetworkMode": "default", "PortBindings": {},
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "AutoRemove": false, "VolumeDriver": "", "VolumesFrom": null, "ConsoleSize": [0, 0], "CapAdd": null,
            "CapDrop": null, "CgroupnsMode": "host", "Dns": [], "DnsOptions": [], "DnsSearch": [], "ExtraHosts": null, "GroupAdd": null, "IpcMode": "shareable", "Cgroup": "",
            "Links": null, "OomScoreAdj": 0, "PidMode": "", "Privileged": false, "PublishAllPorts": false, "ReadonlyRootfs": false, "SecurityOpt": null, "UTSMode": "",
            "UsernsMode": "", "ShmSize": 67108864, "Runtime": "runc", "Isolation": "", "CpuShares": 0, "Memory": 0, "NanoCpus": 0, "CgroupParent": "", "BlkioWeight": 0,
            "BlkioWeightDevice": null, "CpuPeriod": 0, "CpuQuota": 0, "CpusetCpus": "", "CpusetMems": "", "Devices": [], "DeviceCgroupRules": null, "DeviceRequests": null,
            "MemoryReservation": 0, "MemorySwap": 0, "MemorySwappiness": null, "OomKillDisable": null, "PidsLimit": null, "Ulimits": null, "CpuCount": 0, "CpuPercent": 0,
            "IOMaximumIOps": 0, "IOMaximumBandwidth": 0, "MaskedPaths": ["/proc/kcore"], "ReadonlyPaths": ["/proc/bus"],
        },
        "GraphDriver": {"Name": "overlay2", "Data": null}, "Mounts": [],
        "Config": {
            "Hostname": "4d9bd06cbb2f", "Domainname": "", "User": "", "AttachStdin": false, "AttachStdout": false, "AttachStderr": false, "Tty": false, "OpenStdin": false,
            "StdinOnce": false, "Env": null, "Cmd": ["sh", "-c", "true"], "Image": "busybox", "Volumes": null, "WorkingDir": "", "Entrypoint": null, "OnBuild": null, "Labels": {},
        },
        "NetworkSettings": {
            "Bridge": "", "SandboxID": "", "SandboxKey": "", "Ports": {}, "HairpinMode": false, "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0,
            "SecondaryIPAddresses": null, "SecondaryIPv6Addresses": null, "EndpointID": "", "Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "IPAddress": "",
            "IPPrefixLen": 0, "IPv6Gateway": "", "MacAddress": "", "Networks": {"bridge": {"Aliases": null, "DNSNames": null, "GwPriority": 0, "IPAddress": ""}},
        },
    })
}

fn fresh_at_1_14() -> Value {
    json!({
        "Args": ["-c", "true"],
        "Config": {
            "AttachStderr": false, "AttachStdin": false, "AttachStdout": false, "Cmd": ["sh", "-c", "true"], "CpuShares": 0, "Cpuset": "", "Domainname": "", "Entrypoint": null,
            "Env": null, "ExposedPorts": null, "Hostname": "4d9bd06cbb2f", "Image": "busybox", "Memory": 0, "MemorySwap": 0, "NetworkDisabled": false, "OnBuild": null,
            "OpenStdin": false, "PortSpecs": null, "StdinOnce": false, "Tty": false, "User": "", "Volumes": null, "WorkingDir": "",
        },
        "Created": "2026-01-01T00:00:00.5Z", "Driver": "overlay2", "ExecDriver": "native-0.2",
        "HostConfig": {
            "Binds": null, "CapAdd": null, "CapDrop": null, "ContainerIDFile": "", "Devices": null, "Dns": null, "DnsSearch": null, "Links": null, "LxcConf": null,
            "NetworkMode": "", "PortBindings": null, "Privileged": false, "PublishAllPorts": false, "RestartPolicy": {"MaximumRetryCount": 0, "Name": ""}, "VolumesFrom": null,
        },
        "HostnamePath": "", "HostsPath": "", "Id": ID, "Image": "1234", "MountLabel": "", "Name": "/web",
        "NetworkSettings": {"Bridge": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "PortMapping": null, "Ports": null},
        "Path": "sh", "ProcessLabel": "", "ResolvConfPath": "",
        "State": {
            "ExitCode": 0, "FinishedAt": "0001-01-01T00:00:00Z", "Paused": false, "Pid": 0, "Restarting": false, "Running": false, "StartedAt": "0001-01-01T00:00:00Z",
        },
        "Volumes": null, "VolumesRW": null,
    })
}

#[test]
fn a_fresh_container() {
    assert_eq!(down(14, "/containers/web/json", fresh()), fresh_at_1_14());
    let mut raw = fresh_at_1_14();
    raw.as_object_mut().unwrap().remove("Id");
    raw["ID"] = json!(ID);
    raw["RestartCount"] = json!(0);
    assert_eq!(down(11, "/containers/web/json", fresh()), raw);
    assert_eq!(down(0, "/containers/web/json", fresh()), raw);
}

#[test]
fn a_running_container() {
    let mut newest = fresh();
    newest["ResolvConfPath"] = json!("/r");
    newest["HostnamePath"] = json!("/n");
    newest["HostsPath"] = json!("/h");
    newest["State"] = json!({"Status": "running", "Running": true, "Paused": false, "Restarting": false, "Pid": 7, "ExitCode": 0, "StartedAt": "2026-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z"});
    newest["NetworkSettings"]["IPAddress"] = json!("172.17.0.2");
    newest["NetworkSettings"]["Ports"] = json!({"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "18082"}, {"HostIp": "::", "HostPort": "18082"}], "90/tcp": [{"HostIp": "0.0.0.0", "HostPort": "18092"}]});
    newest["Config"]["ExposedPorts"] = json!({"80/tcp": {}});
    newest["HostConfig"]["PortBindings"] =
        json!({"80/tcp": [{"HostIp": "", "HostPort": "18082"}], "90/tcp": [{"HostIp": "", "HostPort": "18092"}]});
    newest["HostConfig"]["CapAdd"] = json!(["CAP_NET_ADMIN"]);
    newest["Mounts"] = json!([{"Type": "bind", "Source": "/tmp", "Destination": "/host", "Mode": "ro", "RW": false, "Propagation": "rprivate"}]);
    let older = down(14, "/containers/web/json", newest);
    let ports = json!({"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "18082"}], "90/tcp": [{"HostIp": "", "HostPort": "18092"}]});
    assert_eq!(
        older["NetworkSettings"],
        json!({"Bridge": "docker0", "Gateway": "", "IPAddress": "172.17.0.2", "IPPrefixLen": 0, "PortMapping": null, "Ports": ports})
    );
    assert_eq!((&older["Volumes"], &older["VolumesRW"]), (&json!({"/host": "/tmp"}), &json!({"/host": false})));
    assert_eq!((&older["HostConfig"]["CapAdd"], &older["HostnamePath"]), (&json!(["NET_ADMIN"]), &json!("/n")));
}

/// The HostConfig that a container has after a start, as the newest version shows it: what it was sent, over what it had.
fn started(minor: u32, body: Value) -> Value {
    let (request, _) = climb(minor, "POST", "/containers/web/start", &[], body);
    let Body::Json(sent) = request.body else { panic!("no body") };
    let mut newest = fresh();
    for (key, value) in sent.as_object().unwrap() {
        newest["HostConfig"][key] = value.clone();
    }
    newest["State"]["StartedAt"] = json!("2026-01-01T00:00:00Z");
    down(minor, "/containers/web/json", newest)["HostConfig"].clone()
}

#[test]
fn a_host_config_comes_back_as_it_was_written() {
    let written = json!({
        "Binds": ["/tmp:/host:ro"], "Links": ["dep1:dep"], "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "18082"}]}, "PublishAllPorts": false, "Dns": ["8.8.8.8"],
        "DnsSearch": ["example.com"], "VolumesFrom": ["dep1"], "CapAdd": ["NET_ADMIN"], "CapDrop": ["MKNOD"], "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
        "NetworkMode": "bridge", "Devices": [], "LxcConf": [], "Privileged": false, "ContainerIDFile": "",
    });
    assert_eq!(started(14, written.clone()), written);
    let policy = json!({"Name": "banana", "MaximumRetryCount": 0});
    assert_eq!(started(9, json!({"RestartPolicy": policy}))["RestartPolicy"], policy);
    assert_eq!(started(14, json!({"LxcConf": {"lxc.utsname": "docker"}, "Privileged": 1}))["LxcConf"], Value::Null);
}

#[test]
fn port_specs_count_from_the_first_start_on() {
    let (request, _) = climb(
        14,
        "POST",
        "/containers/create",
        &[],
        json!({"Image": "busybox", "Cmd": ["sleep", "60"], "PortSpecs": ["8080", "8443:443", "0.0.0.0::53/udp"]}),
    );
    let Body::Json(sent) = request.body else { panic!("no body") };
    let bindings = json!({"443/tcp": [{"HostIp": "", "HostPort": "8443"}], "53/udp": [{"HostIp": "0.0.0.0", "HostPort": ""}], "8080/tcp": [{"HostIp": "", "HostPort": ""}]});
    assert_eq!(sent["HostConfig"]["PortBindings"], bindings);
    let mut newest = fresh();
    newest["Config"]["ExposedPorts"] = sent["ExposedPorts"].clone();
    newest["HostConfig"]["PortBindings"] = bindings.clone();
    newest["HostConfig"]["Annotations"] = sent["HostConfig"]["Annotations"].clone();
    let before = down(14, "/containers/web/json", newest.clone());
    assert_eq!(
        (&before["Config"]["PortSpecs"], &before["Config"]["ExposedPorts"]),
        (&json!(["8080", "8443:443", "0.0.0.0::53/udp"]), &Value::Null)
    );
    assert_eq!(before["HostConfig"]["PortBindings"], Value::Null);
    newest["State"]["StartedAt"] = json!("2026-01-01T00:00:00Z");
    newest["ResolvConfPath"] = json!("/r");
    newest["HostsPath"] = json!("/h");
    let after = down(14, "/containers/web/json", newest);
    assert_eq!((&after["Config"]["PortSpecs"], &after["HostConfig"]["PortBindings"]), (&Value::Null, &bindings));
    assert_eq!(after["Config"]["ExposedPorts"], json!({"443/tcp": {}, "53/udp": {}, "8080/tcp": {}}));
}

#[test]
fn errors_in_the_words_of_the_time() {
    let image = json!({"Image": "nosuchimage:v1", "Cmd": ["true"]});
    let name = format!(
        "Conflict. The container name \"/web1\" is already in use by container \"{ID}\". You have to remove (or rename) that container to be able to reuse that name."
    );
    let taken = "Conflict, The name web1 is already assigned to 4d9bd06cbb2f. You have to delete (or rename) that container to be able to assign web1 to a container again.\n";
    let create = |status, text: &str| error(14, "POST", "/containers/create", image.clone(), status, text);
    assert_eq!(create(404, "No such image: nosuchimage:v1"), (404, "No such image: nosuchimage:v1 (tag: v1)\n".into()));
    assert_eq!(create(409, &name), (409, taken.into()));
    assert_eq!(create(400, "no command specified"), (500, "No command specified\n".into()));

    let start = |status, text: &str| {
        error(3, "POST", "/containers/web/start", json!({"VolumesFrom": ["nosuch"]}), status, text)
    };
    let init = "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: \"nosuchcmd\": executable file not found in $PATH: unknown";
    assert_eq!(
        start(400, init),
        (500, "Cannot start container web: exec: \"nosuchcmd\": executable file not found in $PATH\n".into())
    );
    let port = "driver failed programming external connectivity on endpoint x (y): Bind for 0.0.0.0:18093 failed: port is already allocated";
    assert_eq!(
        start(500, port),
        (500, "Cannot start container web: Bind for 0.0.0.0:18093 failed: port is already allocated\n".into())
    );
    assert_eq!(
        start(404, "No such container: nosuch"),
        (406, "Cannot start container web: Container nosuch not found. Impossible to mount its volumes\n".into())
    );
    assert_eq!(start(404, "No such container: web"), (404, "No such container: web\n".into()));
    assert_eq!(
        start(500, "unable to find user nosuchuser: no matching entries in passwd file").1,
        "Cannot start container web: finalize namespace setup user get supplementary groups Unable to find user nosuchuser\n"
    );

    let plain = |method, path, status, text| error(14, method, path, Value::Null, status, text);
    assert_eq!(
        plain("POST", "/containers/web/pause", 409, "Container web is already paused"),
        (500, "Cannot pause container web: Container web is already paused\n".into())
    );
    assert_eq!(
        plain("POST", "/containers/nosuch/wait", 404, "No such container: nosuch"),
        (500, "wait: no such container: nosuch\n".into())
    );
    assert_eq!(
        plain("GET", "/containers/web/top", 409, "container 4d9b is not running"),
        (500, "Container web is not running\n".into())
    );
    assert_eq!(
        plain("GET", "/images/two/history", 404, "No such image: two:latest"),
        (404, "No such id: two\n".into())
    );
    assert_eq!(
        plain("GET", "/images/two/json", 404, "No such image: two:latest"),
        (404, "No such image: two\n".into())
    );
    assert_eq!(
        plain("POST", "/containers/web/kill", 400, "Invalid signal: banana"),
        (500, "Invalid signal: banana\n".into())
    );
}

#[test]
fn lists() {
    let newest = json!([{
        "Id": ID, "Names": ["/web"], "Image": "busybox", "ImageID": "sha256:12", "Command": "sh -c 'exit 3'", "Created": 5, "Labels": {}, "State": "exited", "Ports": [],
        "Status": "Exited (137) 3 seconds ago", "HostConfig": {"NetworkMode": "default"}, "NetworkSettings": {"Networks": {}}, "Mounts": [],
    }]);
    let older = json!([{"Id": ID, "Names": ["/web"], "Image": "busybox:latest", "Command": "sh -c 'exit 3'", "Created": 5, "Ports": [], "Status": "Exited (137) 3 seconds ago"}]);
    assert_eq!(down(14, "/containers/json", newest.clone()), older);
    assert_eq!(down(0, "/containers/ps", newest)[0]["Ports"], json!(""));

    let image = json!([{"Id": "sha256:12", "ParentId": "", "RepoTags": [], "RepoDigests": [], "Created": 5, "Size": 7, "SharedSize": -1, "Labels": null, "Containers": 0}]);
    assert_eq!(
        down(14, "/images/json", image.clone()),
        json!([{"Id": "12", "ParentId": "", "RepoTags": ["<none>:<none>"], "Created": 5, "Size": 7, "VirtualSize": 7}])
    );
    assert_eq!(
        down(6, "/images/json", image),
        json!([{"Id": "12", "Repository": "<none>", "Tag": "<none>", "Created": 5, "Size": 7, "VirtualSize": 7}])
    );
}

#[test]
fn a_create_in_the_loosest_form() {
    let (request, _) = climb(
        14,
        "POST",
        "/containers/create",
        &[("name", "a")],
        json!({"Image": "busybox", "Cmd": "echo hi", "Memory": "67108864", "Tty": 1, "HostConfig": {"Privileged": true}}),
    );
    let Body::Json(body) = request.body else { panic!("no body") };
    assert_eq!(
        (&body["Cmd"], &body["Tty"], &body["HostConfig"]["Memory"]),
        (&json!(["echo hi"]), &json!(true), &json!(67_108_864))
    );
    assert_eq!(body["HostConfig"].get("Privileged"), None);
}
