//! The engine's calls, one for each of the API's.

use std::sync::Arc;

use shim::protocol::WindowSize;

use crate::options::*;
use crate::{Attachment, BuildRequest, ByteStream, Engine, Events, Line, Logs, Result, Session, Upload, Waiting};

impl Engine {
    /// Makes a container. `name`: wanted name (with or without slash), empty makes one up.
    ///
    /// # Errors
    /// NotFound: the image (`No such image: x:latest`), a container named by links or volumes; InvalidParameter; Conflict: name in use; NotImplemented.
    pub async fn create(
        self: &Arc<Self>,
        name: &str,
        platform: &str,
        request: api::container::CreateRequest,
    ) -> Result<api::container::CreateResponse> {
        Arc::clone(self).create_container(name.to_owned(), platform.to_owned(), request).await
    }

    /// Starts a container; NotModified if it runs. `host_config` replaces the one given at create (clients below 1.24
    /// send it with the start); checked before anything is changed.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn start(self: &Arc<Self>, name: &str, host_config: Option<api::host_config::HostConfig>) -> Result<()> {
        self.start_container(name, host_config).await
    }

    /// Stops a container; NotModified if it does not run.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn stop(self: &Arc<Self>, name: &str, options: StopOptions) -> Result<()> {
        self.stop_container(name, &options).await
    }

    /// Stops it if it runs, then starts it.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn restart(self: &Arc<Self>, name: &str, options: StopOptions) -> Result<()> {
        self.restart_container(name, &options).await
    }

    /// Sends a signal (empty: SIGKILL). Conflict if it does not run.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn kill(self: &Arc<Self>, name: &str, signal: &str) -> Result<()> {
        self.kill_container(name, signal).await
    }

    /// Freezes all processes.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn pause(self: &Arc<Self>, name: &str) -> Result<()> {
        self.containers.find(name)?.step(|actor| Box::pin(async move { actor.pause(false) })).await
    }

    /// Stops all containers that run, before the engine closes. Their restart policies hold when the next one opens.
    pub async fn stop_all(self: &Arc<Self>) {
        self.stop_for_the_end().await;
    }

    /// Thaws them.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn unpause(self: &Arc<Self>, name: &str) -> Result<()> {
        self.containers.find(name)?.step(|actor| Box::pin(async move { actor.unpause(false) })).await
    }

    /// Finds the container and begins to wait at once; [`Waiting::outcome`] resolves when the condition is met, so that the server can send its headers first.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn wait(self: &Arc<Self>, name: &str, condition: WaitCondition) -> Result<Waiting> {
        Ok(Waiting::begin(self.containers.find(name)?.life(), condition))
    }

    /// Removes a container.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn remove(self: &Arc<Self>, name: &str, options: RemoveOptions) -> Result<()> {
        self.remove_container(name, options).await
    }

    /// All there is to know about a container. `size`: measure it as well. `signal_code`: how an end by a signal is told.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn inspect(
        self: &Arc<Self>,
        name: &str,
        size: bool,
        signal_code: SignalCode,
    ) -> Result<api::container::ContainerInspect> {
        self.inspect_container(name, size, signal_code).await
    }

    /// Lists containers, newest first: what [`Engine::summary`] makes a line of each of.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn list(self: &Arc<Self>, options: &ListOptions) -> Result<Vec<Line>> {
        self.list_containers(options).await
    }

    /// A line of a list.
    pub fn summary(&self, line: &Line) -> api::container::ContainerSummary {
        self.show_line(line)
    }

    /// Processes of a running container as `ps` with `ps_args` (empty: `-ef`) shows them.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn top(self: &Arc<Self>, name: &str, ps_args: &str) -> Result<api::container::TopResponse> {
        self.container_top(name, ps_args).await
    }

    /// What was written beside the image. `own`: without directories of which only something within them was written to.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn changes(self: &Arc<Self>, name: &str, own: bool) -> Result<Vec<api::container::Change>> {
        self.container_changes(name, own).await
    }

    /// The whole root file system as a tar archive.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn export(self: &Arc<Self>, name: &str) -> Result<ByteStream> {
        self.export_container(name).await
    }

    /// Another name.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn rename(self: &Arc<Self>, name: &str, new_name: &str) -> Result<()> {
        self.rename_container(name, new_name).await
    }

    /// Other limits or another restart policy.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn update(
        self: &Arc<Self>,
        name: &str,
        request: api::container::UpdateRequest,
    ) -> Result<api::container::UpdateResponse> {
        self.update_container(name, request).await
    }

    /// Size of the container's terminal in characters. `ended_too`: one that has ended takes it to no effect.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn resize(self: &Arc<Self>, name: &str, height: u16, width: u16, ended_too: bool) -> Result<()> {
        self.resize_container(name, WindowSize { rows: height, columns: width }, ended_too).await
    }

    /// The log. [`ByteStream`] of frames or bare bytes, see [`LogsOptions::framed`].
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn logs(self: &Arc<Self>, name: &str, options: LogsOptions) -> Result<Logs> {
        if !options.follow {
            self.containers.find(name)?.first_words().await;
        }
        self.container_logs(name, options, None).await
    }

    /// First half of an attach: checks and finds out whether there is a terminal, so that the server can answer with the right content type; then [`Attachment::run`].
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn attach(self: &Arc<Self>, name: &str, options: AttachOptions) -> Result<Attachment> {
        self.prepare_attach(name, options)
    }

    /// What a path in the container is.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn archive_stat(self: &Arc<Self>, name: &str, path: &str) -> Result<PathStat> {
        self.stat_path(name, path).await
    }

    /// A path of the container as a tar archive.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn archive_get(self: &Arc<Self>, name: &str, path: &str) -> Result<(PathStat, ByteStream)> {
        self.get_archive(name, path).await
    }

    /// Unpacks a tar archive (also gzip, bzip2, xz, zstd) in a folder of the container.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn archive_put(
        self: &Arc<Self>,
        name: &str,
        path: &str,
        options: ArchivePutOptions,
        body: Upload,
    ) -> Result<()> {
        self.put_archive(name, path, options, body).await
    }

    /// Makes an image of a container.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn commit(self: &Arc<Self>, name: &str, options: CommitOptions) -> Result<api::IdResponse> {
        self.commit_container(name, options).await
    }

    /// Removes all stopped containers. Filters: `until`, `label`, `label!`.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn prune(self: &Arc<Self>, filters: &Filters) -> Result<api::container::ContainersPruned> {
        self.prune_containers(filters).await
    }

    /// Use of resources: one JSON document, or one a second while the client stays.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn stats(self: &Arc<Self>, name: &str, stream: bool, one_shot: bool) -> Result<ByteStream> {
        self.container_stats(name, stream, one_shot).await
    }

    /// Prepares a further command in a running container.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn exec_create(
        self: &Arc<Self>,
        container: &str,
        request: api::exec::ExecCreateRequest,
    ) -> Result<api::IdResponse> {
        self.create_exec(container, request)
    }

    /// Starts it without a client.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn exec_start_detached(self: &Arc<Self>, id: &str) -> Result<()> {
        self.detached_exec(id).await
    }

    /// First half of an attached start: checks and finds out whether there is a terminal; then [`Session::run`].
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn exec_start(self: &Arc<Self>, id: &str, options: ExecStartOptions) -> Result<Session> {
        self.open_exec(id, options)
    }

    /// Size of its terminal in characters.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn exec_resize(self: &Arc<Self>, id: &str, height: u16, width: u16) -> Result<()> {
        self.resize_exec(id, WindowSize { rows: height, columns: width }).await
    }

    /// How it is.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn exec_inspect(self: &Arc<Self>, id: &str) -> Result<api::exec::ExecInspect> {
        self.show_exec(id).await
    }

    /// What happens from now on, or since then.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn events(self: &Arc<Self>, options: EventsOptions) -> Result<Events> {
        self.listen(options)
    }

    /// `GET /info`.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn info(self: &Arc<Self>) -> Result<api::system::Info> {
        self.show_info().await
    }

    /// `GET /version`.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn version(self: &Arc<Self>) -> Result<api::system::Version> {
        Ok(self.show_version())
    }

    /// `GET /system/df`; `types` empty: all of `container`, `image`, `volume`, `build-cache`.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn disk_usage(self: &Arc<Self>, types: &[String]) -> Result<api::system::DiskUsage> {
        self.show_disk_usage(types).await
    }

    /// Lists images, newest first.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn images(self: &Arc<Self>, options: &ImageListOptions) -> Result<Vec<api::image::ImageSummary>> {
        self.list_images(options)
    }

    /// All there is to know about an image.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_inspect(self: &Arc<Self>, name: &str) -> Result<api::image::ImageInspect> {
        self.show_image(name)
    }

    /// What an image is for each platform.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_manifests(self: &Arc<Self>, name: &str) -> Result<Vec<api::image::ImageManifest>> {
        let (engine, name) = (Arc::clone(self), name.to_owned());
        self.blocking(move || engine.manifests_of(&name)).await
    }

    /// An image's parts as they are stored, for older versions of the API.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_stored(self: &Arc<Self>, name: &str) -> Result<StoredImage> {
        self.stored_image(name)
    }

    /// The steps of an image as images, oldest first, for older versions of the API; the name may be that of a step.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_layers(self: &Arc<Self>, name: &str) -> Result<Vec<image::LayerImage>> {
        self.layers_of_image(name)
    }

    /// The history of an image whose steps are images, newest first, for older versions of the API; the name may be that
    /// of a step.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_layers_history(self: &Arc<Self>, name: &str) -> Result<Vec<api::image::HistoryItem>> {
        self.show_layers_history(name)
    }

    /// Its layers' history, newest first.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_history(self: &Arc<Self>, name: &str) -> Result<Vec<api::image::HistoryItem>> {
        self.show_history(name)
    }

    /// Another name for it. `any_name`: also one that does not fit the grammar of names.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_tag(self: &Arc<Self>, name: &str, repository: &str, tag: &str, any_name: bool) -> Result<()> {
        let (engine, name, repository, tag) =
            (Arc::clone(self), name.to_owned(), repository.to_owned(), tag.to_owned());
        self.blocking(move || engine.tag_image(&name, &repository, &tag, any_name)).await
    }

    /// Removes a name, and the image with its last name.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_remove(self: &Arc<Self>, name: &str, options: ImageRemoveOptions) -> Result<ImageRemoval> {
        let (engine, name) = (Arc::clone(self), name.to_owned());
        self.blocking(move || engine.delete_image(&name, options)).await
    }

    /// Builds an image from a Dockerfile and its context; a stream of JSON messages, one a line. Dropping the stream ends
    /// the build.
    ///
    /// # Errors
    /// What is wrong with the request itself: the context, the Dockerfile, a name. What fails later is the last message.
    pub async fn build(self: &Arc<Self>, options: BuildOptions, body: Upload) -> Result<ByteStream> {
        self.build_image(options, body).await
    }

    /// Builds an image for a client that brings its own context, progress and secrets: a session. `POST /build` is
    /// [`Engine::build`], over the same builder.
    ///
    /// # Errors
    /// Those of [`build::Build::read`] and [`build::Build::run`], kinds included; the cause is the [`build::Error`].
    pub async fn solve(self: &Arc<Self>, request: BuildRequest) -> Result<build::Built> {
        self.solve_build(request).await
    }

    /// Makes an image of a tar archive of a root file system; its id.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_import(self: &Arc<Self>, options: ImportOptions, body: Upload) -> Result<String> {
        let engine = Arc::clone(self);
        self.blocking(move || engine.import_image(&options, body)).await
    }

    /// The same of an archive at an address; a stream of JSON messages, one a line, the last the image's id.
    ///
    /// # Errors
    /// InvalidParameter: address or name; System: nothing is there.
    pub async fn image_import_address(self: &Arc<Self>, options: ImportOptions, address: &str) -> Result<ByteStream> {
        self.import_address(options, address).await
    }

    /// Loads archives as `docker save` writes them; a stream of JSON messages, one a line.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_load(self: &Arc<Self>, body: Upload, quiet: bool) -> Result<ByteStream> {
        Ok(self.load_images(body, quiet))
    }

    /// Pulls an image, or all tags of a repository; a stream of JSON messages, one a line. A client that drops it is not
    /// interested any more; a pull that interests nobody is given up.
    ///
    /// # Errors
    /// InvalidParameter: the name; NotFound: the registry has no such image, or none for us; Unauthorized; System.
    pub async fn image_pull(self: &Arc<Self>, options: TransferOptions) -> Result<ByteStream> {
        self.pull_image(options).await
    }

    /// Pushes an image, or all tags of a repository, likewise.
    ///
    /// # Errors
    /// NotFound: no image here has the name.
    pub async fn image_push(self: &Arc<Self>, options: TransferOptions) -> Result<ByteStream> {
        self.push_image(options).await
    }

    /// Searches a registry.
    ///
    /// # Errors
    /// InvalidParameter; System if the registry does not answer.
    pub async fn image_search(self: &Arc<Self>, options: SearchOptions) -> Result<Vec<api::image::SearchResult>> {
        self.search_images(options).await
    }

    /// What a registry has under a name.
    ///
    /// # Errors
    /// As [`Engine::image_pull`].
    pub async fn distribution(
        self: &Arc<Self>,
        name: &str,
        credentials: &crate::Credentials,
    ) -> Result<api::image::Distribution> {
        self.look_up(name, credentials).await
    }

    /// Asks a registry whether credentials are good.
    ///
    /// # Errors
    /// Unauthorized: they are not; System if the registry does not answer.
    pub async fn auth(self: &Arc<Self>, config: api::system::AuthConfig) -> Result<api::system::AuthResponse> {
        self.log_in(config).await
    }

    /// Writes images into an archive that old and new engines load, or, with `old_form`, into one as they were before 2016.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn image_save(self: &Arc<Self>, names: &[String], old_form: bool) -> Result<ByteStream> {
        self.save_images(names, old_form)
    }

    /// Removes images that nothing uses. Filters: `dangling`, `until`, `label`, `label!`.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn images_prune(self: &Arc<Self>, filters: &Filters) -> Result<api::image::ImagesPruned> {
        let (engine, filters) = (Arc::clone(self), filters.clone());
        self.blocking(move || engine.prune_images(&filters)).await
    }

    /// Removes build cache. Filters: `until`, `id`, `type`, `description`, `inuse`, `shared`, `private`.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: Conflict while another prune runs; see the crate's page.
    pub async fn builds_prune(self: &Arc<Self>, options: BuildPruneOptions) -> Result<api::image::BuildCachePruned> {
        let engine = Arc::clone(self);
        self.blocking(move || engine.prune_builds(&options)).await
    }

    /// Lists volumes. Filters: `name`, `driver`, `label`, `dangling`.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn volumes(self: &Arc<Self>, filters: &Filters) -> Result<api::volume::VolumeListResponse> {
        self.list_volumes(filters)
    }

    /// Makes a volume, or returns the one of that name.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn volume_create(
        self: &Arc<Self>,
        request: api::volume::VolumeCreateRequest,
    ) -> Result<api::volume::Volume> {
        let engine = Arc::clone(self);
        self.blocking(move || engine.make_volume(request)).await
    }

    /// One volume.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn volume_inspect(self: &Arc<Self>, name: &str) -> Result<api::volume::Volume> {
        self.find_volume(name)
    }

    /// Removes a volume; Conflict if a container mounts it.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn volume_remove(self: &Arc<Self>, name: &str, force: bool) -> Result<()> {
        let (engine, name) = (Arc::clone(self), name.to_owned());
        self.blocking(move || engine.delete_volume(&name, force)).await
    }

    /// Removes volumes that no container mounts. Filters: `all`, `label`, `label!`.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn volumes_prune(self: &Arc<Self>, filters: &Filters) -> Result<api::volume::VolumesPruned> {
        let (engine, filters) = (Arc::clone(self), filters.clone());
        self.blocking(move || engine.prune_volumes(&filters)).await
    }

    /// Removes networks that no container uses. The predefined ones stay, and there are no others yet.
    ///
    /// # Errors
    /// InvalidParameter for a filter that is none of `until`, `label`, `label!`.
    pub async fn networks_prune(self: &Arc<Self>, filters: &Filters) -> Result<api::network::NetworksPruned> {
        filters.only(&["until", "label", "label!"])?;
        self.tell("network", "prune", "", [("reclaimed", "0")]);
        Ok(api::network::NetworksPruned::default())
    }

    /// The predefined networks. Filters: `name`, `id`, `driver`, `type`, `scope`, `dangling`, `label`.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn networks(self: &Arc<Self>, filters: &Filters) -> Result<Vec<api::network::Network>> {
        self.list_networks(filters)
    }

    /// One of them.
    ///
    /// # Errors
    /// The kinds of [`crate::Error`]: NotFound if the name leads nowhere; see the crate's page.
    pub async fn network_inspect(self: &Arc<Self>, name: &str) -> Result<api::network::Network> {
        self.find_network(name)
    }
}
