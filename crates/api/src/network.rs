//! Networks, and a container's place on them.

use crate::host_config::PortMap;
use crate::{StringMap, is_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Networks that a container joins at create.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkingConfig {
    /// By network's name or id; `null` settings ask for none.
    pub endpoints_config: Option<BTreeMap<String, Option<EndpointSettings>>>,
}

/// A container's endpoint on one network: first what was asked, then what it got.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointSettings {
    /// Addresses asked for.
    #[serde(rename = "IPAMConfig")]
    pub ipam_config: Option<EndpointIpamConfig>,
    /// `container:alias`.
    pub links: Option<Vec<String>>,
    /// Further names on this network.
    pub aliases: Option<Vec<String>>,
    /// Colon-separated.
    pub mac_address: String,
    /// For the driver.
    pub driver_opts: Option<StringMap>,
    /// The highest gives the default gateway.
    pub gw_priority: i64,
    /// Network's id.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// Endpoint's id; empty if not running.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// IPv4 gateway.
    pub gateway: String,
    /// IPv4 address.
    #[serde(rename = "IPAddress")]
    pub ip_address: String,
    /// Its prefix length.
    #[serde(rename = "IPPrefixLen")]
    pub ip_prefix_len: u8,
    /// IPv6 gateway.
    #[serde(rename = "IPv6Gateway")]
    pub ipv6_gateway: String,
    /// IPv6 address.
    #[serde(rename = "GlobalIPv6Address")]
    pub global_ipv6_address: String,
    /// Its prefix length.
    #[serde(rename = "GlobalIPv6PrefixLen")]
    pub global_ipv6_prefix_len: u8,
    /// Names the embedded name server answers to.
    #[serde(rename = "DNSNames")]
    pub dns_names: Option<Vec<String>>,
}

/// Addresses asked for on one network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointIpamConfig {
    /// Static IPv4 address.
    #[serde(rename = "IPv4Address", skip_serializing_if = "is_default")]
    pub ipv4_address: String,
    /// Static IPv6 address.
    #[serde(rename = "IPv6Address", skip_serializing_if = "is_default")]
    pub ipv6_address: String,
    /// Link-local addresses.
    #[serde(rename = "LinkLocalIPs", skip_serializing_if = "Option::is_none")]
    pub link_local_ips: Option<Vec<String>>,
}

/// A container's networks as inspect shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkSettings {
    /// Bridge's name; empty since 1.21.
    pub bridge: String,
    /// Network namespace's id.
    #[serde(rename = "SandboxID")]
    pub sandbox_id: String,
    /// Network namespace's path.
    pub sandbox_key: String,
    /// Published and exposed ports.
    pub ports: Option<PortMap>,
    /// Historic.
    pub hairpin_mode: bool,
    /// Historic.
    #[serde(rename = "LinkLocalIPv6Address")]
    pub link_local_ipv6_address: String,
    /// Historic.
    #[serde(rename = "LinkLocalIPv6PrefixLen")]
    pub link_local_ipv6_prefix_len: u8,
    /// Historic.
    #[serde(rename = "SecondaryIPAddresses")]
    pub secondary_ip_addresses: Option<Vec<Address>>,
    /// Historic.
    #[serde(rename = "SecondaryIPv6Addresses")]
    pub secondary_ipv6_addresses: Option<Vec<Address>>,
    /// On the default bridge.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// On the default bridge.
    pub gateway: String,
    /// On the default bridge.
    #[serde(rename = "GlobalIPv6Address")]
    pub global_ipv6_address: String,
    /// On the default bridge.
    #[serde(rename = "GlobalIPv6PrefixLen")]
    pub global_ipv6_prefix_len: u8,
    /// On the default bridge.
    #[serde(rename = "IPAddress")]
    pub ip_address: String,
    /// On the default bridge.
    #[serde(rename = "IPPrefixLen")]
    pub ip_prefix_len: u8,
    /// On the default bridge.
    #[serde(rename = "IPv6Gateway")]
    pub ipv6_gateway: String,
    /// On the default bridge.
    pub mac_address: String,
    /// By network's name.
    pub networks: BTreeMap<String, EndpointSettings>,
}

/// An address with its prefix length.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Address {
    /// The address.
    pub addr: String,
    /// Its prefix length.
    pub prefix_len: u8,
}

/// A network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// 64 hexadecimal digits.
    pub id: String,
    /// RFC 3339.
    pub created: String,
    /// `local`, `swarm` or `global`.
    pub scope: String,
    /// `bridge`, `host`, `null`, …
    pub driver: String,
    /// Containers get an IPv4 address.
    #[serde(rename = "EnableIPv4")]
    pub enable_ipv4: bool,
    /// Containers get an IPv6 address.
    #[serde(rename = "EnableIPv6")]
    pub enable_ipv6: bool,
    /// Address pools.
    #[serde(rename = "IPAM")]
    pub ipam: Ipam,
    /// No way out.
    pub internal: bool,
    /// Historic.
    pub attachable: bool,
    /// Swarm only.
    pub ingress: bool,
    /// Network whose options it takes.
    pub config_from: ConfigReference,
    /// Only options for other networks.
    pub config_only: bool,
    /// Running containers on it, by id.
    pub containers: BTreeMap<String, NetworkContainer>,
    /// For the driver.
    pub options: StringMap,
    /// Notes of the user.
    pub labels: StringMap,
}

/// A network that others take options from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ConfigReference {
    /// Its name.
    pub network: String,
}

/// Address pools of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ipam {
    /// `default`.
    pub driver: String,
    /// For the driver.
    pub options: Option<StringMap>,
    /// The pools.
    pub config: Option<Vec<IpamConfig>>,
}

/// One address pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct IpamConfig {
    /// `172.20.0.0/16`.
    #[serde(skip_serializing_if = "is_default")]
    pub subnet: String,
    /// Part of it from which containers get addresses.
    #[serde(rename = "IPRange", skip_serializing_if = "is_default")]
    pub ip_range: String,
    /// Address of the bridge.
    #[serde(skip_serializing_if = "is_default")]
    pub gateway: String,
    /// Addresses kept free, by name.
    #[serde(rename = "AuxiliaryAddresses", skip_serializing_if = "Option::is_none")]
    pub auxiliary_addresses: Option<StringMap>,
}

/// A running container on a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkContainer {
    /// Without a slash.
    pub name: String,
    /// Endpoint's id.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// Colon-separated.
    pub mac_address: String,
    /// With prefix length.
    #[serde(rename = "IPv4Address")]
    pub ipv4_address: String,
    /// With prefix length.
    #[serde(rename = "IPv6Address")]
    pub ipv6_address: String,
}

/// `POST /networks/create`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkCreateRequest {
    /// Its name.
    pub name: String,
    /// Empty is `bridge`.
    pub driver: String,
    /// Empty is `local`.
    pub scope: String,
    /// `null` is true.
    #[serde(rename = "EnableIPv4")]
    pub enable_ipv4: Option<bool>,
    /// `null` is false.
    #[serde(rename = "EnableIPv6")]
    pub enable_ipv6: Option<bool>,
    /// Address pools.
    #[serde(rename = "IPAM")]
    pub ipam: Option<Ipam>,
    /// No way out.
    pub internal: bool,
    /// Historic.
    pub attachable: bool,
    /// Swarm only.
    pub ingress: bool,
    /// Only options for other networks.
    pub config_only: bool,
    /// Network whose options it takes.
    pub config_from: Option<ConfigReference>,
    /// For the driver.
    pub options: Option<StringMap>,
    /// Notes of the user.
    pub labels: Option<StringMap>,
}

/// Answer to a network create.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkCreateResponse {
    /// The new network.
    pub id: String,
    /// Empty if nothing stood in the way.
    pub warning: String,
}

/// `POST /networks/{id}/connect`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkConnectRequest {
    /// Name or id.
    pub container: String,
    /// Settings of the new endpoint.
    pub endpoint_config: Option<EndpointSettings>,
}

/// `POST /networks/{id}/disconnect`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkDisconnectRequest {
    /// Name or id.
    pub container: String,
    /// Even if the container is not there any more.
    pub force: bool,
}

/// `POST /networks/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworksPruned {
    /// Names; `null` if none.
    pub networks_deleted: Option<Vec<String>>,
}
