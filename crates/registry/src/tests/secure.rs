//! TLS: certificates of single registries.

use std::path::Path;
use std::process::Command;

use http::HeaderMap;

use super::place::{Place, Real};
use crate::http::Clients;
use crate::session::Session;
use crate::settings::Endpoint;
use crate::{Credentials, Settings};

/// A certificate that stands for itself.
fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .current_dir(folder)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "server.key"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-out", "server.pem"])
        .output()
        .expect("this test needs openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_with_its_own_certificate() {
    let folder = tempfile::Builder::new().prefix("longshore-registry-").tempdir_in("/dev/shm").unwrap();
    certificate(folder.path());
    let real = Real::start_with(false, Some(folder.path())).await;
    let authority = format!("127.0.0.1:{}", real.port);
    let mut settings = Settings::default();
    settings.certificates = folder.path().join("certs.d");
    let strict = |mirror| Endpoint {
        secure: true,
        authority: authority.clone(),
        prefix: String::new(),
        mirror,
        lenient: false,
        legacy: false,
    };
    let open = async |endpoint: &Endpoint| {
        let clients = Clients::new(&settings).unwrap();
        Session::open(&clients, endpoint, &Credentials::default(), &HeaderMap::new()).await
    };
    let error = open(&strict(false)).await.unwrap_err().to_string();
    assert!(error.contains("x509: certificate signed by unknown authority"), "{error}");
    let known = settings.certificates.join(&authority);
    std::fs::create_dir_all(&known).unwrap();
    std::fs::copy(folder.path().join("server.pem"), known.join("ca.crt")).unwrap();
    open(&strict(false)).await.unwrap();
    std::fs::write(known.join("client.cert"), "").unwrap();
    let error = open(&strict(false)).await.unwrap_err().to_string();
    assert!(error.contains("missing key"), "{error}");

    // On this machine any certificate will do.
    let place = Place::new();
    let name = real.name("app:1");
    place.image(&name, 1 << 10);
    place.push(&name).await.1.unwrap();
    let plain = Real::start(false).await;
    let endpoint = Endpoint { authority: format!("127.0.0.1:{}", plain.port), ..strict(true) };
    let error = open(&endpoint).await.unwrap_err().to_string();
    assert!(error.contains("server gave HTTP response to HTTPS client"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_at_an_address() {
    use std::io::Read;
    let whole = super::fake::Fake::start(|_| super::fake::reply(200, vec![7; 3 << 20])).await;
    let cut =
        super::fake::Fake::start(|_| super::fake::Reply { cut: Some(10), ..super::fake::reply(200, vec![7; 20]) })
            .await;
    let place = Place::new();
    let read = async |address: String| {
        let mut remote = place.registries.open_address(&address).await.unwrap();
        tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            remote.read_to_end(&mut all).map(|_| all)
        })
        .await
        .unwrap()
    };
    assert_eq!(read(whole.name("file")).await.unwrap().len(), 3 << 20);
    assert!(read(format!("http://{}", cut.name("file"))).await.is_err());
    assert!(place.registries.open_address("ftp://x/y").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_of_the_environment() {
    use super::fake::{Asked, Fake, Wire, reply};
    let wire = Wire::new("proxied", 1000);
    // As a proxy hears it: `CONNECT host:port`, and whole addresses for what goes without TLS.
    let proxy = Fake::start(move |asked| match asked.path.strip_prefix("http://registry.test:5000") {
        Some(path) => wire.honest(&Asked { path: path.to_owned(), ..asked.clone() }),
        None => reply(403, "no tunnels here"),
    })
    .await;
    let at = |user: &str| format!("http://{user}127.0.0.1:{}", proxy.port);
    let variables = crate::ProxyVariables { http: at("joe:secret@"), https: at(""), no: "direct.test:5000".to_owned() };
    let settings = Settings::parse(&[], &["registry.test:5000".to_owned()]).unwrap();
    let place = Place::with(settings);
    let clients = Clients::with_proxies(&Settings::default(), &variables).unwrap();
    let terms = place.registries.terms();
    let endpoints = terms.settings.endpoints("registry.test:5000", false).await;
    let mut outcomes = Vec::new();
    for endpoint in &endpoints {
        outcomes.push(Session::open(&clients, endpoint, &Credentials::default(), &HeaderMap::new()).await);
    }
    let refused = outcomes.remove(0).unwrap_err();
    assert!(refused.is_connection(), "a tunnel that is refused is no registry: {refused}");
    let session = outcomes.remove(0).unwrap();
    let found = crate::distribution::manifest(&session, "app", "1").await.unwrap();
    assert_eq!(found.media_type, crate::manifest::DOCKER_MANIFEST);
    let asked = proxy.asked.lock().unwrap().clone();
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("CONNECT", "registry.test:5000"));
    let secret = asked.last().unwrap().headers.get("proxy-authorization").cloned();
    assert_eq!(secret.as_deref(), Some("Basic am9lOnNlY3JldA=="));
    // What is named as direct does not go that way.
    let direct = Endpoint { authority: "direct.test:5000".to_owned(), ..endpoints[1].clone() };
    let error = Session::open(&clients, &direct, &Credentials::default(), &HeaderMap::new()).await.unwrap_err();
    assert!(error.to_string().contains("no such host"), "{error}");
    assert!(!proxy.asked.lock().unwrap().iter().any(|one| one.path.contains("direct.test")));
}
