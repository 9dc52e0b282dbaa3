//! The text of a container's `/etc/hosts`.

use std::fmt::Write as _;
use std::net::IpAddr;

/// The lines every container's file starts with; they are the ones Docker writes.
const FIXED: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

/// One line: an address and its names, separated by blanks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The address.
    pub address: IpAddr,
    /// Names of it.
    pub names: Vec<String>,
}

impl Entry {
    /// Puts an address and its names together.
    pub fn new(address: impl Into<IpAddr>, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { address: address.into(), names: names.into_iter().map(Into::into).collect() }
    }
}

/// Composes the file: the fixed lines, then `entries` in order (links and extra hosts first, the container's
/// own name last, is Docker's order).
pub fn compose(entries: &[Entry]) -> String {
    let mut text = FIXED.to_owned();
    for entry in entries {
        push(&mut text, entry);
    }
    text
}

/// Composes the file as engines before Docker 1.10 did: the container's `own` line, the fixed lines, then `entries`.
pub fn compose_own_first(own: Option<&Entry>, entries: &[Entry]) -> String {
    let mut text = String::new();
    own.into_iter().for_each(|own| push(&mut text, own));
    text.push_str(&FIXED.replace("00::\t", "00::0\t"));
    entries.iter().for_each(|entry| push(&mut text, entry));
    text
}

/// Names of a container's own line: the full name first where it has a domain, then the bare one.
pub fn own_names(hostname: &str, domainname: &str) -> Vec<String> {
    match (hostname, domainname) {
        ("", _) => Vec::new(),
        (hostname, "") => match hostname.split_once('.') {
            Some((bare, _)) if !bare.is_empty() => vec![hostname.to_owned(), bare.to_owned()],
            _ => vec![hostname.to_owned()],
        },
        (hostname, domainname) => vec![format!("{hostname}.{domainname}"), hostname.to_owned()],
    }
}

/// A name comes from a client: it must not be able to add a line or a comment.
fn push(text: &mut String, entry: &Entry) {
    let names: Vec<String> = entry
        .names
        .iter()
        .map(|name| name.chars().filter(|c| !c.is_control() && !c.is_whitespace() && *c != '#').collect())
        .filter(|name: &String| !name.is_empty())
        .collect();
    if !names.is_empty() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}\t{}", entry.address, names.join(" "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    #[test]
    fn own_name_and_links() {
        let db = Entry::new(Ipv4Addr::new(172, 17, 0, 2), ["db", "web_db_1"]);
        let own = Entry::new(Ipv4Addr::new(172, 17, 0, 3), own_names("web", "example.org"));
        assert_eq!(compose(&[db, own]), format!("{FIXED}172.17.0.2\tdb web_db_1\n172.17.0.3\tweb.example.org web\n"));
    }

    #[test]
    fn the_own_name_was_first() {
        let own = Entry::new(Ipv4Addr::new(172, 17, 0, 3), ["web"]);
        let text = compose_own_first(Some(&own), &[Entry::new(Ipv4Addr::new(172, 17, 0, 2), ["db"])]);
        assert!(text.starts_with("172.17.0.3\tweb\n127.0.0.1\tlocalhost\n"), "{text}");
        assert!(text.contains("\nfe00::0\tip6-localnet\n") && text.ends_with("\n172.17.0.2\tdb\n"), "{text}");
        assert!(compose_own_first(None, &[]).starts_with("127.0.0.1\tlocalhost\n::1\tlocalhost "));
    }

    #[test]
    fn names_of_the_own_line() {
        assert_eq!(own_names("web", ""), ["web"]);
        assert_eq!(own_names("web.example.org", ""), ["web.example.org", "web"]);
        assert!(own_names("", "x").is_empty());
    }

    proptest! {
        #[test]
        fn a_name_cannot_add_a_line(name in "\\PC{0,20}|.{0,20}|a\n6.6.6.6 b") {
            let text = compose(&[Entry::new(Ipv4Addr::LOCALHOST, [name])]);
            prop_assert!(text.lines().count() <= FIXED.lines().count() + 1);
        }
    }
}
