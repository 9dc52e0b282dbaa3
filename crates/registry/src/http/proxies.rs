//! Proxies as the environment names them, by the rules of the programs written in Go, of which Docker is one: the variables
//! in capitals count first, an empty one is none, and `NO_PROXY` may name ports.

use std::net::IpAddr;

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::settings::{host_of, within};

/// The variables of the environment that name proxies.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxyVariables {
    /// `HTTP_PROXY` or `http_proxy`: the proxy for what goes over plain HTTP.
    pub http: String,
    /// `HTTPS_PROXY` or `https_proxy`.
    pub https: String,
    /// `NO_PROXY` or `no_proxy`: hosts that are reached directly, with commas between.
    pub no: String,
}

impl ProxyVariables {
    /// Those of this process.
    pub fn from_env() -> Self {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&str; 2]| {
            let mut values = names.into_iter().filter_map(&variable);
            values.find(|value| !value.is_empty()).unwrap_or_default()
        };
        Self {
            http: first(["HTTP_PROXY", "http_proxy"]),
            https: first(["HTTPS_PROXY", "https_proxy"]),
            no: first(["NO_PROXY", "no_proxy"]),
        }
    }

    /// As they may be shown: without names and secrets of proxies, in the words of `GET /info` (API 1.18).
    #[must_use]
    pub fn masked(self) -> Self {
        Self { http: masked(&self.http), https: masked(&self.https), no: self.no }
    }
}

fn masked(address: &str) -> String {
    let start = address.find("://").map_or(0, |at| at + 3);
    let end = address[start..].find(['/', '?', '#']).map_or(address.len(), |at| start + at);
    match address[start..end].rfind('@') {
        Some(at) => format!("{}xxxxx:xxxxx{}", &address[..start], &address[start + at..]),
        None => address.to_owned(),
    }
}

/// Which proxy an address is reached through.
#[derive(Debug)]
pub(crate) struct Proxies {
    matcher: Matcher,
    /// What the variables for plain HTTP and for HTTPS say, without secrets: it may be no address.
    named: [String; 2],
    direct: Vec<Direct>,
}

/// An entry of `NO_PROXY`.
#[derive(Debug, PartialEq, Eq)]
enum Direct {
    All,
    Network(IpAddr, u8),
    Address(IpAddr, Option<u16>),
    /// A domain; `itself`: not only the hosts beneath it.
    Domain {
        name: String,
        itself: bool,
        port: Option<u16>,
    },
}

impl Proxies {
    pub(crate) fn new(variables: &ProxyVariables) -> Self {
        let matcher = Matcher::builder().http(&variables.http).https(&variables.https).build();
        let direct = variables.no.split(',').filter_map(|entry| Direct::parse(entry.trim())).collect();
        Self { matcher, named: [masked(&variables.http), masked(&variables.https)], direct }
    }

    /// The proxy for an address; what is on this machine is never behind one.
    ///
    /// # Errors
    /// A proxy is named for it, in a way that nobody understands: whoever wants a proxy does not want to go without.
    pub(crate) fn for_address(&self, uri: &Uri) -> Result<Option<Intercept>, String> {
        let host = uri.host().map_or("", bare).trim_end_matches('.').to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let address: Option<IpAddr> = host.parse().ok();
        let is_local = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        if is_local || self.direct.iter().any(|direct| direct.covers(&host, address, port)) {
            return Ok(None);
        }
        let named = &self.named[usize::from(uri.scheme_str() == Some("https"))];
        match self.matcher.intercept(uri) {
            None if !named.is_empty() => Err(format!("invalid proxy address {named:?}")),
            found => Ok(found),
        }
    }
}

/// A host of an address without the brackets of IPv6.
fn bare(host: &str) -> &str {
    if host.starts_with('[') { host_of(host) } else { host }
}

impl Direct {
    /// Reads an entry: `*`, a network, or an address or a domain (`example.com`, `.example.com`, `*.example.com`) that may
    /// have a port. One that is none of these is passed over.
    fn parse(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::All);
        }
        if let Some((network, bits)) = entry.split_once('/') {
            let (network, bits): (IpAddr, u8) = (network.parse().ok()?, bits.parse().ok()?);
            let most = if network.is_ipv4() { 32 } else { 128 };
            return (bits <= most).then_some(Self::Network(network, bits));
        }
        if let Ok(address) = bare(entry).parse() {
            let port = entry.rsplit_once("]:").and_then(|(_, port)| port.parse().ok());
            return Some(Self::Address(address, port));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        if let Ok(address) = host.parse() {
            return Some(Self::Address(address, port));
        }
        let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let name = host.strip_prefix('.').unwrap_or(host).to_ascii_lowercase();
        (!name.is_empty()).then_some(Self::Domain { name, itself: !host.starts_with('.'), port })
    }

    /// Whether it covers a host, in small letters, that is perhaps an address.
    fn covers(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        let is_port = |wanted: &Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        match self {
            Self::All => true,
            Self::Network(network, bits) => address.is_some_and(|address| within(address, *network, *bits)),
            Self::Address(wanted, wanted_port) => address == Some(*wanted) && is_port(wanted_port),
            Self::Domain { name, itself, port } => {
                let beneath = host.strip_suffix(name.as_str());
                let is_covered =
                    beneath.is_some_and(|rest| if rest.is_empty() { *itself } else { rest.ends_with('.') });
                is_covered && is_port(port)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_proxied(no: &str, address: &str) -> bool {
        let at = "http://proxy.test:3128".to_owned();
        let variables = ProxyVariables { http: at.clone(), https: at, no: no.to_owned() };
        Proxies::new(&variables).for_address(&address.parse().unwrap()).unwrap().is_some()
    }

    #[test]
    fn what_goes_directly() {
        for local in ["http://127.0.0.1:5000/", "https://LOCALHOST/", "http://[::1]:5000/", "https://127.9.9.9/"] {
            assert!(!is_proxied("", local), "{local}");
        }
        for (no, direct, proxied) in [
            ("*", "http://a.test/", ""),
            ("a.test", "http://A.test:5000/", "http://ba.test/"),
            ("x, a.test ,", "https://b.a.test/", "https://a.test.b/"),
            (".a.test", "http://b.a.test/", "http://a.test/"),
            ("*.a.test", "http://b.a.test./", "http://a.test/"),
            ("a.test:5000", "http://a.test:5000/", "http://a.test/"),
            ("a.test:443", "https://b.a.test/", "http://b.a.test/"),
            ("10.0.0.0/8", "http://10.1.2.3:5000/", "http://11.1.2.3/"),
            ("10.1.2.3", "http://10.1.2.3:5000/", "http://10.1.2.4/"),
            ("10.1.2.3:5000", "http://10.1.2.3:5000/", "http://10.1.2.3/"),
            ("fd00::/8", "http://[fd01::1]/", "http://[fe01::1]/"),
            ("[fd00::1]:5000", "http://[fd00::1]:5000/", "http://[fd00::1]/"),
            ("fd00::1", "http://[fd00::1]:5000/", "http://[fd00::2]/"),
        ] {
            assert!(!is_proxied(no, direct), "{no}: {direct}");
            assert!(proxied.is_empty() || is_proxied(no, proxied), "{no}: {proxied}");
        }
        assert!(is_proxied("10.0.0.0/33,:5000,.,a.test:x,,", "http://a.test:5000/"));
    }

    #[test]
    fn a_proxy_that_nobody_understands_is_not_gone_round() {
        let proxies = |named: &str| {
            let variables = ProxyVariables { http: named.to_owned(), ..ProxyVariables::default() };
            let proxies = Proxies::new(&variables);
            assert!(proxies.for_address(&Uri::from_static("https://a.test/")).unwrap().is_none());
            proxies.for_address(&Uri::from_static("http://a.test/")).map(|found| found.is_some())
        };
        for good in ["proxy:3128", "http://proxy", "https://proxy", "socks5://u:s@proxy", "socks5h://proxy"] {
            assert_eq!(proxies(good), Ok(true), "{good}");
        }
        for bad in ["ftp://proxy", "http://", "a b", "://"] {
            assert_eq!(proxies(bad), Err(format!("invalid proxy address {bad:?}")));
        }
        assert_eq!(proxies(""), Ok(false));
    }

    #[test]
    fn capitals_first_and_nothing_is_none() {
        let read = |set: &[(&str, &str)]| {
            let find = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            let read = ProxyVariables::read(find);
            (read.http, read.https, read.no)
        };
        let own = |http: &str, https: &str, no: &str| (http.to_owned(), https.to_owned(), no.to_owned());
        assert_eq!(read(&[("HTTP_PROXY", "a"), ("http_proxy", "b"), ("https_proxy", "c")]), own("a", "c", ""));
        assert_eq!(read(&[("HTTP_PROXY", ""), ("http_proxy", "b"), ("no_proxy", "d")]), own("b", "", "d"));
    }

    #[test]
    fn secrets_are_not_shown() {
        for (address, shown) in [
            ("http://joe:s%40t@proxy:3128/", "http://xxxxx:xxxxx@proxy:3128/"),
            ("joe:secret@proxy:3128", "xxxxx:xxxxx@proxy:3128"),
            ("http://proxy:3128/?a@b", "http://proxy:3128/?a@b"),
            ("", ""),
        ] {
            assert_eq!(masked(address), shown);
        }
    }

    proptest! {
        #[test]
        fn never_panics(entry in ".{0,30}", host in "[a-z0-9.:]{0,20}") {
            let _ = masked(&entry);
            if let Some(direct) = Direct::parse(&entry) {
                direct.covers(&host, host.parse().ok(), 80);
            }
        }
    }
}
