//! The bridge's interface: created, or adopted from an earlier daemon or the administrator.

use crate::netlink::rtnl::{self, Interface};
use crate::netlink::{Batch, Socket};
use crate::{BridgeConfig, Error, Ipv4Net, Result, derived_mac, space};

/// MTU in bytes where nothing tells a better one.
const DEFAULT_MTU: u32 = 1500;

/// Makes the interface what the configuration says: it exists, is up, has its address and MTU.
pub(super) fn establish(socket: &mut Socket, config: &BridgeConfig) -> Result<(Interface, Ipv4Net)> {
    let mtu = match config.mtu {
        0 => default_mtu(socket)?,
        mtu => mtu,
    };
    match rtnl::interface(socket, &config.name)? {
        Some(found) if !found.bridge => {
            Err(Error::Config(format!("the interface {} exists and is no bridge", config.name)))
        }
        Some(found) => adopt(socket, config, found, mtu),
        None => create(socket, config, mtu),
    }
}

fn default_mtu(socket: &mut Socket) -> Result<u32> {
    let Some(route) = rtnl::routes(socket)?.into_iter().find(|route| route.net.prefix_len() == 0 && route.index != 0)
    else {
        return Ok(DEFAULT_MTU);
    };
    Ok(rtnl::interface_at(socket, route.index)?.map_or(DEFAULT_MTU, |interface| interface.mtu))
}

fn create(socket: &mut Socket, config: &BridgeConfig, mtu: u32) -> Result<(Interface, Ipv4Net)> {
    let net = match config.address {
        Some(net) => net,
        None => space::choose(socket)?,
    };
    let mut batch = Batch::default();
    rtnl::add_bridge(&mut batch, &config.name, derived_mac(net.address()), mtu);
    socket.exchange(&batch)?;
    let interface = rtnl::interface(socket, &config.name)?
        .ok_or_else(|| Error::Config(format!("the bridge {} vanished", config.name)))?;
    let mut batch = Batch::default();
    rtnl::add_address(&mut batch, interface.index, net);
    if let Err(error) = socket.exchange(&batch) {
        let mut batch = Batch::default();
        rtnl::remove(&mut batch, interface.index);
        // The first error tells what went wrong; a bridge that stays is adopted the next time.
        let _ = socket.exchange(&batch);
        return Err(error);
    }
    Ok((interface, net))
}

/// Keeps the bridge's address unless another one is configured.
fn adopt(socket: &mut Socket, config: &BridgeConfig, found: Interface, mtu: u32) -> Result<(Interface, Ipv4Net)> {
    let addresses = rtnl::addresses(socket)?;
    let present: Vec<Ipv4Net> =
        addresses.into_iter().filter(|address| address.index == found.index).map(|address| address.net).collect();
    let net = match config.address.or(present.first().copied()) {
        Some(net) => net,
        None => space::choose(socket)?,
    };
    let mut batch = Batch::default();
    if !present.contains(&net) {
        for other in present {
            rtnl::remove_address(&mut batch, found.index, other);
        }
        rtnl::add_address(&mut batch, found.index, net);
    }
    if found.mtu != mtu {
        rtnl::set_mtu(&mut batch, found.index, mtu);
    }
    rtnl::raise(&mut batch, found.index);
    socket.exchange(&batch)?;
    Ok((Interface { mtu, ..found }, net))
}
