//! A container's file system from outside: that of its process while it runs, else its layers with what would be
//! mounted on them.

use std::ffi::CString;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use sys::root::Root;

use super::mounts;
use super::prepare::fill_volumes;
use super::record::{Mounted, Record};
use crate::engine::Engine;
use crate::{Error, Result};

/// The file system, for as long as this value lives.
#[derive(Debug)]
pub(crate) struct View {
    root: Root,
    /// Holds the mounts of a container that does not run.
    _namespace: Option<OwnedFd>,
}

impl Deref for View {
    type Target = Root;

    fn deref(&self) -> &Root {
        &self.root
    }
}

impl Engine {
    /// A container's files with its volumes and binds.
    pub(crate) fn view(&self, record: &Record) -> Result<View> {
        if record.state.status.has_process() {
            return Ok(View { root: root_of_process(record)?, _namespace: None });
        }
        let mount = self.storage.mount(&record.id.hex(), false)?;
        let mut mounted: Vec<&Mounted> =
            record.mounts.iter().filter(|mounted| mounted.point.r#type != "tmpfs").collect();
        if mounted.is_empty() {
            return Ok(View { root: Root::from(mount), _namespace: None });
        }
        // A mount hides what lies beneath: parents first.
        mounted.sort_by_key(|mounted| mounted.point.destination.matches('/').count());
        let layers = Root::from(mount);
        fill_volumes(self, record, &layers)?;
        let folder = self.container_folder(&record.id.hex());
        let (root, namespace) =
            sys::mountns::within_new(|| assemble(&folder, layers.into(), &mounted)).map_err(|error| {
                Error::system("cannot make a mount namespace for the container's files").caused_by(error)
            })?;
        Ok(View { root: root?, _namespace: Some(namespace) })
    }

    /// A container's files without anything that is mounted on them.
    pub(crate) fn bare_view(&self, record: &Record) -> Result<Root> {
        if !record.state.status.has_process() {
            return Ok(Root::from(self.storage.mount(&record.id.hex(), false)?));
        }
        // The layers must not be mounted twice: the running container's own mount is copied, without those on it.
        let namespace = std::fs::File::open(format!("/proc/{}/ns/mnt", record.state.pid));
        let copied = namespace
            .and_then(|namespace| sys::mountns::within(namespace, || sys::mount::clone_tree_at(c"/", false)))
            .map_err(|error| not_running(record).caused_by(error))?;
        copied.map(Root::from).map_err(|errno| Error::system("cannot copy the container's mount").caused_by(errno))
    }
}

fn root_of_process(record: &Record) -> Result<Root> {
    Root::open(format!("/proc/{}/root", record.state.pid)).map_err(|error| not_running(record).caused_by(error))
}

fn not_running(record: &Record) -> Error {
    Error::conflict(format!("container {} is not running", record.id))
}

/// Attaches the layers at the container's own folder, and upon them its mounts.
fn assemble(folder: &Path, layers: OwnedFd, mounted: &[&Mounted]) -> Result<Root> {
    let sources: Vec<(OwnedFd, &Mounted)> =
        mounted.iter().map(|mounted| Ok((source(mounted)?, *mounted))).collect::<Result<_>>()?;
    let failed = |what: &str| Error::system(format!("cannot mount the container's {what}"));
    let target = rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| failed("files").caused_by(errno))?;
    sys::mount::attach(layers.as_fd(), target.as_fd()).map_err(|errno| failed("files").caused_by(errno))?;
    let root = Root::from(layers);
    for (source, mounted) in sources {
        let destination = &mounted.point.destination;
        let target = mount_point(&root, destination, &source)?;
        sys::mount::attach(source.as_fd(), target.as_fd()).map_err(|errno| failed(destination).caused_by(errno))?;
    }
    Ok(root)
}

fn source(mounted: &Mounted) -> Result<OwnedFd> {
    let path: PathBuf = mounts::source_of(mounted);
    let failed = || Error::system(format!("cannot open {}", path.display()));
    let text = CString::new(path.as_os_str().as_bytes()).map_err(|error| failed().caused_by(error))?;
    let source = sys::mount::clone_tree_at(&text, mounted.recursive).map_err(|errno| failed().caused_by(errno))?;
    if !mounted.point.rw {
        let read_only = sys::mount::READ_ONLY;
        sys::mount::set_attributes(source.as_fd(), read_only, 0, sys::mount::Propagation::Keep, true)
            .map_err(|errno| failed().caused_by(errno))?;
    }
    Ok(source)
}

/// The place of a mount, made if it is missing, as a start would.
fn mount_point(root: &Root, destination: &str, source: &OwnedFd) -> Result<OwnedFd> {
    let failed = || Error::system(format!("cannot make the mount point {destination}"));
    let open = || root.open_with(destination, OFlags::PATH, Mode::empty());
    if let Ok(target) = open() {
        return Ok(target);
    }
    let kind = rustix::fs::fstat(source).map_err(|errno| failed().caused_by(errno))?.st_mode;
    let owner = Some(sys::root::Owner { uid: 0, gid: 0 });
    if rustix::fs::FileType::from_raw_mode(kind).is_dir() {
        root.mkdir_all(destination, 0o755, owner).map_err(|error| failed().caused_by(error))?;
    } else {
        let parent = Path::new(destination).parent().unwrap_or(Path::new("/"));
        root.mkdir_all(parent, 0o755, owner).map_err(|error| failed().caused_by(error))?;
        root.create(destination, 0o644).map_err(|error| failed().caused_by(error))?;
    }
    open().map_err(|error| failed().caused_by(error))
}
