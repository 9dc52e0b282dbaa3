//! API 1.30, Docker 17.06.

use super::shapes::forget;
use crate::json::{object, remove};
use crate::rung::{Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{
    Build, ConfigCreate, ConfigDelete, ConfigInspect, ConfigList, ConfigUpdate, ContainerArchivePut, ContainerWait,
    DistributionInspect, Events, Info,
};
use serde_json::Value;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 30),
    release: "17.06",
    changes: &[
        Change::to(&[ContainerWait], "Wait takes `condition`, and sends its headers at once.")
            .up(|request| forget(request, &["condition"]))
            .traits(|traits| traits.wait_headers_early = false),
        Change::added(&[DistributionInspect], "`GET /distribution/{name}/json` asks a registry for an image."),
        Change::added(&[ConfigList, ConfigCreate, ConfigInspect, ConfigUpdate, ConfigDelete], "Configs of services."),
        Change::to(&[Build], "Build tells the id of what it made in a message `aux`.").message(|message, _| {
            if message.get("aux").is_some() {
                *message = Value::Null;
            }
        }),
        Change::to(&[ContainerArchivePut], "Upload of an archive takes `copyUIDGID`.")
            .up(|request| forget(request, &["copyUIDGID"])),
        Change::to(&[Events], "Events have a `scope`.")
            .message(|event, _| object(event, &[]).into_iter().for_each(|event| remove(event, &["scope"]))),
        Change::to(&[Info], "`GET /info` lists logging drivers, `Plugins.Log`.")
            .down(|info, _| object(info, &["Plugins"]).into_iter().for_each(|plugins| remove(plugins, &["Log"]))),
    ],
};

#[cfg(test)]
mod tests {
    use crate::testing::{message, up};
    use api::routes::Endpoint::{Build, ContainerWait};
    use serde_json::{Value, json};

    #[test]
    fn wait_knew_no_condition() {
        assert!(up("1.29", ContainerWait, "condition=removed", Value::Null).query.is_empty());
        assert!(!crate::traits(crate::Version::new(1, 29)).wait_headers_early);
        assert!(crate::traits(crate::Version::new(1, 30)).wait_headers_early);
    }

    #[test]
    fn build_had_no_aux() {
        assert_eq!(message("1.30", "1.29", Build, json!({"aux": {"ID": "sha256:1"}})), "");
    }
}
