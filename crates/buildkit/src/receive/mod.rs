//! The receiving end of a file transfer: packets become files in a folder.
//!
//! The client tells its files in turn and numbers them so; we ask for the contents of those that do not lie there already,
//! some at a time, which come in pieces that may mix. What is written stays beneath the folder whatever the client says.

mod kept;
pub(crate) mod mode;

use std::collections::{HashMap, VecDeque};
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, UNIX_EPOCH};

use build::{ContextFiles, Digests};
use prost::Message;
use sha2::{Digest, Sha256};
use sys::root::{Kind, Metadata, Root, Time};

use self::kept::Kept;
use crate::message::{Packet, PacketType, Stat};

/// Files whose contents are on their way at a time: the sender's own queue is longer, so that asking never waits.
const OPEN: usize = 64;
/// So many, and more are asked for: several at once, since each question wakes the sender.
const FEW: usize = OPEN / 2;
/// What a file takes of the disk is a multiple of this.
const BLOCK_BYTES: u64 = 4096;
/// Entries in a transfer, at most.
const ENTRIES: u32 = 1_000_000;
/// Bytes of all their paths, at most: they wait in memory.
const PATH_BYTES: usize = 64 * 1024 * 1024;
/// Longest path, in bytes: the kernel's.
const LONGEST_PATH: usize = 4095;

/// Why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client gave up.
    #[error("error from sender: {0}")]
    Sender(String),
    /// The client does not keep to the protocol, or goes beyond a limit.
    #[error("the client sent what cannot be: {0}")]
    Protocol(String),
    /// A file cannot be written.
    #[error("{0}")]
    Path(#[from] sys::root::Error),
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Where, in the context.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
}

/// Receives one transfer.
#[derive(Debug)]
pub struct Receiver<'a> {
    root: &'a Root,
    digests: Option<&'a Digests>,
    kept: Kept,
    /// All that is told of files.
    listing: Sha256,
    /// All that was told of lies there already.
    unchanged: bool,
    told: u32,
    path_bytes: usize,
    all_told: bool,
    waiting: VecDeque<Waiting>,
    open: HashMap<u32, Open>,
    /// Second names, made when all files are there.
    links: Vec<(String, String)>,
    /// Folders, finished when nothing in them changes any more.
    folders: Vec<(String, u32, i64)>,
    bytes: u64,
    /// What all files take on the disk, as long as they are as large as they are told to be.
    size_bytes: Option<u64>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Receiving,
    /// We have everything and said so.
    Saying,
    /// The sender knows.
    Over,
}

/// A file whose contents were not asked for yet.
#[derive(Debug)]
struct Waiting {
    id: u32,
    path: String,
    mode: u32,
    size: i64,
    modified: i64,
}

/// A file whose contents are on their way.
#[derive(Debug)]
struct Open {
    file: File,
    written: u64,
    hash: Sha256,
    about: Waiting,
}

impl<'a> Receiver<'a> {
    /// A receiver that makes of a folder what the client has, whatever lies there.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn new(files: &'a ContextFiles) -> Result<Self, Error> {
        Ok(Self {
            root: &files.root,
            digests: files.digests.as_deref(),
            kept: Kept::survey(&files.root)?,
            listing: Sha256::new(),
            unchanged: true,
            told: 0,
            path_bytes: 0,
            all_told: false,
            waiting: VecDeque::new(),
            open: HashMap::new(),
            links: Vec::new(),
            folders: Vec::new(),
            bytes: 0,
            size_bytes: Some(0),
            state: State::Receiving,
        })
    }

    /// Takes a packet; what is to be sent in return.
    ///
    /// # Errors
    /// The transfer has failed; nothing more may be given.
    pub fn take(&mut self, packet: Packet) -> Result<Vec<Packet>, Error> {
        match packet.kind() {
            PacketType::Stat => match packet.stat {
                Some(stat) => self.entry(stat)?,
                None => self.all_told = true,
            },
            PacketType::Data => self.contents(packet.id, &packet.data)?,
            PacketType::Finish if self.state == State::Saying => self.state = State::Over,
            PacketType::Finish => return Err(Error::Protocol("an end before the end".to_owned())),
            PacketType::Error => return Err(Error::Sender(String::from_utf8_lossy(&packet.data).into_owned())),
            PacketType::Request => return Err(Error::Protocol("a request for a file of ours".to_owned())),
        }
        let mut replies = self.requests()?;
        if self.state == State::Receiving && self.all_told && self.waiting.is_empty() && self.open.is_empty() {
            self.finish()?;
            self.state = State::Saying;
            replies.push(Packet { kind: PacketType::Finish as i32, ..Packet::default() });
        }
        Ok(replies)
    }

    /// Whether everything is here.
    pub fn is_complete(&self) -> bool {
        self.state != State::Receiving
    }

    /// Whether both sides know that.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Bytes that came: contents, and what was told of files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that the files take on the disk; `None` if the client does not know.
    pub fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    fn entry(&mut self, stat: Stat) -> Result<(), Error> {
        if self.all_told {
            return Err(Error::Protocol("a file behind the last".to_owned()));
        }
        let id = self.told;
        self.told += 1;
        self.path_bytes += stat.path.len() + stat.link.len();
        if self.told > ENTRIES || self.path_bytes > PATH_BYTES {
            return Err(Error::Protocol(format!(
                "a build context has at most {ENTRIES} files, with {PATH_BYTES} bytes in their paths"
            )));
        }
        check_path(&stat.path)?;
        self.bytes += stat.encoded_len() as u64;
        let permissions = mode::permissions(stat.mode);
        let is_there = self.kept.has(&stat, self.root, self.digests)?;
        self.list(&stat, is_there)?;
        match stat.mode & mode::TYPE {
            mode::DIRECTORY => {
                if !is_there {
                    self.root.mkdir(&stat.path, 0o700)?;
                }
                self.folders.push((stat.path, permissions, stat.modified));
            }
            _ if is_there => {}
            0 if stat.link.is_empty() => {
                let Stat { path, size, modified, .. } = stat;
                self.waiting.push_back(Waiting { id, path, mode: permissions, size, modified });
            }
            0 => {
                check_path(&stat.link)?;
                self.links.push((stat.link, stat.path));
            }
            mode::SYMLINK => {
                self.root.symlink(&stat.link, &stat.path)?;
                self.root.set_modified(&stat.path, time(stat.modified))?;
            }
            mode::FIFO => self.root.mknod(&stat.path, Kind::Fifo, permissions, 0)?,
            // Sockets and devices are nothing that a build could use.
            _ => {}
        }
        Ok(())
    }

    /// Notes what is told of a file, before anything is written.
    fn list(&mut self, stat: &Stat, is_there: bool) -> Result<(), Error> {
        if self.unchanged && !is_there {
            self.unchanged = false;
            let begun = self.digests.map_or(Ok(()), Digests::begin_change);
            begun.map_err(|source| Error::Write { path: stat.path.clone(), source })?;
        }
        if stat.mode & mode::TYPE == 0 && stat.link.is_empty() {
            let blocks = u64::try_from(stat.size).unwrap_or_default().div_ceil(BLOCK_BYTES);
            self.size_bytes = self.size_bytes.and_then(|all| all.checked_add(blocks.checked_mul(BLOCK_BYTES)?));
        }
        if self.digests.is_some() {
            for text in [&stat.path, &stat.link] {
                self.listing.update((text.len() as u64).to_le_bytes());
                self.listing.update(text);
            }
            self.listing.update(stat.mode.to_le_bytes());
            self.listing.update(stat.size.to_le_bytes());
            self.listing.update(stat.modified.to_le_bytes());
        }
        Ok(())
    }

    fn contents(&mut self, id: u32, data: &[u8]) -> Result<(), Error> {
        let unasked = || Error::Protocol(format!("contents of file {id}, which were not asked for"));
        if data.is_empty() {
            let open = self.open.remove(&id).ok_or_else(unasked)?;
            self.size_bytes = self.size_bytes.filter(|_| i64::try_from(open.written) == Ok(open.about.size));
            return open.finish(self.digests);
        }
        let open = self.open.get_mut(&id).ok_or_else(unasked)?;
        self.bytes += data.len() as u64;
        open.written += data.len() as u64;
        if self.digests.is_some() {
            open.hash.update(data);
        }
        open.file.write_all(data).map_err(|source| Error::Write { path: open.about.path.clone(), source })
    }

    /// Asks for more contents, as far as there is room.
    fn requests(&mut self) -> Result<Vec<Packet>, Error> {
        let mut requests = Vec::new();
        if self.open.len() > FEW {
            return Ok(requests);
        }
        while self.open.len() < OPEN
            && let Some(about) = self.waiting.pop_front()
        {
            let file = self.root.create_new(&about.path, 0o600)?;
            requests.push(Packet { kind: PacketType::Request as i32, id: about.id, ..Packet::default() });
            self.open.insert(about.id, Open { file, written: 0, hash: Sha256::new(), about });
        }
        Ok(requests)
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.kept.remove_rest(self.root, self.digests)?;
        for (existing, path) in self.links.drain(..) {
            self.root.hard_link(&existing, &path)?;
        }
        for (path, mode, modified) in self.folders.drain(..).rev() {
            let (folder, modified) = (self.root.symlink_metadata(&path)?, time(modified));
            if folder.mode() != mode {
                self.root.chmod(&path, mode)?;
            }
            if folder.modified() != modified {
                self.root.set_modified(&path, modified)?;
            }
        }
        if let Some(digests) = self.digests {
            digests.listed(std::mem::take(&mut self.listing).finalize().into());
        }
        Ok(())
    }
}

impl Open {
    /// The file is whole. It gets its time last: one that has it is believed to be what the client has.
    fn finish(self, digests: Option<&Digests>) -> Result<(), Error> {
        let Self { file, hash, about, .. } = self;
        let finish = || {
            // The process's mask has its say when a file is made; not here.
            file.set_permissions(Permissions::from_mode(about.mode))?;
            if let Some(time) = system_time(about.modified) {
                file.set_modified(time)?;
            }
            if let Some(digests) = digests {
                digests.wrote(&Metadata::of(&file)?, hash.finalize().into());
            }
            Ok(())
        };
        finish().map_err(|source| Error::Write { path: about.path, source })
    }
}

/// A path of a transfer is relative and says where it leads; links in it stay beneath the folder by [`Root`].
fn check_path(path: &str) -> Result<(), Error> {
    let sound = path.len() <= LONGEST_PATH
        && !path.contains('\0')
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if sound { Ok(()) } else { Err(Error::Protocol(format!("the path {path:?}"))) }
}

fn time(nanoseconds: i64) -> Time {
    const SECOND: i64 = 1_000_000_000;
    let rest = u32::try_from(nanoseconds.rem_euclid(SECOND)).unwrap_or_default();
    Time { seconds: nanoseconds.div_euclid(SECOND), nanoseconds: rest }
}

fn system_time(nanoseconds: i64) -> Option<std::time::SystemTime> {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    if nanoseconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
}

#[cfg(test)]
mod tests;
