//! The default bridge: addresses, published ports from everywhere, links, ports that are taken.

use testkit::Daemon;

use crate::lifecycle::eventually;

const SERVE: &str = "while :; do echo -e 'HTTP/1.0 200 OK\\r\\n\\r\\nserved' | nc -l -p 80 >/dev/null; done";

/// A container that answers HTTP on its port 80.
pub(crate) fn server(daemon: &Daemon, name: &str, flags: &[&str]) {
    daemon.docker(&[&["run", "-d", "--name", name], flags, &["busybox", "sh", "-c", SERVE]].concat()).ok();
}

/// A program that sends back what it is sent on its UDP port 9000: its path in a container, and the bind that takes it there.
fn udp_echo(daemon: &Daemon) -> (String, String) {
    let program = daemon.path("udp_echo").display().to_string();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/udp_echo.c");
    testkit::Program::new("cc").args(["-static", "-O", "-o", &program, source]).run().ok();
    ("/udp_echo".to_owned(), format!("{program}:/udp_echo:ro"))
}

/// What answers at an address of the host.
pub(crate) fn fetch(daemon: &Daemon, address: &str) -> String {
    daemon
        .on_host(&[
            "curl",
            "-s",
            "-m",
            "3",
            "--retry",
            "20",
            "--retry-all-errors",
            "--retry-delay",
            "0",
            &format!("http://{address}/"),
        ])
        .stdout
}

/// What `docker port` tells, in an order of ours and without brackets: programs before 23 have none.
pub(crate) fn published(daemon: &Daemon, words: &[&str]) -> Vec<String> {
    let told = daemon.docker(&[&["port"], words].concat()).ok();
    let mut lines: Vec<String> = told.lines().map(|line| line.replace(['[', ']'], "")).collect();
    lines.sort();
    lines
}

#[test]
fn published_ports_answer_from_the_host_and_from_other_containers() {
    let daemon = Daemon::with_busybox();
    server(&daemon, "web", &["-p", "8080:80", "-p", "127.0.0.1:8081:80"]);
    let gateway = daemon.docker(&["inspect", "-f", "{{.NetworkSettings.Gateway}}", "web"]).ok();
    let own = daemon.docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web"]).ok();
    for address in ["127.0.0.1:8080", "127.0.0.1:8081", &format!("{gateway}:8080"), &own] {
        assert_eq!(fetch(&daemon, address).trim(), "served", "at {address}");
    }
    let other = |address: &str| daemon.docker(&["run", "--rm", "busybox", "wget", "-q", "-O", "-", address]);
    eventually(|| other(&format!("http://{gateway}:8080/")).stdout.trim() == "served");
    eventually(|| other(&format!("http://{own}/")).stdout.trim() == "served");
    assert_eq!(published(&daemon, &["web", "80/tcp"]), ["0.0.0.0:8080", "127.0.0.1:8081", ":::8080"]);
    daemon.docker(&["rm", "-f", "web"]).ok();
    assert_eq!(daemon.on_host(&["curl", "-s", "-m", "20", "http://127.0.0.1:8080/"]).code, Some(7));
}

#[test]
fn ports_answer_at_addresses_of_ipv6_even_while_no_daemon_runs() {
    let mut daemon = Daemon::with_busybox();
    let (program, echo) = udp_echo(&daemon);
    server(&daemon, "web", &["-p", "8080:80", "-p", "[::1]:8081:80"]);
    daemon.docker(&["run", "-d", "--name", "echo", "-p", "9000:9000/udp", "-v", &echo, "busybox", &program]).ok();
    let all = |daemon: &Daemon| {
        assert_eq!(fetch(daemon, "[::1]:8080").trim(), "served");
        assert_eq!(fetch(daemon, "[::1]:8081").trim(), "served");
        eventually(|| daemon.on_host(&["sh", "-c", "echo ping | socat -t 1 - UDP6:[::1]:9000"]).stdout == "ping\n");
    };
    all(&daemon);
    assert_eq!(daemon.on_host(&["curl", "-s", "-m", "20", "http://127.0.0.1:8081/"]).code, Some(7));
    let told = ["80/tcp -> 0.0.0.0:8080", "80/tcp -> ::1:8081", "80/tcp -> :::8080"];
    assert_eq!(published(&daemon, &["web"]), told);
    daemon.kill();
    all(&daemon);
    daemon.restart();
    all(&daemon);
    let refused = daemon.docker(&["run", "--rm", "-p", "[::1]:8080:80", "busybox", "true"]).fails(125);
    assert!(refused.contains("port is already allocated") && refused.contains("web"), "{refused}");
    // The ports go with the container and come again with it.
    daemon.docker(&["restart", "-t", "0", "web"]).ok();
    assert_eq!(fetch(&daemon, "[::1]:8080").trim(), "served");
    daemon.docker(&["rm", "-f", "web"]).ok();
    assert_eq!(daemon.on_host(&["curl", "-s", "-m", "20", "http://[::1]:8080/"]).code, Some(7));
}

#[test]
fn many_ports_are_published_at_once_and_only_on_ipv4_if_so_wanted() {
    let daemon = Daemon::with(&["--userland-proxy=false"]);
    daemon.import_busybox();
    server(&daemon, "web", &["-p", "8000-8299:80-379"]);
    assert_eq!(fetch(&daemon, "127.0.0.1:8000").trim(), "served");
    assert_eq!(daemon.docker(&["port", "web"]).ok().lines().count(), 300);
    assert_eq!(daemon.on_host(&["curl", "-s", "-m", "20", "http://[::1]:8000/"]).code, Some(7));
    server(&daemon, "six", &["-p", "[::]:8300-8599:80-379"]);
    assert_eq!(fetch(&daemon, "[::1]:8300").trim(), "served");
}

#[test]
fn a_daemon_that_cannot_start_leaves_no_bridge() {
    let folder = tempfile::tempdir_in(testkit::environment("LONGSHORE_TEST_DISK")).expect("a folder");
    let script = r#"
        cd "$1"
        "$2" daemon -g data --exec-root exec -p pid -H "unix://$1/sock" --bip 10.9.0.1/24 --fixed-cidr 10.8.0.0/24
        echo "code $?"
        ls /sys/class/net"#;
    let binary = testkit::environment("LONGSHORE_BIN");
    let output = testkit::Program::new("unshare").args(["--net", "--mount", "sh", "-c"]);
    // Its own sysfs shows the namespace's interfaces.
    let script = format!("mount -t sysfs none /sys; {script}");
    let output = output.args([&script, "sh"]).args([folder.path(), &binary]).run();
    assert!(output.stderr.contains("10.8.0.0/24 does not lie within"), "{output:?}");
    assert_eq!(output.ok(), "code 1\nlo");
}

#[test]
fn a_firewall_that_is_closed_by_others_is_passed_or_told_of() {
    let mut daemon = Daemon::with_busybox();
    assert_eq!(daemon.docker(&["info", "-f", "{{.Warnings}}"]).ok(), "[]");
    // As another engine or ufw leaves it.
    daemon.on_host(&["iptables-nft", "-P", "FORWARD", "DROP"]).ok();
    eventually(|| daemon.on_host(&["iptables-nft", "-S", "FORWARD"]).ok().matches("longshore0").count() == 4);
    assert_eq!(daemon.docker(&["info", "-f", "{{.Warnings}}"]).ok(), "[]");
    let chain = "table inet mine { chain gate { type filter hook forward priority 0; policy drop; }; }";
    daemon.on_host(&["nft", chain]).ok();
    let told = daemon.docker(&["info", "-f", "{{.Warnings}}"]).ok();
    assert!(told.contains("chain gate of the table inet mine drops"), "{told}");
    daemon.end();
    daemon.restart();
    assert!(daemon.log().contains("chain gate of the table inet mine drops"));
}

#[test]
fn what_other_tools_have_in_the_firewall_stays_as_it_is() {
    let mut daemon = Daemon::with_busybox();
    let theirs = "table ip theirs { map ports { type inet_service : ipv4_addr; elements = { 7 : 192.0.2.7 }; }; \
                  chain nat { type nat hook prerouting priority -100; dnat to tcp dport map @ports; }; }; \
                  table inet more { chain in { type filter hook input priority 0; tcp dport 9 drop; }; }";
    daemon.on_host(&["nft", theirs]).ok();
    daemon.on_host(&["iptables-nft", "-A", "FORWARD", "-s", "192.0.2.9", "-j", "DROP"]).ok();
    let rules = |daemon: &Daemon| {
        let of = |words: &[&str]| daemon.on_host(words).ok();
        [
            of(&["nft", "list", "table", "ip", "theirs"]),
            of(&["nft", "list", "table", "inet", "more"]),
            of(&["iptables-nft", "-S", "FORWARD"]),
        ]
    };
    let before = rules(&daemon);
    server(&daemon, "web", &["-p", "8080:80"]);
    assert_eq!(fetch(&daemon, "127.0.0.1:8080").trim(), "served");
    daemon.kill();
    daemon.restart();
    daemon.docker(&["rm", "-f", "web"]).ok();
    daemon.end();
    assert_eq!(rules(&daemon), before);
    daemon.restart();
}

#[test]
fn udp_is_published_too() {
    let daemon = Daemon::with_busybox();
    let (program, bind) = udp_echo(&daemon);
    daemon.docker(&["run", "-d", "--name", "echo", "-p", "9000:9000/udp", "-v", &bind, "busybox", &program]).ok();
    let script = "echo ping | socat -t 1 - UDP:127.0.0.1:9000";
    eventually(|| daemon.on_host(&["sh", "-c", script]).stdout == "ping\n");
}

#[test]
fn a_taken_port_names_its_holder() {
    let daemon = Daemon::with_busybox();
    server(&daemon, "first", &["-p", "8080:80"]);
    let refused = daemon.docker(&["run", "--name", "second", "-p", "8080:80", "busybox", "true"]).fails(125);
    assert!(refused.contains("port is already allocated") && refused.contains("first"), "{refused}");
    daemon.docker(&["rm", "-f", "first"]).ok();
    daemon.docker(&["start", "second"]).ok();
}

#[test]
fn all_exposed_ports_can_be_published_at_chosen_ports() {
    let daemon = Daemon::with_busybox();
    server(&daemon, "web", &["--expose", "80", "-P"]);
    let address = daemon.docker(&["port", "web", "80"]).ok();
    let port = address.rsplit(':').next().unwrap_or_default().to_owned();
    assert!(port.parse::<u16>().is_ok_and(|port| port >= 32768), "{address}");
    assert_eq!(fetch(&daemon, &format!("127.0.0.1:{port}")).trim(), "served");
}

#[test]
fn links_give_names_and_environment() {
    let daemon = Daemon::with_busybox();
    server(&daemon, "db", &["--expose", "80", "-e", "SECRET=x"]);
    let address = daemon.docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "db"]).ok();
    let script = "grep store /etc/hosts; echo $STORE_PORT $STORE_PORT_80_TCP_ADDR $STORE_NAME $STORE_ENV_SECRET; wget -q -O - http://store/";
    let seen =
        daemon.docker(&["run", "--rm", "--name", "app", "--link", "db:store", "busybox", "sh", "-c", script]).ok();
    assert!(seen.contains(&format!("tcp://{address}:80 {address} /app/store x")), "{seen}");
    assert!(seen.starts_with(&address) && seen.contains("served"), "{seen}");
    daemon.docker(&["run", "-d", "--name", "late", "--link", "db:store", "busybox", "sleep", "1000"]).ok();
    let told = ["exec", "late", "sh", "-c", "echo $STORE_NAME $STORE_ENV_SECRET"];
    assert_eq!(daemon.docker(&told).ok(), "/late/store x");
    daemon.docker(&["kill", "db"]).ok();
    assert_eq!(daemon.docker(&told).ok(), "");
}

#[test]
fn links_open_ports_between_containers_that_are_kept_apart() {
    let daemon = Daemon::with(&["--icc=false"]);
    daemon.import_busybox();
    server(&daemon, "db", &["--expose", "80"]);
    let address = daemon.docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "db"]).ok();
    daemon.docker(&["run", "-d", "--name", "app", "--link", "db:store", "busybox", "sleep", "1000"]).ok();
    daemon.docker(&["run", "-d", "--name", "stranger", "busybox", "sleep", "1000"]).ok();
    let asks = |name: &str, whom: &str| {
        let seen = daemon.docker(&["exec", name, "sh", "-c", &format!("nc -w 2 {whom} 80 < /dev/null")]).stdout;
        seen.lines().last().unwrap_or_default().to_owned()
    };
    eventually(|| asks("app", "store") == "served");
    assert_eq!(asks("stranger", &address), "");
    // A link follows its child to another address, and does not stay with the old one.
    daemon.docker(&["stop", "-t", "0", "db"]).ok();
    server(&daemon, "thief", &["--expose", "80", "--ip", &address]);
    daemon.docker(&["start", "db"]).ok();
    eventually(|| asks("app", "store") == "served");
    assert_eq!(asks("app", &address), "");
}

#[test]
fn other_hosts_reach_published_ports_and_containers_reach_them() {
    let daemon = Daemon::with_busybox();
    server(&daemon, "web", &["-p", "8080:80"]);
    // Another host: a namespace at the end of a veth pair into the daemon's.
    let world = r#"
        set -e
        mkfifo "$1" && (unshare --net sh -c 'ip link set lo up; echo $$; exec sleep 100' > "$1" 2>&1 &) ; read pid < "$1"
        ip link add out type veth peer name in && ip link set in netns "$pid"
        ip addr add 192.0.2.1/24 dev out && ip link set out up
        nsenter --net=/proc/$pid/ns/net sh -c 'ip addr add 192.0.2.2/24 dev in && ip link set in up'
        nsenter --net=/proc/$pid/ns/net curl -s -m 5 --retry 10 --retry-all-errors --retry-delay 0 http://192.0.2.1:8080/
        kill "$pid"
    "#;
    let fifo = daemon.path("fifo").display().to_string();
    let answer = daemon.on_host(&["sh", "-c", world, "sh", &fifo]).ok();
    assert_eq!(answer.trim(), "served");
}

#[test]
fn networks_that_are_not_there_and_those_that_stay() {
    let daemon = Daemon::with_busybox();
    daemon.docker(&["create", "--name", "lost", "--network", "nosuch", "busybox", "true"]).ok();
    let told = daemon.docker(&["start", "lost"]).fails(1);
    assert!(told.contains("network nosuch not found"), "{told}");
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.Status}}", "lost"]).ok(), "created");
    let answer = |method: &str, path: &str, body: Option<serde_json::Value>| {
        let answer = daemon.call(method, &format!("/networks/{path}"), body.as_ref());
        (answer.status, answer.json()["message"].as_str().unwrap_or_default().to_owned())
    };
    let missing = (404, "network nosuch not found".to_owned());
    assert_eq!(answer("GET", "nosuch", None), missing);
    assert_eq!(answer("DELETE", "nosuch", None), missing);
    let stays = (403, "bridge is a pre-defined network and cannot be removed".to_owned());
    assert_eq!(answer("DELETE", "bridge", None), stays);
    let member = |name: &str| Some(serde_json::json!({"Container": name}));
    assert_eq!(answer("POST", "nosuch/connect", member("lost")), missing);
    assert_eq!(answer("POST", "bridge/connect", member("nobody")), (404, "No such container: nobody".to_owned()));
    assert_eq!(answer("POST", "bridge/disconnect", member("lost")).0, 501);
}
