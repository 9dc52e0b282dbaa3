//! Copying into and out of containers.

use std::path::Path;
use std::sync::Arc;

use storage::{Unarchive, archive};
use sys::root::{Kind, Metadata};

use super::record::Record;
use crate::engine::Engine;
use crate::options::{ArchivePutOptions, PathStat};
use crate::stream::{ByteStream, Upload, produce};
use crate::{Error, Result};

impl Engine {
    /// See [`Engine::archive_stat`].
    pub(crate) async fn stat_path(self: &Arc<Self>, name: &str, path: &str) -> Result<PathStat> {
        let record = self.containers.find(name)?.record();
        check(path)?;
        let (engine, shown, path) = (Arc::clone(self), name.to_owned(), path.to_owned());
        self.blocking(move || {
            let root = engine.view(&record)?;
            stat(&root, &path, &shown)
        })
        .await
    }

    /// See [`Engine::archive_get`].
    pub(crate) async fn get_archive(self: &Arc<Self>, name: &str, path: &str) -> Result<(PathStat, ByteStream)> {
        let record = self.containers.find(name)?.record();
        check(path)?;
        let (engine, shown, asked) = (Arc::clone(self), name.to_owned(), path.to_owned());
        let opened = Arc::clone(&record);
        let (root, stat) = self
            .blocking(move || {
                let root = engine.view(&opened)?;
                let stat = stat(&root, &asked, &shown)?;
                Ok((root, stat))
            })
            .await?;
        let path = path.to_owned();
        let stream = produce(move |out| {
            archive::archive(&root, Path::new(&path), out)?;
            Ok(())
        });
        Ok((stat, stream))
    }

    /// See [`Engine::archive_put`].
    pub(crate) async fn put_archive(
        self: &Arc<Self>,
        name: &str,
        path: &str,
        options: ArchivePutOptions,
        body: Upload,
    ) -> Result<()> {
        let record = self.containers.find(name)?.record();
        check(path)?;
        let (engine, shown, path) = (Arc::clone(self), name.to_owned(), path.to_owned());
        self.blocking(move || {
            let root = engine.view(&record)?;
            let at = root.metadata(&path).map_err(|error| match error.is_not_found() {
                true => missing(&path, &shown),
                false => Error::system(error.to_string()).caused_by(error),
            })?;
            if !at.is_dir() {
                return Err(Error::invalid("extraction point is not a directory"));
            }
            let there = root.canonical(&path).map_err(|error| Error::system(error.to_string()).caused_by(error))?;
            writable(&record, &there.to_string_lossy())?;
            let how = Unarchive {
                no_overwrite_dir_non_dir: options.no_overwrite_dir_non_dir,
                owner: (!options.copy_uid_gid).then_some(sys::root::Owner { uid: 0, gid: 0 }),
            };
            Ok(archive::unarchive(&root, Path::new(&path), body, &how)?)
        })
        .await
    }
}

fn check(path: &str) -> Result<()> {
    match path {
        "" => Err(Error::invalid("bad parameter: 'path' cannot be empty")),
        path if path.contains('\0') => Err(Error::invalid("invalid path: it holds a zero byte")),
        _ => Ok(()),
    }
}

/// Refuses what Docker refuses: a read-only root, and read-only mounts at the path, whose links are resolved.
fn writable(record: &Record, path: &str) -> Result<()> {
    let below = |destination: &str| path == destination || path.starts_with(&format!("{destination}/"));
    let mount = record
        .mounts
        .iter()
        .filter(|mounted| below(&mounted.point.destination))
        .max_by_key(|mounted| mounted.point.destination.len());
    match mount {
        Some(mounted) if !mounted.point.rw => Err(Error::invalid("mounted volume is marked read-only")),
        None if record.host.readonly_rootfs => Err(Error::invalid("container rootfs is marked read-only")),
        _ => Ok(()),
    }
}

fn stat(root: &sys::root::Root, path: &str, name: &str) -> Result<PathStat> {
    let stat = archive::stat(root, Path::new(path)).map_err(|error| match error.kind() {
        model::ErrorKind::NotFound => missing(path, name),
        _ => error.into(),
    })?;
    let metadata = &stat.metadata;
    let modified = metadata.modified();
    Ok(PathStat {
        name: stat.name.clone(),
        size: i64::try_from(metadata.size()).unwrap_or(i64::MAX),
        mode: go_mode(metadata),
        modified: model::Timestamp::from_unix(modified.seconds, modified.nanoseconds),
        link_target: stat.link_target.display().to_string(),
    })
}

fn missing(path: &str, name: &str) -> Error {
    Error::not_found(format!("Could not find the file {path} in container {name}"))
}

/// Mode in the bits of Go's `FileMode`.
fn go_mode(metadata: &Metadata) -> u32 {
    let kind = match metadata.kind() {
        Kind::Directory => 1 << 31,
        Kind::Symlink => 1 << 27,
        Kind::BlockDevice => 1 << 26,
        Kind::CharDevice => (1 << 26) | (1 << 21),
        Kind::Fifo => 1 << 25,
        Kind::Socket => 1 << 24,
        _ => 0,
    };
    let mode = metadata.mode();
    let bit = |unix: u32, go: u32| if mode & unix == 0 { 0 } else { 1 << go };
    kind | (mode & 0o777) | bit(0o4000, 23) | bit(0o2000, 22) | bit(0o1000, 20)
}
