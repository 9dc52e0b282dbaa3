//! The text of a container's `/etc/resolv.conf`.
//!
//! A container gets the host's file, less the name servers it could not reach (those on a loopback address),
//! unless the user names servers, search domains or options. Where no name server is left, Google's public
//! ones are used, as Docker does.

use std::net::IpAddr;

/// Name servers of last resort.
const FALLBACK: [&str; 2] = ["8.8.8.8", "8.8.4.4"];

/// What the user wants instead of the host's settings; an empty list keeps the host's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Name servers (`--dns`).
    pub servers: Vec<String>,
    /// Search domains (`--dns-search`); a single `.` means none.
    pub search: Vec<String>,
    /// Resolver options (`--dns-option`).
    pub options: Vec<String>,
}

/// Composes the file for a container with a network of its own from the host's file.
pub fn compose(host: &str, overrides: &Overrides) -> String {
    let servers = match overrides.servers.as_slice() {
        [] => reachable_servers(host),
        wanted => wanted.to_vec(),
    };
    let search = choose(&overrides.search, last_of(host, &["search", "domain"]));
    let options = choose(&overrides.options, last_of(host, &["options"]));
    let mut text = String::new();
    for server in &servers {
        push_line(&mut text, "nameserver", std::slice::from_ref(server));
    }
    if !search.is_empty() && search != ["."] {
        push_line(&mut text, "search", &search);
    }
    if !options.is_empty() {
        push_line(&mut text, "options", &options);
    }
    text
}

/// Composes the file for a container that shares the host's network: the host's own text, unless overridden.
pub fn compose_shared(host: &str, overrides: &Overrides) -> String {
    if *overrides == Overrides::default() {
        return host.to_owned();
    }
    let servers = choose(&overrides.servers, servers_of(host));
    compose(host, &Overrides { servers, ..overrides.clone() })
}

/// Words of a line with one of `keywords`, for each such line, comments left out.
fn lines_of<'a>(text: &'a str, keywords: &'a [&str]) -> impl Iterator<Item = Vec<String>> + 'a {
    text.lines().filter_map(|line| {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let keyword = words.next()?;
        keywords.contains(&keyword).then(|| words.map(str::to_owned).collect())
    })
}

/// The resolver honours the last line only where a keyword is repeated.
fn last_of(text: &str, keywords: &[&str]) -> Vec<String> {
    lines_of(text, keywords).last().unwrap_or_default()
}

fn servers_of(text: &str) -> Vec<String> {
    lines_of(text, &["nameserver"]).filter_map(|words| words.into_iter().next()).collect()
}

/// A server a container can reach: any IPv4 address that is not a loopback one. IPv6 servers are left out,
/// for the bridge carries IPv4 alone.
fn reachable_servers(text: &str) -> Vec<String> {
    let mut servers = servers_of(text);
    servers.retain(|server| matches!(server.parse(), Ok(IpAddr::V4(ip)) if !ip.is_loopback()));
    if servers.is_empty() {
        return FALLBACK.map(str::to_owned).to_vec();
    }
    servers
}

fn choose(wanted: &[String], host: Vec<String>) -> Vec<String> {
    if wanted.is_empty() { host } else { wanted.to_vec() }
}

fn push_line(text: &mut String, keyword: &str, words: &[String]) {
    text.push_str(keyword);
    for word in words {
        text.push(' ');
        // A word comes from a client: it must not be able to add a line.
        text.extend(word.chars().filter(|c| !c.is_control() && !c.is_whitespace()));
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn loopback_servers_are_dropped() {
        let host = "# stub\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 10.0.0.2\nsearch a.example b.example\noptions edns0\n";
        assert_eq!(
            compose(host, &Overrides::default()),
            "nameserver 10.0.0.2\nsearch a.example b.example\noptions edns0\n"
        );
    }

    #[test]
    fn public_servers_when_none_is_left() {
        assert_eq!(
            compose("nameserver 127.0.0.53\n", &Overrides::default()),
            "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
        );
        assert_eq!(compose("", &Overrides::default()), "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
    }

    #[test]
    fn wishes_override_each_setting_alone() {
        let host = "nameserver 10.0.0.2\nsearch a.example\noptions edns0 ndots:2\n";
        let servers = Overrides { servers: words(&["127.0.0.1", "fd00::1"]), ..Overrides::default() };
        assert_eq!(
            compose(host, &servers),
            "nameserver 127.0.0.1\nnameserver fd00::1\nsearch a.example\noptions edns0 ndots:2\n"
        );
        let search = Overrides { search: words(&["."]), options: words(&["ndots:1"]), ..Overrides::default() };
        assert_eq!(compose(host, &search), "nameserver 10.0.0.2\noptions ndots:1\n");
    }

    #[test]
    fn domain_counts_as_search_and_the_last_line_wins() {
        let host = "search a.example\ndomain b.example\nnameserver 10.0.0.2 # first\n";
        assert_eq!(compose(host, &Overrides::default()), "nameserver 10.0.0.2\nsearch b.example\n");
    }

    #[test]
    fn the_hosts_network_keeps_the_hosts_text() {
        let host = "# mine\nnameserver 127.0.0.53\n";
        assert_eq!(compose_shared(host, &Overrides::default()), host);
        let search = Overrides { search: words(&["x.example"]), ..Overrides::default() };
        assert_eq!(compose_shared(host, &search), "nameserver 127.0.0.53\nsearch x.example\n");
    }

    proptest! {
        #[test]
        fn a_wish_cannot_add_a_line(word in "\\PC{0,20}|.{0,20}|a\nnameserver 6.6.6.6", host in "(.{0,30}\n){0,4}") {
            let wishes = Overrides { servers: vec![word.clone()], search: vec![word.clone()], options: vec![word] };
            let text = compose(&host, &wishes);
            prop_assert!(text.lines().count() <= 3);
        }
    }
}
