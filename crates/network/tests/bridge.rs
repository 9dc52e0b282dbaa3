//! A bridge in a network namespace of its own: sandboxes, ports, firewall, a daemon's death. Needs root.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use network::{
    Bridge, BridgeConfig, Error, HostPort, Link, Live, LoopbackPool, PortRequest, Protocol, Published, Sandbox, Wanted,
};

/// How long anything may take; far longer than it does, for machines under load.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test in a new network namespace; the threads it starts are in it too.
fn isolated(test: impl FnOnce() + Send + 'static) {
    let outcome = std::thread::spawn(|| {
        sys::netns::unshare().expect("a network namespace (needs root)");
        ip("link set lo up");
        test();
    })
    .join();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split_whitespace()).status().expect("the ip program");
    assert!(status.success(), "ip {arguments}");
}

/// Another machine on a wire with this namespace: we have 192.0.2.1, it has 192.0.2.2 and routes by us.
fn other_host() -> OwnedFd {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        sys::netns::unshare().expect("a network namespace");
        send.send(sys::netns::current().expect("its descriptor")).expect("send");
    })
    .join()
    .expect("thread");
    let netns: OwnedFd = receive.recv().expect("a descriptor");
    let path = format!("/proc/{}/fd/{}", std::process::id(), netns.as_raw_fd());
    ip(&format!("link add wire0 type veth peer name wire1 netns {path}"));
    ip("addr add 192.0.2.1/24 dev wire0");
    ip("link set wire0 up");
    within(&netns, || {
        ip("addr add 192.0.2.2/24 dev wire1");
        ip("link set wire1 up");
        ip("route add default via 192.0.2.1");
    });
    netns
}

fn within<T: Send>(netns: &OwnedFd, work: impl FnOnce() -> T + Send) -> T {
    sys::netns::within(netns, work).expect("enter a namespace")
}

fn bridge_with(change: impl FnOnce(&mut BridgeConfig)) -> Bridge {
    let mut config = BridgeConfig { name: "lsh0".into(), pool_size: 2, dual_ports: false, ..BridgeConfig::default() };
    change(&mut config);
    Bridge::open(config).expect("a bridge")
}

fn bridge() -> Bridge {
    bridge_with(|_| {})
}

fn request(port: u16, host_port: HostPort, protocol: Protocol) -> PortRequest {
    PortRequest { host_ip: None, host_port, port, protocol, any_address: false }
}

/// Answers every connection and datagram on port 80 in the sandbox with its caller's address.
fn serve(sandbox: &Sandbox) {
    within(&sandbox.netns, || {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80)).expect("listen");
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 80)).expect("bind");
        std::thread::spawn(move || {
            while let Ok((mut stream, peer)) = listener.accept() {
                let _ = stream.write_all(peer.ip().to_string().as_bytes());
            }
        });
        std::thread::spawn(move || {
            let mut buffer = [0; 16];
            while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(peer.ip().to_string().as_bytes(), peer);
            }
        });
    });
}

/// Calls a TCP port; who the server says we are.
fn call(address: impl Into<Ipv4Addr>, port: u16) -> Option<String> {
    let to = SocketAddr::from((address.into(), port));
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_millis(1500)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn call_udp(address: impl Into<Ipv4Addr>, port: u16) -> Option<String> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    socket.connect((address.into(), port)).ok()?;
    socket.send(b"hello").ok()?;
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// The two ways a kernel may treat frames that a bridge passes on; `false` where it has but one.
fn set_bridge_netfilter(on: bool) -> bool {
    std::fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", if on { "1" } else { "0" }).is_ok()
}

#[test]
fn a_bridge_that_cannot_be_opened_leaves_nothing() {
    isolated(|| {
        let config = BridgeConfig {
            name: "lsh0".into(),
            address: "10.77.0.1/24".parse().ok(),
            fixed_cidr: "10.78.0.0/25".parse().ok(),
            ..BridgeConfig::default()
        };
        assert!(matches!(Bridge::open(config.clone()), Err(Error::Config(_))));
        let names = || std::fs::read_to_string("/proc/self/net/dev").expect("a list");
        assert!(!names().contains("lsh0"), "{}", names());
        // One that was there stays as it is.
        ip("link add lsh0 type bridge");
        ip("addr add 10.79.0.1/24 dev lsh0");
        assert!(Bridge::open(BridgeConfig { address: None, ..config }).is_err());
        let shown = Command::new("ip").args(["addr", "show", "lsh0"]).output().expect("the ip program");
        assert!(String::from_utf8_lossy(&shown.stdout).contains("10.79.0.1/24"));
    });
}

#[test]
fn a_closed_forward_chain_of_iptables_lets_the_bridge_through() {
    isolated(|| {
        let other = other_host();
        let iptables = |arguments: &str| {
            let output = Command::new("iptables-nft").args(arguments.split_whitespace()).output().expect("iptables");
            assert!(output.status.success(), "iptables {arguments}: {output:?}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        iptables("-P FORWARD DROP");
        iptables("-A FORWARD -i docker0 -j ACCEPT");
        let bridge = bridge();
        let sandbox = bridge.take(Wanted::default()).expect("a sandbox");
        serve(&sandbox);
        let wish = request(80, HostPort::Exact(8080), Protocol::Tcp);
        bridge.publish("web", sandbox.address, &[wish]).expect("published");
        let reached = || within(&other, || call([192, 0, 2, 1], 8080)).is_some();
        let kept = || {
            let started = Instant::now();
            while !reached() {
                assert!(started.elapsed() < PATIENCE, "the way is closed:\n{}", iptables("-S FORWARD"));
            }
        };
        assert!(reached());
        assert_eq!(bridge.obstacles().expect("a look"), Vec::<String>::new());
        let rule = |way: &str| format!("-A FORWARD -{way} lsh0 -m comment --comment \"longshore lsh0\" -j ACCEPT\n");
        let ours = rule("o") + &rule("i");
        assert_eq!(iptables("-S FORWARD"), format!("-P FORWARD DROP\n{ours}-A FORWARD -i docker0 -j ACCEPT\n"));
        iptables("-F FORWARD");
        kept();
        // What comes later is noticed too, and rules are not put there twice.
        iptables("-P FORWARD ACCEPT");
        iptables("-P FORWARD DROP");
        iptables("-D FORWARD 2");
        let wanted = format!("-P FORWARD DROP\n{ours}");
        let started = Instant::now();
        while iptables("-S FORWARD") != wanted {
            assert!(started.elapsed() < PATIENCE, "{}", iptables("-S FORWARD"));
        }
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(iptables("-S FORWARD"), wanted);
        bridge.destroy().expect("destroyed");
        assert_eq!(iptables("-S FORWARD"), "-P FORWARD DROP\n");
    });
}

#[test]
fn chains_that_nobody_but_the_administrator_can_open_are_told_of() {
    isolated(|| {
        let nft = |text: &str| assert!(Command::new("nft").arg(text).status().expect("nft").success(), "{text}");
        nft("table inet mine { chain gate { type filter hook forward priority 0; policy drop; }; }");
        let bridge = bridge();
        let told = bridge.obstacles().expect("a look");
        assert!(matches!(&told[..], [one] if one.contains("chain gate of the table inet mine")), "{told:?}");
        nft("add rule inet mine gate iifname lsh0 accept");
        assert_eq!(bridge.obstacles().expect("a look"), Vec::<String>::new());
        bridge.destroy().expect("destroyed");
    });
}

#[test]
fn a_sandbox_is_complete() {
    isolated(|| {
        let bridge = bridge();
        assert_eq!(bridge.net().to_string(), "172.17.0.1/16");
        let sandbox = bridge.take(Wanted::default()).expect("a sandbox");
        assert_eq!(sandbox.address, Ipv4Addr::new(172, 17, 0, 2));
        assert_eq!(sandbox.mac, [0x02, 0x42, 172, 17, 0, 2]);
        assert_eq!((sandbox.gateway, sandbox.prefix_len), (Ipv4Addr::new(172, 17, 0, 1), 16));
        let (links, routes) = within(&sandbox.netns, || {
            let show = |what: &[&str]| {
                let output = Command::new("ip").args(what).output().expect("the ip program");
                String::from_utf8_lossy(&output.stdout).into_owned()
            };
            (show(&["addr"]), show(&["route"]))
        });
        assert!(links.contains("eth0@") && links.contains("02:42:ac:11:00:02") && links.contains("172.17.0.2/16"));
        assert!(links.contains("127.0.0.1/8"), "{links}");
        assert!(!links.contains("fe80::"), "{links}");
        assert!(routes.contains("default via 172.17.0.1 dev eth0"), "{routes}");
        serve(&sandbox);
        assert_eq!(call(sandbox.address, 80).as_deref(), Some("172.17.0.1"));
        bridge.destroy().expect("destroyed");
    });
}

#[test]
fn wishes_for_address_and_mac() {
    isolated(|| {
        let bridge = bridge_with(|config| config.address = "10.9.0.1/24".parse().ok());
        let wanted = Wanted { address: Some(Ipv4Addr::new(10, 9, 0, 77)), mac: Some([2, 0, 0, 0, 0, 7]) };
        let sandbox = bridge.take(wanted).expect("a sandbox");
        serve(&sandbox);
        assert_eq!(call([10, 9, 0, 77], 80).as_deref(), Some("10.9.0.1"));
        let mac = within(&sandbox.netns, || std::fs::read_to_string("/proc/thread-self/net/arp").is_ok());
        assert!(mac);
        assert!(matches!(bridge.take(wanted), Err(Error::AddressTaken { .. })));
        bridge.release(sandbox.address);
        drop(sandbox);
        bridge.take(Wanted { mac: None, ..wanted }).expect("free again");
        let outside = Wanted { address: Some(Ipv4Addr::new(10, 8, 0, 1)), mac: None };
        assert!(matches!(bridge.take(outside), Err(Error::AddressOutside { .. })));
        bridge.destroy().expect("destroyed");
    });
}

#[test]
fn a_small_subnet_runs_out_and_recovers() {
    isolated(|| {
        let bridge = bridge_with(|config| config.address = "10.9.0.1/29".parse().ok());
        let mut taken: Vec<Sandbox> = (0..5).map(|_| bridge.take(Wanted::default()).expect("a sandbox")).collect();
        assert!(matches!(bridge.take(Wanted::default()), Err(Error::NoFreeAddress { .. })));
        let last = taken.pop().expect("a sandbox");
        bridge.release(last.address);
        assert_eq!(bridge.take(Wanted::default()).expect("a sandbox").address, last.address);
        bridge.destroy().expect("destroyed");
    });
}

fn published_ports_answer(bridge_netfilter: bool) {
    isolated(move || {
        set_bridge_netfilter(bridge_netfilter);
        let other = other_host();
        let bridge = bridge();
        let web = bridge.take(Wanted::default()).expect("a sandbox");
        let client = bridge.take(Wanted::default()).expect("a sandbox");
        serve(&web);
        let requests = [
            request(80, HostPort::Exact(8080), Protocol::Tcp),
            request(80, HostPort::Exact(8080), Protocol::Udp),
            request(80, HostPort::Dynamic, Protocol::Tcp),
            PortRequest {
                host_ip: Some(Ipv4Addr::LOCALHOST.into()),
                ..request(80, HostPort::Exact(9090), Protocol::Tcp)
            },
        ];
        let published = bridge.publish("web", web.address, &requests).expect("published");
        assert!(published[2].host_port >= 32768);
        // The client's address is kept, from outside and from the host itself.
        assert_eq!(within(&other, || call([192, 0, 2, 1], 8080)).as_deref(), Some("192.0.2.2"));
        assert_eq!(within(&other, || call_udp([192, 0, 2, 1], 8080)).as_deref(), Some("192.0.2.2"));
        assert_eq!(within(&other, || call([192, 0, 2, 1], published[2].host_port)).as_deref(), Some("192.0.2.2"));
        assert_eq!(call([192, 0, 2, 1], 8080).as_deref(), Some("192.0.2.1"));
        assert_eq!(call_udp([192, 0, 2, 1], 8080).as_deref(), Some("192.0.2.1"));
        // 127.0.0.1 is the host, which the container knows as its gateway.
        assert_eq!(call([127, 0, 0, 1], 8080).as_deref(), Some("172.17.0.1"));
        assert_eq!(call_udp([127, 0, 0, 1], 8080).as_deref(), Some("172.17.0.1"));
        assert_eq!(call([127, 0, 0, 1], 9090).as_deref(), Some("172.17.0.1"));
        // Other containers, and the container itself, by the host's addresses.
        for netns in [&client.netns, &web.netns] {
            assert!(within(netns, || call([192, 0, 2, 1], 8080)).is_some());
            assert!(within(netns, || call([172, 17, 0, 1], 8080)).is_some());
            assert!(within(netns, || call_udp([172, 17, 0, 1], 8080)).is_some());
        }
        // A port published on 127.0.0.1 is no business of others.
        assert_eq!(within(&other, || call([192, 0, 2, 1], 9090)), None);
        assert_eq!(within(&client.netns, || call([172, 17, 0, 1], 9090)), None);
        // What is not published cannot be reached from outside by its own address.
        assert_eq!(within(&other, || call(web.address, 80)), None);
        bridge.unpublish("web").expect("withdrawn");
        assert_eq!(within(&other, || call([192, 0, 2, 1], 8080)), None);
        assert_eq!(within(&other, || call_udp([192, 0, 2, 1], 8080)), None);
        assert_eq!(call([127, 0, 0, 1], 8080), None);
        bridge.destroy().expect("destroyed");
    });
}

#[test]
fn published_ports_answer_everywhere() {
    published_ports_answer(true);
}

#[test]
fn published_ports_answer_without_bridge_netfilter() {
    published_ports_answer(false);
}

/// Sends datagrams until one is answered; whose address the server names.
fn insist(socket: &UdpSocket) -> Option<String> {
    let mut buffer = [0; 64];
    for _ in 0..5 {
        // A former refusal may be reported here; the next datagram tells more.
        let _ = socket.send(b"hello");
        if let Ok(length) = socket.recv(&mut buffer) {
            return Some(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
    }
    None
}

#[test]
fn udp_flows_follow_the_ports() {
    isolated(|| {
        let other = other_host();
        let bridge = bridge();
        let (one, two) = (bridge.take(Wanted::default()), bridge.take(Wanted::default()));
        let (one, two) = (one.expect("a sandbox"), two.expect("a sandbox"));
        serve(&one);
        let udp = [request(80, HostPort::Exact(5353), Protocol::Udp)];
        let client = within(&other, || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket"));
        client.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        client.connect(("192.0.2.1", 5353)).expect("connect");
        assert_eq!(insist(&client), None, "not published yet");
        bridge.publish("one", one.address, &udp).expect("published");
        assert!(insist(&client).is_some(), "the old flow is forgotten");
        bridge.unpublish("one").expect("withdrawn");
        assert_eq!(insist(&client), None, "withdrawn");
        serve(&two);
        bridge.publish("two", two.address, &udp).expect("published");
        assert!(insist(&client).is_some(), "the port moved");
        bridge.destroy().expect("destroyed");
    });
}

#[test]
fn loopback_services_of_the_host_stay_private() {
    isolated(|| {
        let other = other_host();
        let bridge = bridge();
        let sandbox = bridge.take(Wanted::default()).expect("a sandbox");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 7070)).expect("listen");
        std::thread::spawn(move || listener.accept().map(drop));
        let ip_route = |netns: &OwnedFd, gateway: &str| {
            let gateway = gateway.to_owned();
            within(netns, move || {
                ip("addr flush dev lo");
                ip(&format!("route add 127.0.0.1/32 via {gateway} table local"));
                ip("link set lo up");
                let _ = std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1");
            });
        };
        ip_route(&sandbox.netns, "172.17.0.1");
        assert_eq!(within(&sandbox.netns, || call([127, 0, 0, 1], 7070)), None);
        // Nor may a neighbour on the wire use a port published on 127.0.0.1.
        let web = bridge.take(Wanted::default()).expect("a sandbox");
        serve(&web);
        let private = PortRequest {
            host_ip: Some(Ipv4Addr::LOCALHOST.into()),
            ..request(80, HostPort::Exact(9090), Protocol::Tcp)
        };
        bridge.publish("web", web.address, &[private]).expect("published");
        ip_route(&other, "192.0.2.1");
        assert_eq!(within(&other, || call([127, 0, 0, 1], 9090)), None);
        assert!(call([127, 0, 0, 1], 9090).is_some());
        bridge.destroy().expect("destroyed");
    });
}

#[test]
fn the_host_masquerades_for_containers() {
    isolated(|| {
        let other = other_host();
        within(&other, || ip("route del default"));
        let bridge = bridge();
        let sandbox = bridge.take(Wanted::default()).expect("a sandbox");
        let (send, receive) = mpsc::channel();
        within(&other, || {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 6060)).expect("listen");
            std::thread::spawn(move || {
                if let Ok((mut stream, peer)) = listener.accept() {
                    let _ = stream.write_all(peer.ip().to_string().as_bytes());
                }
                let _ = send.send(());
            });
        });
        assert_eq!(within(&sandbox.netns, || call([192, 0, 2, 2], 6060)).as_deref(), Some("192.0.2.1"));
        receive.recv_timeout(PATIENCE).expect("the server ended");
        bridge.destroy().expect("destroyed");
    });
}

fn icc_off(bridge_netfilter: bool) {
    isolated(move || {
        set_bridge_netfilter(bridge_netfilter);
        let bridge = bridge_with(|config| config.icc = false);
        let server = bridge.take(Wanted::default()).expect("a sandbox");
        let client = bridge.take(Wanted::default()).expect("a sandbox");
        serve(&server);
        let reach = || within(&client.netns, || call(server.address, 80));
        let reach_udp = || within(&client.netns, || call_udp(server.address, 80));
        assert_eq!(reach(), None);
        let link = Link { source: client.address, destination: server.address, port: 80, protocol: Protocol::Tcp };
        bridge.link(&[link]).expect("linked");
        assert!(reach().is_some());
        assert_eq!(reach_udp(), None);
        bridge.unlink(&[link]).expect("unlinked");
        assert_eq!(reach(), None);
        // A published port is for everybody.
        bridge.publish("web", server.address, &[request(80, HostPort::Exact(8080), Protocol::Tcp)]).expect("published");
        assert!(within(&client.netns, || call([172, 17, 0, 1], 8080)).is_some());
        bridge.destroy().expect("destroyed");
    });
}

#[test]
fn containers_can_be_kept_apart() {
    icc_off(true);
}

#[test]
fn containers_can_be_kept_apart_without_bridge_netfilter() {
    icc_off(false);
}

#[test]
fn containers_reach_each_other() {
    isolated(|| {
        let bridge = bridge();
        let server = bridge.take(Wanted::default()).expect("a sandbox");
        let client = bridge.take(Wanted::default()).expect("a sandbox");
        serve(&server);
        assert_eq!(within(&client.netns, || call(server.address, 80)), Some(client.address.to_string()));
        bridge.destroy().expect("destroyed");
    });
}

#[test]
fn ports_survive_the_daemon_and_ghosts_do_not() {
    isolated(|| {
        let other = other_host();
        let first = bridge();
        let web = first.take(Wanted::default()).expect("a sandbox");
        let gone = first.take(Wanted::default()).expect("a sandbox");
        serve(&web);
        let published =
            first.publish("web", web.address, &[request(80, HostPort::Exact(8080), Protocol::Tcp)]).expect("published");
        first.publish("gone", gone.address, &[request(80, HostPort::Exact(8081), Protocol::Tcp)]).expect("published");
        drop(first);
        assert!(within(&other, || call([192, 0, 2, 1], 8080)).is_some());
        let second = bridge();
        assert_eq!(second.net().to_string(), "172.17.0.1/16");
        assert!(within(&other, || call([192, 0, 2, 1], 8080)).is_some(), "open keeps the elements");
        let added = Published { host_port: 8082, ..published[0] };
        let live =
            Live { container: "web".into(), address: web.address, published: vec![published[0], added], links: vec![] };
        second.reconcile(&[live]).expect("reconciled");
        assert!(within(&other, || call([192, 0, 2, 1], 8080)).is_some());
        assert!(within(&other, || call([192, 0, 2, 1], 8082)).is_some(), "a missing one is restored");
        let taken = second.publish("db", gone.address, &[request(80, HostPort::Exact(8080), Protocol::Tcp)]);
        assert!(matches!(taken, Err(Error::PortTaken { holder: Some(holder), .. }) if holder == "web"));
        second
            .publish("db", gone.address, &[request(80, HostPort::Exact(8081), Protocol::Tcp)])
            .expect("the ghost's port is free");
        assert_ne!(second.take(Wanted::default()).expect("a sandbox").address, web.address);
        second.destroy().expect("destroyed");
    });
}

#[test]
fn two_daemons_side_by_side() {
    isolated(|| {
        let (one, two) = (bridge(), bridge_with(|config| config.name = "lsh1".into()));
        assert_eq!(two.net().to_string(), "172.18.0.1/16");
        let (a, b) = (one.take(Wanted::default()).expect("a sandbox"), two.take(Wanted::default()).expect("a sandbox"));
        serve(&a);
        serve(&b);
        one.publish("a", a.address, &[request(80, HostPort::Exact(8080), Protocol::Tcp)]).expect("published");
        two.publish("b", b.address, &[request(80, HostPort::Exact(8081), Protocol::Tcp)]).expect("published");
        assert!(call([127, 0, 0, 1], 8080).is_some() && call([127, 0, 0, 1], 8081).is_some());
        // Networks are kept apart, but published ports are for everybody.
        assert_eq!(within(&a.netns, || call(b.address, 80)), None);
        assert!(within(&a.netns, || call([172, 17, 0, 1], 8081)).is_some());
        one.destroy().expect("destroyed");
        assert!(call([127, 0, 0, 1], 8081).is_some());
        two.destroy().expect("destroyed");
    });
}

#[test]
fn a_bridge_without_a_firewall_has_no_table() {
    isolated(|| {
        let bridge = bridge_with(|config| config.firewall = false);
        let web = bridge.take(Wanted::default()).expect("a sandbox");
        let port = [request(80, HostPort::Exact(8080), Protocol::Tcp)];
        bridge.publish("web", web.address, &port).expect("reserved");
        assert!(matches!(bridge.publish("db", web.address, &port), Err(Error::PortTaken { .. })));
        bridge.destroy().expect("destroyed");
    });
}

#[test]
fn a_foreign_interface_is_not_adopted() {
    isolated(|| {
        ip("link add lsh0 type veth peer name lsh9");
        let config = BridgeConfig { name: "lsh0".into(), ..BridgeConfig::default() };
        assert!(matches!(Bridge::open(config), Err(Error::Config(_))));
    });
}

#[test]
fn live_routes_are_avoided() {
    isolated(|| {
        let other = other_host();
        ip("route add 172.16.0.0/12 via 192.0.2.2");
        let bridge = bridge();
        assert_eq!(bridge.net().to_string(), "192.168.0.1/20");
        bridge.destroy().expect("destroyed");
        drop(other);
    });
}

#[test]
fn many_at_once() {
    isolated(|| {
        let bridge = bridge();
        let sandboxes: Vec<Sandbox> = std::thread::scope(|scope| {
            let takers: Vec<_> =
                (0..32).map(|_| scope.spawn(|| bridge.take(Wanted::default()).expect("a sandbox"))).collect();
            takers.into_iter().map(|taker| taker.join().expect("thread")).collect()
        });
        let mut addresses: Vec<_> = sandboxes.iter().map(|sandbox| sandbox.address).collect();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 32);
        bridge.destroy().expect("destroyed");
    });
}

#[test]
fn dropped_namespaces_take_their_interfaces_along() {
    isolated(|| {
        let bridge = bridge();
        let sandbox = bridge.take(Wanted::default()).expect("a sandbox");
        let path = format!("/sys/class/net/{}", sandbox.host_interface);
        // sysfs shows the namespace it was mounted in, so ask the kernel by another way.
        assert!(!std::path::Path::new(&path).exists());
        let exists = || {
            let text = std::fs::read_to_string("/proc/thread-self/net/dev").expect("interfaces");
            text.contains(&sandbox.host_interface)
        };
        assert!(exists());
        let name = sandbox.host_interface.clone();
        drop(sandbox);
        let start = Instant::now();
        while std::fs::read_to_string("/proc/thread-self/net/dev").expect("interfaces").contains(&name) {
            assert!(start.elapsed() < PATIENCE, "the interface stays");
            std::thread::sleep(Duration::from_millis(5));
        }
        bridge.destroy().expect("destroyed");
    });
}

#[test]
fn namespaces_without_a_network() {
    isolated(|| {
        let pool = LoopbackPool::open(2).expect("a pool");
        let netns = pool.take().expect("a namespace");
        within(&netns, || {
            let interfaces = std::fs::read_to_string("/proc/thread-self/net/dev").expect("interfaces");
            assert_eq!(interfaces.lines().filter(|line| line.contains(':')).count(), 1, "{interfaces}");
            assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, 80)).is_ok());
            let has_ipv6 = std::path::Path::new("/proc/sys/net/ipv6").exists();
            assert_eq!(TcpListener::bind("[::1]:80").is_ok(), has_ipv6);
        });
    });
}
