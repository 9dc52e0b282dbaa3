//! Making network namespaces: with a loopback interface alone, or plugged into a bridge.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use crate::addresses::Addresses;
use crate::netlink::{Batch, Socket, rtnl};
use crate::pool::Maker;
use crate::{Error, Ipv4Net, Mac, Result, Sandbox, derived_mac, sysctl};

/// A namespace whose `lo` is up, with a socket in it.
struct Bare {
    netns: OwnedFd,
    socket: Socket,
}

/// Makes a namespace; the calling thread, one of our own, is back in `home` afterwards.
///
/// As Docker has it, any user may listen on any port and send pings there. Interfaces that come later get no
/// IPv6, `lo` keeps `::1`.
fn bare(home: &OwnedFd) -> Result<Bare> {
    sys::netns::unshare().map_err(|cause| Error::system("create a network namespace", cause))?;
    let made = (|| {
        let netns = sys::netns::current().map_err(|cause| Error::system("open a network namespace", cause))?;
        for (setting, value) in [
            ("ipv6/conf/default/disable_ipv6", "1"),
            ("ipv4/ip_unprivileged_port_start", "0"),
            ("ipv4/ping_group_range", "0 2147483647"),
        ] {
            sysctl::set(setting, value)?;
        }
        let mut socket = rtnl::socket()?;
        let mut batch = Batch::default();
        rtnl::raise_loopback(&mut batch);
        socket.exchange(&batch)?;
        Ok(Bare { netns, socket })
    })();
    go_home(home)?;
    made
}

fn go_home(home: &OwnedFd) -> Result<()> {
    sys::netns::enter(home).map_err(|cause| Error::system("return to the host's network namespace", cause))
}

fn own_namespace() -> Result<OwnedFd> {
    sys::netns::current().map_err(|cause| Error::system("open the host's network namespace", cause))
}

/// Makes namespaces for containers without a network.
pub(crate) struct LoopbackMaker {
    home: OwnedFd,
}

impl LoopbackMaker {
    /// Makers work in the namespace of the thread that opens them.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { home: own_namespace()? })
    }
}

impl Maker for LoopbackMaker {
    type Made = OwnedFd;

    fn make(&mut self, _count: usize) -> Result<Vec<OwnedFd>> {
        go_home(&self.home)?;
        Ok(vec![bare(&self.home)?.netns])
    }
}

/// What the sandboxes of a bridge have in common.
#[derive(Clone, Debug)]
pub(crate) struct Plug {
    /// Index of the bridge.
    pub(crate) bridge: u32,
    /// Its subnet.
    pub(crate) subnet: Ipv4Net,
    /// The default route's next hop.
    pub(crate) gateway: Ipv4Addr,
    /// MTU of the interfaces.
    pub(crate) mtu: u32,
    /// How the names of the host's ends start.
    pub(crate) prefix: String,
}

/// A sandbox in the pool: complete, with a socket inside for changes.
pub(crate) struct Prepared {
    pub(crate) sandbox: Sandbox,
    socket: Socket,
    index: u32,
}

impl Prepared {
    fn net(&self, address: Ipv4Addr) -> Result<Ipv4Net> {
        Ipv4Net::new(address, self.sandbox.prefix_len)
            .ok_or_else(|| Error::Config(format!("invalid prefix length {}", self.sandbox.prefix_len)))
    }

    /// Gives it another address and the MAC address that belongs to it.
    pub(crate) fn readdress(&mut self, address: Ipv4Addr) -> Result<()> {
        let mut batch = Batch::default();
        rtnl::remove_address(&mut batch, self.index, self.net(self.sandbox.address)?);
        rtnl::set_mac(&mut batch, self.index, derived_mac(address));
        rtnl::add_address(&mut batch, self.index, self.net(address)?);
        rtnl::add_default_route(&mut batch, self.sandbox.gateway);
        self.socket.exchange(&batch)?;
        self.sandbox.address = address;
        self.sandbox.mac = derived_mac(address);
        Ok(())
    }

    /// Gives it another MAC address.
    pub(crate) fn set_mac(&mut self, mac: Mac) -> Result<()> {
        let mut batch = Batch::default();
        rtnl::set_mac(&mut batch, self.index, mac);
        self.socket.exchange(&batch)?;
        self.sandbox.mac = mac;
        Ok(())
    }
}

/// Makes sandboxes plugged into a bridge.
pub(crate) struct SandboxMaker {
    home: OwnedFd,
    socket: Socket,
    plug: Plug,
    addresses: Arc<Mutex<Addresses>>,
    serial: u32,
}

impl SandboxMaker {
    /// Makers work in the namespace of the thread that opens them.
    pub(crate) fn new(plug: Plug, addresses: Arc<Mutex<Addresses>>) -> Result<Self> {
        let mut seed = [0; 4];
        rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())
            .map_err(|cause| Error::system("read random bytes", cause))?;
        Ok(Self { home: own_namespace()?, socket: rtnl::socket()?, plug, addresses, serial: u32::from_ne_bytes(seed) })
    }

    fn name(&mut self) -> String {
        self.serial = self.serial.wrapping_add(1);
        format!("{}{:07x}", self.plug.prefix, self.serial & 0x0fff_ffff)
    }

    fn choose(&self, count: usize) -> Result<Vec<Ipv4Addr>> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chosen = vec![addresses.choose()?];
        // One is enough: a nearly full subnet is no error before somebody goes without.
        chosen.extend((1..count).map_while(|_| addresses.choose().ok()));
        Ok(chosen)
    }

    fn release(&self, address: Ipv4Addr) {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).release(address);
    }

    /// Creates the pairs of interfaces of all namespaces with one message each, in one send.
    fn plug_in(&mut self, bare: Vec<(Ipv4Addr, Bare)>) -> Vec<Result<Prepared, (Ipv4Addr, Error)>> {
        let mut batch = Batch::default();
        let named: Vec<_> = bare.into_iter().map(|(address, bare)| (address, bare, self.name())).collect();
        for (address, bare, name) in &named {
            let pair = rtnl::Pair {
                host_name: name,
                bridge: self.plug.bridge,
                netns: bare.netns.as_fd(),
                mac: derived_mac(*address),
                mtu: self.plug.mtu,
            };
            rtnl::add_pair(&mut batch, &pair);
        }
        let outcomes = match self.socket.exchange_each(&batch) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                let error = Arc::new(error);
                return named.into_iter().map(|(a, ..)| Err((a, Error::Sandbox(Arc::clone(&error))))).collect();
            }
        };
        let mut outcomes = outcomes.into_iter();
        let mut prepared = Vec::with_capacity(named.len());
        for (address, bare, name) in named {
            let made: Result<()> = outcomes.by_ref().take(rtnl::PAIR_REQUESTS).fold(Ok(()), Result::and);
            prepared.push(made.and_then(|()| self.configure(address, bare, name)).map_err(|error| (address, error)));
        }
        prepared
    }

    fn configure(&mut self, address: Ipv4Addr, bare: Bare, host_interface: String) -> Result<Prepared> {
        let Bare { netns, mut socket } = bare;
        let eth0 = rtnl::interface(&mut socket, "eth0")?;
        let index = eth0.ok_or_else(|| Error::Config("a new namespace lost its eth0".into()))?.index;
        let prefix_len = self.plug.subnet.prefix_len();
        let sandbox = Sandbox {
            netns,
            address,
            prefix_len,
            mac: derived_mac(address),
            gateway: self.plug.gateway,
            host_interface,
        };
        let mut prepared = Prepared { sandbox, socket, index };
        let mut batch = Batch::default();
        rtnl::raise(&mut batch, index);
        rtnl::add_address(&mut batch, index, prepared.net(address)?);
        rtnl::add_default_route(&mut batch, self.plug.gateway);
        prepared.socket.exchange(&batch)?;
        rtnl::settle(&mut prepared.socket, index)?;
        let host = rtnl::interface(&mut self.socket, &prepared.sandbox.host_interface)?;
        // The first port brings up the bridge, too.
        rtnl::settle(&mut self.socket, self.plug.bridge)?;
        host.map(|_| prepared).ok_or_else(|| Error::Config("a new interface is gone from the bridge".into()))
    }
}

impl Maker for SandboxMaker {
    type Made = Prepared;

    fn make(&mut self, count: usize) -> Result<Vec<Prepared>> {
        go_home(&self.home)?;
        let mut bares = Vec::with_capacity(count);
        let mut failure = None;
        for address in self.choose(count)? {
            match bare(&self.home) {
                Ok(bare) => bares.push((address, bare)),
                Err(error) => {
                    self.release(address);
                    failure = Some(error);
                }
            }
        }
        let mut made = Vec::with_capacity(bares.len());
        for outcome in self.plug_in(bares) {
            match outcome {
                Ok(prepared) => made.push(prepared),
                Err((address, error)) => {
                    self.release(address);
                    failure = Some(error);
                }
            }
        }
        match failure {
            Some(error) if made.is_empty() => Err(error),
            _ => Ok(made),
        }
    }

    fn unmake(&mut self, surplus: Prepared) {
        self.release(surplus.sandbox.address);
    }
}
