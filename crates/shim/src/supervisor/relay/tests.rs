//! With real sockets, and a loop as the supervisor's.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};

use super::*;

/// A door (of IPv4: what it is makes no difference here) that leads to `target`, whose relay runs in a thread until the test ends.
fn door(socket: impl Into<OwnedFd>, datagrams: bool, target: SocketAddr) {
    let SocketAddr::V4(target) = target else { panic!("containers have addresses of IPv4") };
    let socket = socket.into();
    rustix::io::ioctl_fionbio(&socket, true).unwrap();
    std::thread::spawn(move || {
        let poll = Poll::new().unwrap();
        let mut relay = Relay::new(&poll);
        relay.add(&[protocol::Door { datagrams, target }], vec![socket]).unwrap();
        relay.open();
        loop {
            for (token, _) in poll.wait(Some(Duration::from_secs(1))).unwrap() {
                relay.ready(token);
            }
            relay.pass_deadlines(Instant::now());
        }
    });
}

fn tcp(target: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    door(listener, false, target);
    address
}

#[test]
fn a_connection_is_carried_both_ways_whatever_its_size_and_its_halves_end_apart() {
    let container = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp(container.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = container.accept().unwrap();
        let mut all = Vec::new();
        // Slow at first, so that what comes has to wait on its way.
        std::thread::sleep(Duration::from_millis(50));
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
    });
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    client.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    let sent: Vec<u8> = (0..32_u32 << 20).step_by(4).flat_map(u32::to_le_bytes).collect();
    client.write_all(&sent).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    client.read_to_end(&mut back).unwrap();
    assert!(back == sent, "{} of {} bytes", back.len(), sent.len());
    serving.join().unwrap();
}

#[test]
fn an_end_is_told_in_whatever_round_it_comes() {
    for length in 0..2 * flow::ROUNDS {
        let container = TcpListener::bind("127.0.0.1:0").unwrap();
        let SocketAddr::V4(target) = container.local_addr().unwrap() else { panic!("127.0.0.1 is of IPv4") };
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(door.local_addr().unwrap()).unwrap();
        client.write_all(&vec![b'x'; length]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let (outer, _) = door.accept().unwrap();
        rustix::io::ioctl_fionbio(&outer, true).unwrap();

        let poll = Poll::new().unwrap();
        let mut flow = Flow::open(outer.into(), target, &poll, 0).unwrap();
        let (mut inside, _) = container.accept().unwrap();
        inside.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let mut all = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(10);
        while inside.read_to_end(&mut all).is_err() {
            assert!(Instant::now() < deadline, "{length} bytes: the container is not told that they were all");
            for _ in poll.wait(Some(Duration::from_millis(10))).unwrap() {
                // A round for each byte.
                flow.carry(&mut [0; 1]).unwrap();
            }
        }
        assert_eq!(all.len(), length);
    }
}

#[test]
fn where_nobody_listens_the_connection_ends() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut client = TcpStream::connect(tcp(nobody)).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let end = client.read(&mut [0; 1]);
    assert!(matches!(end, Ok(0)) || end.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
}

#[test]
fn datagrams_find_there_and_back_for_each_who_sends() {
    let container = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = container.local_addr().unwrap();
    let outside = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = outside.local_addr().unwrap();
    door(outside, true, target);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        while let Ok((length, from)) = container.recv_from(&mut buffer) {
            container.send_to(&buffer[..length], from).unwrap();
        }
    });
    let clients: Vec<UdpSocket> = (0..3).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    for (number, client) in clients.iter().enumerate() {
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.send_to(&vec![b'a' + number as u8; 9000], address).unwrap();
    }
    for (number, client) in clients.iter().enumerate() {
        let mut buffer = vec![0; 65536];
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((length, buffer[0], from), (9000, b'a' + number as u8, address));
    }
}

#[test]
fn who_has_been_silent_for_long_is_forgotten() {
    let poll = Poll::new().unwrap();
    let mut peers = Peers::default();
    let (outside, client) =
        (UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    client.send_to(b"x", outside.local_addr().unwrap()).unwrap();
    let socket = poll.adopt(outside.into(), Token::Door(0));
    peers.bring(0, &socket, "127.0.0.1:9".parse().unwrap(), &poll, 1, &mut [0; 8]).unwrap();
    let at = peers.next_deadline().unwrap();
    peers.forget_silent(at);
    assert!(peers.contains(1));
    peers.forget_silent(at + Duration::from_secs(90));
    assert!(peers.is_empty() && peers.next_deadline().is_none());
}
