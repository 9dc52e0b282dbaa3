//! What a `RUN` mounts beside the image.

use std::fs::Permissions;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dockerfile::{Ignore, MountKind, Run, RunMount};
use model::{path, to_hex};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use storage::Storage;
use sys::root::Root;
use tempfile::TempDir;

use crate::caches::{CacheKey, CacheKind, CacheLease};
use crate::copy::{self, Place, Sources};
use crate::executor::{StepMount, StepSource};
use crate::secrets::Agent;
use crate::work::Work;
use crate::{Error, Result};

const DEFAULT_AGENT: &str = "default";
const SECRETS: &str = "/run/secrets";
const AGENTS: &str = "/run/buildkit/ssh_agent";

/// What is mounted, ready for use; what it needs lives as long.
#[derive(Default)]
pub(crate) struct Mounts {
    pub(crate) mounts: Vec<StepMount>,
    /// Variables of the command.
    pub(crate) env: Vec<String>,
    /// Mount points, and folders on the way to them, that the image does not have: innermost last.
    points: Vec<PathBuf>,
    folders: Vec<TempDir>,
    contexts: Vec<Arc<Root>>,
    caches: Vec<CacheLease>,
    agents: Vec<Box<dyn Agent>>,
}

impl Work<'_> {
    /// What a command depends on beside its words and the image; `None` if on nothing. Caches, secrets and agents do not
    /// count: what they hold is not to change what is built.
    pub(crate) fn inputs(&self, run: &Run) -> Result<Option<String>> {
        let plain = run.mounts.is_empty() && !run.insecure && matches!(run.network.as_str(), "" | "default");
        if plain {
            return Ok(None);
        }
        let mut all = Sha256::new();
        all.update(format!("{} {}", run.network, run.insecure));
        for mount in &run.mounts {
            let mount = self.expand_mount(mount)?;
            all.update(format!("{mount:?}"));
            if mount.kind == MountKind::Bind {
                all.update(self.bind_digest(&mount)?);
            }
        }
        Ok(Some(to_hex(&all.finalize())))
    }

    fn bind_digest(&self, mount: &RunMount) -> Result<String> {
        let origin = self.origin(&mount.from)?;
        if let Some(image) = origin.image {
            return Ok(image.to_string());
        }
        let source = copy::one(&origin, &inside(&mount.source), &mount.source);
        let source = source.map_err(|missing| missing.of("RUN", &mount.source))?;
        copy::digest(&[source], &Ignore::default(), false, &|| self.solve.go_on())
    }

    fn expand_mount(&self, mount: &RunMount) -> Result<RunMount> {
        let mut mount = mount.clone();
        for text in [&mut mount.target, &mut mount.id, &mut mount.from, &mut mount.source] {
            *text = self.expand(text)?;
        }
        if !mount.target.is_empty() {
            mount.target = path::clean(&format!("{}/{}", self.base_of(&mount.target)?, mount.target));
        }
        Ok(mount)
    }

    /// Where a path of the image begins.
    fn base_of(&self, path: &str) -> Result<&str> {
        Ok(if path.starts_with('/') { "" } else { self.stage()?.config.working_dir.as_str() })
    }
}

impl Mounts {
    pub(crate) fn prepare(work: &Work<'_>, run: &Run) -> Result<Self> {
        let mut mounts = Self::default();
        for mount in &run.mounts {
            let mount = work.expand_mount(mount)?;
            match mount.kind {
                MountKind::Bind => mounts.bind(work, &mount)?,
                MountKind::Cache => mounts.cache(work, &mount)?,
                MountKind::Tmpfs => {
                    mounts.push(&mount.target, StepSource::Tmpfs { size_bytes: mount.size_bytes }, false);
                }
                MountKind::Secret => mounts.secret(work, &mount)?,
                MountKind::Ssh => mounts.agent(work, &mount)?,
            }
        }
        if !mounts.mounts.is_empty() {
            mounts.note_points(&work.mounted()?)?;
        }
        Ok(mounts)
    }

    fn push(&mut self, target: &str, source: StepSource, read_only: bool) {
        self.mounts.push(StepMount { target: target.to_owned(), source, read_only });
    }

    /// Which mount points will be made, so that they can be taken away again.
    fn note_points(&mut self, image: &Root) -> Result<()> {
        let mut place = Place::new(image);
        for mount in &self.mounts {
            let real = place.resolve(Path::new(&mount.target))?;
            self.points.extend(place.missing_folders(&real)?);
            if place.lookup(&real)?.is_none() {
                self.points.push(real);
            }
        }
        Ok(())
    }

    /// Removes mount points that the command left empty.
    pub(crate) fn remove_points(&self, storage: &Storage, container: &str) -> Result<()> {
        if self.points.is_empty() {
            return Ok(());
        }
        let root = Root::from(storage.mount(container, false)?);
        for point in self.points.iter().rev() {
            let Some(metadata) = root.lookup(point)? else { continue };
            let removed = match metadata.is_dir() {
                true => root.rmdir(point),
                false if metadata.size() == 0 => root.unlink(point),
                false => Ok(()),
            };
            match removed {
                Err(error) if error.errno() == Errno::NOTEMPTY => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn bind(&mut self, work: &Work<'_>, mount: &RunMount) -> Result<()> {
        let origin = work.origin(&mount.from)?;
        let source = inside(&mount.source);
        copy::one(&origin, &source, &mount.source).map_err(|missing| missing.of("RUN", &mount.source))?;
        let read_only = mount.read_only.unwrap_or(true);
        let path = match origin.image.is_none() && read_only {
            true => host_path(&origin.files.root, &source)?,
            // What is written must not be seen by others, and a file system of layers has no path on the host.
            false => self.copied(work, &origin, &source)?,
        };
        self.contexts.push(origin.files.root);
        self.push(&mount.target, StepSource::Path(path), read_only);
        Ok(())
    }

    /// A copy of a file or folder, for this step alone.
    fn copied(&mut self, work: &Work<'_>, origin: &Sources, source: &Path) -> Result<PathBuf> {
        let folder = temporary_folder(work.solve.site.temporary)?;
        let name = copy_tree(&origin.files.root, source, folder.path())?;
        let path = folder.path().join(name);
        self.folders.push(folder);
        Ok(path)
    }

    fn cache(&mut self, work: &Work<'_>, mount: &RunMount) -> Result<()> {
        let id = if mount.id.is_empty() { &mount.target } else { &mount.id };
        let solve = work.solve;
        let key = CacheKey { kind: CacheKind::Mount, id, owner: "" };
        let lease = solve.site.caches.take(key, mount.sharing, &|| solve.go_on())?;
        let folder = lease.path();
        if lease.is_new {
            if !mount.from.is_empty() {
                let origin = work.origin(&mount.from)?;
                copy_tree(&origin.files.root, &inside(&mount.source).join("."), &folder)?;
            }
            let preparing = "preparing a build cache";
            std::os::unix::fs::chown(&folder, Some(mount.uid), Some(mount.gid)).map_err(Error::io(preparing))?;
            let mode = Permissions::from_mode(mount.mode.unwrap_or(0o755));
            std::fs::set_permissions(&folder, mode).map_err(Error::io(preparing))?;
        }
        self.caches.push(lease);
        self.push(&mount.target, StepSource::Path(folder), mount.read_only.unwrap_or(false));
        Ok(())
    }

    fn secret(&mut self, work: &Work<'_>, mount: &RunMount) -> Result<()> {
        let name = mount.target.rsplit('/').next().unwrap_or_default();
        let id = if mount.id.is_empty() { name } else { &mount.id };
        if id.is_empty() {
            return Err(Error::Invalid("a secret needs an id: --mount=type=secret,id=name".to_owned()));
        }
        let Some(value) = work.solve.site.secrets.secret(id)? else {
            return match mount.required {
                true => Err(Error::NotFound(format!("secret {id}: not found"))),
                false => Ok(()),
            };
        };
        if !mount.env.is_empty() {
            let text = String::from_utf8(value)
                .map_err(|_| Error::Invalid(format!("secret {id} is no text and cannot be a variable")))?;
            self.env.push(format!("{}={text}", mount.env));
            if mount.target.is_empty() {
                return Ok(());
            }
            return self.secret_file(work, mount, id, text.as_bytes());
        }
        self.secret_file(work, mount, id, &value)
    }

    fn secret_file(&mut self, work: &Work<'_>, mount: &RunMount, id: &str, value: &[u8]) -> Result<()> {
        let lending = "lending a secret to a step";
        let folder = temporary_folder(work.solve.site.private)?;
        let file = folder.path().join("secret");
        std::fs::write(&file, value).map_err(Error::io(lending))?;
        std::os::unix::fs::chown(&file, Some(mount.uid), Some(mount.gid)).map_err(Error::io(lending))?;
        let mode = Permissions::from_mode(mount.mode.unwrap_or(0o400));
        std::fs::set_permissions(&file, mode).map_err(Error::io(lending))?;
        self.folders.push(folder);
        let target = if mount.target.is_empty() { format!("{SECRETS}/{id}") } else { mount.target.clone() };
        self.push(&target, StepSource::Path(file), true);
        Ok(())
    }

    fn agent(&mut self, work: &Work<'_>, mount: &RunMount) -> Result<()> {
        let id = if mount.id.is_empty() { DEFAULT_AGENT } else { &mount.id };
        let Some(agent) = work.solve.site.secrets.agent(id)? else {
            return match mount.required {
                true => Err(Error::NotFound(format!("SSH agent {id}: not found"))),
                false => Ok(()),
            };
        };
        let number = self.agents.len();
        let target = if mount.target.is_empty() { format!("{AGENTS}.{number}") } else { mount.target.clone() };
        let socket = agent.socket().to_path_buf();
        let lending = "lending an SSH agent to a step";
        std::os::unix::fs::chown(&socket, Some(mount.uid), Some(mount.gid)).map_err(Error::io(lending))?;
        let mode = Permissions::from_mode(mount.mode.unwrap_or(0o600));
        std::fs::set_permissions(&socket, mode).map_err(Error::io(lending))?;
        if number == 0 {
            self.env.push(format!("SSH_AUTH_SOCK={target}"));
        }
        self.agents.push(agent);
        self.push(&target, StepSource::Path(socket), false);
        Ok(())
    }
}

/// A path as it is beneath a root.
fn inside(path: &str) -> PathBuf {
    PathBuf::from(path::clean(path).trim_start_matches('/'))
}

fn temporary_folder(parent: &Path) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("build-").tempdir_in(parent);
    folder.map_err(Error::io("making a folder for a mount"))
}

/// The path on the host of something beneath a root that is a folder of the host.
fn host_path(root: &Root, path: &Path) -> Result<PathBuf> {
    let real = copy::relative(&root.canonical(path)?);
    let folder = format!("/proc/self/fd/{}", root.as_fd().as_raw_fd());
    Ok(std::fs::read_link(folder).map_err(Error::io("finding the build context"))?.join(real))
}

/// Copies a file, or what a folder holds, into a folder; its name there, empty for a folder's contents.
fn copy_tree(root: &Root, path: &Path, into: &Path) -> Result<PathBuf> {
    let real = copy::relative(&root.canonical(path)?);
    let is_folder = root.metadata(&real)?.is_dir();
    let name = if is_folder { PathBuf::new() } else { real.file_name().map(PathBuf::from).unwrap_or_default() };
    let wanted = if is_folder { real.join(".") } else { real };
    let target = Root::open(into)?;
    let (reader, writer) = std::io::pipe().map_err(Error::io("copying files of a mount"))?;
    std::thread::scope(|scope| {
        let written = scope.spawn(|| storage::archive::archive(root, &wanted, writer));
        let unpacked = storage::archive::unarchive(&target, Path::new("/"), reader, &storage::Unarchive::default());
        let written = written.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // A writer whose reader failed sees only a broken pipe.
        unpacked.and(written)
    })?;
    Ok(name)
}
