import re
surface = '''
## container
/// Makes a container. `name`: wanted name (with or without slash), empty makes one up.
///
/// # Errors
/// NotFound: the image (`No such image: x:latest`), a container named by links or volumes; InvalidParameter; Conflict: name in use; NotImplemented.
create | &self, name: &str, platform: &str, request: api::container::CreateRequest | api::container::CreateResponse
/// Starts a container; NotModified if it runs.
start | &self, name: &str, detach_keys: Option<&str> | ()
/// Stops a container; NotModified if it does not run.
stop | &self, name: &str, options: StopOptions | ()
/// Stops it if it runs, then starts it.
restart | &self, name: &str, options: StopOptions | ()
/// Sends a signal (empty: SIGKILL). Conflict if it does not run.
kill | &self, name: &str, signal: &str | ()
/// Freezes all processes.
pause | &self, name: &str | ()
/// Thaws them.
unpause | &self, name: &str | ()
/// Finds the container and begins to wait at once; [`Waiting::outcome`] resolves when the condition is met, so that the server can send its headers first.
wait | &self, name: &str, condition: WaitCondition | Waiting
/// Removes a container.
remove | &self, name: &str, options: RemoveOptions | ()
/// All there is to know about a container. `size`: measure it as well.
inspect | &self, name: &str, size: bool | api::container::ContainerInspect
/// Lists containers, newest first.
list | &self, options: &ListOptions | Vec<api::container::ContainerSummary>
/// Processes of a running container as `ps` with `ps_args` (empty: `-ef`) shows them.
top | &self, name: &str, ps_args: &str | api::container::TopResponse
/// What was written beside the image.
changes | &self, name: &str | Vec<api::container::Change>
/// The whole root file system as a tar archive.
export | &self, name: &str | ByteStream
/// Another name.
rename | &self, name: &str, new_name: &str | ()
/// Other limits or another restart policy.
update | &self, name: &str, request: api::container::UpdateRequest | api::container::UpdateResponse
/// Size of the container's terminal in characters.
resize | &self, name: &str, height: u16, width: u16 | ()
/// The log. [`ByteStream`] of frames or bare bytes, see [`LogsOptions::framed`].
logs | &self, name: &str, options: LogsOptions | ByteStream
/// First half of an attach: checks and finds out whether there is a terminal, so that the server can answer with the right content type; then [`Attachment::run`].
attach | &self, name: &str, options: AttachOptions | Attachment
/// What a path in the container is.
archive_stat | &self, name: &str, path: &str | PathStat
/// A path of the container as a tar archive.
archive_get | &self, name: &str, path: &str | (PathStat, ByteStream)
/// Unpacks a tar archive (also gzip, bzip2, xz, zstd) in a folder of the container.
archive_put | &self, name: &str, path: &str, options: ArchivePutOptions, body: Upload | ()
/// Makes an image of a container.
commit | &self, name: &str, options: CommitOptions | api::IdResponse
/// Removes all stopped containers. Filters: `until`, `label`, `label!`.
prune | &self, filters: &Filters | api::container::ContainersPruned
/// Use of resources: one JSON document, or one a second while the client stays.
stats | &self, name: &str, stream: bool, one_shot: bool | ByteStream
## exec
/// Prepares a further command in a running container.
exec_create | &self, container: &str, request: api::exec::ExecCreateRequest | api::IdResponse
/// Starts it without a client.
exec_start_detached | &self, id: &str | ()
/// First half of an attached start: checks and finds out whether there is a terminal; then [`Session::run`].
exec_start | &self, id: &str, options: ExecStartOptions | Session
/// Size of its terminal in characters.
exec_resize | &self, id: &str, height: u16, width: u16 | ()
/// How it is.
exec_inspect | &self, id: &str | api::exec::ExecInspect
## events
/// What happens from now on, or since then.
events | &self, options: EventsOptions | Events
## system
/// `GET /info`.
info | &self | api::system::Info
/// `GET /version`.
version | &self | api::system::Version
/// `GET /system/df`; `types` empty: all of `container`, `image`, `volume`, `build-cache`.
disk_usage | &self, types: &[String] | api::system::DiskUsage
## images
/// Lists images, newest first.
images | &self, options: &ImageListOptions | Vec<api::image::ImageSummary>
/// All there is to know about an image.
image_inspect | &self, name: &str | api::image::ImageInspect
/// Its layers' history, newest first.
image_history | &self, name: &str | Vec<api::image::HistoryItem>
/// Another name for it.
image_tag | &self, name: &str, repository: &str, tag: &str | ()
/// Removes a name, and the image with its last name.
image_remove | &self, name: &str, force: bool, prune_parents: bool | Vec<api::image::DeleteItem>
/// Makes an image of a tar archive of a root file system; its id.
image_import | &self, options: ImportOptions, body: Upload | String
/// Loads archives as `docker save` writes them; a stream of JSON messages, one a line.
image_load | &self, body: Upload, quiet: bool | ByteStream
/// Writes images into an archive that old and new engines load.
image_save | &self, names: &[String] | ByteStream
/// Removes images that nothing uses. Filters: `dangling`, `until`, `label`, `label!`.
images_prune | &self, filters: &Filters | api::image::ImagesPruned
## volumes
/// Lists volumes. Filters: `name`, `driver`, `label`, `dangling`.
volumes | &self, filters: &Filters | api::volume::VolumeListResponse
/// Makes a volume, or returns the one of that name.
volume_create | &self, request: api::volume::VolumeCreateRequest | api::volume::Volume
/// One volume.
volume_inspect | &self, name: &str | api::volume::Volume
/// Removes a volume; Conflict if a container mounts it.
volume_remove | &self, name: &str, force: bool | ()
/// Removes volumes that no container mounts. Filters: `all`, `label`, `label!`.
volumes_prune | &self, filters: &Filters | api::volume::VolumesPruned
## networks
/// The predefined networks. Filters: `name`, `id`, `driver`, `type`, `scope`, `dangling`, `label`.
networks | &self, filters: &Filters | Vec<api::network::Network>
/// One of them.
network_inspect | &self, name: &str | api::network::Network
'''
out=[];docs=[]
for l in surface.strip().split('\n'):
    if l.startswith('## '):
        continue
    if l.startswith('///'):
        docs.append('    '+l); continue
    n,a,r=[x.strip() for x in l.split('|')]
    if not any('# Errors' in d for d in docs):
        docs += ['    ///','    /// # Errors','    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate\'s page.']
    out += docs+['    pub async fn %s(%s) -> Result<%s> {'%(n,a,r),'        Err(Error::not_implemented("%s"))'%n,'    }','']
    docs=[]
open('surface.rs','w').write('''//! The engine's calls, one for each of the API's.

use crate::options::*;
use crate::{Attachment, ByteStream, Engine, Error, Events, Result, Session, Upload, Waiting};

#[expect(unused_variables, reason = "the calls are filled in one by one")]
impl Engine {
'''+'\n'.join(out).rstrip()+'\n}\n')
