//! What a container sees inside: environment, users, mounts, limits, devices, capabilities.

use testkit::Daemon;

#[test]
fn the_environment_hostname_user_and_folder_are_as_asked() {
    let daemon = Daemon::with_busybox();
    let run = |arguments: &[&str]| daemon.docker(&[&["run", "--rm"], arguments].concat()).ok();
    assert_eq!(
        run(&["-e", "A=b", "-h", "box", "busybox", "sh", "-c", "echo $A $HOSTNAME $(hostname) $HOME"]),
        "b box box /root"
    );
    let names = ["-h", "box", "--domainname", "a.test", "--dns", "192.0.2.1", "--dns-search", "b.test"];
    let shown = "hostname; cat /proc/sys/kernel/domainname; hostname -f; cat /etc/resolv.conf";
    let shown = run(&[&names[..], &["busybox", "sh", "-c", shown]].concat());
    for line in ["box", "a.test", "box.a.test", "nameserver 192.0.2.1", "search b.test"] {
        assert!(shown.lines().any(|shown| shown == line), "{shown}");
    }
    let host = run(&["--network", "host", "busybox", "sh", "-c", "ls /sys/class/net; hostname"]);
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    assert!(host.lines().any(|line| line == "longshore0") && host.ends_with(own.trim()), "{host}");
    assert_eq!(run(&["-u", "daemon", "busybox", "id"]), "uid=1(daemon) gid=1(daemon) groups=1(daemon)");
    assert_eq!(run(&["-u", "12:34", "busybox", "sh", "-c", "id -u; id -g"]), "12\n34");
    assert_eq!(run(&["-w", "/new/folder", "busybox", "pwd"]), "/new/folder");
    assert_eq!(run(&["--entrypoint", "echo", "busybox", "a", "b"]), "a b");
    assert!(run(&["busybox", "cat", "/etc/hosts"]).contains("127.0.0.1\tlocalhost"));
    let unknown = daemon.docker(&["run", "--rm", "-u", "nobody-here", "busybox", "true"]).fails(125);
    assert!(unknown.contains("unable to find user nobody-here"), "{unknown}");
}

#[test]
fn binds_and_volumes_are_mounted_and_kept() {
    let daemon = Daemon::with_busybox();
    let folder = daemon.path("bound");
    std::fs::create_dir(&folder).expect("a folder can be made");
    std::fs::write(folder.join("file"), "from outside\n").expect("a file can be written");
    let bind = format!("{}:/mnt", folder.display());
    let script = "cat /mnt/file; echo from inside > /mnt/written";
    assert_eq!(daemon.docker(&["run", "--rm", "-v", &bind, "busybox", "sh", "-c", script]).ok(), "from outside");
    assert_eq!(std::fs::read_to_string(folder.join("written")).expect("it was written"), "from inside\n");
    let refused = daemon.docker(&["run", "--rm", "-v", &format!("{bind}:ro"), "busybox", "touch", "/mnt/x"]).fails(1);
    assert!(refused.contains("Read-only file system"), "{refused}");

    daemon.docker(&["create", "--name", "keeper", "-v", "/data", "busybox", "true"]).ok();
    daemon.docker(&["run", "--rm", "--volumes-from", "keeper", "busybox", "sh", "-c", "echo kept > /data/file"]).ok();
    assert_eq!(
        daemon.docker(&["run", "--rm", "--volumes-from", "keeper", "busybox", "cat", "/data/file"]).ok(),
        "kept"
    );
    daemon.docker(&["run", "--rm", "-v", "named:/data", "busybox", "sh", "-c", "echo named > /data/file"]).ok();
    assert_eq!(daemon.docker(&["run", "--rm", "-v", "named:/other", "busybox", "cat", "/other/file"]).ok(), "named");
    daemon.docker(&["run", "--rm", "-v", "copied:/etc", "busybox", "grep", "-q", "root", "/etc/passwd"]).ok();
}

#[test]
fn limits_reach_the_cgroup_and_memory_is_enforced() {
    let daemon = Daemon::with_busybox();
    let memory = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";
    assert_eq!(daemon.docker(&["run", "--rm", "-m", "32m", "busybox", "sh", "-c", memory]).ok(), "33554432");
    let eater = [
        "run",
        "--name",
        "eater",
        "-m",
        "8m",
        "--memory-swap",
        "8m",
        "busybox",
        "sh",
        "-c",
        "x=a; while :; do x=$x$x; done",
    ];
    daemon.docker(&eater).fails(137);
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.OOMKilled}}", "eater"]).ok(), "true");
}

#[test]
fn capabilities_are_dockers_and_can_be_changed() {
    let daemon = Daemon::with_busybox();
    let effective = |arguments: &[&str]| {
        let status = daemon
            .docker(&[&["run", "--rm"], arguments, &["busybox", "grep", "CapEff", "/proc/self/status"]].concat())
            .ok();
        u64::from_str_radix(status.split_whitespace().last().unwrap_or_default(), 16).expect("a hexadecimal number")
    };
    assert_eq!(effective(&[]), 0xa804_25fb);
    assert_eq!(effective(&["--cap-drop", "all", "--cap-add", "chown"]), 1);
    assert_eq!(effective(&["--cap-add", "NET_ADMIN"]), 0xa804_25fb | 1 << 12);
    assert!(effective(&["--privileged"]) & (1 << 21) != 0);
    let unknown = daemon.docker(&["run", "--rm", "--cap-add", "banana", "busybox", "true"]).fails(125);
    assert!(unknown.contains("unknown capability: \"CAP_BANANA\""), "{unknown}");
}

#[test]
fn the_sandbox_holds() {
    let daemon = Daemon::with_busybox();
    let run = |script: &str| daemon.docker(&["run", "--rm", "busybox", "sh", "-c", script]);
    assert_eq!(run("echo 1 > /proc/sys/kernel/hostname").code, Some(1));
    assert_eq!(run("cat /proc/kcore | head -c 1 | wc -c").ok(), "0");
    assert_eq!(run("ls /proc/acpi /sys/firmware | grep -v : | grep -c .").code, Some(1));
    assert_eq!(run("mount -t tmpfs none /mnt").code, Some(1));
    assert_eq!(run("grep Seccomp: /proc/self/status").ok(), "Seccomp:\t2");
    assert_eq!(
        run("ls /dev | tr '\\n' ' '").ok().trim(),
        "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"
    );
    assert_eq!(run("dd if=/dev/zero of=/dev/full bs=1 count=1 2>/dev/null").code, Some(1));
    assert_eq!(run("mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk").code, Some(1));
    assert_eq!(run("readlink /proc/1/exe").ok(), "/bin/busybox");
    let init = daemon.docker(&["run", "--rm", "busybox", "sh", "-c", "ls /proc/self/fd | wc -l"]).ok();
    assert!(init.parse::<u32>().is_ok_and(|count| count <= 4), "descriptors leak in: {init}");
}

#[test]
fn devices_can_be_given() {
    let daemon = Daemon::with_busybox();
    let listed = daemon
        .docker(&["run", "--rm", "--device", "/dev/loop-control:/dev/mine:r", "busybox", "ls", "-l", "/dev/mine"])
        .ok();
    assert!(listed.starts_with('c') && listed.ends_with("/dev/mine"), "{listed}");
    daemon.docker(&["run", "--rm", "--read-only", "busybox", "touch", "/file"]).fails(1);
    daemon.docker(&["run", "--rm", "--read-only", "--tmpfs", "/scratch", "busybox", "touch", "/scratch/file"]).ok();
}

#[test]
fn namespaces_can_be_shared() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["run", "-d", "--name", "first", "busybox", "sleep", "1000"]).ok();
    let address = daemon.docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "first"]).ok();
    let shared = daemon
        .docker(&["run", "--rm", "--network", "container:first", "busybox", "ip", "-4", "addr", "show", "eth0"])
        .ok();
    assert!(shared.contains(&address), "{shared}");
    assert_eq!(
        daemon.docker(&["run", "--rm", "--pid", "host", "busybox", "readlink", "/proc/self/ns/pid"]).ok(),
        std::fs::read_link("/proc/self/ns/pid").expect("a link").display().to_string()
    );
    assert_eq!(daemon.docker(&["run", "--rm", "--network", "none", "busybox", "ls", "/sys/class/net"]).ok(), "lo");
}
