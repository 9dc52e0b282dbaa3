//! Which host ports are published, and for whom.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

use crate::{Error, HostPort, PortRequest, Protocol, Published, Result};

/// The range of dynamic ports where the kernel does not tell its own (as Docker has it).
const FALLBACK_RANGE: (u16, u16) = (49153, 65535);

/// A port of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    protocol: Protocol,
    port: u16,
}

/// The host ports that are published now.
#[derive(Debug)]
pub(crate) struct Ports {
    /// Holders of a port, by host address; `0.0.0.0` takes part with every other address.
    taken: HashMap<Place, Vec<(Ipv4Addr, String)>>,
    /// A bound socket for each: so other programs of the host, another daemon among them, see that it is taken.
    sockets: HashMap<(Ipv4Addr, Place), OwnedFd>,
    /// Published ports of a container at an address, by container.
    holders: HashMap<String, Vec<(Published, Ipv4Addr)>>,
    dynamic: (u16, u16),
    next: u16,
}

impl Ports {
    /// Starts with none, and the kernel's range of dynamic ports.
    pub(crate) fn new() -> Self {
        let dynamic = dynamic_range().unwrap_or(FALLBACK_RANGE);
        Self { taken: HashMap::new(), sockets: HashMap::new(), holders: HashMap::new(), dynamic, next: dynamic.0 }
    }

    /// Finds host ports for all requests and takes them, or none of them.
    pub(crate) fn take(
        &mut self,
        container: &str,
        address: Ipv4Addr,
        requests: &[PortRequest],
        default_bind: Ipv4Addr,
    ) -> Result<Vec<Published>> {
        let mut published = Vec::with_capacity(requests.len());
        for request in requests {
            match self.take_one(container, request, default_bind) {
                Ok(one) => published.push(one),
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

    fn take_one(&mut self, container: &str, request: &PortRequest, default_bind: Ipv4Addr) -> Result<Published> {
        let ip = request.host_ip.unwrap_or(default_bind);
        let protocol = request.protocol;
        let (host_port, socket) = match request.host_port {
            HostPort::Exact(port) => match self.check(ip, port, protocol) {
                Err(Error::HostAddress { .. }) if request.any_address => (port, None),
                checked => (port, checked?),
            },
            HostPort::Range(first, last) => self.search(ip, protocol, (first, last), first)?,
            HostPort::Dynamic => {
                let (port, socket) = self.search(ip, protocol, self.dynamic, self.next)?;
                self.next = if port == self.dynamic.1 { self.dynamic.0 } else { port + 1 };
                (port, socket)
            }
        };
        self.note(container, ip, Place { protocol, port: host_port }, socket);
        Ok(Published { host_ip: ip, host_port, port: request.port, protocol })
    }

    /// The first free port of a range, from `start` on and around.
    fn search(
        &self,
        ip: Ipv4Addr,
        protocol: Protocol,
        (first, last): (u16, u16),
        start: u16,
    ) -> Result<(u16, Option<OwnedFd>)> {
        if first > last {
            return Err(Error::Config(format!("invalid port range {first}-{last}")));
        }
        let start = start.clamp(first, last);
        for port in (start..=last).chain(first..start) {
            match self.check(ip, port, protocol) {
                Ok(socket) => return Ok((port, socket)),
                Err(Error::PortTaken { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::NoFreePort { ip, first, last })
    }

    /// Binds a port that is free among our containers and in the host; no socket for a protocol that has none.
    fn check(&self, ip: Ipv4Addr, port: u16, protocol: Protocol) -> Result<Option<OwnedFd>> {
        let holders = self.taken.get(&Place { protocol, port }).map_or(&[][..], Vec::as_slice);
        let meets = |other: Ipv4Addr| ip == other || ip.is_unspecified() || other.is_unspecified();
        if let Some((_, holder)) = holders.iter().find(|(other, _)| meets(*other)) {
            return Err(Error::PortTaken { ip, port, protocol, holder: Some(holder.clone()) });
        }
        bind(ip, port, protocol).map_err(|errno| match errno {
            Errno::ADDRINUSE => Error::PortTaken { ip, port, protocol, holder: None },
            Errno::ADDRNOTAVAIL => Error::HostAddress { ip, port, protocol },
            errno => Error::system(format!("probe the host port {ip}:{port}/{protocol}"), errno),
        })
    }

    fn note(&mut self, container: &str, ip: Ipv4Addr, place: Place, socket: Option<OwnedFd>) {
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

    /// Notes the ports of a container that has them already.
    pub(crate) fn restore(&mut self, container: &str, address: Ipv4Addr, published: &[Published]) {
        for one in published {
            // Whoever took the port while no daemon ran keeps it; the container's traffic goes by the firewall anyway.
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

/// Binds a port of the host, if no process has it; never listens, for the firewall takes what comes.
///
/// With `SO_REUSEADDR` connections that are closing down do not count, but then others may bind the port as well: so it
/// is the second try.
fn bind(ip: Ipv4Addr, port: u16, protocol: Protocol) -> Result<Option<OwnedFd>, Errno> {
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let socket = match rustix::net::socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, Some(number)) {
        // Without SCTP sockets no process of the host can have the port.
        Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT) if protocol == Protocol::Sctp => return Ok(None),
        socket => socket?,
    };
    let address = SocketAddrV4::new(ip, port);
    match rustix::net::bind(&socket, &address) {
        Err(Errno::ADDRINUSE) if protocol != Protocol::Udp => {
            sockopt::set_socket_reuseaddr(&socket, true)?;
            rustix::net::bind(&socket, &address)?;
        }
        bound => bound?,
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

    const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
    const CONTAINER: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 2);

    fn request(host_ip: Option<Ipv4Addr>, host_port: HostPort) -> PortRequest {
        PortRequest { host_ip, host_port, port: 80, protocol: Protocol::Tcp, any_address: false }
    }

    fn free_port() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.local_addr().expect("its address").port()
    }

    #[test]
    fn an_address_that_the_host_does_not_have() {
        let strict = request(Some(Ipv4Addr::new(192, 0, 2, 77)), HostPort::Exact(18094));
        let take = |request| Ports::new().take("a", CONTAINER, &[request], ANY);
        assert!(matches!(take(strict), Err(Error::HostAddress { .. })));
        assert!(take(PortRequest { any_address: true, ..strict }).is_ok());
    }

    #[test]
    fn the_holder_is_named_and_addresses_meet() {
        let port = free_port();
        let mut ports = Ports::new();
        let wish = request(Some(Ipv4Addr::LOCALHOST), HostPort::Exact(port));
        ports.take("web", CONTAINER, &[wish], ANY).expect("a free port");
        let error = ports.take("db", CONTAINER, &[request(None, HostPort::Exact(port))], ANY).expect_err("taken");
        assert_eq!(error.to_string(), format!("Bind for 0.0.0.0:{port} failed: port is already allocated"));
        assert!(matches!(error, Error::PortTaken { holder: Some(holder), .. } if holder == "web"));
        assert_eq!(ports.free("web").len(), 1);
        ports.take("db", CONTAINER, &[request(None, HostPort::Exact(port))], ANY).expect("free again");
    }

    #[test]
    fn processes_of_the_host_count() {
        let listener = TcpListener::bind((ANY, 0)).expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        let mut ports = Ports::new();
        let error = ports.take("web", CONTAINER, &[request(None, HostPort::Exact(port))], ANY).expect_err("taken");
        assert!(matches!(error, Error::PortTaken { holder: None, .. }));
        let udp = UdpSocket::bind((ANY, 0)).expect("a socket");
        let port = udp.local_addr().expect("its address").port();
        let wish = PortRequest { protocol: Protocol::Udp, ..request(None, HostPort::Exact(port)) };
        assert!(matches!(ports.take("web", CONTAINER, &[wish], ANY), Err(Error::PortTaken { .. })));
        assert!(ports.take("web", CONTAINER, &[request(None, HostPort::Exact(free_port()))], ANY).is_ok());
    }

    #[test]
    fn a_foreign_address_is_told() {
        let wish = request(Some(Ipv4Addr::new(192, 0, 2, 7)), HostPort::Dynamic);
        assert!(matches!(Ports::new().take("web", CONTAINER, &[wish], ANY), Err(Error::HostAddress { .. })));
    }

    #[test]
    fn all_or_none() {
        let port = free_port();
        let mut ports = Ports::new();
        let wish = request(None, HostPort::Exact(port));
        assert!(ports.take("web", CONTAINER, &[wish, wish], ANY).is_err());
        assert!(ports.taken.is_empty() && ports.free("web").is_empty());
    }

    #[test]
    fn dynamic_ports_go_on_and_ranges_end() {
        let mut ports = Ports::new();
        let first = ports.take("a", CONTAINER, &[request(None, HostPort::Dynamic)], ANY).expect("a port")[0].host_port;
        ports.free("a");
        let second = ports.take("a", CONTAINER, &[request(None, HostPort::Dynamic)], ANY).expect("a port")[0].host_port;
        assert_ne!(first, second);
        let port = free_port();
        let range = request(None, HostPort::Range(port, port));
        ports.take("b", CONTAINER, &[range], ANY).expect("the only one");
        assert!(matches!(ports.take("c", CONTAINER, &[range], ANY), Err(Error::NoFreePort { .. })));
    }

    #[test]
    fn ranges_of_the_kernel() {
        assert_eq!(parse_range("32768\t60999\n"), Some((32768, 60999)));
        for text in ["", "1", "0 5", "9 5", "70000 80000", "a b"] {
            assert_eq!(parse_range(text), None, "{text}");
        }
    }
}
