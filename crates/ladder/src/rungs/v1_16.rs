//! API 1.16, Docker 1.4.

use super::shapes::forget;
use crate::exchange::OWN_CHANGES_HEADER;
use crate::json::{object, remove, text};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{Build, ContainerChanges, ContainerCreate, ContainerInspect, ExecInspect, Info};
use serde_json::Value;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 16),
    release: "1.4",
    changes: &[
        Change::to(&[], "Web pages of other origins may send `X-Registry-Auth`.")
            .traits(|traits| traits.cors_headers = "Origin, X-Requested-With, Content-Type, Accept"),
        Change::added(&[ExecInspect], "`GET /exec/{id}/json` tells about an exec."),
        Change::to(&[ContainerInspect], "Volumes are made at create; before at the first start.")
            .down(volumes_at_start),
        Change::to(
            &[ContainerChanges],
            "Changes tell all directories above a change; before those that changed themselves.",
        )
        .up(|request| {
            request.set_header(OWN_CHANGES_HEADER, "1");
            Ok(())
        }),
        Change::to(&[ContainerCreate], "Create takes `MacAddress`.").up(|request| {
            request.object().into_iter().for_each(|body| remove(body, &["MacAddress"]));
            Ok(())
        }),
        Change::to(&[Build], "Build takes `pull`.").up(|request| forget(request, &["pull"])),
        Change::to(&[Info], "`GET /info` tells `ID`, `Name`, `Labels`, `NCPU`, `MemTotal` and `DockerRootDir`.").down(
            |info, _| {
                object(info, &[])
                    .into_iter()
                    .for_each(|info| remove(info, &["ID", "Name", "Labels", "NCPU", "MemTotal", "DockerRootDir"]))
            },
        ),
    ],
};

fn volumes_at_start(container: &mut Value, asked: &Asked) {
    object(container, &["Config"]).into_iter().for_each(|config| remove(config, &["MacAddress"]));
    if let Some(state) = object(container, &["State"])
        && text(state, "StartedAt").starts_with("0001-")
    {
        // Only a process that ran had an exit code.
        state.insert("ExitCode".into(), 0.into());
    }
    let Some(fields) = container.as_object_mut() else { return };
    // A start writes one file before, the other after it joins the network; then it makes volumes.
    if text(fields, "ResolvConfPath").is_empty() {
        asked.note("fresh", Value::Bool(true));
    }
    if text(fields, "HostsPath").is_empty() {
        for volumes in ["Volumes", "VolumesRW"] {
            fields.insert(volumes.into(), Value::Null);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{down, missing, up};
    use api::routes::Endpoint::{ContainerChanges, ContainerInspect, ExecInspect};
    use serde_json::{Value, json};

    #[test]
    fn directories_changed_themselves() {
        assert!(up("1.15", ContainerChanges, "", Value::Null).header(crate::OWN_CHANGES_HEADER).is_some());
        assert!(up("1.16", ContainerChanges, "", Value::Null).header(crate::OWN_CHANGES_HEADER).is_none());
    }

    #[test]
    fn a_fresh_container_had_no_volumes() {
        let container = |hosts: &str| json!({"State": {"StartedAt": "0001-01-01T00:00:00Z", "ExitCode": 127}, "HostsPath": hosts, "Volumes": {"/a": "/b"}});
        let fresh = down("1.16", "1.15", ContainerInspect, container(""));
        assert_eq!((&fresh["Volumes"], &fresh["State"]["ExitCode"]), (&json!(null), &json!(0)));
        let failed = down("1.16", "1.15", ContainerInspect, container("/x"));
        assert_eq!((&failed["Volumes"], &failed["State"]["ExitCode"]), (&json!({"/a": "/b"}), &json!(0)));
        assert!(missing("1.15", ExecInspect));
    }
}
