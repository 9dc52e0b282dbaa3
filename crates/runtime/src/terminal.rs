//! Terminals, and the channel on which a child tells its parent what became of it.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

/// One message from the child; the end of the channel means that the program is executing.
#[derive(Debug)]
pub(crate) enum Message {
    Terminal(OwnedFd),
    Failure { step: usize, errno: i32 },
    End,
}

/// Opens a terminal: in `devpts`, or in the `/dev/pts` of a joined container. Returns the controlling side first.
pub(crate) fn open(devpts: Option<BorrowedFd<'_>>, rows: u16, columns: u16) -> Result<(OwnedFd, OwnedFd)> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let controlling = match devpts {
        Some(devpts) => rustix::fs::openat(devpts, c"ptmx", flags, Mode::empty())?,
        None => {
            let resolve = ResolveFlags::NO_SYMLINKS;
            rustix::fs::openat2(CWD, c"/dev/pts/ptmx", flags, Mode::empty(), resolve)?
        }
    };
    let stat = rustix::fs::fstat(&controlling)?;
    if !FileType::from_raw_mode(stat.st_mode).is_char_device() || stat.st_rdev != rustix::fs::makedev(5, 2) {
        return Err(Errno::NODEV);
    }
    rustix::pty::unlockpt(&controlling)?;
    let open = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = rustix::pty::ioctl_tiocgptpeer(&controlling, open)?;
    if rows != 0 || columns != 0 {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&controlling, size)?;
    }
    Ok((controlling, terminal))
}

/// Hands the controlling side of a terminal to the parent.
pub(crate) fn send(channel: BorrowedFd<'_>, controlling: BorrowedFd<'_>) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [controlling];
    if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(Errno::NOBUFS);
    }
    rustix::net::sendmsg(channel, &[IoSlice::new(b"t")], &mut ancillary, SendFlags::NOSIGNAL).map(drop)
}

/// Tells the parent which step failed. There is nobody to tell if that fails too.
pub(crate) fn report_failure(channel: BorrowedFd<'_>, step: u32, errno: Errno) {
    let mut message = [0u8; 8];
    message[..4].copy_from_slice(&step.to_ne_bytes());
    message[4..].copy_from_slice(&errno.raw_os_error().to_ne_bytes());
    let _ = rustix::net::send(channel, &message, SendFlags::NOSIGNAL);
}

/// Waits for the child's next message.
pub(crate) fn receive(channel: BorrowedFd<'_>) -> Result<Message> {
    let mut bytes = [0u8; 8];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match rustix::net::recvmsg(channel.as_fd(), &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            result => break result?,
        }
    };
    let terminal = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    match (received.bytes, terminal) {
        (0, _) => Ok(Message::End),
        (1, Some(terminal)) => Ok(Message::Terminal(terminal)),
        (8, _) => {
            let number = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
            Ok(Message::Failure { step: u32::from_ne_bytes(number(0)) as usize, errno: i32::from_ne_bytes(number(4)) })
        }
        _ => Err(Errno::PROTO),
    }
}
