//! A bridge: the network that containers share, its address space, firewall and pool of sandboxes.

mod config;
mod interface;

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::addresses::Addresses;
use crate::firewall::{Firewall, Opening, Policy, Watch};
use crate::netlink::Batch;
use crate::netlink::rtnl::{self, Interface};
use crate::pool::Pool;
use crate::ports::Ports;
use crate::sandbox::{Plug, Prepared, SandboxMaker};
use crate::{Error, Ipv4Net, Link, Live, PortRequest, Published, Result, Sandbox, Wanted, sysctl};
pub use config::BridgeConfig;
use interface::Place;

/// An open bridge. All methods may be called from any thread.
///
/// Dropping it ends its threads and leaves the interface and the firewall table as they are, so that running
/// containers keep their network; [`Bridge::destroy`] removes both.
#[derive(Debug)]
pub struct Bridge {
    config: BridgeConfig,
    net: Ipv4Net,
    index: u32,
    addresses: Arc<Mutex<Addresses>>,
    ports: Mutex<Ports>,
    links: Mutex<Vec<Link>>,
    firewall: Option<Arc<Mutex<Firewall>>>,
    watch: Option<Watch>,
    pool: Pool<Prepared>,
}

/// What a lock guards is changed by single steps, so a panic elsewhere leaves it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_firewall(config: &BridgeConfig, net: Ipv4Net) -> Result<Option<Arc<Mutex<Firewall>>>> {
    if !config.firewall {
        return Firewall::discard(&config.name).map(|()| None);
    }
    let policy = Policy {
        bridge: config.name.clone(),
        subnet: net.network(),
        icc: config.icc,
        masquerade: config.masquerade,
        port_prefix: config.port_prefix(),
    };
    Ok(Some(Arc::new(Mutex::new(Firewall::open(policy)?))))
}

/// An address that the pool is just dressing a sandbox with is asked for again this often.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(2);

impl Bridge {
    /// Creates the bridge, or adopts it with its firewall table from an earlier daemon, in the network
    /// namespace of the calling thread.
    ///
    /// The pool of sandboxes starts to fill at the first [`Bridge::reconcile`] or [`Bridge::take`], so that it
    /// cannot be given the address of a container that lives on.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that contradict each other or the host, [`Error::NoFreeSubnet`], and
    /// whatever the kernel refused. Nothing stays then of a bridge that was not there before.
    pub fn open(config: BridgeConfig) -> Result<Self> {
        config.check_name()?;
        let mut socket = rtnl::socket()?;
        let place = Place::look(&mut socket, &config)?;
        config.check_addresses(place.net)?;
        let (net, is_new, name) = (place.net, place.found.is_none(), config.name.clone());
        let interface = place.establish(&mut socket, &name)?;
        let index = interface.index;
        let equipped = Self::equip(config, net, interface);
        if equipped.is_err() && is_new {
            // The first error tells what went wrong; what stays in spite of this is adopted the next time.
            let _ = Firewall::discard(&name).and_then(|()| remove(index));
        }
        equipped
    }

    /// Everything about a bridge but its interface.
    fn equip(config: BridgeConfig, net: Ipv4Net, interface: Interface) -> Result<Self> {
        if config.forward {
            sysctl::ensure("ipv4/ip_forward", "1")?;
        }
        // Ports must answer on 127.0.0.1 too; the firewall keeps containers away from the host's own.
        let route_localnet = if config.firewall { "1" } else { "0" };
        sysctl::ensure(&format!("ipv4/conf/{}/route_localnet", config.name), route_localnet)?;
        let firewall = open_firewall(&config, net)?;
        let watch = firewall.as_ref().map(Watch::open).transpose()?;
        let gateway = config.default_gateway.unwrap_or(net.address());
        let range = config.fixed_cidr.unwrap_or(net);
        let addresses = Arc::new(Mutex::new(Addresses::new(net, range, &[net.address(), gateway])));
        let plug =
            Plug { bridge: interface.index, subnet: net, gateway, mtu: interface.mtu, prefix: config.port_prefix() };
        let maker = SandboxMaker::new(plug, Arc::clone(&addresses))?;
        let pool = Pool::open("sandbox-pool", config.pool_size, maker)?;
        let (ports, links) = (Mutex::new(Ports::new(config.default_bind, config.dual_ports)), Mutex::default());
        Ok(Self { config, net, index: interface.index, addresses, ports, links, firewall, watch, pool })
    }

    /// The configuration it was opened with.
    pub fn config(&self) -> &BridgeConfig {
        &self.config
    }

    /// The bridge's own address and the prefix length of its subnet.
    pub fn net(&self) -> Ipv4Net {
        self.net
    }

    /// Takes a sandbox out of the pool; waits for one to be made where the pool is empty.
    ///
    /// # Errors
    /// [`Error::AddressTaken`], [`Error::AddressOutside`], [`Error::NoFreeAddress`], [`Error::Sandbox`].
    pub fn take(&self, wanted: Wanted) -> Result<Sandbox> {
        let mut prepared = match wanted.address {
            Some(address) => self.take_at(address)?,
            None => self.take_any()?,
        };
        if let Some(mac) = wanted.mac.filter(|mac| *mac != prepared.sandbox.mac)
            && let Err(error) = prepared.set_mac(mac)
        {
            self.release(prepared.sandbox.address);
            return Err(error);
        }
        Ok(prepared.sandbox)
    }

    fn take_any(&self) -> Result<Prepared> {
        self.pool.take().map_err(|error| match error {
            Error::Sandbox(cause) => match *cause {
                Error::NoFreeAddress { network } => Error::NoFreeAddress { network },
                _ => Error::Sandbox(cause),
            },
            error => error,
        })
    }

    fn take_at(&self, address: Ipv4Addr) -> Result<Prepared> {
        for attempt in 1.. {
            if let Some(prepared) = self.pool.pick(|prepared| prepared.sandbox.address == address) {
                return Ok(prepared);
            }
            match lock(&self.addresses).reserve(address) {
                Err(Error::AddressTaken { .. }) if attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
                Ok(()) => break,
            }
            std::thread::sleep(PAUSE);
        }
        let readdressed = self.take_any().and_then(|mut prepared| {
            let former = prepared.sandbox.address;
            let outcome = prepared.readdress(address);
            self.release(former);
            outcome.map(|()| prepared)
        });
        if readdressed.is_err() {
            self.release(address);
        }
        readdressed
    }

    /// Gives an address back; the network namespace ends with its last descriptor.
    pub fn release(&self, address: Ipv4Addr) {
        lock(&self.addresses).release(address);
    }

    /// Publishes ports of the container at `address`: all of them or, on an error, none.
    /// `container` is the holder that others are told of. The result is in the order of the requests; what was asked for
    /// at no certain address may be there twice, for IPv4 and for IPv6.
    ///
    /// Without a firewall ([`BridgeConfig::firewall`]) the ports are only reserved.
    ///
    /// # Errors
    /// [`Error::PortTaken`], [`Error::HostAddress`], [`Error::NoFreePort`].
    pub fn publish(&self, container: &str, address: Ipv4Addr, requests: &[PortRequest]) -> Result<Vec<Published>> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let published = lock(&self.ports).take(container, address, requests)?;
        let openings: Vec<Opening> = published.iter().map(|one| Opening::Port(*one, address)).collect();
        let opened = self.firewalled(|firewall| {
            firewall.open_up(&openings)?;
            firewall.forget_flows(&published, address).or_else(|error| firewall.close_off(&openings).and(Err(error)))
        });
        if let Err(error) = opened {
            lock(&self.ports).free_some(container, &published);
            return Err(error);
        }
        Ok(published)
    }

    /// Withdraws all published ports of a container.
    pub fn unpublish(&self, container: &str) -> Result<()> {
        let held = lock(&self.ports).of(container);
        let openings: Vec<Opening> = held.iter().map(|(one, address)| Opening::Port(*one, *address)).collect();
        self.firewalled(|firewall| {
            firewall.close_off(&openings)?;
            held.iter().try_for_each(|(one, address)| firewall.forget_flows(&[*one], *address))
        })?;
        // Free for others only when no packet goes there any more.
        lock(&self.ports).free(container);
        Ok(())
    }

    /// Ports published for a container.
    pub fn published(&self, container: &str) -> Vec<Published> {
        lock(&self.ports).of(container).into_iter().map(|(one, _)| one).collect()
    }

    /// The sockets of a container's ports at addresses of IPv6, whose network is none of IPv6: they listen, and whoever gets
    /// them has to carry what comes there to the container. To be asked after [`Bridge::publish`]; who has them keeps the
    /// port even when we are gone.
    pub fn doors(&self, container: &str) -> Result<Vec<(Published, OwnedFd)>> {
        lock(&self.ports)
            .doors(container)
            .map_err(|error| Error::system("duplicate the sockets of published ports", error))
    }

    /// Lets one container reach a port of another in spite of `icc=false`.
    pub fn link(&self, links: &[Link]) -> Result<()> {
        let openings: Vec<Opening> = links.iter().copied().map(Opening::Link).collect();
        self.firewalled(|firewall| firewall.open_up(&openings))?;
        lock(&self.links).extend(links);
        Ok(())
    }

    /// Withdraws links. One that was given more than once stays until it was withdrawn as often.
    pub fn unlink(&self, links: &[Link]) -> Result<()> {
        let mut held = lock(&self.links);
        for link in links {
            if let Some(position) = held.iter().position(|other| other == link) {
                held.swap_remove(position);
            }
        }
        let gone: Vec<Opening> = links.iter().filter(|link| !held.contains(link)).copied().map(Opening::Link).collect();
        self.firewalled(|firewall| firewall.close_off(&gone))
    }

    /// Withdraws all links from and to an address: to be called before [`Bridge::release`], for the next container
    /// that gets it has not been linked.
    pub fn unlink_all(&self, address: Ipv4Addr) -> Result<()> {
        let touches = |link: &Link| link.source == address || link.destination == address;
        let gone: Vec<Link> = lock(&self.links).iter().copied().filter(touches).collect();
        if gone.is_empty() { Ok(()) } else { self.unlink(&gone) }
    }

    /// Makes addresses, published ports and links exactly those of the containers that live: what is missing
    /// is restored, what belongs to nobody is removed. Then starts filling the pool.
    ///
    /// To be called once, after [`Bridge::open`] and before anything else.
    pub fn reconcile(&self, live: &[Live]) -> Result<()> {
        let mut openings = Vec::new();
        let (mut ports, mut links) = (lock(&self.ports), lock(&self.links));
        ports.clear();
        links.clear();
        for one in live {
            let reserved = lock(&self.addresses).reserve(one.address);
            match reserved {
                // A record of another subnet's time must not keep the others from their network.
                Ok(()) | Err(Error::AddressOutside { .. }) => {}
                // The pool must not use the address, should it have started already.
                Err(Error::AddressTaken { .. }) => drop(self.pool.pick(|p| p.sandbox.address == one.address)),
                Err(error) => return Err(error),
            }
            ports.restore(&one.container, one.address, &one.published);
            links.extend(&one.links);
            openings.extend(one.published.iter().map(|published| Opening::Port(*published, one.address)));
            openings.extend(one.links.iter().copied().map(Opening::Link));
        }
        drop((ports, links));
        self.firewalled(|firewall| firewall.reconcile(&openings))?;
        self.pool.start();
        Ok(())
    }

    /// What of other tools keeps containers from reaching others or being reached, a sentence each.
    pub fn obstacles(&self) -> Result<Vec<String>> {
        self.firewall.as_ref().map_or(Ok(Vec::new()), |firewall| lock(firewall).obstacles())
    }

    fn firewalled(&self, change: impl FnOnce(&mut Firewall) -> Result<()>) -> Result<()> {
        self.firewall.as_ref().map_or(Ok(()), |firewall| change(&mut lock(firewall)))
    }

    /// Ends the bridge and removes its interface and firewall table.
    pub fn destroy(mut self) -> Result<()> {
        drop(self.watch.take());
        self.firewalled(Firewall::remove)?;
        remove(self.index)
    }
}

/// Removes an interface.
fn remove(index: u32) -> Result<()> {
    let mut batch = Batch::default();
    rtnl::remove(&mut batch, index);
    rtnl::socket()?.exchange(&batch)
}
