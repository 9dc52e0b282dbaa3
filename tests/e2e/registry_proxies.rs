//! Proxies that the environment names, between the daemon and registries that only the proxy finds.

use testkit::Daemon;

use crate::registries::{forget, image, runs};
use crate::registry_servers::{Served, certificate};

/// Who may use the proxy, and the same as a header.
const USER: &str = "joe:s%40cret";
const AUTHORIZATION: &str = "Basic am9lOnNAY3JldA==";
const PORT: u16 = 3128;
/// An address of the daemon's machine that is not loopback.
const ADDRESS: &str = "192.0.2.7";

/// The six variables, so that nothing of the machine's own plays a part.
fn environment<'a>(set: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];
    let unset = names.into_iter().filter(|name| !set.iter().any(|(known, _)| known == name));
    unset.map(|name| (name, "")).chain(set.iter().copied()).collect()
}

/// Pushes a new image under this name, pulls it back, runs it.
fn there_and_back(daemon: &Daemon, name: &str) {
    // Nothing is known of other registries, which might have a layer too.
    forget(daemon);
    daemon.import_busybox();
    image(daemon, name);
    daemon.docker(&["push", name]).ok();
    forget(daemon);
    daemon.docker(&["pull", name]).ok();
    runs(daemon, name);
}

/// What the proxy was asked since the last time.
fn asked(proxy: &Served) -> Vec<String> {
    let log = proxy.folder.path().join("log");
    let lines = std::fs::read_to_string(&log).unwrap_or_default();
    std::fs::write(&log, "").expect("a file can be written");
    lines.lines().map(str::to_owned).collect()
}

#[test]
fn proxies_of_the_environment_are_used_but_for_hosts_that_are_named_as_direct() {
    let with_user = format!("http://{USER}@127.0.0.1:{PORT}");
    let insecure =
        ["plain.test:8800", "secure.test:8801", "192.0.2.0/24"].map(|one| format!("--insecure-registry={one}"));
    let flags = insecure.each_ref().map(String::as_str);
    let capitals =
        [("HTTP_PROXY", with_user.as_str()), ("HTTPS_PROXY", &with_user), ("NO_PROXY", "other.test, 192.0.2.0/24")];
    let mut daemon = Daemon::with_environment(&environment(&capitals), &flags);
    let folder = tempfile::tempdir_in(testkit::environment("LONGSHORE_TEST_DISK")).expect("a folder");
    certificate(folder.path());
    daemon.on_host(&["ip", "address", "add", &format!("{ADDRESS}/32"), "dev", "lo"]).ok();
    let plain = Served::today(&daemon, 8800, false, None);
    let _secure = Served::today(&daemon, 8801, false, Some(folder.path()));
    let proxy = Served::proxy(&daemon, PORT, AUTHORIZATION, None);

    // Without TLS the proxy sees every request, whole; with TLS only a tunnel.
    there_and_back(&daemon, "plain.test:8800/app:1");
    let lines = asked(&proxy);
    for wanted in ["POST http://plain.test:8800/v2/app/blobs/uploads/", "GET http://plain.test:8800/v2/app/manifests/1"]
    {
        assert!(lines.iter().any(|line| line == wanted), "{wanted}: {lines:?}");
    }
    there_and_back(&daemon, "secure.test:8801/app:1");
    let lines = asked(&proxy);
    assert!(!lines.is_empty() && lines.iter().all(|line| line == "CONNECT secure.test:8801"), "{lines:?}");
    // What is named as direct, and this machine itself.
    for direct in [format!("{ADDRESS}:8800/direct:1"), plain.name("local:1")] {
        there_and_back(&daemon, &direct);
        assert_eq!(asked(&proxy), Vec::<String>::new(), "{direct}");
    }
    let info = daemon.get("/info").json();
    let shown = format!("http://xxxxx:xxxxx@127.0.0.1:{PORT}");
    assert_eq!(
        (&info["HttpProxy"], &info["HttpsProxy"], &info["NoProxy"]),
        (&shown.as_str().into(), &shown.as_str().into(), &"other.test, 192.0.2.0/24".into())
    );

    // In small letters; a port is the exception now, and what goes by TLS has no proxy.
    daemon.end();
    let direct = format!("{ADDRESS}:8800");
    daemon.set_environment(&environment(&[("http_proxy", &with_user), ("no_proxy", &direct)]));
    daemon.restart();
    there_and_back(&daemon, &format!("{direct}/small:1"));
    assert_eq!(asked(&proxy), Vec::<String>::new());
    daemon.docker(&["pull", "plain.test:8800/app:1"]).ok();
    assert!(asked(&proxy).iter().any(|line| line.ends_with("http://plain.test:8800/v2/app/manifests/1")));
    daemon.docker(&["pull", "secure.test:8801/app:1"]).fails(1);
    assert!(!asked(&proxy).iter().any(|line| line.starts_with("CONNECT")));
    // A file at an address goes the same way.
    let import = daemon.docker(&["import", "http://plain.test:8800/v2/", "imported:1"]);
    assert_eq!(asked(&proxy), ["GET http://plain.test:8800/v2/"], "{import:?}");
    // A proxy that refuses is told of.
    daemon.end();
    let stranger = format!("http://127.0.0.1:{PORT}");
    daemon.set_environment(&environment(&[("HTTP_PROXY", &stranger), ("HTTPS_PROXY", &stranger)]));
    daemon.restart();
    let refused = daemon.docker(&["pull", "plain.test:8800/app:1"]).fails(1);
    assert!(refused.contains("407 Proxy Authentication Required"), "{refused}");
    assert_eq!(daemon.get("/info").json()["HttpProxy"], stranger);
}

#[test]
fn proxies_by_tls_and_by_socks() {
    let folder = tempfile::tempdir_in(testkit::environment("LONGSHORE_TEST_DISK")).expect("a folder");
    let (known, other) = (folder.path().join("known"), folder.path().join("other"));
    let roots = [&known, &other].map(|folder| {
        std::fs::create_dir(folder).expect("a folder can be made");
        certificate(folder).display().to_string()
    });
    let flags = ["--insecure-registry=plain.test:8800", "--insecure-registry=secure.test:8801"];
    let mut daemon = Daemon::with_environment(&environment(&[]), &flags);
    let plain = Served::today(&daemon, 8800, false, None);
    let secure = Served::today(&daemon, 8801, false, Some(&known));
    let proxies = [(3130, Some(known.as_path())), (3131, None)]
        .map(|(port, folder)| Served::proxy(&daemon, port, AUTHORIZATION, folder));
    let reach = |daemon: &mut Daemon, proxy: &str, roots: &str| {
        daemon.end();
        let set = [("HTTP_PROXY", proxy), ("HTTPS_PROXY", proxy), ("SSL_CERT_FILE", roots)];
        daemon.set_environment(&environment(&set));
        daemon.restart();
    };
    let (inner, outer) = ("plain.test:8800/app:1", "secure.test:8801/app:1");
    let by_tls = format!("https://{USER}@127.0.0.1:3130");
    reach(&mut daemon, &by_tls, &roots[0]);
    there_and_back(&daemon, inner);
    let lines = asked(&proxies[0]);
    assert!(lines.iter().any(|line| line == "GET http://plain.test:8800/v2/app/manifests/1"), "{lines:?}");
    there_and_back(&daemon, outer);
    let lines = asked(&proxies[0]);
    assert!(!lines.is_empty() && lines.iter().all(|line| line == "CONNECT secure.test:8801"), "{lines:?}");

    for (version, port) in [("socks5", 8800), ("socks5h", 8801)] {
        reach(&mut daemon, &format!("{version}://{USER}@127.0.0.1:3131"), &roots[0]);
        let name = [inner, outer][usize::from(port == 8801)];
        there_and_back(&daemon, name);
        let (lines, wanted) = (asked(&proxies[1]), format!("SOCKS {}", name.trim_end_matches("/app:1")));
        assert!(!lines.is_empty() && lines.iter().all(|line| *line == wanted), "{lines:?}");
    }
    // What is not as it should be is said, and nobody goes round a proxy.
    for (proxy, roots, words) in [
        (
            by_tls.as_str(),
            &roots[1],
            "proxyconnect tcp: tls: failed to verify certificate: x509: certificate signed by unknown authority",
        ),
        ("https://127.0.0.1:3130", &roots[0], "proxyconnect tcp: tunnel error: proxy authorization required"),
        ("socks5://joe:wrong@127.0.0.1:3131", &roots[0], "proxyconnect tcp: SOCKS error: credentials not accepted"),
        (
            "socks5://127.0.0.1:3132",
            &roots[0],
            "proxyconnect tcp: dial tcp 127.0.0.1:3132: connect: connection refused",
        ),
        ("socks4://127.0.0.1:3131", &roots[0], "a proxy must be http, https, socks5 or socks5h, not socks4"),
        ("ftp://127.0.0.1:3131", &roots[0], "invalid proxy address \"ftp://127.0.0.1:3131\""),
    ] {
        reach(&mut daemon, proxy, roots);
        // By TLS or not at all.
        let told = daemon.docker(&["pull", "strict.test:8801/app:1"]).fails(1);
        assert!(told.contains(words), "{proxy}: {told}");
    }
    drop((plain, secure));
}
