//! Which host ports are published, and for whom.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

use crate::{Error, HostPort, PortRequest, Protocol, Published, Result};

/// The range of dynamic ports where the kernel does not tell its own (as Docker has it).
const FALLBACK_RANGE: (u16, u16) = (49153, 65535);

/// How many connections to a port of IPv6 may wait for being carried to the container (`SOMAXCONN`).
const BACKLOG: i32 = 4096;

/// A port of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    protocol: Protocol,
    port: u16,
}

/// The host ports that are published now.
#[derive(Debug)]
pub(crate) struct Ports {
    /// Holders of a port, by host address; `0.0.0.0` takes part with every other address of IPv4, `::` of IPv6.
    taken: HashMap<Place, Vec<(IpAddr, String)>>,
    /// A bound socket for each: so other programs of the host, another daemon among them, see that it is taken.
    sockets: HashMap<(IpAddr, Place), OwnedFd>,
    /// Published ports of a container at an address, by container.
    holders: HashMap<String, Vec<(Published, Ipv4Addr)>>,
    dynamic: (u16, u16),
    next: u16,
    /// Where a port is published if no address was asked for.
    defaults: Vec<IpAddr>,
}

impl Ports {
    /// Starts with none, and the kernel's range of dynamic ports. `dual`: what is published on any address is on those of
    /// IPv6, too, if the host has them.
    pub(crate) fn new(default_bind: Ipv4Addr, dual: bool) -> Self {
        let dynamic = dynamic_range().unwrap_or(FALLBACK_RANGE);
        let mut defaults = vec![default_bind.into()];
        if dual && default_bind.is_unspecified() && bind(Ipv6Addr::LOCALHOST.into(), 0, Protocol::Udp).is_ok() {
            defaults.push(Ipv6Addr::UNSPECIFIED.into());
        }
        let (taken, sockets, holders) = Default::default();
        Self { taken, sockets, holders, dynamic, next: dynamic.0, defaults }
    }

    /// Finds host ports for all requests and takes them, or none of them.
    pub(crate) fn take(
        &mut self,
        container: &str,
        address: Ipv4Addr,
        requests: &[PortRequest],
    ) -> Result<Vec<Published>> {
        let mut published = Vec::with_capacity(requests.len());
        for request in requests {
            match self.take_one(container, request) {
                Ok(taken) => published.extend(taken),
                Err(error) => {
                    self.give_back(container, &published);
                    return Err(error);
                }
            }
        }
        let held = self.holders.entry(container.to_owned()).or_default();
        held.extend(published.iter().map(|one| (*one, address)));
        Ok(published)
    }

    /// Takes a port at every address at which it is wanted.
    fn take_one(&mut self, container: &str, request: &PortRequest) -> Result<Vec<Published>> {
        let (port, protocol) = (request.port, request.protocol);
        let ips = match request.host_ip {
            Some(ip) => vec![ip],
            // Nobody carries SCTP from IPv6.
            None => self.defaults.iter().copied().filter(|ip| ip.is_ipv4() || protocol != Protocol::Sctp).collect(),
        };
        let (host_port, sockets) = match request.host_port {
            HostPort::Exact(port) => (port, self.check_all(&ips, port, request)?),
            HostPort::Range(first, last) => self.search(&ips, request, (first, last), first)?,
            HostPort::Dynamic => {
                let (port, sockets) = self.search(&ips, request, self.dynamic, self.next)?;
                self.next = if port == self.dynamic.1 { self.dynamic.0 } else { port + 1 };
                (port, sockets)
            }
        };
        for (ip, socket) in ips.iter().zip(sockets) {
            self.note(container, *ip, Place { protocol, port: host_port }, socket);
        }
        Ok(ips.into_iter().map(|host_ip| Published { host_ip, host_port, port, protocol }).collect())
    }

    /// The first port of a range that is free at all addresses, from `start` on and around.
    fn search(
        &self,
        ips: &[IpAddr],
        request: &PortRequest,
        (first, last): (u16, u16),
        start: u16,
    ) -> Result<(u16, Vec<Option<OwnedFd>>)> {
        if first > last {
            return Err(Error::Config(format!("invalid port range {first}-{last}")));
        }
        let start = start.clamp(first, last);
        for port in (start..=last).chain(first..start) {
            match self.check_all(ips, port, request) {
                Ok(sockets) => return Ok((port, sockets)),
                Err(Error::PortTaken { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::NoFreePort { ip: ips.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED.into()), first, last })
    }

    /// Binds a port at all addresses, in their order.
    fn check_all(&self, ips: &[IpAddr], port: u16, request: &PortRequest) -> Result<Vec<Option<OwnedFd>>> {
        let exact = matches!(request.host_port, HostPort::Exact(_));
        let check = |ip: &IpAddr| match self.check(*ip, port, request.protocol) {
            Err(Error::HostAddress { .. }) if exact && request.any_address => Ok(None),
            checked => checked,
        };
        ips.iter().map(check).collect()
    }

    /// Binds a port that is free among our containers and in the host; no socket for a protocol that has none.
    fn check(&self, ip: IpAddr, port: u16, protocol: Protocol) -> Result<Option<OwnedFd>> {
        let holders = self.taken.get(&Place { protocol, port }).map_or(&[][..], Vec::as_slice);
        let meets = |other: IpAddr| {
            ip == other || (ip.is_ipv4() == other.is_ipv4() && (ip.is_unspecified() || other.is_unspecified()))
        };
        if let Some((_, holder)) = holders.iter().find(|(other, _)| meets(*other)) {
            return Err(Error::PortTaken { ip, port, protocol, holder: Some(holder.clone()) });
        }
        bind(ip, port, protocol).map_err(|errno| match errno {
            Errno::ADDRINUSE => Error::PortTaken { ip, port, protocol, holder: None },
            Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT => Error::HostAddress { ip, port, protocol },
            errno => Error::system(format!("probe the host port {ip}:{port}/{protocol}"), errno),
        })
    }

    fn note(&mut self, container: &str, ip: IpAddr, place: Place, socket: Option<OwnedFd>) {
        self.sockets.extend(socket.map(|socket| ((ip, place), socket)));
        self.taken.entry(place).or_default().push((ip, container.to_owned()));
    }

    fn give_back(&mut self, container: &str, published: &[Published]) {
        for one in published {
            let place = Place { protocol: one.protocol, port: one.host_port };
            self.sockets.remove(&(one.host_ip, place));
            if let Some(holders) = self.taken.get_mut(&place) {
                holders.retain(|(ip, holder)| *ip != one.host_ip || holder != container);
                if holders.is_empty() {
                    self.taken.remove(&place);
                }
            }
        }
    }

    /// Frees all ports of a container; what they were.
    pub(crate) fn free(&mut self, container: &str) -> Vec<(Published, Ipv4Addr)> {
        let held = self.holders.remove(container).unwrap_or_default();
        let published: Vec<Published> = held.iter().map(|(one, _)| *one).collect();
        self.give_back(container, &published);
        held
    }

    /// Frees some ports of a container.
    pub(crate) fn free_some(&mut self, container: &str, published: &[Published]) {
        self.give_back(container, published);
        if let Some(held) = self.holders.get_mut(container) {
            held.retain(|(one, _)| !published.contains(one));
        }
    }

    /// Ports of a container.
    pub(crate) fn of(&self, container: &str) -> Vec<(Published, Ipv4Addr)> {
        self.holders.get(container).cloned().unwrap_or_default()
    }

    /// The sockets of a container's ports at addresses of IPv6.
    pub(crate) fn doors(&self, container: &str) -> io::Result<Vec<(Published, OwnedFd)>> {
        let held = self.holders.get(container).into_iter().flatten().filter(|(one, _)| one.host_ip.is_ipv6());
        let socket =
            |one: &Published| self.sockets.get(&(one.host_ip, Place { protocol: one.protocol, port: one.host_port }));
        held.filter_map(|(one, _)| Some(socket(one)?.try_clone().map(|socket| (*one, socket)))).collect()
    }

    /// Notes the ports of a container that has them already.
    pub(crate) fn restore(&mut self, container: &str, address: Ipv4Addr, published: &[Published]) {
        for one in published {
            // Whoever took the port while no daemon ran keeps it: the container's traffic goes by the firewall anyway, and
            // its ports of IPv6 are held by its shim.
            let socket = bind(one.host_ip, one.host_port, one.protocol).ok().flatten();
            self.note(container, one.host_ip, Place { protocol: one.protocol, port: one.host_port }, socket);
        }
        let held = self.holders.entry(container.to_owned()).or_default();
        held.extend(published.iter().map(|one| (*one, address)));
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.taken.clear();
        self.sockets.clear();
        self.holders.clear();
    }
}

/// Binds a port of the host, if no process has it. One of IPv4 never listens, for the firewall takes what comes; one of
/// IPv6 does, and whoever has it must not wait.
///
/// With `SO_REUSEADDR` connections that are closing down do not count, but then others may bind the port as well: so it
/// is the second try.
fn bind(ip: IpAddr, port: u16, protocol: Protocol) -> Result<Option<OwnedFd>, Errno> {
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let family = if ip.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = match rustix::net::socket_with(family, kind, flags, Some(number)) {
        // Without SCTP sockets no process of the host can have the port.
        Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT) if protocol == Protocol::Sctp => return Ok(None),
        socket => socket?,
    };
    if ip.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    let address = SocketAddr::new(ip, port);
    match rustix::net::bind(&socket, &address) {
        Err(Errno::ADDRINUSE) if protocol != Protocol::Udp => {
            sockopt::set_socket_reuseaddr(&socket, true)?;
            rustix::net::bind(&socket, &address)?;
        }
        bound => bound?,
    }
    if ip.is_ipv6() && protocol == Protocol::Tcp {
        // For the sake of its connections, which inherit it: closing down, they must not keep the port from the next one.
        sockopt::set_socket_reuseaddr(&socket, true)?;
        rustix::net::listen(&socket, BACKLOG)?;
    }
    Ok(Some(socket))
}

/// `net.ipv4.ip_local_port_range` of the calling thread's namespace.
fn dynamic_range() -> Option<(u16, u16)> {
    let text: io::Result<String> = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    parse_range(&text.ok()?)
}

fn parse_range(text: &str) -> Option<(u16, u16)> {
    let mut numbers = text.split_whitespace().map(str::parse);
    let (first, last) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (0 < first && first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    const CONTAINER: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 2);

    fn ports() -> Ports {
        Ports::new(Ipv4Addr::UNSPECIFIED, false)
    }

    fn request(host_ip: Option<Ipv4Addr>, host_port: HostPort) -> PortRequest {
        let host_ip = host_ip.map(IpAddr::V4);
        PortRequest { host_ip, host_port, port: 80, protocol: Protocol::Tcp, any_address: false }
    }

    fn free_port() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.local_addr().expect("its address").port()
    }

    #[test]
    fn an_address_that_the_host_does_not_have() {
        let strict = request(Some(Ipv4Addr::new(192, 0, 2, 77)), HostPort::Exact(18094));
        let take = |request| ports().take("a", CONTAINER, &[request]);
        assert!(matches!(take(strict), Err(Error::HostAddress { .. })));
        assert!(take(PortRequest { any_address: true, ..strict }).is_ok());
    }

    #[test]
    fn the_holder_is_named_and_addresses_meet() {
        let port = free_port();
        let mut ports = ports();
        let wish = request(Some(Ipv4Addr::LOCALHOST), HostPort::Exact(port));
        ports.take("web", CONTAINER, &[wish]).expect("a free port");
        let error = ports.take("db", CONTAINER, &[request(None, HostPort::Exact(port))]).expect_err("taken");
        assert_eq!(error.to_string(), format!("Bind for 0.0.0.0:{port} failed: port is already allocated"));
        assert!(matches!(error, Error::PortTaken { holder: Some(holder), .. } if holder == "web"));
        assert_eq!(ports.free("web").len(), 1);
        ports.take("db", CONTAINER, &[request(None, HostPort::Exact(port))]).expect("free again");
    }

    #[test]
    fn processes_of_the_host_count() {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        let mut ports = ports();
        let error = ports.take("web", CONTAINER, &[request(None, HostPort::Exact(port))]).expect_err("taken");
        assert!(matches!(error, Error::PortTaken { holder: None, .. }));
        let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
        let port = udp.local_addr().expect("its address").port();
        let wish = PortRequest { protocol: Protocol::Udp, ..request(None, HostPort::Exact(port)) };
        assert!(matches!(ports.take("web", CONTAINER, &[wish]), Err(Error::PortTaken { .. })));
        assert!(ports.take("web", CONTAINER, &[request(None, HostPort::Exact(free_port()))]).is_ok());
    }

    #[test]
    fn a_foreign_address_is_told() {
        let wish = request(Some(Ipv4Addr::new(192, 0, 2, 7)), HostPort::Dynamic);
        assert!(matches!(ports().take("web", CONTAINER, &[wish]), Err(Error::HostAddress { .. })));
    }

    #[test]
    fn any_address_is_one_of_either_family() {
        // Where nobody has switched IPv6 off, and nobody else has a port.
        std::thread::spawn(|| {
            sys::netns::unshare().expect("a network namespace (needs root)");
            take_at_either_family();
        })
        .join()
        .expect("no panic");
    }

    fn take_at_either_family() {
        let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let mut ports = Ports { defaults: any.to_vec(), ..ports() };
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let wish = PortRequest { protocol, ..request(None, HostPort::Dynamic) };
            let published = ports.take("web", CONTAINER, &[wish]).expect("ports");
            assert_eq!(published.iter().map(|one| one.host_ip).collect::<Vec<_>>(), any);
            assert_eq!(published[0].host_port, published[1].host_port);
            let (host_ip, host_port) = (Some(Ipv6Addr::LOCALHOST.into()), HostPort::Exact(published[1].host_port));
            let taken = PortRequest { host_ip, host_port, ..wish };
            let error = ports.take("db", CONTAINER, &[taken]).expect_err("taken");
            assert!(matches!(error, Error::PortTaken { holder: Some(holder), .. } if holder == "web"));
        }
        let doors = ports.doors("web").expect("duplicates");
        let listens = |door: &(Published, OwnedFd)| sockopt::socket_acceptconn(&door.1).expect("a socket");
        assert_eq!(doors.iter().map(listens).collect::<Vec<_>>(), [true, false]);
        assert_eq!(ports.free("web").len(), 4);
        assert!(ports.taken.is_empty() && ports.sockets.is_empty());
    }

    #[test]
    fn all_or_none() {
        let port = free_port();
        let mut ports = ports();
        let wish = request(None, HostPort::Exact(port));
        assert!(ports.take("web", CONTAINER, &[wish, wish]).is_err());
        assert!(ports.taken.is_empty() && ports.free("web").is_empty());
    }

    #[test]
    fn dynamic_ports_go_on_and_ranges_end() {
        let mut ports = ports();
        let first = ports.take("a", CONTAINER, &[request(None, HostPort::Dynamic)]).expect("a port")[0].host_port;
        ports.free("a");
        let second = ports.take("a", CONTAINER, &[request(None, HostPort::Dynamic)]).expect("a port")[0].host_port;
        assert_ne!(first, second);
        let port = free_port();
        let range = request(None, HostPort::Range(port, port));
        ports.take("b", CONTAINER, &[range]).expect("the only one");
        assert!(matches!(ports.take("c", CONTAINER, &[range]), Err(Error::NoFreePort { .. })));
    }

    #[test]
    fn ranges_of_the_kernel() {
        assert_eq!(parse_range("32768\t60999\n"), Some((32768, 60999)));
        for text in ["", "1", "0 5", "9 5", "70000 80000", "a b"] {
            assert_eq!(parse_range(text), None, "{text}");
        }
    }
}
