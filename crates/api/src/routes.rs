//! The routes of the newest API: one table, and the way from a method and a path to an [`Endpoint`].
//!
//! Paths are taken without their version prefix and percent-decoded. A `{parameter}` of a pattern stands for any text,
//! slashes included, because names of images hold them (`/images/registry:5000/team/app/json`).

/// Defines [`Endpoint`] and [`ROUTES`] together, so that neither can name what the other lacks.
macro_rules! routes {
    ($($method:literal $pattern:literal => $endpoint:ident,)*) => {
        /// An operation of the newest API; each has exactly one method and path pattern.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Endpoint {
            $(
                #[doc = concat!("`", $method, " ", $pattern, "`")]
                $endpoint,
            )*
        }

        /// Every route of the newest API, in the order in which they are tried.
        pub const ROUTES: &[Route] = &[
            $(Route { method: $method, pattern: $pattern, endpoint: Endpoint::$endpoint },)*
        ];
    };
}

/// A method and a path pattern, and what they lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method in capitals.
    pub method: &'static str,
    /// The path, with `{parameter}` for its variable parts.
    pub pattern: &'static str,
    /// The operation behind it.
    pub endpoint: Endpoint,
}

routes! {
    "GET" "/_ping" => Ping,
    "HEAD" "/_ping" => PingHead,
    "POST" "/auth" => Auth,
    "GET" "/events" => Events,
    "GET" "/info" => Info,
    "GET" "/version" => Version,
    "GET" "/system/df" => DiskUsage,

    "POST" "/build" => Build,
    "POST" "/build/prune" => BuildPrune,
    "POST" "/build/cancel" => BuildCancel,
    "POST" "/session" => Session,
    "POST" "/grpc" => Grpc,

    "GET" "/containers/json" => ContainerList,
    "POST" "/containers/create" => ContainerCreate,
    "POST" "/containers/prune" => ContainerPrune,
    "HEAD" "/containers/{name}/archive" => ContainerArchiveHead,
    "GET" "/containers/{name}/archive" => ContainerArchiveGet,
    "PUT" "/containers/{name}/archive" => ContainerArchivePut,
    "GET" "/containers/{name}/attach/ws" => ContainerAttachWs,
    "POST" "/containers/{name}/attach" => ContainerAttach,
    "GET" "/containers/{name}/changes" => ContainerChanges,
    "GET" "/containers/{name}/checkpoints" => CheckpointList,
    "POST" "/containers/{name}/checkpoints" => CheckpointCreate,
    "DELETE" "/containers/{name}/checkpoints/{checkpoint}" => CheckpointDelete,
    "POST" "/containers/{name}/exec" => ExecCreate,
    "GET" "/containers/{name}/export" => ContainerExport,
    "GET" "/containers/{name}/json" => ContainerInspect,
    "POST" "/containers/{name}/kill" => ContainerKill,
    "GET" "/containers/{name}/logs" => ContainerLogs,
    "POST" "/containers/{name}/pause" => ContainerPause,
    "POST" "/containers/{name}/rename" => ContainerRename,
    "POST" "/containers/{name}/resize" => ContainerResize,
    "POST" "/containers/{name}/restart" => ContainerRestart,
    "POST" "/containers/{name}/start" => ContainerStart,
    "GET" "/containers/{name}/stats" => ContainerStats,
    "POST" "/containers/{name}/stop" => ContainerStop,
    "GET" "/containers/{name}/top" => ContainerTop,
    "POST" "/containers/{name}/unpause" => ContainerUnpause,
    "POST" "/containers/{name}/update" => ContainerUpdate,
    "POST" "/containers/{name}/wait" => ContainerWait,
    "DELETE" "/containers/{name}" => ContainerDelete,

    "GET" "/exec/{id}/json" => ExecInspect,
    "POST" "/exec/{id}/resize" => ExecResize,
    "POST" "/exec/{id}/start" => ExecStart,

    "POST" "/commit" => Commit,
    "GET" "/images/json" => ImageList,
    "GET" "/images/search" => ImageSearch,
    "GET" "/images/get" => ImageSaveMany,
    "POST" "/images/create" => ImageCreate,
    "POST" "/images/load" => ImageLoad,
    "POST" "/images/prune" => ImagePrune,
    "GET" "/images/{name}/get" => ImageSave,
    "GET" "/images/{name}/history" => ImageHistory,
    "GET" "/images/{name}/json" => ImageInspect,
    "POST" "/images/{name}/push" => ImagePush,
    "POST" "/images/{name}/tag" => ImageTag,
    "DELETE" "/images/{name}" => ImageDelete,
    "GET" "/distribution/{name}/json" => DistributionInspect,

    "GET" "/networks" => NetworkList,
    "POST" "/networks/create" => NetworkCreate,
    "POST" "/networks/prune" => NetworkPrune,
    "POST" "/networks/{id}/connect" => NetworkConnect,
    "POST" "/networks/{id}/disconnect" => NetworkDisconnect,
    "GET" "/networks/{id}" => NetworkInspect,
    "DELETE" "/networks/{id}" => NetworkDelete,

    "GET" "/volumes" => VolumeList,
    "POST" "/volumes/create" => VolumeCreate,
    "POST" "/volumes/prune" => VolumePrune,
    "GET" "/volumes/{name}" => VolumeInspect,
    "PUT" "/volumes/{name}" => VolumeUpdate,
    "DELETE" "/volumes/{name}" => VolumeDelete,

    "GET" "/plugins" => PluginList,
    "GET" "/plugins/privileges" => PluginPrivileges,
    "POST" "/plugins/create" => PluginCreate,
    "POST" "/plugins/pull" => PluginPull,
    "GET" "/plugins/{name}/json" => PluginInspect,
    "POST" "/plugins/{name}/disable" => PluginDisable,
    "POST" "/plugins/{name}/enable" => PluginEnable,
    "POST" "/plugins/{name}/push" => PluginPush,
    "POST" "/plugins/{name}/set" => PluginSet,
    "POST" "/plugins/{name}/upgrade" => PluginUpgrade,
    "DELETE" "/plugins/{name}" => PluginDelete,

    "GET" "/swarm" => SwarmInspect,
    "POST" "/swarm/init" => SwarmInit,
    "POST" "/swarm/join" => SwarmJoin,
    "POST" "/swarm/leave" => SwarmLeave,
    "POST" "/swarm/unlock" => SwarmUnlock,
    "GET" "/swarm/unlockkey" => SwarmUnlockKey,
    "POST" "/swarm/update" => SwarmUpdate,
    "GET" "/configs" => ConfigList,
    "POST" "/configs/create" => ConfigCreate,
    "POST" "/configs/{id}/update" => ConfigUpdate,
    "GET" "/configs/{id}" => ConfigInspect,
    "DELETE" "/configs/{id}" => ConfigDelete,
    "GET" "/nodes" => NodeList,
    "POST" "/nodes/{id}/update" => NodeUpdate,
    "GET" "/nodes/{id}" => NodeInspect,
    "DELETE" "/nodes/{id}" => NodeDelete,
    "GET" "/secrets" => SecretList,
    "POST" "/secrets/create" => SecretCreate,
    "POST" "/secrets/{id}/update" => SecretUpdate,
    "GET" "/secrets/{id}" => SecretInspect,
    "DELETE" "/secrets/{id}" => SecretDelete,
    "GET" "/services" => ServiceList,
    "POST" "/services/create" => ServiceCreate,
    "GET" "/services/{id}/logs" => ServiceLogs,
    "POST" "/services/{id}/update" => ServiceUpdate,
    "GET" "/services/{id}" => ServiceInspect,
    "DELETE" "/services/{id}" => ServiceDelete,
    "GET" "/tasks" => TaskList,
    "GET" "/tasks/{id}/logs" => TaskLogs,
    "GET" "/tasks/{id}" => TaskInspect,
}

/// The variable parts of a path, by the parameter's name in the pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(&'static str, String)>);

impl Params {
    /// The value of parameter `name`, if the pattern has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    /// The first parameter (`name` or `id` of nearly every pattern), or the empty text.
    pub fn first(&self) -> &str {
        self.0.first().map_or("", |(_, value)| value.as_str())
    }
}

impl Endpoint {
    /// The route that leads here.
    pub fn route(self) -> &'static Route {
        // The enum is made from the table, in its order.
        &ROUTES[self as usize]
    }
}

/// Finds the endpoint for a method and a decoded path without version prefix.
///
/// None means that there is no such page, also if only the method is wrong: Docker's router never answers 405.
pub fn resolve(method: &str, path: &str) -> Option<(Endpoint, Params)> {
    ROUTES
        .iter()
        .filter(|route| route.method == method)
        .find_map(|route| Some((route.endpoint, matches(route.pattern, path)?)))
}

/// Compares a path with a pattern; gives the parameters if it fits.
///
/// A parameter takes as much text as it can, and may be empty only at the end of the path.
pub fn matches(pattern: &'static str, path: &str) -> Option<Params> {
    let mut params = Vec::new();
    let mut pattern = pattern;
    let mut path = path;
    while let Some((literal, rest)) = pattern.split_once('{') {
        let (name, after) = rest.split_once('}')?;
        path = path.strip_prefix(literal)?;
        let next = after.split('{').next().unwrap_or(after);
        let end = match (next.is_empty(), next.len() == after.len()) {
            (true, _) => path.len(),
            (false, true) => path.len().checked_sub(next.len()).filter(|&at| at > 0 && path.ends_with(next))?,
            (false, false) => path.rfind(next).filter(|&at| at > 0)?,
        };
        params.push((name, path[..end].to_owned()));
        path = &path[end..];
        pattern = after;
    }
    (path == pattern).then_some(Params(params))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &str, path: &str) -> Option<(Endpoint, String)> {
        resolve(method, path).map(|(endpoint, params)| (endpoint, params.first().to_owned()))
    }

    #[test]
    fn every_endpoint_knows_its_route() {
        for route in ROUTES {
            assert_eq!(route.endpoint.route(), route);
        }
    }

    #[test]
    fn names_may_hold_slashes() {
        assert_eq!(
            found("GET", "/images/reg:5000/team/app/json"),
            Some((Endpoint::ImageInspect, "reg:5000/team/app".into()))
        );
        assert_eq!(found("GET", "/images/json/json"), Some((Endpoint::ImageInspect, "json".into())));
        assert_eq!(found("DELETE", "/containers/web/db"), Some((Endpoint::ContainerDelete, "web/db".into())));
        assert_eq!(found("GET", "/images/get"), Some((Endpoint::ImageSaveMany, String::new())));
        let (endpoint, params) = resolve("DELETE", "/containers/a/b/checkpoints/c1").unwrap();
        assert_eq!(
            (endpoint, params.get("name"), params.get("checkpoint")),
            (Endpoint::CheckpointDelete, Some("a/b"), Some("c1"))
        );
    }

    #[test]
    fn a_wrong_method_or_path_is_no_page() {
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/containers"),
            ("POST", "/containers/json"),
            ("HEAD", "/info"),
            ("GET", "/containers/x/nosuch"),
            ("PUT", "/containers/create"),
            ("GET", "/containers//json"),
        ] {
            assert_eq!(found(method, path), None, "{method} {path}");
        }
        assert_eq!(found("DELETE", "/containers/json"), Some((Endpoint::ContainerDelete, "json".into())));
    }

    #[test]
    fn text_outside_ascii_does_not_panic() {
        assert_eq!(found("GET", "/containers/é/json"), Some((Endpoint::ContainerInspect, "é".into())));
        assert_eq!(found("GET", "/containers/éjson"), None);
    }
}
