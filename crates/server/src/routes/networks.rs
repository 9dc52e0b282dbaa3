//! Networks: the predefined ones can be seen; making others is not built yet.

use crate::call::Call;
use crate::error::Error;
use crate::reply::Reply;

pub(crate) async fn list(call: &mut Call) -> Result<Reply, Error> {
    let mut networks = call.server.engine.networks(&call.query.filters()?).await?;
    for network in &mut networks {
        // Only inspect shows who is on a network.
        network.containers.clear();
    }
    Reply::json(&networks)
}

pub(crate) async fn inspect(call: &mut Call) -> Result<Reply, Error> {
    Reply::json(&call.server.engine.network_inspect(call.name()).await?)
}

pub(crate) async fn prune(call: &mut Call) -> Result<Reply, Error> {
    Reply::json(&call.server.engine.networks_prune(&call.query.filters()?).await?)
}
