//! The engine's calls, one for each of the API's.

use crate::options::*;
use crate::{Attachment, ByteStream, Engine, Error, Events, Logs, Result, Session, Upload, Waiting};

#[expect(unused_variables, reason = "the calls are filled in one by one")]
impl Engine {
    /// Makes a container. `name`: wanted name (with or without slash), empty makes one up.
    ///
    /// # Errors
    /// NotFound: the image (`No such image: x:latest`), a container named by links or volumes; InvalidParameter; Conflict: name in use; NotImplemented.
    pub async fn create(
        &self,
        name: &str,
        platform: &str,
        request: api::container::CreateRequest,
    ) -> Result<api::container::CreateResponse> {
        Err(Error::not_implemented("create"))
    }

    /// Starts a container; NotModified if it runs. `host_config` replaces the one given at create (clients below 1.24
    /// send it with the start); checked before anything is changed.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn start(&self, name: &str, host_config: Option<api::host_config::HostConfig>) -> Result<()> {
        Err(Error::not_implemented("start"))
    }

    /// Stops a container; NotModified if it does not run.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn stop(&self, name: &str, options: StopOptions) -> Result<()> {
        Err(Error::not_implemented("stop"))
    }

    /// Stops it if it runs, then starts it.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn restart(&self, name: &str, options: StopOptions) -> Result<()> {
        Err(Error::not_implemented("restart"))
    }

    /// Sends a signal (empty: SIGKILL). Conflict if it does not run.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn kill(&self, name: &str, signal: &str) -> Result<()> {
        Err(Error::not_implemented("kill"))
    }

    /// Freezes all processes.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn pause(&self, name: &str) -> Result<()> {
        Err(Error::not_implemented("pause"))
    }

    /// Thaws them.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn unpause(&self, name: &str) -> Result<()> {
        Err(Error::not_implemented("unpause"))
    }

    /// Finds the container and begins to wait at once; [`Waiting::outcome`] resolves when the condition is met, so that the server can send its headers first.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn wait(&self, name: &str, condition: WaitCondition) -> Result<Waiting> {
        Err(Error::not_implemented("wait"))
    }

    /// Removes a container.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn remove(&self, name: &str, options: RemoveOptions) -> Result<()> {
        Err(Error::not_implemented("remove"))
    }

    /// All there is to know about a container. `size`: measure it as well.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn inspect(&self, name: &str, size: bool) -> Result<api::container::ContainerInspect> {
        Err(Error::not_implemented("inspect"))
    }

    /// Lists containers, newest first.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn list(&self, options: &ListOptions) -> Result<Vec<api::container::ContainerSummary>> {
        Err(Error::not_implemented("list"))
    }

    /// Processes of a running container as `ps` with `ps_args` (empty: `-ef`) shows them.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn top(&self, name: &str, ps_args: &str) -> Result<api::container::TopResponse> {
        Err(Error::not_implemented("top"))
    }

    /// What was written beside the image.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn changes(&self, name: &str) -> Result<Vec<api::container::Change>> {
        Err(Error::not_implemented("changes"))
    }

    /// The whole root file system as a tar archive.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn export(&self, name: &str) -> Result<ByteStream> {
        Err(Error::not_implemented("export"))
    }

    /// Another name.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn rename(&self, name: &str, new_name: &str) -> Result<()> {
        Err(Error::not_implemented("rename"))
    }

    /// Other limits or another restart policy.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn update(
        &self,
        name: &str,
        request: api::container::UpdateRequest,
    ) -> Result<api::container::UpdateResponse> {
        Err(Error::not_implemented("update"))
    }

    /// Size of the container's terminal in characters.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn resize(&self, name: &str, height: u16, width: u16) -> Result<()> {
        Err(Error::not_implemented("resize"))
    }

    /// The log. [`ByteStream`] of frames or bare bytes, see [`LogsOptions::framed`].
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn logs(&self, name: &str, options: LogsOptions) -> Result<Logs> {
        Err(Error::not_implemented("logs"))
    }

    /// First half of an attach: checks and finds out whether there is a terminal, so that the server can answer with the right content type; then [`Attachment::run`].
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn attach(&self, name: &str, options: AttachOptions) -> Result<Attachment> {
        Err(Error::not_implemented("attach"))
    }

    /// What a path in the container is.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn archive_stat(&self, name: &str, path: &str) -> Result<PathStat> {
        Err(Error::not_implemented("archive_stat"))
    }

    /// A path of the container as a tar archive.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn archive_get(&self, name: &str, path: &str) -> Result<(PathStat, ByteStream)> {
        Err(Error::not_implemented("archive_get"))
    }

    /// Unpacks a tar archive (also gzip, bzip2, xz, zstd) in a folder of the container.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn archive_put(&self, name: &str, path: &str, options: ArchivePutOptions, body: Upload) -> Result<()> {
        Err(Error::not_implemented("archive_put"))
    }

    /// Makes an image of a container.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn commit(&self, name: &str, options: CommitOptions) -> Result<api::IdResponse> {
        Err(Error::not_implemented("commit"))
    }

    /// Removes all stopped containers. Filters: `until`, `label`, `label!`.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn prune(&self, filters: &Filters) -> Result<api::container::ContainersPruned> {
        Err(Error::not_implemented("prune"))
    }

    /// Use of resources: one JSON document, or one a second while the client stays.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn stats(&self, name: &str, stream: bool, one_shot: bool) -> Result<ByteStream> {
        Err(Error::not_implemented("stats"))
    }

    /// Prepares a further command in a running container.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn exec_create(&self, container: &str, request: api::exec::ExecCreateRequest) -> Result<api::IdResponse> {
        Err(Error::not_implemented("exec_create"))
    }

    /// Starts it without a client.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn exec_start_detached(&self, id: &str) -> Result<()> {
        Err(Error::not_implemented("exec_start_detached"))
    }

    /// First half of an attached start: checks and finds out whether there is a terminal; then [`Session::run`].
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn exec_start(&self, id: &str, options: ExecStartOptions) -> Result<Session> {
        Err(Error::not_implemented("exec_start"))
    }

    /// Size of its terminal in characters.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn exec_resize(&self, id: &str, height: u16, width: u16) -> Result<()> {
        Err(Error::not_implemented("exec_resize"))
    }

    /// How it is.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn exec_inspect(&self, id: &str) -> Result<api::exec::ExecInspect> {
        Err(Error::not_implemented("exec_inspect"))
    }

    /// What happens from now on, or since then.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn events(&self, options: EventsOptions) -> Result<Events> {
        Err(Error::not_implemented("events"))
    }

    /// `GET /info`.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn info(&self) -> Result<api::system::Info> {
        Err(Error::not_implemented("info"))
    }

    /// `GET /version`.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn version(&self) -> Result<api::system::Version> {
        Err(Error::not_implemented("version"))
    }

    /// `GET /system/df`; `types` empty: all of `container`, `image`, `volume`, `build-cache`.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn disk_usage(&self, types: &[String]) -> Result<api::system::DiskUsage> {
        Err(Error::not_implemented("disk_usage"))
    }

    /// Lists images, newest first.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn images(&self, options: &ImageListOptions) -> Result<Vec<api::image::ImageSummary>> {
        Err(Error::not_implemented("images"))
    }

    /// All there is to know about an image.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_inspect(&self, name: &str) -> Result<api::image::ImageInspect> {
        Err(Error::not_implemented("image_inspect"))
    }

    /// Its layers' history, newest first.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_history(&self, name: &str) -> Result<Vec<api::image::HistoryItem>> {
        Err(Error::not_implemented("image_history"))
    }

    /// Another name for it.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_tag(&self, name: &str, repository: &str, tag: &str) -> Result<()> {
        Err(Error::not_implemented("image_tag"))
    }

    /// Removes a name, and the image with its last name.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_remove(
        &self,
        name: &str,
        force: bool,
        prune_parents: bool,
    ) -> Result<Vec<api::image::DeleteItem>> {
        Err(Error::not_implemented("image_remove"))
    }

    /// Makes an image of a tar archive of a root file system; its id.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_import(&self, options: ImportOptions, body: Upload) -> Result<String> {
        Err(Error::not_implemented("image_import"))
    }

    /// Loads archives as `docker save` writes them; a stream of JSON messages, one a line.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_load(&self, body: Upload, quiet: bool) -> Result<ByteStream> {
        Err(Error::not_implemented("image_load"))
    }

    /// Writes images into an archive that old and new engines load.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_save(&self, names: &[String]) -> Result<ByteStream> {
        Err(Error::not_implemented("image_save"))
    }

    /// Removes images that nothing uses. Filters: `dangling`, `until`, `label`, `label!`.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn images_prune(&self, filters: &Filters) -> Result<api::image::ImagesPruned> {
        Err(Error::not_implemented("images_prune"))
    }

    /// Lists volumes. Filters: `name`, `driver`, `label`, `dangling`.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn volumes(&self, filters: &Filters) -> Result<api::volume::VolumeListResponse> {
        Err(Error::not_implemented("volumes"))
    }

    /// Makes a volume, or returns the one of that name.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn volume_create(&self, request: api::volume::VolumeCreateRequest) -> Result<api::volume::Volume> {
        Err(Error::not_implemented("volume_create"))
    }

    /// One volume.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn volume_inspect(&self, name: &str) -> Result<api::volume::Volume> {
        Err(Error::not_implemented("volume_inspect"))
    }

    /// Removes a volume; Conflict if a container mounts it.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<()> {
        Err(Error::not_implemented("volume_remove"))
    }

    /// Removes volumes that no container mounts. Filters: `all`, `label`, `label!`.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn volumes_prune(&self, filters: &Filters) -> Result<api::volume::VolumesPruned> {
        Err(Error::not_implemented("volumes_prune"))
    }

    /// The predefined networks. Filters: `name`, `id`, `driver`, `type`, `scope`, `dangling`, `label`.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn networks(&self, filters: &Filters) -> Result<Vec<api::network::Network>> {
        Err(Error::not_implemented("networks"))
    }

    /// One of them.
    ///
    /// # Errors
    /// The kinds of [`Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn network_inspect(&self, name: &str) -> Result<api::network::Network> {
        Err(Error::not_implemented("network_inspect"))
    }
}
