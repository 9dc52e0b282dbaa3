//! Options of containers that are tried less often: update, shared namespaces, security, limits, failed starts, prune.

use serde_json::json;
use testkit::Daemon;

use crate::lifecycle::eventually;
use crate::network::published;

#[test]
fn limits_and_the_restart_policy_can_be_updated_while_it_runs() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "-d", "--name", "box", "-m", "64m", "busybox", "sleep", "1000"]).ok();
    let more = ["--memory", "128m", "--memory-swap", "256m", "--cpu-shares", "512", "--pids-limit", "50"];
    daemon.docker(&[&["update", "--restart", "on-failure:3"], &more[..], &["box"]].concat()).ok();
    let memory = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";
    assert_eq!(daemon.docker(&["exec", "box", "sh", "-c", memory]).ok(), "134217728");
    let policy = daemon.docker(&["inspect", "-f", "{{json .HostConfig.RestartPolicy}}", "box"]).ok();
    assert_eq!(policy, r#"{"Name":"on-failure","MaximumRetryCount":3}"#);
    let stats = daemon.docker(&["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", "box"]).ok();
    assert!(stats.starts_with("box ") && stats.ends_with("/ 128MiB 1"), "{stats}");
}

#[test]
fn a_renamed_container_keeps_its_port_over_a_restart() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "-d", "--name", "old", "-p", "8080:80", "busybox", "sleep", "1000"]).ok();
    daemon.docker(&["rename", "old", "new"]).ok();
    daemon.docker(&["restart", "-t", "0", "new"]).ok();
    assert_eq!(published(&daemon, &["new"]), ["80/tcp -> 0.0.0.0:8080", "80/tcp -> :::8080"]);
    let refused = daemon.docker(&["run", "--rm", "-p", "8080:80", "busybox", "true"]).fails(125);
    assert!(refused.contains("published by container new"), "{refused}");
}

#[test]
fn namespaces_and_volumes_of_other_containers() {
    let daemon = Daemon::with_busybox();
    let script = "echo shared > /dev/shm/file; echo kept > /vol/file; exec sleep 1000";
    let flags = ["run", "-d", "--name", "donor", "--ipc", "shareable", "-v", "/vol", "busybox", "sh", "-c", script];
    daemon.docker(&flags).ok();
    daemon.docker(&["run", "-d", "--name", "shy", "busybox", "sleep", "1000"]).ok();
    let run = |arguments: &[&str]| daemon.docker(&[&["run", "--rm"], arguments].concat());
    eventually(|| run(&["--ipc", "container:donor", "busybox", "cat", "/dev/shm/file"]).stdout == "shared\n");
    assert!(run(&["--pid", "container:donor", "busybox", "ps"]).ok().contains("sleep 1000"));
    let written = run(&["--volumes-from", "donor:ro", "busybox", "sh", "-c", "cat /vol/file; touch /vol/new"]).fails(1);
    assert!(written.contains("Read-only file system"), "{written}");
    assert!(run(&["--ipc", "container:shy", "busybox", "true"]).fails(125).contains("non-shareable IPC"));
    let unknown = run(&["--network", "container:nobody", "busybox", "true"]).fails(125);
    assert!(unknown.contains("No such container: nobody") && !unknown.contains("Unable to find image"), "{unknown}");
}

#[test]
fn kernel_parameters_limits_and_names_are_as_asked() {
    let daemon = Daemon::with_busybox();
    let run = |arguments: &[&str]| daemon.docker(&[&["run", "--rm"], arguments].concat()).ok();
    assert_eq!(run(&["--ulimit", "nofile=100:200", "busybox", "sh", "-c", "ulimit -n; ulimit -Hn"]), "100\n200");
    let sysctl = ["--sysctl", "net.core.somaxconn=77", "busybox", "cat", "/proc/sys/net/core/somaxconn"];
    assert_eq!(run(&sysctl), "77");
    let hosts =
        run(&["--add-host", "foo:192.0.2.4", "--add-host", "gate:host-gateway", "busybox", "cat", "/etc/hosts"]);
    assert!(hosts.contains("192.0.2.4\tfoo\n") && hosts.contains("\tgate\n"), "{hosts}");
    let dns = ["--dns", "192.0.2.9", "--dns-search", "example.com", "--dns-option", "ndots:3"];
    let resolv = run(&[&dns[..], &["busybox", "cat", "/etc/resolv.conf"]].concat());
    for line in ["search example.com", "nameserver 192.0.2.9", "options ndots:3"] {
        assert!(resolv.lines().any(|have| have == line), "{resolv}");
    }
    assert!(run(&["--shm-size", "123m", "busybox", "df", "-m", "/dev/shm"]).contains(" 123 "));
    let node = "mknod /tmp/node c 10 237 && head -c0 /tmp/node && echo opened";
    assert_eq!(run(&["--device-cgroup-rule", "c 10:237 rwm", "busybox", "sh", "-c", node]), "opened");
    let crowd = "for i in 1 2 3 4 5 6 7; do sleep 1 & done; wait";
    let refused = daemon.docker(&["run", "--rm", "--pids-limit", "5", "busybox", "sh", "-c", crowd]).fails(2);
    assert!(refused.contains("can't fork"), "{refused}");
    assert!(run(&["--privileged", "busybox", "sh", "-c", "ls /dev | wc -l"]).parse::<u32>().is_ok_and(|n| n > 20));
}

#[test]
fn system_call_filters_can_be_chosen() {
    let daemon = Daemon::with_busybox();
    let status = |option: &str, line: &str| {
        let found = ["busybox", "grep", line, "/proc/self/status"];
        daemon.docker(&[&["run", "--rm", "--security-opt", option], &found[..]].concat()).ok()
    };
    assert_eq!(status("seccomp=unconfined", "Seccomp:"), "Seccomp:\t0");
    assert_eq!(status("no-new-privileges", "NoNewPrivs"), "NoNewPrivs:\t1");
    let profile = daemon.path("profile.json");
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}]}"#;
    std::fs::write(&profile, text).expect("a file can be written");
    let option = format!("seccomp={}", profile.display());
    let refused = daemon.docker(&["run", "--rm", "--security-opt", &option, "busybox", "mkdir", "/x"]).fails(1);
    assert!(refused.contains("Permission denied"), "{refused}");
}

#[test]
fn containers_that_fail_to_start_stay_created_with_the_reason() {
    let daemon = Daemon::with_busybox();
    let folder = format!("{}:/etc/passwd", daemon.path("data").display());
    let cases = [
        ("missing", &["busybox", "no-such-program"][..], 127, "executable file not found"),
        ("denied", &["busybox", "/etc/passwd"][..], 126, "permission denied"),
        ("folder", &["-v", &folder, "busybox", "true"][..], 127, "not a directory"),
    ];
    for (name, arguments, code, text) in cases {
        daemon.docker(&[&["create", "--name", name], arguments].concat()).ok();
        let told = daemon.docker(&["start", name]).fails(1);
        let state =
            daemon.docker(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}", name]).ok();
        assert!(state.starts_with(&format!("created {code} ")), "{state}");
        assert!(told.contains(text) && state.contains(text), "{told}{state}");
    }
}

#[test]
fn start_attached_passes_input_and_exit_code() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["create", "-i", "--name", "box", "busybox", "sh", "-c", "cat; exit 9"]).ok();
    let output = daemon.docker_program(&["start", "-ai", "box"]).input("hello").run();
    assert_eq!((output.stdout.as_str(), output.code), ("hello", Some(9)));
    let script = "trap 'echo asked; exit 4' USR1; echo up; while :; do sleep 0.05; done";
    daemon.docker(&["run", "-d", "--name", "polite", "--stop-signal", "USR1", "busybox", "sh", "-c", script]).ok();
    eventually(|| daemon.docker(&["logs", "polite"]).ok() == "up");
    daemon.docker(&["stop", "polite"]).ok();
    assert_eq!(daemon.docker(&["logs", "polite"]).ok(), "up\nasked");
}

#[test]
fn prune_removes_what_nobody_uses() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "-d", "--name", "up", "-v", "used:/data", "busybox", "sleep", "1000"]).ok();
    daemon.docker(&["run", "--name", "down", "-v", "/anonymous", "busybox", "true"]).ok();
    daemon.docker(&["volume", "create", "free"]).ok();
    assert!(daemon.docker(&["container", "prune", "-f"]).ok().contains("Deleted Containers"));
    assert_eq!(daemon.docker(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "up");
    // Below API 1.42, which the docker program of some distributions speaks, volumes with names go as well.
    assert_eq!(daemon.call("POST", "/v1.42/volumes/prune", None).status, 200);
    assert_eq!(daemon.docker(&["volume", "ls", "-q"]).ok(), "free\nused");
    assert_eq!(daemon.call("POST", "/v1.41/volumes/prune", None).status, 200);
    assert_eq!(daemon.docker(&["volume", "ls", "-q"]).ok(), "used");
    daemon.docker(&["network", "prune", "-f"]).ok();
    daemon.docker(&["image", "prune", "-af"]).ok();
    assert_eq!(daemon.docker(&["images", "-q"]).ok().lines().count(), 1);
}

#[test]
fn processors_are_limited_in_thousandths() {
    let daemon = Daemon::with_busybox();
    let quota = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d' ' -f1 /sys/fs/cgroup/cpu.max";
    daemon.docker(&["run", "-d", "--name", "tenth", "--cpus", "0.1", "busybox", "sleep", "1000"]).ok();
    assert_eq!(daemon.docker(&["exec", "tenth", "sh", "-c", quota]).ok(), "10000");
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.HostConfig.NanoCpus}}", "tenth"]).ok(), "100000000");
    let work = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; cat /sys/fs/cgroup/cpu/cpu.stat 2>/dev/null || cat /sys/fs/cgroup/cpu.stat";
    let throttled = daemon.docker(&["exec", "tenth", "sh", "-c", work]).ok();
    let periods = throttled.lines().find_map(|line| line.strip_prefix("nr_throttled ")?.parse::<u32>().ok());
    assert!(periods.is_some_and(|periods| periods > 0), "{throttled}");
    let refused = daemon.docker(&["run", "--rm", "--cpus", "1000", "busybox", "true"]).fails(125);
    assert!(refused.contains("range of CPUs is from 0.01 to"), "{refused}");
    let refused = daemon.docker(&["run", "--rm", "--cpuset-cpus", "0-99999", "busybox", "true"]).fails(125);
    assert!(refused.contains("Requested CPUs are not available - requested 0-99999, available: "), "{refused}");
}

#[test]
fn the_out_of_memory_killer_can_be_kept_away() {
    let daemon = Daemon::with_busybox();
    let file = "/sys/fs/cgroup/memory/memory.oom_control";
    let run = ["run", "--rm", "-m", "32m", "--oom-kill-disable", "busybox"];
    if !std::path::Path::new(file).exists() {
        // The unified hierarchy has no such switch.
        daemon.docker(&[&run[..], &["true"]].concat()).ok();
        return;
    }
    assert!(daemon.docker(&[&run[..], &["cat", file]].concat()).ok().contains("oom_kill_disable 1"));
}

#[test]
fn system_prune_keeps_what_is_used() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "-d", "--name", "up", "-v", "used:/data", "busybox", "sleep", "1000"]).ok();
    daemon.docker(&["run", "--name", "down", "-v", "/anonymous", "busybox", "touch", "/anonymous/file"]).ok();
    let dangling = daemon.docker(&["commit", "down"]).ok();
    daemon.docker(&["tag", "busybox", "spare"]).ok();
    let pruned = daemon.docker(&["system", "prune", "-f", "--volumes"]).ok();
    assert!(pruned.contains("Deleted Containers") && pruned.contains("Total reclaimed space"), "{pruned}");
    assert_eq!(daemon.docker(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "up");
    assert_eq!(daemon.docker(&["volume", "ls", "-q"]).ok(), "used");
    daemon.docker(&["image", "inspect", &dangling]).fails(1);
    daemon.docker(&["image", "inspect", "spare"]).ok();
    assert!(daemon.docker(&["system", "prune", "-f", "--filter", "label=none"]).ok().contains("reclaimed space: 0B"));
    daemon.docker(&["system", "prune", "-af"]).ok();
    // The image of a running container stays, under all of its names.
    daemon.docker(&["image", "inspect", "busybox"]).ok();
    assert!(daemon.docker(&["system", "df"]).ok().contains("Local Volumes"));
}

#[test]
fn limits_are_understood_beside_the_command_and_in_the_host_configuration() {
    let daemon = Daemon::with_busybox();
    let memory = 64 << 20;
    // Until API 1.18 limits stood beside the command, and a start brought the host configuration.
    let old = json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "Memory": memory, "MemorySwap": 2 * memory,
        "CpuShares": 512, "Cpuset": "0", "Hostname": "box", "Domainname": "example.com"});
    let new = json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "Hostname": "box", "Domainname": "example.com",
        "HostConfig": {"Memory": memory, "MemorySwap": 2 * memory, "CpuShares": 512, "CpusetCpus": "0",
            "Dns": ["192.0.2.1"], "CapAdd": ["NET_ADMIN"], "ReadonlyRootfs": true}});
    let brought = json!({"Dns": ["192.0.2.1"], "CapAdd": ["NET_ADMIN"], "ReadonlyRootfs": true});
    let mut shown = Vec::new();
    for (version, create, start) in [("/v1.14", &old, Some(&brought)), ("/v1.51", &new, None)] {
        // The root's being read-only came with API 1.17.
        let created = daemon.post(&format!("{version}/containers/create"), create);
        assert_eq!(created.status, 201, "{}", created.text());
        let id = created.json()["Id"].as_str().expect("an id").to_owned();
        let started = daemon.call("POST", &format!("{version}/containers/{id}/start"), start);
        assert_eq!(started.status, 204, "{}", started.text());
        let inspect = daemon.get(&format!("/v1.51/containers/{id}/json")).json();
        let host = &inspect["HostConfig"];
        assert_eq!(inspect["Config"]["Hostname"], json!("box"));
        let keys = ["Memory", "MemorySwap", "CpuShares", "CpusetCpus", "Dns", "CapAdd"];
        shown.push(keys.map(|key| host[key].clone()));
        let limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";
        assert_eq!(daemon.docker(&["exec", &id, "sh", "-c", limit]).ok(), memory.to_string());
        let inside = ["exec", &id, "sh", "-c", "grep Cpus_allowed_list /proc/self/status; cat /etc/resolv.conf"];
        let inside = daemon.docker(&inside).ok();
        assert!(inside.starts_with("Cpus_allowed_list:\t0\n") && inside.contains("nameserver 192.0.2.1"), "{inside}");
    }
    assert_eq!(shown[0], shown[1]);
}

#[test]
fn drivers_of_logs_and_volumes() {
    let daemon = Daemon::with_busybox();
    let run = |flags: &[&str]| daemon.docker(&[&["run", "-d"], flags, &["busybox", "echo", "kept"]].concat());
    let id = run(&["--log-driver", "local", "--log-opt", "max-size=1m", "--log-opt", "mode=non-blocking"]).ok();
    eventually(|| daemon.docker(&["logs", &id]).ok() == "kept");
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.HostConfig.LogConfig.Type}}", &id]).ok(), "local");
    let unknown = run(&["--log-driver", "asdf"]).fails(125);
    assert!(unknown.contains("error looking up logging plugin asdf: plugin \"asdf\" not found"), "{unknown}");
    assert!(run(&["--log-driver", "syslog"]).fails(125).contains("not supported yet"));
    // Nobody looks a driver up that no volume needs.
    let driven = ["--pull", "never", "--volume-driver", "asdf"];
    let id = run(&driven).ok();
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.HostConfig.VolumeDriver}}", &id]).ok(), "asdf");
    let unknown = run(&[&driven[..], &["-v", "/data"]].concat()).fails(125);
    assert!(unknown.contains("error looking up volume plugin asdf: plugin \"asdf\" not found"), "{unknown}");
}

#[test]
fn a_volume_may_be_a_folder_of_the_machine() {
    let daemon = Daemon::with_busybox();
    let folder = daemon.path("bound");
    std::fs::create_dir_all(&folder).expect("a folder");
    let create = |name: &str, options: &[&str]| {
        let options: Vec<&str> = options.iter().flat_map(|option| ["--opt", option]).collect();
        daemon.docker(&[&["volume", "create"], &options[..], &[name]].concat())
    };
    let device = format!("device={}", folder.display());
    create("bound", &["type=none", "o=bind", &device]).ok();
    daemon.docker(&["run", "--rm", "-v", "bound:/data", "busybox", "sh", "-c", "echo kept > /data/file"]).ok();
    assert_eq!(std::fs::read_to_string(folder.join("file")).expect("the file"), "kept\n");
    assert_eq!(daemon.docker(&["volume", "inspect", "-f", "{{.Options.o}}", "bound"]).ok(), "bind");
    // The volume goes, the machine's folder stays.
    daemon.docker(&["volume", "rm", "bound"]).ok();
    assert!(folder.join("file").exists());

    create("gone", &["type=none", "o=bind", "device=/no/such/folder"]).ok();
    let told = daemon.docker(&["run", "--rm", "-v", "gone:/data", "busybox", "true"]).fails(125);
    assert!(told.contains("failed to mount local volume") && told.contains("No such file or directory"), "{told}");
    assert!(create("odd", &["colour=red"]).fails(1).contains("invalid option: \"colour\""));
    assert!(create("half", &["type=none"]).fails(1).contains("missing required option: \"device\""));
    assert!(create("memory", &["type=tmpfs", "device=tmpfs"]).fails(1).contains("supported yet"));
}
