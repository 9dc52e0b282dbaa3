//! The bridge's interface: created, or adopted from an earlier daemon or the administrator.

use crate::netlink::rtnl::{self, Interface};
use crate::netlink::{Batch, Socket};
use crate::{BridgeConfig, Error, Ipv4Net, Result, derived_mac, space};

/// MTU in bytes where nothing tells a better one.
const DEFAULT_MTU: u32 = 1500;

/// What the configuration makes of what there is.
#[derive(Debug)]
pub(super) struct Place {
    /// The bridge, if it is there already.
    pub(super) found: Option<Interface>,
    /// The address that it has, or shall have, and the subnet.
    pub(super) net: Ipv4Net,
    mtu: u32,
    /// Addresses that it has.
    present: Vec<Ipv4Net>,
}

impl Place {
    /// Looks, and changes nothing. A bridge keeps its address unless another one is configured.
    pub(super) fn look(socket: &mut Socket, config: &BridgeConfig) -> Result<Self> {
        let mtu = match config.mtu {
            0 => default_mtu(socket)?,
            mtu => mtu,
        };
        let found = rtnl::interface(socket, &config.name)?;
        if found.as_ref().is_some_and(|found| !found.bridge) {
            return Err(Error::Config(format!("the interface {} exists and is no bridge", config.name)));
        }
        let mut present = Vec::new();
        if let Some(found) = &found {
            let addresses = rtnl::addresses(socket)?.into_iter();
            present.extend(addresses.filter(|address| address.index == found.index).map(|address| address.net));
        }
        let net = match config.address.or(present.first().copied()) {
            Some(net) => net,
            None => space::choose(socket)?,
        };
        Ok(Self { found, net, mtu, present })
    }

    /// Makes the interface what the configuration says: it exists, is up, has its address and MTU.
    pub(super) fn establish(self, socket: &mut Socket, name: &str) -> Result<Interface> {
        match self.found {
            Some(found) => adopt(socket, found, self.net, &self.present, self.mtu),
            None => create(socket, name, self.net, self.mtu),
        }
    }
}

fn default_mtu(socket: &mut Socket) -> Result<u32> {
    let Some(route) = rtnl::routes(socket)?.into_iter().find(|route| route.net.prefix_len() == 0 && route.index != 0)
    else {
        return Ok(DEFAULT_MTU);
    };
    Ok(rtnl::interface_at(socket, route.index)?.map_or(DEFAULT_MTU, |interface| interface.mtu))
}

fn create(socket: &mut Socket, name: &str, net: Ipv4Net, mtu: u32) -> Result<Interface> {
    let mut batch = Batch::default();
    rtnl::add_bridge(&mut batch, name, derived_mac(net.address()), mtu);
    socket.exchange(&batch)?;
    let interface =
        rtnl::interface(socket, name)?.ok_or_else(|| Error::Config(format!("the bridge {name} vanished")))?;
    let mut batch = Batch::default();
    rtnl::add_address(&mut batch, interface.index, net);
    if let Err(error) = socket.exchange(&batch) {
        let mut batch = Batch::default();
        rtnl::remove(&mut batch, interface.index);
        // The first error tells what went wrong; a bridge that stays is adopted the next time.
        let _ = socket.exchange(&batch);
        return Err(error);
    }
    Ok(interface)
}

fn adopt(socket: &mut Socket, found: Interface, net: Ipv4Net, present: &[Ipv4Net], mtu: u32) -> Result<Interface> {
    let mut batch = Batch::default();
    if !present.contains(&net) {
        for other in present {
            rtnl::remove_address(&mut batch, found.index, *other);
        }
        rtnl::add_address(&mut batch, found.index, net);
    }
    if found.mtu != mtu {
        rtnl::set_mtu(&mut batch, found.index, mtu);
    }
    rtnl::raise(&mut batch, found.index);
    socket.exchange(&batch)?;
    Ok(Interface { mtu, ..found })
}
