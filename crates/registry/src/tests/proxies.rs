//! Proxies that say anything at all.

use std::time::Duration;

use http::HeaderMap;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::http::Clients;
use crate::session::Session;
use crate::settings::Endpoint;
use crate::{Credentials, ProxyVariables, Settings};

/// Why a registry, or a mirror that is not waited for, cannot be reached through a proxy that says this and ends.
async fn reached(scheme: &str, answer: Vec<u8>, mirror: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("{scheme}://joe:secret@{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _has_gone = socket.write_all(&answer).await;
            let _has_gone = socket.shutdown().await;
            // What the client still sends is read, so that it sees the answer and no reset.
            let _ended = socket.read_to_end(&mut Vec::new()).await;
        }
    });
    let variables = ProxyVariables { http: String::new(), https: proxy, no: String::new() };
    let clients = Clients::with_proxies(&Settings::default(), &variables).unwrap();
    let endpoint = Endpoint {
        secure: true,
        authority: "registry.test".to_owned(),
        prefix: String::new(),
        mirror,
        lenient: false,
        legacy: false,
    };
    let (credentials, meta) = (Credentials::default(), HeaderMap::new());
    let opening = Session::open(&clients, &endpoint, &credentials, &meta);
    let outcome = tokio::time::timeout(Duration::from_secs(60), opening).await.expect("each wait has an end");
    served.abort();
    outcome.map(drop).expect_err("there is no registry").to_string()
}

/// Beginnings of what proxies say, which chance alone would hardly find.
const BEGINNINGS: [&[u8]; 5] = [b"", b"\x05\x02", b"\x05\x02\x01\x00", b"\x05\x02\x01\x00\x05\x00\x00", b"HTTP/1.1 "];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_proxy_says_is_an_error_at_once(
        scheme in prop::sample::select(vec!["http", "https", "socks5", "socks5h"]),
        beginning in prop::sample::select(BEGINNINGS.to_vec()),
        rest in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let told = runtime.block_on(reached(scheme, [beginning, &rest].concat(), true));
        prop_assert!(told.starts_with("Get \"https://registry.test/v2/\": "), "{}", told);
    }
}

#[tokio::test]
async fn refusals_have_words() {
    for (scheme, answer, words) in [
        ("socks5", &b"\x05\xff"[..], "proxyconnect tcp: SOCKS error: "),
        ("socks5", b"\x05\x02\x01\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", "SOCKS error: connection refused"),
        ("http", b"HTTP/1.1 403 Forbidden\r\n\r\n", "proxyconnect tcp: tunnel error: unsuccessful"),
        ("http", &[b'x'; 20_000], "proxyconnect tcp: tunnel error: "),
        ("https", b"HTTP/1.1 200 OK\r\n\r\n", "proxyconnect tcp: http: server gave HTTP response to HTTPS client"),
    ] {
        let told = reached(scheme, answer.to_vec(), false).await;
        assert!(told.contains(words), "{words}: {told}");
    }
}
