//! Inspect as clients below 1.15 read it.

use model::path::clean;
use serde_json::{Value, json};

use super::v1_15::AS_WRITTEN;
use super::v1_15_create::NO_PORTS;
use crate::exchange::{Body, Response};
use crate::json::{Object, child, default, is_empty, keep, map_text, null_if_empty, object, rename, set, text};
use crate::rung::Asked;

const CONTAINER: &[&str] = &[
    "Args",
    "Config",
    "Created",
    "Driver",
    "ExecDriver",
    "HostConfig",
    "HostnamePath",
    "HostsPath",
    "Id",
    "Image",
    "MountLabel",
    "Name",
    "NetworkSettings",
    "Path",
    "ProcessLabel",
    "ResolvConfPath",
    "State",
    "Volumes",
    "VolumesRW",
];
const STATE: &[&str] = &["ExitCode", "FinishedAt", "Paused", "Pid", "Restarting", "Running", "StartedAt"];
const LISTS: &[&str] =
    &["Binds", "CapAdd", "CapDrop", "Devices", "Dns", "DnsSearch", "Links", "LxcConf", "PortBindings", "VolumesFrom"];
const IMAGE: &[&str] = &[
    "Architecture",
    "Author",
    "Comment",
    "Config",
    "Container",
    "ContainerConfig",
    "Created",
    "DockerVersion",
    "Id",
    "Os",
    "Parent",
    "Size",
];

pub(super) fn inspect(container: &mut Value, asked: &Asked) {
    let Some(container) = container.as_object_mut() else { return };
    let written = |part: &str| -> Value {
        let text = asked.recall(&format!("{AS_WRITTEN}{part}"));
        text.and_then(|text| serde_json::from_str(text.as_str()?).ok()).unwrap_or_default()
    };
    let (written, written_host) = (written("Config"), written("HostConfig"));
    let fresh = asked.recall("fresh").is_some();
    if let Some(restarts) = container.get("RestartCount") {
        // Not told from 1.12 to 1.14, but below.
        asked.note("RestartCount", restarts.clone());
    }
    keep(container, CONTAINER);
    let running = container.get("State").is_some_and(|state| state["Running"] == true);
    child(container, "State").into_iter().for_each(|state| keep(state, STATE));
    let unexposed = unexposed_ports(container);
    child(container, "NetworkSettings").into_iter().for_each(|network| network_settings(network, running, &unexposed));
    child(container, "HostConfig").into_iter().for_each(|host_config| self::host_config(host_config, &written_host));
    child(container, "Config").into_iter().for_each(|config| self::config(config, &written, fresh));
    for path in written["Volumes"].as_object().into_iter().flat_map(|volumes| volumes.keys()) {
        for key in ["Volumes", "VolumesRW"] {
            let shown = container.get_mut(key).and_then(Value::as_object_mut);
            shown.into_iter().for_each(|shown| rename(shown, &format!("/{path}"), path));
        }
    }
    if fresh && !written["PortSpecs"].is_null() {
        child(container, "HostConfig").into_iter().for_each(|config| set(config, "PortBindings", Value::Null));
    }
    if container
        .get("HostConfig")
        .is_some_and(|config| config["NetworkMode"].as_str().is_some_and(|mode| mode.starts_with("container:")))
    {
        // The file was shared without being told.
        set(container, "HostnamePath", "");
    }
    for path in ["HostnamePath", "HostsPath", "ResolvConfPath", "MountLabel", "ProcessLabel"] {
        default(container, path, json!(""));
    }
    note(container, &["Path"], asked);
    unquote(container, &["Path"]);
}

pub(super) fn config(config: &mut Object, written: &Value, fresh: bool) {
    flat_config(config);
    for (key, value) in written.as_object().into_iter().flatten() {
        if key == NO_PORTS {
            let exposed = child(config, "ExposedPorts");
            exposed.into_iter().for_each(|exposed| exposed.extend(value.as_object().cloned().unwrap_or_default()));
        } else if *value == json!([])
            && config.get("Entrypoint").is_some_and(|image| key == "Entrypoint" && !image.is_null())
        {
            // No words, and so the image's.
        } else if fresh || !matches!(key.as_str(), "PortSpecs" | "ExposedPorts") {
            set(config, key, value.clone());
        }
    }
    if !fresh {
        // The first start tidied it up.
        map_text(config.get_mut("WorkingDir"), |path| path.starts_with('/').then(|| clean(path)));
    }
}

/// A configuration had all its fields, also those that say nothing.
fn flat_config(config: &mut Object) {
    const TEXTS: &[&str] = &["Cpuset", "Domainname", "Hostname", "Image", "User", "WorkingDir"];
    const FLAGS: &[&str] =
        &["AttachStderr", "AttachStdin", "AttachStdout", "NetworkDisabled", "OpenStdin", "StdinOnce", "Tty"];
    const NUMBERS: &[&str] = &["CpuShares", "Memory", "MemorySwap"];
    const NULLS: &[&str] = &["Cmd", "Entrypoint", "Env", "ExposedPorts", "OnBuild", "PortSpecs", "Volumes"];
    for (keys, nothing) in [(TEXTS, json!("")), (FLAGS, json!(false)), (NUMBERS, json!(0)), (NULLS, Value::Null)] {
        keys.iter().for_each(|key| default(config, key, nothing.clone()));
    }
    config.retain(|key, _| [TEXTS, FLAGS, NUMBERS, NULLS].iter().any(|keys| keys.contains(&key.as_str())));
}

fn host_config(config: &mut Object, written: &Value) {
    null_if_empty(config, LISTS);
    let mut policy = config.remove("RestartPolicy").and_then(|policy| policy.as_object().cloned()).unwrap_or_default();
    if text(&policy, "Name") == "no" {
        set(&mut policy, "Name", "");
    }
    if let Some(name) = config.get_mut("NetworkMode").filter(|name| *name == "default" || *name == "bridge") {
        *name = json!("");
    }
    set(config, "RestartPolicy", policy);
    for (key, value) in written.as_object().into_iter().flatten() {
        set(config, key, value.clone());
    }
    let policy = child(config, "RestartPolicy");
    policy.into_iter().for_each(|policy| {
        default(policy, "Name", json!(""));
        default(policy, "MaximumRetryCount", json!(0));
    });
    for (key, nothing) in [
        ("ContainerIDFile", json!("")),
        ("NetworkMode", json!("")),
        ("Privileged", json!(false)),
        ("PublishAllPorts", json!(false)),
    ] {
        default(config, key, nothing);
    }
    config.retain(|key, _| {
        LISTS.contains(&key.as_str())
            || matches!(
                key.as_str(),
                "ContainerIDFile" | "NetworkMode" | "Privileged" | "PublishAllPorts" | "RestartPolicy"
            )
    });
}

/// Ports that are bound without being exposed; they were shown as they were asked for.
fn unexposed_ports(container: &Object) -> Object {
    let exposed = container.get("Config").and_then(|config| config.get("ExposedPorts")).and_then(Value::as_object);
    let bindings = container.get("HostConfig").and_then(|config| config.get("PortBindings")).and_then(Value::as_object);
    let unexposed =
        bindings.into_iter().flatten().filter(|(port, _)| exposed.is_none_or(|exposed| !exposed.contains_key(*port)));
    unexposed.map(|(port, binding)| (port.clone(), binding.clone())).collect()
}

fn network_settings(network: &mut Object, running: bool, unexposed: &Object) {
    keep(network, &["Bridge", "Gateway", "IPAddress", "IPPrefixLen", "Ports"]);
    for (key, nothing) in [
        ("Bridge", json!("")),
        ("Gateway", json!("")),
        ("IPAddress", json!("")),
        ("IPPrefixLen", json!(0)),
        ("PortMapping", Value::Null),
        ("Ports", Value::Null),
    ] {
        default(network, key, nothing);
    }
    let connected = !text(network, "IPAddress").is_empty();
    if !running || !connected {
        set(network, "Ports", Value::Null);
        return;
    }
    if text(network, "Bridge").is_empty() {
        set(network, "Bridge", "docker0");
    }
    if let Some(ports) = child(network, "Ports") {
        for (port, binding) in unexposed {
            set(ports, port, if binding.is_null() { json!([]) } else { binding.clone() });
        }
    }
}

/// Inspect was built from texts; those that read as numbers, booleans or null lost their quotes.
pub(super) fn unquote(object: &mut Object, keys: &[&str]) {
    for key in keys {
        let read = object.get(*key).and_then(Value::as_str).and_then(|text| serde_json::from_str::<Value>(text).ok());
        let value = match read {
            Some(Value::Number(number)) => json!(number.as_f64().map_or(0, |number| number as i64)),
            Some(value @ (Value::Bool(_) | Value::Null | Value::String(_))) => value,
            _ => continue,
        };
        set(object, key, value);
    }
}

/// Remembers texts as they are, for forms that never lost their quotes.
fn note(object: &Object, keys: &[&str], asked: &Asked) {
    for key in keys {
        asked.note(key, object.get(*key).cloned().unwrap_or_default());
    }
}

pub(super) fn image(image: &mut Value, asked: &Asked) {
    for key in ["Config", "ContainerConfig"] {
        if let Some(config) = object(image, &[key]) {
            flat_config(config);
        }
    }
    let Some(image) = image.as_object_mut() else { return };
    for key in ["Architecture", "Author", "Comment", "Container", "DockerVersion", "Os", "Parent"] {
        default(image, key, json!(""));
    }
    default(image, "Config", Value::Null);
    let says_nothing = |config: &Value| {
        config
            .as_object()
            .is_some_and(|config| config.values().all(|value| is_empty(value) || *value == false || *value == 0))
    };
    if image.get("Config").is_some_and(says_nothing) {
        set(image, "Config", Value::Null);
    }
    keep(image, IMAGE);
    note(image, &["Author", "Comment"], asked);
    unquote(image, &["Author", "Comment"]);
}

/// Parameters of `GET /info` were arguments, and came back as headers.
pub(super) fn info(response: &mut Response, asked: &Asked) {
    if let Body::Json(Value::Object(info)) = &mut response.body {
        default(info, "InitPath", json!(""));
        default(info, "InitSha1", json!(""));
        default(info, "DriverStatus", Value::Null);
        null_if_empty(info, &["DriverStatus"]);
        response.set_header("Job-Name", "info");
        for (_, value) in asked
            .request
            .query
            .iter()
            .filter(|(key, value)| key == "a" && value.bytes().all(|byte| (b' '..=b'~').contains(&byte)))
        {
            response.headers.push(("Job-Args".into(), value.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::down;
    use api::routes::Endpoint::{ContainerInspect, ImageInspect, Info};
    use serde_json::{Value, json};

    #[test]
    fn no_words_of_an_entry_point_are_shown_unless_the_image_has_some() {
        let shown = |image: Value| {
            let mut config = json!({"Entrypoint": image});
            config
                .as_object_mut()
                .into_iter()
                .for_each(|config| super::config(config, &json!({"Entrypoint": []}), true));
            config["Entrypoint"].take()
        };
        assert_eq!((shown(Value::Null), shown(json!(["x"]))), (json!([]), json!(["x"])));
    }

    #[test]
    fn a_shared_host_name_had_no_file() {
        let older = |mode: &str| {
            let container = json!({"HostnamePath": "/x", "HostsPath": "/y", "HostConfig": {"NetworkMode": mode}});
            down("1.51", "1.14", ContainerInspect, container)["HostnamePath"].clone()
        };
        assert_eq!((older("container:a"), older("bridge")), (json!(""), json!("/x")));
    }

    #[test]
    fn path_lost_its_quotes() {
        let older = |path: &str| down("1.15", "1.14", ContainerInspect, json!({"Path": path}))["Path"].clone();
        assert_eq!(
            [older("true"), older("12.7"), older("sh"), older("null")],
            [json!(true), json!(12), json!("sh"), Value::Null]
        );
    }

    #[test]
    fn an_image_without_configuration_had_null() {
        let image = down(
            "1.51",
            "1.14",
            ImageInspect,
            json!({"Id": "sha256:12", "Size": 3, "Config": {"Cmd": null, "Env": []}}),
        );
        assert_eq!((&image["Id"], &image["Config"], &image["Parent"]), (&json!("12"), &Value::Null, &json!("")));
        assert_eq!(image["ContainerConfig"]["PortSpecs"], Value::Null);
    }

    #[test]
    fn info_was_short() {
        let info =
            down("1.51", "1.14", Info, json!({"Containers": 1, "Debug": true, "Warnings": null, "NoSuchKeyYet": 1}));
        let older = json!({"Containers": 1, "Debug": 1, "DriverStatus": null, "ExecutionDriver": "native-0.2", "InitPath": "", "InitSha1": ""});
        assert_eq!(info, older);
    }
}
