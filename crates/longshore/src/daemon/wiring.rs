//! Settings become the configuration of engine and server.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use api::host_config::Ulimit;
use engine::{Changeable, EngineConfig, RegistrySettings};
use ladder::{Policy, Version};
use network::BridgeConfig;
use serde_json::Value;
use server::{Address, Cors, Security, TlsFiles};

use super::settings::Settings;
use crate::release;

/// Checks everything that can be checked without touching the machine.
///
/// # Errors
/// A setting that is malformed, conflicts with another, or is not built yet.
pub(super) fn check(settings: &Settings) -> Result<()> {
    ensure!(settings.pairs("runtimes").is_empty(), "runtimes: other OCI runtimes are not built into this version yet");
    if let Some(name) = settings.text("default-runtime").filter(|name| *name != "runc") {
        bail!("default-runtime {name:?}: other OCI runtimes are not built into this version yet");
    }
    if let Some(driver) = settings.text("storage-driver").filter(|driver| !["overlay", "overlay2"].contains(driver)) {
        bail!("storage-driver {driver:?} is not supported: there is only overlay2");
    }
    if let Some(driver) = settings.text("exec-driver").filter(|driver| *driver != "native") {
        bail!("exec-driver {driver:?} is not supported: there is only native");
    }
    addresses(settings)?;
    policy(settings)?;
    cors(settings)?;
    engine(settings)?;
    Ok(())
}

/// Where to listen.
pub(super) fn addresses(settings: &Settings) -> Result<Vec<Address>> {
    let mut hosts = settings.list("hosts");
    if hosts.is_empty() {
        hosts.push(String::new());
    }
    hosts.iter().map(|host| Ok(host.parse()?)).collect()
}

/// How a request's API version is chosen.
pub(super) fn policy(settings: &Settings) -> Result<Policy> {
    let mut policy = Policy { strict: settings.switch("strict-api-version", false), ..Policy::default() };
    if let Some(text) = settings.text("default-api-version") {
        let version = Version::parse(text).filter(|version| (ladder::OLDEST..=ladder::NEWEST).contains(version));
        policy.default = version.with_context(|| {
            format!("default-api-version {text:?}: choose one from {} to {}", ladder::OLDEST, ladder::NEWEST)
        })?;
    }
    Ok(policy)
}

/// Which web pages may use the API.
pub(super) fn cors(settings: &Settings) -> Result<Option<Cors>> {
    let any = settings.switch("api-enable-cors", false).then_some("*");
    let Some(origin) = settings.text("api-cors-header").or(any) else { return Ok(None) };
    Ok(Some(Cors::allow(origin).with_context(|| format!("api-cors-header {origin:?}"))?))
}

/// How connections are secured.
pub(super) fn security(settings: &Settings) -> Result<Security> {
    let verify = settings.switch("tlsverify", false);
    let asked = settings.given("tls").and_then(Value::as_bool);
    if !verify && asked != Some(true) {
        return Ok(Security { tls: None, plain_allowed: asked == Some(false) });
    }
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    let folder = std::env::var_os("DOCKER_CERT_PATH").map_or_else(|| home.join(".docker"), PathBuf::from);
    let file = |key: &str, name: &str| settings.text(key).map_or_else(|| folder.join(name), PathBuf::from);
    let files = TlsFiles {
        certificate: file("tlscert", "cert.pem"),
        key: file("tlskey", "key.pem"),
        client_roots: verify.then(|| file("tlscacert", "ca.pem")),
    };
    Ok(Security { tls: Some(server::acceptor(&files).context("TLS")?), plain_allowed: false })
}

/// Where what must last is kept.
pub(super) fn data_root(settings: &Settings) -> PathBuf {
    settings.text_or("data-root", "/var/lib/longshore").into()
}

/// What the engine must know.
pub(super) fn engine(settings: &Settings) -> Result<EngineConfig> {
    let parse_list = |key: &str| -> Result<Vec<std::net::IpAddr>> {
        let parse = |text: &String| text.parse().with_context(|| format!("{key} {text:?} is no address"));
        settings.list(key).iter().map(parse).collect()
    };
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Ok(EngineConfig {
        data_root: data_root(settings),
        exec_root: settings.text_or("exec-root", "/run/longshore").into(),
        bridge: bridge(settings)?,
        cgroup_parent: settings.text_or("cgroup-parent", ""),
        dns: parse_list("dns")?,
        dns_search: settings.list("dns-search"),
        dns_options: settings.list("dns-opts"),
        log_driver: settings.text_or("log-driver", "json-file"),
        log_options: settings.pairs("log-opts").into_iter().map(|(name, value)| (name, text(value))).collect(),
        init: settings.switch("init", false),
        default_ulimits: ulimits(settings)?,
        default_shm_size_bytes: shm_size(settings)?,
        changeable: changeable(settings)?,
        version: release::DOCKER_RELEASE.to_owned(),
        git_commit: release::REVISION.unwrap_or(release::VERSION).to_owned(),
        build_time: release::BUILT.unwrap_or_default().to_owned(),
        min_api_version: ladder::OLDEST.to_string(),
        api_version: ladder::NEWEST.to_string(),
    })
}

/// What may change while the daemon runs.
pub(super) fn changeable(settings: &Settings) -> Result<Changeable> {
    let mut registries =
        RegistrySettings::parse(&settings.list("registry-mirrors"), &settings.list("insecure-registries"))?;
    let at_once = |key: &str, default: usize| match settings.number(key) {
        None | Some(0) => Ok(default),
        Some(number) => usize::try_from(number).with_context(|| format!("invalid {key}: {number}")),
    };
    if let Some(host) = settings.text("default-registry") {
        registries = registries.with_default(host)?;
    }
    registries.legacy = !settings.switch("disable-legacy-registry", false);
    registries.downloads = at_once("max-concurrent-downloads", registries.downloads)?;
    registries.keep_blobs = settings.text_or("keep-blobs", "private").parse()?;
    registries.uploads = at_once("max-concurrent-uploads", registries.uploads)?;
    let labels = settings.list("labels");
    if let Some(label) = labels.iter().find(|label| !label.contains('=')) {
        bail!("bad attribute format: {label}");
    }
    let feature = |(name, on): (String, Value)| {
        let on = on.as_bool().or_else(|| on.as_str().and_then(|text| text.parse().ok()));
        on.map(|on| (name.clone(), on)).with_context(|| format!("feature {name} must be true or false"))
    };
    Ok(Changeable {
        labels,
        debug: settings.switch("debug", false),
        live_restore: settings.switch("live-restore", true),
        shutdown_timeout: u64::try_from(settings.number("shutdown-timeout").unwrap_or(15))
            .ok()
            .map(Duration::from_secs),
        registries,
        features: settings.pairs("features").into_iter().map(feature).collect::<Result<_>>()?,
    })
}

fn bridge(settings: &Settings) -> Result<Option<BridgeConfig>> {
    let (icc, firewall) = (settings.switch("icc", true), settings.switch("iptables", true));
    ensure!(
        icc || firewall,
        "You specified --iptables=false with --icc=false. ICC=false uses iptables to function. Please set --icc or \
         --iptables to true."
    );
    let name = settings.text("bridge");
    ensure!(
        name.is_none() || settings.text("bip").is_none(),
        "You specified -b & --bip, mutually exclusive options. Please specify only one."
    );
    if name == Some("none") {
        return Ok(None);
    }
    fn parse<T: std::str::FromStr>(settings: &Settings, key: &str) -> Result<Option<T>>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let text = settings.text(key);
        text.map(|text| text.parse().with_context(|| format!("{key} {text:?} cannot be read"))).transpose()
    }
    let defaults = BridgeConfig::default();
    Ok(Some(BridgeConfig {
        name: name.unwrap_or(&defaults.name).to_owned(),
        address: parse(settings, "bip")?,
        fixed_cidr: parse(settings, "fixed-cidr")?,
        default_gateway: parse(settings, "default-gateway")?,
        mtu: u32::try_from(settings.number("mtu").unwrap_or_default()).context("mtu cannot be negative")?,
        icc,
        firewall,
        masquerade: settings.switch("ip-masq", true),
        forward: settings.switch("ip-forward", true),
        default_bind: parse(settings, "ip")?.unwrap_or(Ipv4Addr::UNSPECIFIED),
        dual_ports: settings.switch("userland-proxy", true),
        ..defaults
    }))
}

/// `name=soft[:hard]` of a flag, or `{"Name", "Soft", "Hard"}` of the file.
fn ulimits(settings: &Settings) -> Result<Vec<Ulimit>> {
    let read = |(name, value): (String, Value)| {
        if value.is_object() {
            let limit: Ulimit = api::decode(&value).with_context(|| format!("default-ulimits {name}"))?;
            return Ok(Ulimit { name, ..limit });
        }
        let text = value.as_str().unwrap_or_default();
        let (soft, hard) = text.split_once(':').unwrap_or((text, text));
        let number = |text: &str| text.parse::<i64>().with_context(|| format!("default-ulimit {name}={text}"));
        Ok(Ulimit { soft: number(soft)?, hard: number(hard)?, name: name.clone() })
    };
    settings.pairs("default-ulimits").into_iter().map(read).collect()
}

fn shm_size(settings: &Settings) -> Result<i64> {
    let Some(text) = settings.text("default-shm-size") else { return Ok(0) };
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match lower[digits.len()..].trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => bail!("default-shm-size {text:?}: the unit must be k, m or g"),
    };
    let number: i64 = digits.parse().with_context(|| format!("default-shm-size {text:?}"))?;
    number.checked_mul(1 << shift).filter(|size| *size >= 0).with_context(|| format!("default-shm-size {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(line: &str) -> Settings {
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        words.extend(["--config-file".to_owned(), "/dev/null".to_owned()]);
        Settings::read(&words).unwrap()
    }

    #[test]
    fn flags_reach_the_engine() {
        let line = "--bip 10.9.0.1/24 --icc=false --mtu 1400 --dns 1.1.1.1 --ip 127.0.0.1 --default-ulimit nofile=1:2 --default-shm-size 1m";
        let config = engine(&settings(line)).unwrap();
        let bridge = config.bridge.unwrap();
        assert_eq!((bridge.name.as_str(), bridge.icc, bridge.mtu), ("longshore0", false, 1400));
        assert_eq!(
            (bridge.default_bind, bridge.address.unwrap().to_string()),
            (Ipv4Addr::LOCALHOST, "10.9.0.1/24".into())
        );
        assert_eq!((config.default_ulimits[0].soft, config.default_ulimits[0].hard), (1, 2));
        assert_eq!(config.default_shm_size_bytes, 1 << 20);
        assert!(engine(&settings("-b none")).unwrap().bridge.is_none());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for line in [
            "--icc=false --iptables=false",
            "-b br0 --bip 10.0.0.1/24",
            "--dns x",
            "--bip x",
            "--default-api-version 9.9",
            "--registry-mirror m",
            "--default-registry https://r/",
            "--insecure-registry http://r",
            "--keep-blobs some",
            "--add-runtime a=/b",
            "-s aufs",
            "-e lxc",
            "-H udp://x",
            "--default-shm-size 1x",
        ] {
            assert!(check(&settings(line)).is_err(), "{line}");
        }
        assert!(check(&settings("--default-api-version 1.14 --tls=false -H tcp://0.0.0.0:1")).is_ok());
    }
}
