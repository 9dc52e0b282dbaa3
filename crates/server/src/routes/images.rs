//! Images.

use std::collections::BTreeMap;

use api::image::ImageInspect;
use engine::{
    Credentials, ImageListOptions, ImageRemoveOptions, ImportOptions, LayerImage, SearchOptions, TransferOptions,
};
use futures_util::{FutureExt, StreamExt, stream};
use http::StatusCode;
use model::ErrorKind;

use serde_json::{Value, json};

use crate::call::{Call, with_upload};
use crate::error::Error;
use crate::message::{End, document, lines};
use crate::reply::{Reply, TAR};

pub(crate) async fn list(call: &mut Call) -> Result<Reply, Error> {
    let query = &call.query;
    let options =
        ImageListOptions { all: query.flag("all"), shared_size: query.flag("shared-size"), filters: query.filters()? };
    let mut images = call.server.engine.images(&options).await?;
    if query.flag("manifests") {
        for image in &mut images {
            image.manifests = match call.server.engine.image_manifests(&image.id).await {
                Ok(manifests) => Some(manifests),
                // It was removed since the list was made.
                Err(error) if error.kind() == ErrorKind::NotFound => Some(Vec::new()),
                Err(error) => return Err(error.into()),
            };
        }
    }
    if !call.headers.contains_key(ladder::STORED_IMAGE_HEADER) {
        return Ok(Reply::json(images));
    }
    let mut list = Vec::with_capacity(images.len());
    let mut steps = BTreeMap::new();
    for image in &images {
        let mut document = serde_json::json!(image);
        document["VirtualSize"] = document["Size"].take();
        document["Size"] = call.server.engine.image_stored(&image.id).await?.layer_size_bytes.into();
        let mut line = call.server.engine.image_layers(&image.id).await?;
        if let Some(parent) = line.pop().and_then(|top| top.parent).filter(|_| image.parent_id.is_empty()) {
            document["ParentId"] = parent.to_string().into();
        }
        steps.extend(line.into_iter().map(|step| (step.id.to_string(), (image.created, step))));
        list.push(document);
    }
    if options.all && options.filters.0.is_empty() {
        for image in &images {
            steps.remove(&image.id);
        }
        list.extend(steps.into_values().map(|(created, step)| layer_row(created, &step)));
    }
    Ok(Reply::json(list))
}

/// A layer in a list of images.
fn layer_row(created: i64, layer: &LayerImage) -> Value {
    json!({
        "Id": layer.id.to_string(),
        "ParentId": layer.parent.map(|id| id.to_string()).unwrap_or_default(),
        "RepoTags": [], "RepoDigests": [], "Labels": null, "Containers": -1, "SharedSize": -1,
        "Created": created, "Size": layer.size_bytes, "VirtualSize": layer.total_bytes,
    })
}

/// A layer as an image that is looked at.
fn layer_shown(layer: &LayerImage) -> Value {
    let own = |key: &str| layer.document.get(key).cloned().unwrap_or_default();
    let text = |key: &str| own(key).as_str().unwrap_or_default().to_owned();
    json!({
        "Id": layer.id.to_string(),
        "Parent": layer.parent.map(|id| id.to_string()).unwrap_or_default(),
        "RepoTags": [], "RepoDigests": [],
        "Comment": text("comment"), "Created": own("created"), "Container": text("container"),
        "ContainerConfig": own("container_config"), "DockerVersion": text("docker_version"), "Author": text("author"),
        "Config": own("config"), "Architecture": text("architecture"), "Os": text("os"),
        "Size": layer.size_bytes, "VirtualSize": layer.total_bytes,
        "GraphDriver": {"Name": "overlay2", "Data": null}, "RootFS": {"Type": "layers"},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    })
}

pub(crate) async fn inspect(call: &mut Call) -> Result<Reply, Error> {
    let engine = &call.server.engine;
    if !call.headers.contains_key(ladder::STORED_IMAGE_HEADER) {
        let platform = call.query.text("platform");
        if call.query.flag("manifests") && !platform.is_empty() {
            return Err(Error::invalid("conflicting options: manifests and platform options cannot both be set"));
        }
        let mut image = engine.image_inspect(call.name()).await?;
        if call.query.flag("manifests") {
            image.manifests = Some(engine.image_manifests(&image.id).await?);
        }
        provides(&image, platform, call.name())?;
        if !call.headers.contains_key(ladder::IMAGE_CONTAINER_HEADER) {
            (image.container, image.container_config) = (String::new(), None);
        }
        return Ok(Reply::json(image));
    }
    let mut line = engine.image_layers(call.name()).await?;
    let top = line.pop().map(|top| (top.parent, top));
    let image = match (engine.image_inspect(call.name()).await, &top) {
        (Err(_), Some((_, layer))) => return Ok(Reply::json(layer_shown(layer))),
        (outcome, _) => outcome?,
    };
    let stored = engine.image_stored(call.name()).await?;
    let mut document = json!(image);
    document["VirtualSize"] = document["Size"].take();
    document["Size"] = stored.layer_size_bytes.into();
    if let Some((Some(parent), _)) = top.filter(|_| image.parent.is_empty()) {
        document["Parent"] = parent.to_string().into();
    }
    for (key, config) in [("Config", stored.config), ("ContainerConfig", stored.container_config)] {
        if !config.is_null() {
            document[key] = config;
        }
    }
    Ok(Reply::json(document))
}

/// Refuses an image that is for another platform than the one asked for (a JSON object; API 1.49).
fn provides(image: &ImageInspect, platform: &str, name: &str) -> Result<(), Error> {
    if platform.is_empty() {
        return Ok(());
    }
    let wanted: api::Platform =
        serde_json::from_str(platform).map_err(|error| Error::invalid(format!("failed to parse platform: {error}")))?;
    let variant = wanted.variant.unwrap_or_default();
    let fits = wanted.os == image.os
        && wanted.architecture == image.architecture
        && (variant.is_empty() || variant == image.variant);
    if fits {
        return Ok(());
    }
    let asked = [wanted.os, wanted.architecture, variant].into_iter().filter(|part| !part.is_empty());
    let asked = asked.collect::<Vec<_>>().join("/");
    let text = format!("image with reference {name} was found but does not provide the specified platform ({asked})");
    Err(engine::Error::not_found(text).into())
}

pub(crate) async fn history(call: &mut Call) -> Result<Reply, Error> {
    let engine = &call.server.engine;
    match call.headers.contains_key(ladder::STORED_IMAGE_HEADER) {
        true => Ok(Reply::json(engine.image_layers_history(call.name()).await?)),
        false => Ok(Reply::json(engine.image_history(call.name()).await?)),
    }
}

/// Whether the client's version knew no grammar of names.
fn any_name(call: &Call) -> bool {
    call.headers.contains_key(ladder::OLD_NAME_HEADER)
}

pub(crate) async fn tag(call: &mut Call) -> Result<Reply, Error> {
    let query = &call.query;
    call.server.engine.image_tag(call.name(), query.text("repo"), query.text("tag"), any_name(call)).await?;
    Ok(Reply::empty(StatusCode::CREATED))
}

pub(crate) async fn delete(call: &mut Call) -> Result<Reply, Error> {
    let options = ImageRemoveOptions {
        force: call.query.flag("force"),
        prune_parents: !call.query.flag("noprune"),
        names_first: call.headers.contains_key(ladder::NAMES_FIRST_HEADER),
    };
    if call.name().trim().is_empty() && !options.names_first {
        return Err(Error::invalid("image name cannot be blank"));
    }
    let removal = call.server.engine.image_remove(call.name(), options).await?;
    match call.headers.contains_key(ladder::IMAGES_ONLY_HEADER) {
        true => Ok(Reply::json(removal.images)),
        false => Ok(Reply::json(removal.into_items())),
    }
}

/// The client's credentials for a registry.
pub(crate) fn credentials(call: &Call) -> Credentials {
    Credentials::from_header(call.header("x-registry-auth"))
}

/// The credentials for a name: the client's, or for versions that did so those that are kept.
fn credentials_for(call: &Call, name: &str) -> Credentials {
    if call.header(ladder::KEPT_CREDENTIALS_HEADER) != "use" {
        return credentials(call);
    }
    let domain = name.parse::<model::Reference>().map(|reference| reference.domain().to_owned());
    let fits = |kept: &Credentials| domain.is_ok_and(|domain| kept.are_for(&domain));
    super::system::kept(call).filter(fits).unwrap_or_default()
}

/// What to pull or push.
fn transfer(call: &Call, name: &str) -> TransferOptions {
    let meta = call.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-meta-"));
    let text = |value: &http::HeaderValue| value.to_str().map(str::to_owned).ok();
    TransferOptions {
        name: name.to_owned(),
        tag: call.query.text("tag").to_owned(),
        platform: call.query.text("platform").to_owned(),
        credentials: credentials_for(call, name),
        endpoint_first: call.headers.contains_key(ladder::ENDPOINT_FIRST_HEADER),
        meta: meta.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect(),
    }
}

pub(crate) async fn push(call: &mut Call) -> Result<Reply, Error> {
    if call.header(ladder::KEPT_CREDENTIALS_HEADER) == "use" && super::system::kept(call).is_none() {
        // What the reader of a body said that must be there and was not.
        return Err(Error::of(model::ErrorKind::System, "EOF"));
    }
    let progress = call.server.engine.image_push(transfer(call, call.name())).await?;
    Ok(Reply::messages(lines(progress), End::CarriageReturn))
}

pub(crate) async fn search(call: &mut Call) -> Result<Reply, Error> {
    let query = &call.query;
    let options = SearchOptions {
        term: query.text("term").to_owned(),
        limit: query.number("limit")?.unwrap_or_default(),
        filters: query.filters()?,
        credentials: credentials(call),
    };
    Ok(Reply::json(call.server.engine.image_search(options).await?))
}

pub(crate) async fn distribution(call: &mut Call) -> Result<Reply, Error> {
    Ok(Reply::json(call.server.engine.distribution(call.name(), &credentials(call)).await?))
}

/// Pull or import; an import takes the request's body.
pub(crate) async fn create(call: &mut Call) -> Result<Reply, Error> {
    let query = &call.query;
    if let Some(name) = query.given("fromImage").filter(|name| !name.is_empty()) {
        let progress = call.server.engine.image_pull(transfer(call, name)).await?;
        return Ok(Reply::messages(lines(progress), End::CarriageReturn));
    }
    let options = ImportOptions {
        repository: query.text("repo").to_owned(),
        tag: query.text("tag").to_owned(),
        any_name: any_name(call),
        message: query.text("message").to_owned(),
        changes: query.all("changes"),
        platform: query.text("platform").to_owned(),
    };
    if query.text("fromSrc") != "-" {
        let address = query.text("fromSrc").to_owned();
        let progress = call.server.engine.image_import_address(options, &address).await?;
        return Ok(Reply::messages(lines(progress), End::CarriageReturn));
    }
    let (upload, carry) = call.upload();
    let id = with_upload(carry, call.server.engine.image_import(options, upload)).await?;
    let done = api::image::Progress { status: id, ..Default::default() };
    Ok(Reply::messages(stream::iter([document(&done)]).boxed(), End::CarriageReturn))
}

/// Loads archives. Progress goes out while the body still comes in.
pub(crate) async fn load(call: &mut Call) -> Result<Reply, Error> {
    let quiet = call.query.flag("quiet");
    let (upload, carry) = call.upload();
    let mut carry = carry.boxed().fuse();
    let progress = with_upload(&mut carry, call.server.engine.image_load(upload, quiet)).await?;
    Ok(Reply::progress(lines(progress), carry))
}

pub(crate) async fn save(call: &mut Call) -> Result<Reply, Error> {
    let names = match call.name() {
        "" => call.query.all("names"),
        name => vec![name.to_owned()],
    };
    let old_form = call.headers.contains_key(ladder::OLD_ARCHIVE_HEADER);
    Reply::bytes(TAR, call.server.engine.image_save(&names, old_form).await?).await
}

pub(crate) async fn prune(call: &mut Call) -> Result<Reply, Error> {
    Ok(Reply::json(call.server.engine.images_prune(&call.query.filters()?).await?))
}
