//! The predefined networks: bridge, host and none.

use std::collections::BTreeMap;

use api::network::{Ipam, IpamConfig, Network, NetworkContainer};
use model::{ContainerId, Timestamp};
use serde::{Deserialize, Serialize};
use store::Store;

use crate::container::ports::mac_text;
use crate::engine::Engine;
use crate::options::Filters;
use crate::{Error, Result};

/// Where the ids are kept.
const META: &str = "predefined-networks";

/// Ids of the predefined networks: made once, the same for ever.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Predefined {
    pub(crate) bridge: String,
    pub(crate) host: String,
    pub(crate) none: String,
    created: Timestamp,
}

impl Predefined {
    /// Reads the ids, or makes them.
    pub(crate) fn load(store: &Store) -> Result<Self> {
        if let Some(text) = store.read(|reader| reader.meta(META))? {
            return serde_json::from_str(&text)
                .map_err(|error| Error::system("the database's list of networks is damaged").caused_by(error));
        }
        let id = || {
            ContainerId::random()
                .map(|id| id.hex())
                .map_err(|error| Error::system("no random numbers for an id").caused_by(error))
        };
        let made = Self { bridge: id()?, host: id()?, none: id()?, created: Timestamp::now() };
        let text = serde_json::to_string(&made)
            .map_err(|error| Error::system("cannot encode the list of networks").caused_by(error))?;
        store.write(|tx| tx.put_meta(META, &text))?;
        Ok(made)
    }
}

impl Engine {
    pub(crate) fn list_networks(&self, filters: &Filters) -> Result<Vec<Network>> {
        filters.only(&["dangling", "driver", "id", "label", "name", "scope", "type"])?;
        for wanted in filters.values("type") {
            if !matches!(wanted.as_str(), "builtin" | "custom") {
                return Err(crate::filters::invalid_value("type", wanted));
            }
        }
        let dangling = filters.flag("dangling")?;
        let matches = |network: &Network| {
            filters.any("name", |wanted| network.name.contains(wanted))
                && filters.any("id", |wanted| network.id.contains(wanted))
                && filters.any("driver", |wanted| network.driver == wanted)
                && filters.any("scope", |wanted| network.scope == wanted)
                && filters.any("type", |wanted| wanted == "builtin")
                && filters.labels(Some(&network.labels))
                // Predefined networks never count as dangling.
                && dangling != Some(true)
        };
        Ok(self.predefined().into_iter().filter(matches).collect())
    }

    pub(crate) fn find_network(&self, name: &str) -> Result<Network> {
        let mut networks = self.predefined();
        let by_name = networks.iter().position(|network| network.id == name || network.name == name);
        let by_prefix = || networks.iter().position(|network| !name.is_empty() && network.id.starts_with(name));
        match by_name.or_else(by_prefix) {
            Some(index) => {
                let mut network = networks.swap_remove(index);
                network.containers = self.network_members(&network.name);
                Ok(network)
            }
            None => Err(Error::not_found(format!("network {name} not found"))),
        }
    }

    fn predefined(&self) -> Vec<Network> {
        let ids = &self.networks;
        let mut networks = Vec::new();
        let network = |name: &str, id: &str, driver: &str| Network {
            name: name.to_owned(),
            id: id.to_owned(),
            created: ids.created.to_string(),
            scope: "local".to_owned(),
            driver: driver.to_owned(),
            enable_ipv4: true,
            ipam: Ipam { driver: "default".to_owned(), options: None, config: None },
            ..Network::default()
        };
        if let Some(bridge) = &self.bridge {
            let mut shown = network("bridge", &ids.bridge, "bridge");
            let net = bridge.net();
            let config = bridge.config();
            shown.ipam.config = Some(vec![IpamConfig {
                subnet: format!("{}/{}", net.network().address(), net.prefix_len()),
                gateway: net.address().to_string(),
                ..IpamConfig::default()
            }]);
            shown.options = [
                ("com.docker.network.bridge.default_bridge", "true".to_owned()),
                ("com.docker.network.bridge.enable_icc", config.icc.to_string()),
                ("com.docker.network.bridge.enable_ip_masquerade", config.masquerade.to_string()),
                ("com.docker.network.bridge.host_binding_ipv4", config.default_bind.to_string()),
                ("com.docker.network.bridge.name", config.name.clone()),
                ("com.docker.network.driver.mtu", if config.mtu == 0 { 1500 } else { config.mtu }.to_string()),
            ]
            .map(|(key, value)| (key.to_owned(), value))
            .into();
            networks.push(shown);
        }
        networks.push(network("host", &ids.host, "host"));
        networks.push(network("none", &ids.none, "null"));
        networks
    }

    fn network_members(&self, name: &str) -> BTreeMap<String, NetworkContainer> {
        let mut members = BTreeMap::new();
        if name != "bridge" {
            return members;
        }
        for record in self.containers.all().iter().map(|container| container.record()) {
            if let Some(address) = &record.address {
                let member = NetworkContainer {
                    name: record.name.clone(),
                    endpoint_id: address.endpoint_id.clone(),
                    mac_address: mac_text(address.mac),
                    ipv4_address: format!("{}/{}", address.address, address.prefix_len),
                    ipv6_address: String::new(),
                };
                members.insert(record.id.hex(), member);
            }
        }
        members
    }
}
