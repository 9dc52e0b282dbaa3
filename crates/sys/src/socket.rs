//! Sequenced-packet Unix sockets that carry messages together with file descriptors.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

/// The most descriptors one packet may carry (the kernel's `SCM_MAX_FD`).
pub const MAX_DESCRIPTORS: usize = 253;

/// Paths longer than this do not fit `sun_path` and are reached through their parent folder.
const MAX_SOCKET_PATH: usize = 107;

/// One packet as it was received.
#[derive(Debug)]
pub struct Packet {
    /// Number of bytes written to the caller's buffer; zero means that the peer has closed.
    pub length: usize,
    /// Descriptors that came with the packet, all close-on-exec.
    pub descriptors: Vec<OwnedFd>,
    /// The packet (or its list of descriptors) was larger than the room given to it, and the rest is lost.
    pub truncated: bool,
}

/// `SIOCOUTQ` (`asm-generic/ioctls.h`): bytes sent and not yet taken by the peer.
const UNTAKEN: rustix::ioctl::Opcode = 0x5411;

/// Whether the peer of a Unix socket has taken all that was sent to it (of TCP: whether it has arrived there).
pub fn is_taken(socket: impl AsFd) -> rustix::io::Result<bool> {
    // SAFETY: SIOCOUTQ writes one int, which is what the getter makes room for.
    #[allow(unsafe_code)]
    let untaken = unsafe {
        let get = rustix::ioctl::Getter::<UNTAKEN, libc::c_int>::new();
        rustix::ioctl::ioctl(socket, get)?
    };
    Ok(untaken == 0)
}

/// `SO_PEERPIDFD` (`asm-generic/socket.h`), since Linux 6.5.
const PEER_PROCESS: libc::c_int = 77;

/// A descriptor of the process at the other end of a connected Unix socket: the one that listened, or that connected. It
/// stands for that very process, whoever else is given its id later.
///
/// Fails with `ESRCH` if the process is gone.
pub fn peer_process(socket: impl AsFd) -> rustix::io::Result<OwnedFd> {
    let socket = socket.as_fd();
    match peer_descriptor(socket) {
        Err(Errno::NOPROTOOPT) => {}
        found => return found,
    }
    let peer = rustix::net::sockopt::socket_peercred(socket)?;
    let process = crate::process::open(peer.pid.as_raw_nonzero().get())?;
    // As long as the connection is there its process was too, and nobody else had that id when it was opened.
    let mut poll = [rustix::event::PollFd::new(&socket, rustix::event::PollFlags::empty())];
    match rustix::event::poll(&mut poll, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }))? {
        0 => Ok(process),
        _ => Err(Errno::SRCH),
    }
}

#[allow(unsafe_code)]
fn peer_descriptor(socket: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let mut descriptor: libc::c_int = -1;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes one int, and its length, to places of that size.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            PEER_PROCESS,
            (&raw mut descriptor).cast(),
            &raw mut length,
        )
    };
    match outcome {
        // SAFETY: the kernel has just made this descriptor, which nobody else owns.
        0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// Makes a pair of connected, close-on-exec `SOCK_SEQPACKET` sockets (blocking).
pub fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Binds `path` and listens on it (non-blocking, close-on-exec, `SOCK_SEQPACKET`).
///
/// A socket file that nobody listens on any more is replaced; one that somebody answers gives `EADDRINUSE`.
pub fn listen(path: &Path) -> rustix::io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    // Only its owner may connect, whatever the folder allows.
    rustix::fs::fchmod(&socket, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
    with_address(path, |address| match rustix::net::bind(&socket, address) {
        Err(Errno::ADDRINUSE) if matches!(connect(path), Err(Errno::CONNREFUSED)) => {
            rustix::fs::unlink(path)?;
            rustix::net::bind(&socket, address)
        }
        bound => bound,
    })?;
    rustix::net::listen(&socket, 8)?;
    Ok(socket)
}

/// Connects to the `SOCK_SEQPACKET` socket at `path` (close-on-exec, blocking).
pub fn connect(path: &Path) -> rustix::io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    with_address(path, |address| rustix::net::connect(&socket, address))?;
    Ok(socket)
}

/// Accepts one connection (close-on-exec, non-blocking).
pub fn accept(listener: impl AsFd) -> rustix::io::Result<OwnedFd> {
    rustix::net::accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

/// Sends one packet with `descriptors`; never raises `SIGPIPE`.
///
/// Fails with `EINVAL` for more than [`MAX_DESCRIPTORS`], and with what `sendmsg(2)` reports.
pub fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> rustix::io::Result<()> {
    if descriptors.len() > MAX_DESCRIPTORS {
        return Err(Errno::INVAL);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::INVAL);
    }
    let parts = [IoSlice::new(bytes)];
    rustix::io::retry_on_intr(|| rustix::net::sendmsg(&socket, &parts, &mut control, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// Receives one packet into `buffer`; its descriptors are close-on-exec.
pub fn receive(socket: impl AsFd, buffer: &mut [u8], flags: RecvFlags) -> rustix::io::Result<Packet> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(buffer)];
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(&socket, &mut parts, &mut control, flags | RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    let truncated = received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    Ok(Packet { length: received.bytes, descriptors, truncated })
}

/// Calls `act` with an address of `path` that fits `sun_path`, whatever the length of `path`.
fn with_address<T>(path: &Path, act: impl FnOnce(&SocketAddrUnix) -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        return act(&SocketAddrUnix::new(path)?);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL);
    };
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let folder = rustix::fs::open(parent, flags, rustix::fs::Mode::empty())?;
    let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    act(&SocketAddrUnix::new(&short)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_carries_descriptors_that_close_on_exec() {
        let (left, right) = pair().unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        send(&left, b"hello", &[writer.as_fd()]).unwrap();
        drop(writer);
        let mut buffer = [0; 16];
        let packet = receive(&right, &mut buffer, RecvFlags::empty()).unwrap();
        assert_eq!(&buffer[..packet.length], b"hello");
        assert!(!packet.truncated);
        assert_eq!(packet.descriptors.len(), 1);
        let flags = rustix::io::fcntl_getfd(&packet.descriptors[0]).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        rustix::io::write(&packet.descriptors[0], b"x").unwrap();
        assert_eq!(rustix::io::read(&reader, &mut buffer).unwrap(), 1);
    }

    #[test]
    fn a_cut_packet_says_so_and_a_closed_peer_reads_as_empty() {
        let (left, right) = pair().unwrap();
        send(&left, b"too long", &[]).unwrap();
        let mut buffer = [0; 4];
        assert!(receive(&right, &mut buffer, RecvFlags::empty()).unwrap().truncated);
        drop(left);
        assert_eq!(receive(&right, &mut buffer, RecvFlags::empty()).unwrap().length, 0);
    }

    #[test]
    fn the_process_at_the_other_end_is_known() {
        let folder = std::env::temp_dir().join(format!("peer-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let listener = listen(&folder.join("a.sock")).unwrap();
        let client = connect(&folder.join("a.sock")).unwrap();
        for process in [peer_process(&client).unwrap(), peer_process(accept(&listener).unwrap()).unwrap()] {
            let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", process.as_raw_fd())).unwrap();
            assert!(text.lines().any(|line| line == format!("Pid:\t{}", std::process::id())), "{text}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn listening_works_on_long_paths_and_replaces_only_dead_sockets() {
        let folder = std::env::temp_dir().join(format!("socket-{}-{}", std::process::id(), "x".repeat(120)));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.sock");
        let first = listen(&path).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let client = connect(&path).unwrap();
        let served = accept(&first).unwrap();
        send(&client, b"hi", &[]).unwrap();
        let mut buffer = [0; 4];
        assert_eq!(receive(&served, &mut buffer, RecvFlags::empty()).unwrap().length, 2);
        assert_eq!(listen(&path).unwrap_err(), Errno::ADDRINUSE);
        drop(first);
        listen(&path).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
