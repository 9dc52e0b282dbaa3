//! The routes of the newest API, one module a noun: parse, call the engine, serialise.

mod archive;
mod build;
mod buildkit;
mod containers;
mod exec;
mod images;
mod networks;
mod streams;
mod system;
mod unbuilt;
mod volumes;

use api::routes::Endpoint;

use crate::call::Call;
use crate::error::Error;
use crate::reply::Reply;

/// Answers a request of the newest API.
///
/// # Errors
/// What stood in the way; the caller makes a status of it.
pub(crate) async fn answer(call: &mut Call) -> Result<Reply, Error> {
    match call.endpoint {
        Endpoint::Ping => Ok(system::ping(call, true)),
        Endpoint::PingHead => Ok(system::ping(call, false)),
        Endpoint::ContainerInspect => containers::inspect(call).await,
        Endpoint::ContainerList => containers::list(call).await,
        // The rest is boxed together: the two above shall not carry the size of the largest.
        _ => Box::pin(others(call)).await,
    }
}

async fn others(call: &mut Call) -> Result<Reply, Error> {
    match call.endpoint {
        Endpoint::Version => system::version(call).await,
        Endpoint::Info => system::info(call).await,
        Endpoint::Events => system::events(call).await,
        Endpoint::Auth => system::auth(call).await,
        Endpoint::DiskUsage => system::disk_usage(call).await,

        Endpoint::ContainerCreate => containers::create(call).await,
        Endpoint::ContainerStart => containers::start(call).await,
        Endpoint::ContainerStop => containers::stop(call).await,
        Endpoint::ContainerRestart => containers::restart(call).await,
        Endpoint::ContainerKill => containers::kill(call).await,
        Endpoint::ContainerPause => containers::pause(call).await,
        Endpoint::ContainerUnpause => containers::unpause(call).await,
        Endpoint::ContainerWait => containers::wait(call).await,
        Endpoint::ContainerDelete => containers::delete(call).await,
        Endpoint::ContainerTop => containers::top(call).await,
        Endpoint::ContainerChanges => containers::changes(call).await,
        Endpoint::ContainerRename => containers::rename(call).await,
        Endpoint::ContainerUpdate => containers::update(call).await,
        Endpoint::ContainerResize => containers::resize(call).await,
        Endpoint::ContainerPrune => containers::prune(call).await,
        Endpoint::Commit => containers::commit(call).await,

        Endpoint::ContainerLogs => streams::logs(call).await,
        Endpoint::ContainerAttach => streams::attach(call).await,
        Endpoint::ContainerAttachWs => streams::attach_websocket(call).await,
        Endpoint::ContainerStats => streams::stats(call).await,

        Endpoint::ContainerExport => archive::export(call).await,
        Endpoint::ContainerArchiveHead => archive::stat(call).await,
        Endpoint::ContainerArchiveGet => archive::get(call).await,
        Endpoint::ContainerArchivePut => archive::put(call).await,

        Endpoint::ExecCreate => exec::create(call).await,
        Endpoint::ExecStart => exec::start(call).await,
        Endpoint::ExecResize => exec::resize(call).await,
        Endpoint::ExecInspect => exec::inspect(call).await,

        Endpoint::ImageList => images::list(call).await,
        Endpoint::ImageInspect => images::inspect(call).await,
        Endpoint::ImageHistory => images::history(call).await,
        Endpoint::ImageTag => images::tag(call).await,
        Endpoint::ImageDelete => images::delete(call).await,
        Endpoint::ImageCreate => images::create(call).await,
        Endpoint::ImageLoad => images::load(call).await,
        Endpoint::ImageSave | Endpoint::ImageSaveMany => images::save(call).await,
        Endpoint::ImagePush => images::push(call).await,
        Endpoint::ImageSearch => images::search(call).await,
        Endpoint::DistributionInspect => images::distribution(call).await,
        Endpoint::BuildPrune => build::prune(call).await,
        Endpoint::ImagePrune => images::prune(call).await,

        Endpoint::Build => build::build(call).await,
        Endpoint::BuildCancel => buildkit::cancel(call),
        Endpoint::Session => buildkit::session(call).await,
        Endpoint::Grpc => buildkit::grpc(call).await,

        Endpoint::VolumeList => volumes::list(call).await,
        Endpoint::VolumeCreate => volumes::create(call).await,
        Endpoint::VolumeInspect => volumes::inspect(call).await,
        Endpoint::VolumeDelete => volumes::delete(call).await,
        Endpoint::VolumePrune => volumes::prune(call).await,

        Endpoint::NetworkPrune => networks::prune(call).await,
        Endpoint::NetworkList => networks::list(call).await,
        Endpoint::NetworkInspect => networks::inspect(call).await,
        Endpoint::NetworkDelete => networks::delete(call).await,
        Endpoint::NetworkConnect | Endpoint::NetworkDisconnect => networks::connect(call).await,

        endpoint => unbuilt::answer(endpoint),
    }
}
