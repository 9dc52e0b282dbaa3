//! The sending end of a file transfer: a tree of ours becomes files in a folder of the client's (`--output type=local`).

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use sys::root::{Kind, Metadata, Root};

use crate::grpc::{Code, Status};
use crate::message::{Packet, PacketType, Stat};
use crate::receive::mode;

/// Contents in one packet, in bytes: as much as BuildKit's own sender puts in one.
const PIECE_BYTES: usize = 32 * 1024;

/// Sends a tree. The client says which contents it wants, in any order.
pub(crate) struct Sender<'a> {
    root: &'a Root,
    /// Files whose contents were not sent yet, by number.
    files: HashMap<u32, PathBuf>,
    told: u32,
    send: &'a mut dyn FnMut(Packet) -> Result<(), Status>,
}

impl<'a> Sender<'a> {
    /// A sender of everything beneath a root; `send` hands packets to the client.
    pub(crate) fn new(root: &'a Root, send: &'a mut dyn FnMut(Packet) -> Result<(), Status>) -> Self {
        Self { root, files: HashMap::new(), told: 0, send }
    }

    /// Tells of all files: folders before what is in them, names in the order of their bytes.
    ///
    /// # Errors
    /// A file cannot be looked at, or the client has left.
    pub(crate) fn tell(&mut self) -> Result<(), Status> {
        self.folder(Path::new(""))?;
        (self.send)(Packet::default())
    }

    /// Takes a packet of the client's; whether it has everything.
    ///
    /// # Errors
    /// The client failed or left, or a file cannot be read.
    pub(crate) fn take(&mut self, packet: Packet) -> Result<bool, Status> {
        match packet.kind() {
            PacketType::Request => self.contents(packet.id).map(|()| false),
            PacketType::Finish => {
                (self.send)(Packet { kind: PacketType::Finish as i32, ..Packet::default() })?;
                Ok(true)
            }
            PacketType::Error => {
                let reason = String::from_utf8_lossy(&packet.data).into_owned();
                Err(Status::new(Code::Unknown, format!("error from receiver: {reason}")))
            }
            PacketType::Stat | PacketType::Data => {
                Err(Status::new(Code::InvalidArgument, "the client sent files instead of taking them"))
            }
        }
    }

    fn folder(&mut self, folder: &Path) -> Result<(), Status> {
        let mut entries = self.root.read_dir(folder).map_err(failed)?;
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        for entry in entries {
            let path = folder.join(&entry.name);
            let metadata = self.root.symlink_metadata(&path).map_err(failed)?;
            let stat = self.stat(&path, &metadata)?;
            let id = self.told;
            self.told += 1;
            (self.send)(Packet { stat: Some(stat), ..Packet::default() })?;
            match metadata.kind() {
                Kind::Directory => self.folder(&path)?,
                Kind::File => drop(self.files.insert(id, path)),
                _ => {}
            }
        }
        Ok(())
    }

    fn stat(&self, path: &Path, metadata: &Metadata) -> Result<Stat, Status> {
        let name = |path: &Path| {
            let unsaid = || Status::new(Code::InvalidArgument, format!("{path:?} is not UTF-8 and cannot be sent"));
            path.to_str().map(str::to_owned).ok_or_else(unsaid)
        };
        let link = match metadata.kind() {
            Kind::Symlink => name(&self.root.read_link(path).map_err(failed)?)?,
            _ => String::new(),
        };
        let (time, owner) = (metadata.modified(), metadata.owner());
        let (major, minor) = metadata.device_numbers();
        Ok(Stat {
            path: name(path)?,
            mode: mode::of(metadata),
            uid: owner.uid,
            gid: owner.gid,
            size: if metadata.kind() == Kind::File { i64::try_from(metadata.size()).unwrap_or(i64::MAX) } else { 0 },
            modified: time.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(time.nanoseconds)),
            link,
            device_major: i64::from(major),
            device_minor: i64::from(minor),
            ..Stat::default()
        })
    }

    fn contents(&mut self, id: u32) -> Result<(), Status> {
        let unknown = || Status::new(Code::InvalidArgument, format!("there is no file {id}, or it was sent already"));
        let path = self.files.remove(&id).ok_or_else(unknown)?;
        let mut file = self.root.open_file(&path).map_err(failed)?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let length = file.read(&mut piece).map_err(|error| {
                Status::new(Code::Internal, format!("reading {}: {error}", path.display())).caused_by(error)
            })?;
            let data = piece[..length].to_vec().into();
            (self.send)(Packet { kind: PacketType::Data as i32, id, data, ..Packet::default() })?;
            if length == 0 {
                return Ok(());
            }
        }
    }
}

fn failed(error: sys::root::Error) -> Status {
    Status::new(Code::Internal, error.to_string()).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::Receiver;

    #[test]
    fn a_tree_is_sent_and_received() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = from.path();
        std::fs::create_dir_all(path.join("a/deep")).unwrap();
        std::fs::write(path.join("a/deep/file"), vec![7; 100_000]).unwrap();
        std::fs::write(path.join("a.txt"), "text").unwrap();
        std::os::unix::fs::symlink("../a.txt", path.join("a/link")).unwrap();
        let (source, target) = (Root::open(path).unwrap(), Root::open(to.path()).unwrap());
        let mut packets = std::collections::VecDeque::new();
        let mut told = Vec::new();
        let files = std::sync::Arc::new(target).into();
        let mut receiver = Receiver::new(&files).unwrap();
        let mut asked = std::collections::VecDeque::new();
        {
            let mut keep = |packet: Packet| {
                packets.push_back(packet);
                Ok(())
            };
            Sender::new(&source, &mut keep).tell().unwrap();
        }
        for packet in packets {
            told.extend(packet.stat.as_ref().map(|stat| stat.path.clone()));
            asked.extend(receiver.take(packet).unwrap());
        }
        assert_eq!(told, ["a", "a/deep", "a/deep/file", "a/link", "a.txt"]);
        let mut answers = Vec::new();
        let mut keep = |packet: Packet| {
            answers.push(packet);
            Ok(())
        };
        let mut sender = Sender::new(&source, &mut keep);
        sender.files = HashMap::from([(2, "a/deep/file".into()), (4, "a.txt".into())]);
        while let Some(packet) = asked.pop_front() {
            sender.take(packet).unwrap();
        }
        let again = Packet { kind: PacketType::Request as i32, id: 2, ..Packet::default() };
        assert!(sender.take(again).is_err());
        for packet in answers {
            receiver.take(packet).unwrap();
        }
        assert!(receiver.is_complete());
        assert_eq!(std::fs::read(to.path().join("a/deep/file")).unwrap().len(), 100_000);
        assert_eq!(std::fs::read_to_string(to.path().join("a/link")).unwrap(), "text");
    }
}
