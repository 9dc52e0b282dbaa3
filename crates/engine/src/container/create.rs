//! Making a container: everything that can be decided before a start is decided here.

use std::sync::Arc;

use api::container::{ContainerConfig, CreateRequest, CreateResponse};
use api::host_config::HostConfig;
use api::network::EndpointSettings;
use api::quirk::Quirk;
use model::{ContainerId, InvalidPlatform, Platform, Timestamp, container_name};
use runtime::mounts::{DEFAULT_SHM_BYTES, MASKED_PATHS, READONLY_PATHS};

use super::life::Actor;
use super::merge::{command_line, merge};
use super::mounts::{self, LOCAL, Wanted};
use super::record::{Link, Mounted, NetworkMode, Record, State};
use super::validate::validate;
use super::{Container, links};
use crate::engine::Engine;
use crate::{Error, Result};

/// Names tried before a number is put behind one.
const NAME_TRIES: u32 = 6;

impl Engine {
    /// See [`Engine::create`].
    pub(crate) async fn create_container(
        self: Arc<Self>,
        name: String,
        platform: String,
        request: CreateRequest,
    ) -> Result<CreateResponse> {
        self.check_platform(&request.config.image, &platform)?;
        self.add_container(name, request, false).await
    }

    /// Makes a container of a build's step.
    pub(crate) async fn create_for_build(self: Arc<Self>, request: CreateRequest) -> Result<CreateResponse> {
        self.add_container(String::new(), request, true).await
    }

    /// The container of a build's step stays when the build has ended.
    pub(crate) async fn keep_of_build(&self, container: &str) -> Result<()> {
        let container = self.containers.find(container)?;
        let keep = |actor: &mut Actor| {
            actor.record.of_build = false;
            actor.save()
        };
        container.step(move |actor| Box::pin(async move { keep(actor) })).await
    }

    /// Refuses an image that is for another platform than the one asked for; one that is not here is no matter of this.
    fn check_platform(&self, image: &str, platform: &str) -> Result<()> {
        if platform.is_empty() {
            return Ok(());
        }
        let wanted: Platform = platform.parse().map_err(|error: InvalidPlatform| Error::invalid(error.to_string()))?;
        match self.images.resolve(image) {
            Ok(found) if wanted.fit(&found.platform()).is_none() => Err(Error::not_found(format!(
                "image with reference {image} was found but does not provide the specified platform ({platform})"
            ))),
            _ => Ok(()),
        }
    }

    async fn add_container(
        self: Arc<Self>,
        name: String,
        request: CreateRequest,
        of_build: bool,
    ) -> Result<CreateResponse> {
        let engine = Arc::clone(&self);
        let (record, warnings) = self.at_once(move || make(&engine, &name, request, of_build)).await??;
        let (container, steps) = Container::new(record.clone());
        Actor::spawn(&self, Arc::clone(&container), steps, |_| {});
        self.containers.add(container);
        self.container_event(&record, "create", &[]);
        Ok(CreateResponse { id: record.id.hex(), warnings })
    }
}

impl Engine {
    /// Replaces the host configuration of a container that does not run (clients below 1.24 send it with the start).
    /// What is wrong with it, links excepted, the start itself finds: as with Docker of the time, the container keeps it.
    pub(crate) async fn replace_host_config(
        self: &Arc<Self>,
        container: &Arc<Container>,
        mut host: HostConfig,
    ) -> Result<()> {
        let record = container.record();
        if record.state.status.is_up() {
            return Ok(());
        }
        normalise(self, &mut host);
        let mut config = record.config.as_ref().clone();
        if config.hostname == record.id.short() {
            // Made up at create; the network mode may say otherwise now.
            config.hostname.clear();
            if set_hostname(self, &mut config, &host, record.id).is_err() {
                // The container whose network it is to share is missing.
                config.hostname = record.id.short();
            }
        }
        let links = resolve_links(self, record.id, &host)?;
        container
            .step(move |actor| {
                Box::pin(async move {
                    actor.record.config = Arc::new(config);
                    actor.record.host = Arc::new(host);
                    actor.record.links = Arc::new(links);
                    actor.record.mounts_due = true;
                    actor.save()
                })
            })
            .await
    }
}

/// Checks, completes and writes down a new container.
fn make(engine: &Engine, name: &str, request: CreateRequest, of_build: bool) -> Result<(Record, Vec<String>)> {
    let CreateRequest { mut config, host_config, networking_config } = request;
    let mut host = host_config.unwrap_or_default();
    let image = engine.images.resolve(&config.image).map_err(|error| match error {
        image::Error::NotFound(_) => Error::not_found(format!("No such image: {}", shown_image(&config.image))),
        other => other.into(),
    })?;
    merge(&mut config, &crate::images::container_config(&image));
    normalise(engine, &mut host);
    validate(&config, &host)?;
    let Some((path, args)) = command_line(&config) else {
        return Err(Error::invalid("no command specified"));
    };
    let warnings = warnings(&host);
    let endpoint = endpoint(&host, networking_config)?;
    let id = ContainerId::random().map_err(|error| Error::system("no random numbers for an id").caused_by(error))?;
    set_hostname(engine, &mut config, &host, id)?;
    let links = resolve_links(engine, id, &host)?;
    let old_names = Quirk::OldNames.is_in(host.annotations.as_ref());
    let name = claim_name(engine, name, id, old_names)?;
    let made = (|| {
        let mounts = resolve_mounts(engine, &config, &host)?;
        let record = Record {
            id,
            name: name.clone(),
            created: Timestamp::now(),
            image: image.id,
            path,
            args,
            config: Arc::new(config),
            host: Arc::new(host),
            mounts: Arc::new(mounts),
            mounts_due: false,
            files: Arc::default(),
            endpoint: Arc::new(endpoint),
            links: Arc::new(links),
            address: None,
            state: State::default(),
            restart_count: 0,
            stopped_by_user: false,
            of_build,
            volumes_filled: false,
        };
        engine.storage.create_snapshot(&id.hex(), image.top().as_ref())?;
        std::fs::create_dir_all(engine.container_folder(&id.hex()))
            .map_err(|error| Error::system("cannot make the container's folder").caused_by(error))?;
        engine.store.write(|tx| tx.add_container(&id, &record.name, &record))?;
        Ok(record)
    })();
    if made.is_err() {
        engine.containers.unclaim(&name, id);
        engine.drop_files(&id.hex());
        engine.release_image_layers(image.id);
    }
    made.map(|record| (record, warnings))
}

/// `busybox` as Docker shows it when it is missing: with its tag.
fn shown_image(name: &str) -> String {
    match name.parse::<model::Reference>() {
        Ok(reference) => reference.with_default_tag().familiar(),
        Err(_) => name.to_owned(),
    }
}

/// Fills in what Docker fills in.
pub(crate) fn normalise(engine: &Engine, host: &mut HostConfig) {
    if matches!(host.network_mode.as_str(), "" | "default") {
        host.network_mode = "bridge".to_owned();
    }
    let defaults = [
        (&mut host.ipc_mode, "private"),
        (&mut host.runtime, "runc"),
        (&mut host.restart_policy.name, "no"),
        (&mut host.cgroupns_mode, if engine.cgroups.unified { "private" } else { "host" }),
        (&mut host.log_config.r#type, engine.config.log_driver.as_str()),
    ];
    for (field, value) in defaults {
        if field.is_empty() {
            value.clone_into(field);
        }
    }
    if host.log_config.r#type == engine.config.log_driver {
        let options = host.log_config.config.get_or_insert_default();
        for (key, value) in &engine.config.log_options {
            options.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    if host.memory > 0 && host.memory_swap == 0 {
        host.memory_swap = host.memory.saturating_mul(2);
    }
    if host.shm_size == 0 {
        let configured = engine.config.default_shm_size_bytes;
        host.shm_size = if configured > 0 { configured } else { DEFAULT_SHM_BYTES as i64 };
    }
    if host.oom_kill_disable.is_none() && !engine.cgroups.unified {
        host.oom_kill_disable = Some(false);
    }
    if !host.privileged {
        let list = |paths: &[&str]| paths.iter().map(ToString::to_string).collect();
        host.masked_paths.get_or_insert_with(|| list(MASKED_PATHS));
        host.readonly_paths.get_or_insert_with(|| list(READONLY_PATHS));
    }
}

/// What was asked and will not be so, in sentences for the user.
fn warnings(host: &HostConfig) -> Vec<String> {
    let mut warnings = Vec::new();
    let published = host.publish_all_ports || host.port_bindings.as_ref().is_some_and(|map| !map.is_empty());
    if published && host.network_mode == "host" {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    if host.oom_kill_disable == Some(true) && host.memory == 0 {
        warnings.push("OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.".to_owned());
    }
    warnings
}

/// What is asked of the one network that the container joins.
fn endpoint(host: &HostConfig, networking: Option<api::network::NetworkingConfig>) -> Result<EndpointSettings> {
    let mut wanted = EndpointSettings::default();
    for (name, settings) in networking.and_then(|networking| networking.endpoints_config).into_iter().flatten() {
        let own = name == host.network_mode || (name == "default" && host.network_mode == "bridge");
        if !own && settings.is_some() {
            return Err(match name.as_str() {
                "bridge" | "host" | "none" | "default" => {
                    Error::invalid(format!("cannot join network {name} and {} at the same time", host.network_mode))
                }
                _ => Error::not_found(format!("network {name} not found")),
            });
        }
        if own {
            wanted = settings.unwrap_or_default();
        }
    }
    Ok(wanted)
}

fn set_hostname(engine: &Engine, config: &mut ContainerConfig, host: &HostConfig, id: ContainerId) -> Result<()> {
    if !config.hostname.is_empty() {
        return Ok(());
    }
    config.hostname = match NetworkMode::of(&host.network_mode, config.network_disabled) {
        NetworkMode::Container(name) => {
            // Not "not found": a client would take that for the image.
            let unknown = |error: Error| Error::invalid(format!("joining network namespace of container: {error}"));
            let other = engine.containers.find(name).map_err(unknown)?.record();
            config.domainname.clone_from(&other.config.domainname);
            other.config.hostname.clone()
        }
        NetworkMode::Host => crate::system::host_name(),
        _ if host.uts_mode == "host" => crate::system::host_name(),
        _ => id.short(),
    };
    Ok(())
}

fn claim_name(engine: &Engine, wanted: &str, id: ContainerId, old_names: bool) -> Result<String> {
    if !wanted.is_empty() {
        let bare = wanted.strip_prefix('/').unwrap_or(wanted);
        if !(old_names && container_name::was_valid(bare)) {
            check_name(wanted, bare)?;
        }
        engine.containers.claim(bare, id)?;
        return Ok(bare.to_owned());
    }
    for retry in 0..NAME_TRIES {
        let name = model::names::random(retry)
            .map_err(|error| Error::system("no random numbers for a name").caused_by(error))?;
        if engine.containers.claim(&name, id).is_ok() {
            return Ok(name);
        }
    }
    let name = id.short();
    engine.containers.claim(&name, id)?;
    Ok(name)
}

/// Refuses what cannot be a name.
pub(crate) fn check_name(shown: &str, bare: &str) -> Result<()> {
    if container_name::is_valid(bare) {
        return Ok(());
    }
    Err(Error::invalid(format!("Invalid container name ({shown}), only {} are allowed", container_name::ALLOWED)))
}

/// The containers that links name.
fn resolve_links(engine: &Engine, own: ContainerId, host: &HostConfig) -> Result<Vec<Link>> {
    let mut resolved = Vec::new();
    for link in host.links.iter().flatten() {
        let (name, alias) = links::parse(link)?;
        let target = engine
            .containers
            .find(name)
            // Not 404: clients would take it for a missing image, and pull it.
            .map_err(|error| Error::invalid(format!("could not get container for {name}: {error}")))?;
        if target.id == own {
            return Err(Error::invalid("Cannot set self as child"));
        }
        let record = target.record();
        if NetworkMode::Host == record.network() {
            return Err(Error::invalid(
                "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
            ));
        }
        resolved.push(Link { target: target.id, alias: alias.to_owned() });
    }
    Ok(resolved)
}

/// All mounts, volumes made: those of other containers first, then binds and mounts, then the paths that the
/// configuration wants volumes for.
pub(crate) fn resolve_mounts(engine: &Engine, config: &ContainerConfig, host: &HostConfig) -> Result<Vec<Mounted>> {
    let mut inherited = Vec::new();
    for source in host.volumes_from.iter().flatten() {
        inherit(engine, source, &mut inherited)?;
    }
    let mut own: Vec<Wanted> = Vec::new();
    // `VolumeDriver` is looked up for volumes of the short form alone: without one of them any name will do.
    let driven = |wanted: Wanted| match wanted.mounted.point.r#type.as_str() {
        "volume" => mounts::check_driver(&host.volume_driver).map(|()| wanted),
        _ => Ok(wanted),
    };
    let binds = host.binds.iter().flatten().map(|bind| mounts::parse_bind(bind).and_then(driven));
    let long = host.mounts.iter().flatten().map(mounts::parse_mount);
    for wanted in binds.chain(long) {
        let wanted = wanted?;
        let destination = &wanted.mounted.point.destination;
        let taken = own.iter().any(|have| have.mounted.point.destination == *destination)
            || host.tmpfs.as_ref().is_some_and(|tmpfs| tmpfs.contains_key(destination));
        if taken {
            return Err(Error::invalid(format!("Duplicate mount point: {destination}")));
        }
        own.push(wanted);
    }
    inherited.retain(|mounted: &Mounted| {
        !own.iter().any(|have| have.mounted.point.destination == mounted.point.destination)
    });
    for path in config.volumes.iter().flatten().map(|(path, _)| path) {
        let wanted = mounts::parse_anonymous(path)?;
        let at = &wanted.mounted.point.destination;
        let taken = inherited.iter().any(|have| have.point.destination == *at)
            || own.iter().any(|have| have.mounted.point.destination == *at)
            || host.tmpfs.as_ref().is_some_and(|tmpfs| tmpfs.contains_key(at));
        if !taken {
            own.push(driven(wanted)?);
        }
    }
    for wanted in own {
        inherited.push(realise(engine, wanted)?);
    }
    Ok(inherited)
}

/// Makes the volume or the bind's source.
fn realise(engine: &Engine, wanted: Wanted) -> Result<Mounted> {
    let Wanted { mut mounted, make_source, labels } = wanted;
    let point = &mut mounted.point;
    match point.r#type.as_str() {
        "volume" => {
            let named = !point.name.is_empty();
            let volume = engine.volumes.ensure(engine, &point.name, labels, None)?;
            point.source = engine.volumes.files(&volume)?;
            point.name = volume.name;
            LOCAL.clone_into(&mut point.driver);
            if named && point.mode.is_empty() {
                // Docker shows named local volumes so.
                point.mode = "z".to_owned();
            }
        }
        "bind" if make_source => {
            std::fs::create_dir_all(&point.source)
                .or_else(|error| {
                    // A file may be bound as well.
                    if std::path::Path::new(&point.source).exists() { Ok(()) } else { Err(error) }
                })
                .map_err(|error| {
                    Error::system(format!("error while creating mount source path '{}': {error}", point.source))
                        .caused_by(error)
                })?;
        }
        _ => {}
    }
    Ok(mounted)
}

/// The mounts of another container: `container[:ro|rw]`.
fn inherit(engine: &Engine, source: &str, mounts: &mut Vec<Mounted>) -> Result<()> {
    let (name, mode) = source.split_once(':').unwrap_or((source, ""));
    if name.is_empty() {
        return Err(Error::invalid(format!("invalid volume specification: '{source}'")));
    }
    let read_only = match mode {
        "" | "rw" | "z" | "Z" => false,
        "ro" => true,
        other => return Err(Error::invalid(format!("invalid mode for volumes-from: {other}"))),
    };
    let other = engine.containers.find(name).map_err(|error| Error::invalid(error.to_string()))?.record();
    for mounted in other.mounts.iter() {
        let mut mounted = mounted.clone();
        mounted.point.rw &= !read_only;
        mounted.copy = false;
        // It goes with the container that it was made for.
        mounted.anonymous = false;
        mounts.retain(|have| have.point.destination != mounted.point.destination);
        mounts.push(mounted);
    }
    Ok(())
}
