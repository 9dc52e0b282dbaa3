//! API 1.19, Docker 1.7.

use super::shapes::{forget, host_config};
use crate::exchange::{Request, Response};
use crate::json::{number, object, remove};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::{ContainerCreate, ContainerInspect, ContainerLogs, ContainerStats, ExecCreate, Info};
use serde_json::{Value, json};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 19),
    release: "1.7",
    changes: &[
        Change::to(
            &[Info],
            "Booleans of `GET /info` are booleans rather than 0 and 1; it tells `CpuCfsPeriod`, \
             `CpuCfsQuota` and `OomKillDisable`.",
        )
        .down(info),
        Change::to(
            &[ContainerCreate],
            "CPU shares must be in range; before they were put in range. `CpuPeriod`, \
             `CpuQuota`, `BlkioWeight` and `OomKillDisable` are honoured.",
        )
        .up(create),
        Change::to(&[ContainerInspect], "Containers tell `CpuPeriod`, `CpuQuota`, `BlkioWeight` and `OomKillDisable`.")
            .down(|container, _| {
                object(container, &["HostConfig"]).into_iter().for_each(|config| remove(config, BROUGHT))
            }),
        Change::to(&[ContainerStats], "Stats take `stream`.").up(|request| forget(request, &["stream"])),
        Change::to(&[ContainerLogs], "Logs take `since`.").up(|request| forget(request, &["since"])),
        Change::to(&[ExecCreate], "Exec takes `User` and `Privileged`.").up(|request| {
            request.object().into_iter().for_each(|body| remove(body, &["User", "Privileged"]));
            Ok(())
        }),
        Change::note("A client newer than the daemon gets status 400 rather than 404."),
    ],
};

const BROUGHT: &[&str] = &["CpuPeriod", "CpuQuota", "BlkioWeight", "OomKillDisable", "UTSMode"];

fn info(info: &mut Value, _: &Asked) {
    let Some(info) = info.as_object_mut() else { return };
    remove(
        info,
        &[
            "CpuCfsPeriod",
            "CpuCfsQuota",
            "OomKillDisable",
            "BridgeNfIptables",
            "BridgeNfIp6tables",
            "ExperimentalBuild",
        ],
    );
    for value in info.values_mut() {
        if let Some(flag) = value.as_bool() {
            *value = json!(u8::from(flag));
        }
    }
}

fn create(request: &mut Request) -> Result<(), Response> {
    let Some(config) = host_config(request) else { return Ok(()) };
    remove(config, BROUGHT);
    let shares = number(config, "CpuShares");
    if shares != 0 {
        config.insert("CpuShares".into(), json!(shares.clamp(2, 262_144)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::Body;
    use crate::testing::{down, up};
    use api::routes::Endpoint::{ContainerCreate, Info};
    use serde_json::json;

    #[test]
    fn info_was_numbers() {
        assert_eq!(
            down("1.19", "1.18", Info, json!({"Debug": true, "MemoryLimit": false, "NCPU": 3, "CpuCfsQuota": true})),
            json!({"Debug": 1, "MemoryLimit": 0, "NCPU": 3})
        );
    }

    #[test]
    fn shares_were_put_in_range() {
        let Body::Json(body) = up("1.18", ContainerCreate, "", json!({"HostConfig": {"CpuShares": 1}})).body else {
            panic!("no JSON")
        };
        assert_eq!(body["HostConfig"]["CpuShares"], json!(2));
    }
}
