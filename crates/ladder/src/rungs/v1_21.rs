//! API 1.21, Docker 1.9.

use super::shapes::{forget, host_config};
use crate::exchange::{Body, Request, Response};
use crate::json::{each, hand_over, map_text, object, remove, text};
use crate::rung::{Asked, Change, OldRoute, Rung};
use crate::version::Version;
use api::routes::Endpoint::{
    Build, ContainerCreate, ContainerInspect, ContainerKill, ContainerList, ContainerStart, ContainerStats, Events,
    ImageInspect, Info, NetworkConnect, NetworkCreate, NetworkDelete, NetworkDisconnect, NetworkInspect, NetworkList,
    VolumeCreate, VolumeDelete, VolumeInspect, VolumeList,
};
use serde_json::{Value, json};

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 21),
    release: "1.9",
    changes: &[
        Change::added(
            &[NetworkConnect, NetworkCreate, NetworkDelete, NetworkDisconnect, NetworkInspect, NetworkList],
            "Networks can be made, connected and removed.",
        ),
        Change::added(&[VolumeCreate, VolumeDelete, VolumeInspect, VolumeList], "Volumes can be made and removed."),
        Change::to(
            &[ContainerCreate, ContainerStart],
            "A bind may name a volume; a source that is no absolute path was an error.",
        )
        .up(volumes_had_no_names),
        Change::to(
            &[ContainerCreate],
            "`VolumeDriver` moved to HostConfig; `StopSignal`, `DnsOptions`, `KernelMemory` are \
             honoured.",
        )
        .up(create),
        Change::to(
            &[ContainerInspect],
            "Containers tell their networks (`NetworkSettings.Networks`), `State.Status` and \
             `StopSignal`; `VolumeDriver` moved to HostConfig.",
        )
        .down(inspect),
        Change::to(
            &[ContainerList],
            "`GET /containers/json` lists `ImageID`; containers that never ran have the status \
             `Created` rather than none.",
        )
        .down(list),
        Change::to(&[ImageInspect], "Images tell `RepoTags` and `RepoDigests`.").down(|image, _| {
            object(image, &[])
                .into_iter()
                .for_each(|image| remove(image, &["RepoTags", "RepoDigests", "RootFS", "GraphDriver"]))
        }),
        Change::to(&[ContainerStats], "Stats tell each network interface apart, `networks`.").message(one_network),
        Change::to(&[Events], "Events have nanoseconds, `timeNano`; before, `until` a second was until its end.")
            .up(whole_second)
            .message(|event, _| object(event, &[]).into_iter().for_each(|event| remove(event, &["timeNano"]))),
        Change::to(&[Build], "Build counts its steps from 1 rather than 0.").message(|message, _| {
            map_text(message.get_mut("stream"), |line| {
                let (number, instruction) = line.strip_prefix("Step ")?.split_once(" : ")?;
                let number = number.parse::<u32>().ok()?.saturating_sub(1);
                Some(format!("Step {number} : {instruction}"))
            });
        }),
        Change::to(&[Build], "Build takes `buildargs`.").up(|request| forget(request, &["buildargs"])),
        Change::to(&[Info], "`GET /info` tells `CPUShares`, `CPUSet` and `ServerVersion`.").down(|info, _| {
            let Some(info) = object(info, &[]) else { return };
            remove(info, &["CPUShares", "CPUSet", "ServerVersion", "ClusterStore", "ClusterAdvertise"]);
        }),
        Change::to(&[ContainerKill], "Signals may be written in any case, and may be real-time ones.").up(plain_signal),
        Change::removed(&PS, "`GET /containers/ps`, another name of `GET /containers/json`, is gone."),
    ],
};

/// Times were compared by their seconds.
fn whole_second(request: &mut Request) -> Result<(), Response> {
    let until = request.parameter("until").unwrap_or_default().trim();
    if until.parse::<u64>().is_ok_and(|seconds| seconds > 0) {
        let end = format!("{until}.999999999");
        request.set_parameter("until", end);
    }
    Ok(())
}

/// A signal was a number up to 31, or a name in capitals.
fn plain_signal(request: &mut Request) -> Result<(), Response> {
    let signal = request.parameter("signal").unwrap_or_default();
    let plain = signal.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let known = signal.parse::<model::Signal>().is_ok_and(|signal| signal.number() <= 31);
    if signal.is_empty() || (plain && known) {
        return Ok(());
    }
    Err(Response::error(400, &format!("Invalid signal: {signal}")))
}

static PS: OldRoute = OldRoute {
    method: "GET",
    pattern: "/containers/ps",
    since: Version::new(1, 0),
    alias: true,
    up: |request, _| {
        request.path = "/containers/json".into();
        Ok(())
    },
    answer: None,
    message: None,
};

/// Binds were `[source:]destination[:mode]`, every mode but `rw` meant read-only, and the last of two binds to one place counted.
fn volumes_had_no_names(request: &mut Request) -> Result<(), Response> {
    if matches!(request.body, Body::Empty) {
        return Ok(());
    }
    let Some(binds) = host_config(request).and_then(|config| config.get_mut("Binds")).and_then(Value::as_array_mut)
    else {
        return Ok(());
    };
    let mut kept: Vec<(String, String)> = Vec::new();
    for bind in binds.iter().filter_map(Value::as_str) {
        let bind = bind_of_old(bind).map_err(|text| Response::error(500, &text))?;
        kept.retain(|(destination, _)| *destination != bind.0);
        kept.push(bind);
    }
    *binds = kept.into_iter().map(|(_, bind)| json!(bind)).collect();
    Ok(())
}

/// The destination of a bind, and the bind in the words of today.
fn bind_of_old(bind: &str) -> Result<(String, String), String> {
    let parts: Vec<&str> = bind.split(':').collect();
    let (source, destination, mode) = match parts[..] {
        [""] => {
            return Err("Could not create local directory '' for bind mount: mkdir : no such file or directory!".into());
        }
        [destination] => ("", destination, ""),
        [source, destination] => (source, destination, ""),
        [source, destination, mode] => (source, destination, mode),
        _ => return Err(format!("Invalid volume specification: {bind}")),
    };
    if !source.starts_with('/') {
        return Err(format!("cannot bind mount volume: {source} volume paths must be absolute."));
    }
    if matches!(destination, "/" | ".") {
        return Err(format!("Illegal bind destination: {destination}"));
    }
    let place = format!("/{}", destination.trim_start_matches('/'));
    let mode = match mode {
        "" => "",
        "rw" => ":rw",
        "z" | "Z" => ":z",
        _ => ":ro",
    };
    Ok((place.clone(), format!("{source}:{place}{mode}")))
}

fn create(request: &mut Request) -> Result<(), Response> {
    let Some(body) = request.object() else { return Ok(()) };
    remove(body, &["StopSignal"]);
    let driver = body.remove("VolumeDriver");
    if let Some(config) = host_config(request) {
        remove(config, &["DnsOptions", "KernelMemory"]);
        if let Some(driver) = driver {
            config.entry("VolumeDriver").or_insert(driver);
        }
    }
    Ok(())
}

fn inspect(container: &mut Value, _: &Asked) {
    object(container, &["NetworkSettings"]).into_iter().for_each(|network| remove(network, &["Networks"]));
    object(container, &["State"]).into_iter().for_each(|state| remove(state, &["Status"]));
    let mut driver = serde_json::Map::new();
    if let Some(config) = object(container, &["HostConfig"]) {
        remove(config, &["DnsOptions", "KernelMemory", "OomScoreAdj"]);
        hand_over(config, "VolumeDriver", &mut driver, "VolumeDriver");
    }
    if let Some(config) = object(container, &["Config"]) {
        remove(config, &["StopSignal"]);
        hand_over(&mut driver, "VolumeDriver", config, "VolumeDriver");
    }
}

fn list(containers: &mut Value, _: &Asked) {
    each(containers, |container| {
        remove(container, &["ImageID"]);
        if text(container, "Status") == "Created" {
            container.insert("Status".into(), json!(""));
        }
    });
}

fn one_network(stats: &mut Value, _: &Asked) {
    let Some(stats) = stats.as_object_mut() else { return };
    let Some(Value::Object(networks)) = stats.remove("networks") else { return };
    let mut sum = serde_json::Map::new();
    for (key, value) in networks.values().filter_map(Value::as_object).flatten() {
        if let Some(value) = value.as_u64() {
            let total = sum.get(key).and_then(Value::as_u64).unwrap_or_default().saturating_add(value);
            sum.insert(key.clone(), json!(total));
        }
    }
    stats.insert("network".into(), Value::Object(sum));
}

#[cfg(test)]
mod tests {
    use crate::Body;
    use crate::testing::{ask, climbed, down, message, refused, up};
    use api::routes::Endpoint::{ContainerInspect, ContainerList, ContainerStart, ContainerStats};
    use serde_json::{Value, json};

    #[test]
    fn signals_were_few() {
        let kill = |signal: &str| {
            let asked = ask("POST", "/containers/web/kill", &format!("signal={signal}"), Value::Null);
            crate::climb(crate::Version::new(1, 14), asked)
        };
        for signal in ["", "9", "09", "31", "KILL", "SIGTERM", "STKFLT"] {
            assert!(matches!(kill(signal), crate::Climbed::Forward { .. }), "{signal}");
        }
        for signal in ["0", "32", "99", "kill", "SIGSIGTERM", "RTMIN", "-1", "1e1", "TERM "] {
            let crate::Climbed::Answer(answer) = kill(signal) else { panic!("{signal} was a signal") };
            assert_eq!((answer.status, answer.message()), (500, Some(&*format!("Invalid signal: {signal}"))));
        }
    }

    #[test]
    fn ps_is_json() {
        let (request, endpoint, _) = climbed("1.20", ask("GET", "/containers/ps", "all=1", Value::Null));
        assert_eq!((request.path.as_str(), endpoint), ("/containers/json", ContainerList));
    }

    #[test]
    fn binds_were_paths() {
        let Body::Json(body) = up("1.20", ContainerStart, "", json!({"Binds": ["/a:/b", "/c:/b:banana", "/d:e"]})).body
        else {
            panic!("no JSON")
        };
        assert_eq!(body["Binds"], json!(["/c:/b:ro", "/d:/e"]));
        for (bind, text) in [
            ("data:/a", "cannot bind mount volume: data volume paths must be absolute."),
            ("/a:/", "Illegal bind destination: /"),
            ("/a:/b:c:d", "Invalid volume specification: /a:/b:c:d"),
        ] {
            assert_eq!(refused("1.20", ContainerStart, json!({"Binds": [bind]})).message(), Some(text));
        }
    }

    #[test]
    fn containers_had_one_network() {
        let container = json!({"NetworkSettings": {"IPAddress": "a", "Networks": {}}, "State": {"Status": "running"}, "HostConfig": {"VolumeDriver": "d"}, "Config": {}});
        let older = json!({"NetworkSettings": {"IPAddress": "a"}, "State": {}, "HostConfig": {}, "Config": {"VolumeDriver": "d"}});
        assert_eq!(down("1.21", "1.20", ContainerInspect, container), older);
        let stats = json!({"networks": {"eth0": {"rx_bytes": 1}, "eth1": {"rx_bytes": 2}}});
        assert_eq!(message("1.21", "1.20", ContainerStats, stats), "{\"network\":{\"rx_bytes\":3}}\n");
    }
}
