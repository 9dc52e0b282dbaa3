//! API 1.41, Docker 20.10.

use api::routes::Endpoint::{
    ContainerCreate, ContainerInspect, ContainerList, ContainerStats, Events, ImageList, Info,
};
use serde_json::{Value, json};

use super::shapes::{drop_events, forget, host_config};
use crate::exchange::{Request, Response};
use crate::json::{default, each, map_text, object, remove};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 41),
    release: "20.10",
    changes: &[
        Change::to(
            &[ContainerCreate],
            "Create takes `platform`, and `HostConfig.CgroupnsMode`; before containers shared \
             the host's cgroup namespace.",
        )
        .up(shared_cgroup_namespace),
        Change::to(
            &[ContainerInspect],
            "Containers tell `HostConfig.CgroupnsMode`, and capabilities with the prefix `CAP_`; `HostConfig.Capabilities` is gone.",
        )
        .down(inspect),
        Change::to(&[ContainerList, ContainerInspect], "Published ports of IPv6 are listed apart.").down(one_family),
        Change::to(&[ContainerStats], "Stats takes `one-shot`.").up(|request| forget(request, &["one-shot"])),
        Change::to(
            &[ImageList],
            "The parameter `filter` of `GET /images/json` is gone; the filter `reference` does \
             the same.",
        )
        .up(filter_by_reference),
        Change::to(
            &[Info],
            "`GET /info` tells `CgroupVersion`, `OSVersion` and `DefaultAddressPools`, and no \
             longer the cluster store.",
        )
        .down(info),
        Change::to(&[Events], "Pruning is an event.").message(|event, _| drop_events(event, "", &["prune"])),
    ],
};

fn shared_cgroup_namespace(request: &mut Request) -> Result<(), Response> {
    request.remove_parameter("platform");
    if let Some(config) = host_config(request) {
        remove(config, &["CgroupnsMode"]);
        default(config, "CgroupnsMode", json!("host"));
    }
    Ok(())
}

fn info(info: &mut Value, _: &Asked) {
    let Some(info) = object(info, &[]) else { return };
    remove(info, &["CgroupVersion", "OSVersion", "DefaultAddressPools"]);
    // There is no cluster store, and no status of one.
    for (key, nothing) in [("ClusterStore", json!("")), ("ClusterAdvertise", json!("")), ("SystemStatus", Value::Null)]
    {
        default(info, key, nothing);
    }
}

fn inspect(container: &mut Value, _: &Asked) {
    let Some(config) = object(container, &["HostConfig"]) else { return };
    remove(config, &["CgroupnsMode"]);
    default(config, "Capabilities", Value::Null);
    for key in ["CapAdd", "CapDrop"] {
        for name in config.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            map_text(Some(name), |name| name.strip_prefix("CAP_").map(str::to_owned));
        }
    }
}

/// A port that is published for both families was listed once.
fn one_family(value: &mut Value, _: &Asked) {
    each(value, |container| {
        if let Some(Value::Array(ports)) = container.get_mut("Ports") {
            let listed = ports.clone();
            ports.retain(|port| {
                port["IP"] != "::"
                    || !listed.iter().any(|other| {
                        other["IP"] == "0.0.0.0"
                            && other["PublicPort"] == port["PublicPort"]
                            && other["Type"] == port["Type"]
                    })
            });
        }
    });
    for bindings in object(value, &["NetworkSettings", "Ports"])
        .into_iter()
        .flat_map(|ports| ports.values_mut())
        .filter_map(Value::as_array_mut)
    {
        let listed = bindings.clone();
        bindings.retain(|binding| {
            binding["HostIp"] != "::"
                || !listed.iter().any(|other| other["HostIp"] == "0.0.0.0" && other["HostPort"] == binding["HostPort"])
        });
    }
}

fn filter_by_reference(request: &mut Request) -> Result<(), Response> {
    let Some(name) = request.parameter("filter").filter(|name| !name.is_empty()).map(str::to_owned) else {
        return Ok(());
    };
    let mut filters: Value = match request.parameter("filters").map(serde_json::from_str) {
        Some(Ok(filters)) => filters,
        Some(Err(_)) => return Ok(()),
        None => json!({}),
    };
    if let Some(filters) = filters.as_object_mut() {
        filters.insert("reference".into(), json!([name]));
    }
    request.remove_parameter("filter");
    request.set_parameter("filters", filters.to_string());
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::up;
    use api::routes::Endpoint::{ContainerCreate, ImageList};
    use serde_json::{Value, json};

    #[test]
    fn filter_became_a_filter() {
        assert_eq!(
            up("1.40", ImageList, "filter=busybox", Value::Null).parameter("filters"),
            Some(r#"{"reference":["busybox"]}"#)
        );
    }

    #[test]
    fn cgroup_namespaces_were_shared() {
        let request = up("1.40", ContainerCreate, "", json!({"Image": "x"}));
        let crate::Body::Json(body) = request.body else { panic!("no JSON") };
        assert_eq!(body["HostConfig"]["CgroupnsMode"], json!("host"));
    }
}
