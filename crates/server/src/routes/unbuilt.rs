//! What the API has and longshore has not: the one list.

use api::routes::Endpoint;
use model::ErrorKind;

use crate::error::Error;
use crate::reply::Reply;

const NOT_A_MANAGER: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to \
                             connect this node to swarm and try again.";

/// Answers an endpoint that no route serves.
///
/// # Errors
/// Always, but for the list of plugins, which is empty.
pub(crate) fn answer(endpoint: Endpoint) -> Result<Reply, Error> {
    let pattern = endpoint.route().pattern;
    let under =
        |prefix: &str| pattern.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match endpoint {
        // There are none, and none can be installed.
        Endpoint::PluginList => return Ok(Reply::json([(); 0])),
        // `docker inspect` asks for everything that can have a name, plugins included.
        Endpoint::PluginInspect => return Err(Error::of(ErrorKind::NotFound, "plugin not found: none is installed")),
        Endpoint::SwarmLeave => return Err(Error::of(ErrorKind::Unavailable, "This node is not part of a swarm")),
        Endpoint::SwarmInit | Endpoint::SwarmJoin => {}
        _ if ["/swarm", "/services", "/tasks", "/nodes", "/secrets", "/configs"].iter().any(|noun| under(noun)) => {
            return Err(Error::of(ErrorKind::Unavailable, NOT_A_MANAGER));
        }
        _ => {}
    }
    Err(not_built(&format!("{} {pattern}", endpoint.route().method)))
}

/// The refusal of a call, or of a form of it, that is not built yet (501).
pub(crate) fn not_built(what: &str) -> Error {
    Error::of(ErrorKind::NotImplemented, format!("{what} is not built into this version of longshore yet"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::routes::ROUTES;

    #[test]
    fn what_is_not_built_names_itself() {
        assert!(answer(Endpoint::BuildCancel).unwrap_err().to_string().contains("POST /build/cancel"));
        assert_eq!(answer(Endpoint::BuildCancel).unwrap_err().status(), 501);
        assert_eq!(answer(Endpoint::NodeList).unwrap_err().status(), 503);
        assert_eq!(answer(Endpoint::SwarmLeave).unwrap_err().status(), 503);
        assert!(answer(Endpoint::PluginList).is_ok());
    }

    #[test]
    fn every_swarm_route_answers_in_docker_words() {
        for route in ROUTES.iter().filter(|route| route.pattern.starts_with("/services")) {
            assert_eq!(answer(route.endpoint).unwrap_err().status(), 503, "{}", route.pattern);
        }
    }
}
