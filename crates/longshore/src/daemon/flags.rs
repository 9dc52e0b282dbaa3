//! The daemon's flags by Docker's names, and their keys in `daemon.json`.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

/// How a flag's value is read, and how it looks in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `--x`, `--x=false`; in the file a boolean.
    Switch,
    /// `--x text`; in the file a text.
    Text,
    /// `--x 1`; in the file a number.
    Number,
    /// `--x a --x b`; in the file a list of texts.
    List,
    /// `--x name=value`; in the file an object.
    Pairs,
}

/// A flag.
#[derive(Debug)]
pub(super) struct Flag {
    pub(super) names: &'static [&'static str],
    /// Key in the file, and in the settings.
    pub(super) key: &'static str,
    pub(super) kind: Kind,
    help: &'static str,
}

macro_rules! flags {
    ($($kind:ident $key:literal [$($name:literal),+] $help:literal;)*) => {
        /// All flags.
        pub(super) const FLAGS: &[Flag] = &[
            $(Flag { names: &[$($name),+], key: $key, kind: Kind::$kind, help: $help },)*
        ];
    };
}

flags! {
    Switch "api-enable-cors" ["--api-enable-cors"] "allow web pages of any origin to use the API";
    Text "api-cors-header" ["--api-cors-header"] "allow web pages of this origin to use the API";
    Pairs "runtimes" ["--add-runtime"] "register an OCI runtime: name=path";
    Text "bip" ["--bip"] "address of the bridge with its prefix length: 172.17.0.1/16";
    Text "bridge" ["-b", "--bridge"] "the default bridge; none: containers have no bridge";
    Text "cgroup-parent" ["--cgroup-parent"] "cgroup under which containers' cgroups are made";
    Text "config-file" ["--config-file"] "file with more settings (default /etc/docker/daemon.json)";
    Text "data-root" ["--data-root", "-g", "--graph"] "where images and containers are kept (default /var/lib/longshore)";
    Switch "debug" ["-D", "--debug"] "log everything";
    Text "default-api-version" ["--default-api-version"] "API version of requests that name none";
    Text "default-gateway" ["--default-gateway"] "containers' gateway";
    Text "default-registry" ["--default-registry"] "host[:port] of the registry behind names without a host (default Docker Hub)";
    Text "default-runtime" ["--default-runtime"] "OCI runtime of containers that name none";
    Text "default-shm-size" ["--default-shm-size"] "size of /dev/shm of containers that do not say";
    Pairs "default-ulimits" ["--default-ulimit"] "limit of containers' processes: name=soft[:hard]";
    Switch "disable-legacy-registry" ["--disable-legacy-registry"] "use no registry that speaks only the protocol of before 2015";
    List "dns" ["--dns"] "name server of containers";
    List "dns-opts" ["--dns-opt", "--dns-option"] "resolver option of containers";
    List "dns-search" ["--dns-search"] "search domain of containers";
    Text "exec-driver" ["-e", "--exec-driver"] "only native";
    Text "exec-root" ["--exec-root"] "where sockets and the like are kept (default /run/longshore)";
    Pairs "features" ["--feature"] "without effect: name=true";
    Text "fixed-cidr" ["--fixed-cidr"] "part of the bridge's subnet for containers";
    Text "group" ["-G", "--group"] "group of the Unix socket (default docker, if it exists)";
    List "hosts" ["-H", "--host"] "where to listen: unix://path, tcp://host:port, fd://";
    Switch "icc" ["--icc"] "let containers talk to each other (default true)";
    Switch "init" ["--init"] "run an init in containers";
    List "insecure-registries" ["--insecure-registry"] "registry without TLS or with any certificate";
    Text "ip" ["--ip"] "address on which ports are published (default 0.0.0.0)";
    Switch "ip-forward" ["--ip-forward"] "switch on IP forwarding (default true)";
    Switch "ip-masq" ["--ip-masq"] "hide containers behind the host's address (default true)";
    Switch "iptables" ["--iptables"] "keep firewall rules (default true)";
    Text "keep-blobs" ["--keep-blobs"] "of which pulled layers the blobs are kept, so that pushes send them unchanged: private (those that need credentials), all or none (default private)";
    List "labels" ["--label"] "label of the daemon: name=value";
    Switch "live-restore" ["--live-restore"] "containers outlive the daemon (default true)";
    Text "log-driver" ["--log-driver"] "logging driver of containers: json-file, local or none";
    Text "log-level" ["-l", "--log-level"] "debug, info, warn, error or fatal (default info)";
    Pairs "log-opts" ["--log-opt"] "option of the logging driver: name=value";
    Number "max-concurrent-downloads" ["--max-concurrent-downloads"] "blobs that pulls fetch at a time (default 3)";
    Number "max-concurrent-uploads" ["--max-concurrent-uploads"] "layers that pushes send at a time (default 5)";
    Number "mtu" ["--mtu"] "MTU of containers' networks (default that of the default route)";
    Text "pidfile" ["-p", "--pidfile"] "file for the daemon's process id (default /var/run/longshore.pid)";
    List "registry-mirrors" ["--registry-mirror"] "mirror of the default registry";
    Number "shutdown-timeout" ["--shutdown-timeout"] "seconds that the end waits for containers without --live-restore; -1: as long as they take (default 15)";
    Text "storage-driver" ["-s", "--storage-driver"] "only overlay2";
    Switch "strict-api-version" ["--strict-api-version"] "refuse clients that are newer, as Docker does";
    Switch "tls" ["--tls"] "TLS for TCP; --tls=false: allow plain TCP beyond the loopback";
    Text "tlscacert" ["--tlscacert"] "certificates by which clients' are checked";
    Text "tlscert" ["--tlscert"] "the daemon's certificate";
    Text "tlskey" ["--tlskey"] "the daemon's key";
    Switch "tlsverify" ["--tlsverify"] "TLS, only for clients with a certificate";
    Switch "userland-proxy" ["--userland-proxy"] "publish ports of any address on IPv6, too (default); no helper process is needed";
    Switch "validate" ["--validate"] "check the settings and exit";
}

/// Reads the arguments: values by key.
///
/// # Errors
/// An unknown flag, a value that is missing or malformed.
pub(super) fn parse(arguments: &[String]) -> Result<BTreeMap<&'static str, Value>> {
    let mut values = BTreeMap::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => split_short(word),
        };
        let Some(flag) = FLAGS.iter().find(|flag| flag.names.contains(&name)) else {
            if word.starts_with('-') {
                bail!("unknown flag {name}; `longshore daemon --help` lists the flags");
            }
            bail!("unexpected argument {word:?}: the daemon takes flags only");
        };
        let value = match (attached, flag.kind) {
            (Some(value), _) => value,
            (None, Kind::Switch) => "true",
            (None, _) => words.next().with_context(|| format!("flag {name} needs a value"))?,
        };
        put(&mut values, flag, value).with_context(|| format!("flag {name}"))?;
    }
    Ok(values)
}

/// `-Hunix://…`: the value of a one-letter flag may follow at once.
fn split_short(word: &str) -> (&str, Option<&str>) {
    let short = word.len() > 2 && word.starts_with('-') && !word.starts_with("--") && word.is_char_boundary(2);
    if short { (&word[..2], Some(&word[2..])) } else { (word, None) }
}

fn put(values: &mut BTreeMap<&'static str, Value>, flag: &Flag, text: &str) -> Result<()> {
    match flag.kind {
        Kind::Text => {
            values.insert(flag.key, json!(text));
        }
        Kind::Switch => {
            let on = match text {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
                "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
                _ => bail!("invalid boolean value {text:?}"),
            };
            values.insert(flag.key, json!(on));
        }
        Kind::Number => {
            let number: i64 = text.parse().with_context(|| format!("invalid number {text:?}"))?;
            values.insert(flag.key, json!(number));
        }
        Kind::List => {
            if let Value::Array(list) = values.entry(flag.key).or_insert_with(|| json!([])) {
                list.push(json!(text));
            }
        }
        Kind::Pairs => {
            let (name, value) = text.split_once('=').with_context(|| format!("{text:?} is not name=value"))?;
            if let Value::Object(pairs) = values.entry(flag.key).or_insert_with(|| Value::Object(Map::new())) {
                pairs.insert(name.to_owned(), json!(value));
            }
        }
    }
    Ok(())
}

/// What `--help` prints.
pub(super) fn help() -> String {
    let mut text = String::from("longshore daemon: run the engine\n\n");
    for flag in FLAGS {
        // Writing to a string cannot fail.
        writeln!(text, "  {:<42} {}", flag.names.join(", "), flag.help).ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<BTreeMap<&'static str, Value>> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn every_form_of_a_flag() {
        let values = read("-H unix:///a -Htcp://b:1 --host=fd:// -D --icc=false --mtu 1400 --log-opt max-size=1m --log-opt=max-file=3 -g /x").unwrap();
        assert_eq!(values["hosts"], json!(["unix:///a", "tcp://b:1", "fd://"]));
        assert_eq!((&values["debug"], &values["icc"], &values["mtu"]), (&json!(true), &json!(false), &json!(1400)));
        assert_eq!(values["log-opts"], json!({"max-size": "1m", "max-file": "3"}));
        assert_eq!(values["data-root"], json!("/x"));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, words) in [
            ("--nosuch", "unknown flag --nosuch"),
            ("--nosuch=1", "unknown flag --nosuch"),
            ("-H", "needs a value"),
            ("--icc=maybe", "invalid boolean value"),
            ("--mtu x", "invalid number"),
            ("--log-opt x", "not name=value"),
            ("run", "unexpected argument"),
        ] {
            let error = format!("{:#}", read(line).unwrap_err());
            assert!(error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = FLAGS.iter().flat_map(|flag| flag.names.iter().copied()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
