//! What a container's start pays for its network. Run as root: `cargo bench -p network`.
//!
//! Everything happens in a network namespace of its own. Prints the median and the 95th percentile.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use network::{Bridge, BridgeConfig, HostPort, LoopbackPool, PortRequest, Protocol, Wanted};

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e6;
    println!("{what:<58} {:>10.1} us  p95 {:>10.1} us  n {}", at(50), at(95), times.len());
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn bridge(pool_size: usize) -> Bridge {
    let config = BridgeConfig { name: "lsh0".into(), pool_size, ..BridgeConfig::default() };
    let bridge = Bridge::open(config).expect("a bridge");
    bridge.reconcile(&[]).expect("an empty bridge");
    bridge
}

fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

fn takes() {
    let bridge = bridge(12);
    pause(300);
    let mut times = Vec::new();
    let mut drops = Vec::new();
    for _ in 0..40 {
        let mut sandbox = None;
        times.push(time(|| sandbox = bridge.take(Wanted::default()).ok()));
        let sandbox = sandbox.expect("a sandbox");
        let address = sandbox.address;
        drops.push(time(|| drop(sandbox)));
        bridge.release(address);
        pause(20);
    }
    report("take, one every 20 ms", times);
    report("drop of the namespace", drops);
    let mut times = Vec::new();
    for last in 0..20 {
        pause(100);
        let wanted = Wanted { address: Some(Ipv4Addr::new(172, 17, 9, 10 + last)), mac: None };
        times.push(time(|| drop(bridge.take(wanted).expect("a sandbox"))));
    }
    report("take with a wanted address", times);
    bridge.destroy().expect("destroyed");
}

fn creation() {
    let bridge = bridge(0);
    let times = (0..40).map(|_| time(|| drop(bridge.take(Wanted::default()).expect("a sandbox"))));
    report("take from an empty pool (namespace and pair made)", times.collect());
    bridge.destroy().expect("destroyed");
    let pool = LoopbackPool::open(0).expect("a pool");
    let times = (0..40).map(|_| time(|| drop(pool.take().expect("a namespace"))));
    report("namespace with lo only, from an empty pool", times.collect());
}

fn parallel(pool_size: usize) {
    let bridge = bridge(pool_size);
    let (mut whole, mut each) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        pause(600);
        let start = Instant::now();
        let takers: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..32)
                .map(|_| {
                    scope.spawn(|| {
                        let start = Instant::now();
                        (bridge.take(Wanted::default()).expect("a sandbox"), start.elapsed())
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("thread")).collect()
        });
        whole.push(start.elapsed());
        for (sandbox, time) in takers {
            each.push(time);
            bridge.release(sandbox.address);
        }
    }
    report(&format!("32 takes in parallel, pool {pool_size}: all of them"), whole);
    report(&format!("32 takes in parallel, pool {pool_size}: each"), each);
    bridge.destroy().expect("destroyed");
}

fn publishes(count: u16) {
    let bridge = bridge(0);
    let address = Ipv4Addr::new(172, 17, 0, 9);
    let (mut on, mut off) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        let request = |port| PortRequest {
            host_ip: None,
            host_port: HostPort::Exact(20_000 + port),
            port: 80,
            protocol: Protocol::Tcp,
            any_address: false,
        };
        let requests: Vec<_> = (0..count).map(request).collect();
        on.push(time(|| drop(bridge.publish("web", address, &requests).expect("published"))));
        off.push(time(|| bridge.unpublish("web").expect("withdrawn")));
    }
    report(&format!("publish {count} ports"), on);
    report(&format!("unpublish {count} ports"), off);
    bridge.destroy().expect("destroyed");
}

fn main() {
    let work = || {
        sys::netns::unshare().expect("a network namespace (needs root)");
        takes();
        creation();
        parallel(12);
        parallel(32);
        for count in [1, 10, 100, 10_000] {
            publishes(count);
        }
    };
    std::thread::spawn(work).join().expect("the benchmark");
}
