//! What the daemon's flags say about registries, and which addresses a registry's name leads to.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;

/// The registry behind names without a host.
pub(crate) const HUB: &str = "docker.io";
/// Where that registry answers.
const HUB_HOST: &str = "registry-1.docker.io";
/// Where certificates for single registries are.
const CERTIFICATES: &str = "/etc/docker/certs.d";
/// How long the look-up of a host may take that decides whether a registry is on this machine.
const LOOKUP: Duration = Duration::from_secs(5);

/// `--max-concurrent-downloads` and `--max-concurrent-uploads` that are not given, as Docker has them.
const DOWNLOADS: usize = 3;
const UPLOADS: usize = 5;

/// Each takes two processors: one inflates, the other writes files.
const PROCESSORS_AN_UNPACKING: usize = 2;
/// More than come in at the same time would only wait.
const MOST_UNPACKINGS: usize = 4;

/// How many layers of an image this machine unpacks at the same time.
fn unpackings() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    (processors / PROCESSORS_AN_UNPACKING).clamp(1, MOST_UNPACKINGS)
}

/// A setting that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// `--registry-mirror`.
    #[error("invalid mirror: {0:?}: http://host[:port] or https://host[:port] is wanted")]
    Mirror(String),
    /// `--insecure-registry`.
    #[error("insecure registry {0:?}: host[:port] or a network such as 10.0.0.0/8 is wanted")]
    Insecure(String),
    /// `--default-registry`.
    #[error("invalid default registry: {0:?}: host[:port] is wanted")]
    Default(String),
    /// `--keep-blobs`.
    #[error("invalid keep-blobs: {0:?}: private, all or none is wanted")]
    KeepBlobs(String),
}

/// Of which pulled layers the blobs are kept (`--keep-blobs`), so that a push sends them as they came: what another program
/// compressed cannot be made again from a layer's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeepBlobs {
    /// Of those that the registry gives to nobody without the client's credentials: what it gives to everybody a push fetches
    /// there again.
    #[default]
    Private,
    /// Of all: for what is pulled here and pushed to where the first registry is out of reach.
    All,
    /// Of none: they take up to as much room again as the layers' files.
    None,
}

impl FromStr for KeepBlobs {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        match text {
            "private" => Ok(Self::Private),
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            _ => Err(InvalidSetting::KeepBlobs(text.to_owned())),
        }
    }
}

/// What the daemon's flags say about registries.
#[derive(Debug, Clone)]
pub struct Settings {
    mirrors: Vec<Endpoint>,
    insecure: Vec<Insecure>,
    /// Host and port of the registry behind names without a host, if it is not Docker Hub.
    default: Option<String>,
    /// Blobs that are fetched at the same time, of all pulls together.
    pub downloads: usize,
    /// Layers that are pushed at the same time, of all pushes together.
    pub uploads: usize,
    /// Layers of one image that are unpacked at the same time.
    pub unpackings: usize,
    /// Which blobs stay beside their layers.
    pub keep_blobs: KeepBlobs,
    /// Folder with a folder of certificates for each registry.
    pub certificates: PathBuf,
    /// How we call ourselves to registries.
    pub user_agent: String,
    /// Whether registries that only speak the first protocol are used. It has no digests: such a registry is believed.
    pub legacy: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mirrors: Vec::new(),
            insecure: Vec::new(),
            default: None,
            downloads: DOWNLOADS,
            uploads: UPLOADS,
            unpackings: unpackings(),
            keep_blobs: KeepBlobs::default(),
            certificates: CERTIFICATES.into(),
            user_agent: concat!("longshore/", env!("CARGO_PKG_VERSION")).to_owned(),
            legacy: true,
        }
    }
}

/// A registry that needs no TLS, or none that can be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Insecure {
    Host(String),
    Network(IpAddr, u8),
}

/// One address of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Whether to speak TLS.
    pub(crate) secure: bool,
    /// Host and port.
    pub(crate) authority: String,
    /// Folder under which a mirror serves; empty or beginning with a slash.
    pub(crate) prefix: String,
    /// A mirror: it gets no credentials, and if it fails the next endpoint is tried whatever the reason.
    pub(crate) mirror: bool,
    /// Certificates are not checked, and credentials may go over plain HTTP.
    pub(crate) lenient: bool,
    /// If it does not speak the second protocol, the first will do.
    pub(crate) legacy: bool,
}

impl Endpoint {
    /// Its root, without a slash at the end.
    pub(crate) fn base(&self) -> String {
        format!("{}://{}{}", if self.secure { "https" } else { "http" }, self.authority, self.prefix)
    }
}

impl Settings {
    /// Reads the values of `--registry-mirror` and `--insecure-registry`.
    ///
    /// # Errors
    /// One of them is malformed.
    pub fn parse(mirrors: &[String], insecure: &[String]) -> Result<Self, InvalidSetting> {
        Ok(Self {
            mirrors: mirrors.iter().map(|text| mirror(text)).collect::<Result<_, _>>()?,
            insecure: insecure.iter().map(|text| Insecure::parse(text)).collect::<Result<_, _>>()?,
            ..Self::default()
        })
    }

    /// With another registry than Docker Hub behind names without a host (`--default-registry`). They stay as short as they are.
    ///
    /// # Errors
    /// It is no host.
    pub fn with_default(self, host: &str) -> Result<Self, InvalidSetting> {
        let authority = authority(host).ok_or_else(|| InvalidSetting::Default(host.to_owned()))?;
        Ok(Self { default: Some(authority), ..self })
    }

    /// The registry behind names without a host, if it is not Docker Hub.
    pub fn default_registry(&self) -> Option<&str> {
        self.default.as_deref()
    }

    /// The mirrors, as given but for a slash at the end.
    pub fn mirrors(&self) -> Vec<String> {
        self.mirrors.iter().map(|mirror| format!("{}/", mirror.base())).collect()
    }

    /// Hosts that were named as insecure.
    pub fn insecure_hosts(&self) -> Vec<String> {
        let hosts = self.insecure.iter().filter_map(|one| match one {
            Insecure::Host(host) => Some(host.clone()),
            Insecure::Network(..) => None,
        });
        hosts.collect()
    }

    /// Networks that were named as insecure; that of this machine itself always is.
    pub fn insecure_networks(&self) -> Vec<String> {
        let networks = self.insecure.iter().filter_map(|one| match one {
            Insecure::Host(_) => None,
            Insecure::Network(network, bits) => Some(format!("{network}/{bits}")),
        });
        ["::1/128".to_owned(), "127.0.0.0/8".to_owned()].into_iter().chain(networks).collect()
    }

    /// The addresses of a registry, the best first.
    pub(crate) async fn endpoints(&self, domain: &str, mirrors: bool) -> Vec<Endpoint> {
        let mirrors = if mirrors && domain == HUB { self.mirrors.clone() } else { Vec::new() };
        let own = match &self.default {
            Some(default) if domain == HUB => self.own_endpoints(default).await,
            None if domain == HUB => vec![Endpoint {
                secure: true,
                authority: HUB_HOST.into(),
                prefix: String::new(),
                mirror: false,
                lenient: false,
                legacy: false,
            }],
            _ => self.own_endpoints(domain).await,
        };
        [mirrors, own].concat()
    }

    /// Those of a registry that is named by its host.
    async fn own_endpoints(&self, host: &str) -> Vec<Endpoint> {
        let lenient = self.is_insecure(host).await;
        let endpoint = |secure| Endpoint {
            secure,
            authority: host.to_owned(),
            prefix: String::new(),
            mirror: false,
            lenient,
            legacy: self.legacy,
        };
        if lenient { vec![endpoint(true), endpoint(false)] } else { vec![endpoint(true)] }
    }

    /// Whether a registry is named as insecure, is in a network so named, or on this machine.
    async fn is_insecure(&self, domain: &str) -> bool {
        let named = |one: &Insecure| matches!(one, Insecure::Host(host) if host.eq_ignore_ascii_case(domain));
        if self.insecure.iter().any(named) {
            return true;
        }
        let host = host_of(domain);
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) if host.eq_ignore_ascii_case("localhost") => return true,
            Err(_) => match tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host, 443))).await {
                Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
                // The request itself will tell what is wrong with the name.
                _ => Vec::new(),
            },
        };
        addresses.iter().any(|address| {
            let within =
                |one: &Insecure| matches!(one, Insecure::Network(network, bits) if within(*address, *network, *bits));
            address.is_loopback() || self.insecure.iter().any(within)
        })
    }
}

/// The host of `host[:port]`, without the brackets of an IPv6 address.
pub(crate) fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

fn mirror(text: &str) -> Result<Endpoint, InvalidSetting> {
    let invalid = || InvalidSetting::Mirror(text.to_owned());
    let uri: Uri = text.parse().map_err(|_| invalid())?;
    let secure = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(invalid()),
    };
    let authority = uri.authority().ok_or_else(invalid)?.as_str();
    if authority.contains('@') || uri.query().is_some() {
        return Err(invalid());
    }
    let prefix = uri.path().trim_end_matches('/').to_owned();
    Ok(Endpoint { secure, authority: authority.to_owned(), prefix, mirror: true, lenient: !secure, legacy: false })
}

impl Insecure {
    fn parse(text: &str) -> Result<Self, InvalidSetting> {
        let invalid = || InvalidSetting::Insecure(text.to_owned());
        if let Some((network, bits)) = text.split_once('/') {
            let network: IpAddr = network.parse().map_err(|_| invalid())?;
            let bits: u8 = bits.parse().map_err(|_| invalid())?;
            let most = if network.is_ipv4() { 32 } else { 128 };
            return if bits <= most { Ok(Self::Network(network, bits)) } else { Err(invalid()) };
        }
        authority(text).map(Self::Host).ok_or_else(invalid)
    }
}

/// `host[:port]` and nothing else.
fn authority(text: &str) -> Option<String> {
    let authority: http::uri::Authority = text.parse().ok()?;
    (!text.contains('@')).then(|| authority.as_str().to_owned())
}

/// Whether an address is in a network of so many bits.
pub(crate) fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (address, network, width) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u128::from(a.to_bits()), u128::from(n.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits(), n.to_bits(), 128),
        _ => return false,
    };
    let shift = u32::from(width - bits);
    (address ^ network).checked_shr(shift).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(mirrors: &[&str], insecure: &[&str]) -> Result<Settings, InvalidSetting> {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Settings::parse(&owned(mirrors), &owned(insecure))
    }

    #[tokio::test]
    async fn addresses() {
        let settings = settings(&["http://m:5000/", "https://n/x"], &["r.test:1", "10.0.0.0/8"]).unwrap();
        let bases = async |domain, mirrors| -> Vec<String> {
            settings.endpoints(domain, mirrors).await.iter().map(Endpoint::base).collect()
        };
        assert_eq!(bases(HUB, true).await, ["http://m:5000", "https://n/x", "https://registry-1.docker.io"]);
        assert_eq!(bases(HUB, false).await, ["https://registry-1.docker.io"]);
        for both in ["r.test:1", "10.2.3.4:5000", "127.0.0.1:5000", "localhost:5000", "[::1]:5000"] {
            assert_eq!(bases(both, true).await, [format!("https://{both}"), format!("http://{both}")]);
        }
        assert_eq!(bases("11.2.3.4", true).await, ["https://11.2.3.4"]);
    }

    #[test]
    fn refusals() {
        assert!("some".parse::<KeepBlobs>().is_err() && "".parse::<KeepBlobs>().is_err());
        for bad in ["m", "ftp://m", "http://", "http://u:p@m", "http://m?x"] {
            assert!(settings(&[bad], &[]).is_err(), "{bad}");
        }
        for bad in ["", "a b", "http://x", "10.0.0.0/33", "u@h", "x/8"] {
            assert!(settings(&[], &[bad]).is_err(), "{bad}");
        }
    }
}
