//! Volumes.

use api::volume::VolumeCreateRequest;
use http::StatusCode;

use crate::call::Call;
use crate::error::Error;
use crate::reply::Reply;

pub(crate) async fn list(call: &mut Call) -> Result<Reply, Error> {
    Ok(Reply::json(call.server.engine.volumes(&call.query.filters()?).await?))
}

pub(crate) async fn create(call: &mut Call) -> Result<Reply, Error> {
    let request: VolumeCreateRequest = call.json().await?;
    Ok(Reply::json_with(StatusCode::CREATED, call.server.engine.volume_create(request).await?))
}

pub(crate) async fn inspect(call: &mut Call) -> Result<Reply, Error> {
    Ok(Reply::json(call.server.engine.volume_inspect(call.name()).await?))
}

pub(crate) async fn delete(call: &mut Call) -> Result<Reply, Error> {
    call.server.engine.volume_remove(call.name(), call.query.flag("force")).await?;
    Ok(Reply::nothing())
}

pub(crate) async fn prune(call: &mut Call) -> Result<Reply, Error> {
    Ok(Reply::json(call.server.engine.volumes_prune(&call.query.filters()?).await?))
}
