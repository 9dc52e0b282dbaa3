//! Networks: the predefined ones can be seen; making others is not built yet.

use engine::SignalCode;
use model::ErrorKind;
use serde::Deserialize;

use super::unbuilt;
use crate::call::Call;
use crate::error::Error;
use crate::reply::Reply;

pub(crate) async fn list(call: &mut Call) -> Result<Reply, Error> {
    let mut networks = call.server.engine.networks(&call.query.filters()?).await?;
    for network in &mut networks {
        // Only inspect shows who is on a network.
        network.containers.clear();
    }
    Ok(Reply::json(networks))
}

pub(crate) async fn inspect(call: &mut Call) -> Result<Reply, Error> {
    Ok(Reply::json(call.server.engine.network_inspect(call.name()).await?))
}

/// All networks are predefined as yet.
pub(crate) async fn delete(call: &mut Call) -> Result<Reply, Error> {
    let name = call.server.engine.network_inspect(call.name()).await?.name;
    Err(Error::of(ErrorKind::Forbidden, format!("{name} is a pre-defined network and cannot be removed")))
}

/// What a client says of the container that joins or leaves.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Member {
    container: String,
}

pub(crate) async fn connect(call: &mut Call) -> Result<Reply, Error> {
    let member: Member = call.json().await?;
    call.server.engine.network_inspect(call.name()).await?;
    call.server.engine.inspect(&member.container, false, SignalCode::default()).await?;
    Err(unbuilt::not_built("joining or leaving a network"))
}

pub(crate) async fn prune(call: &mut Call) -> Result<Reply, Error> {
    Ok(Reply::json(call.server.engine.networks_prune(&call.query.filters()?).await?))
}
