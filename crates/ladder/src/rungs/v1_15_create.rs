//! Create and start as clients below 1.15 wrote them.

use api::quirk::{self, Quirk};
use serde_json::{Map, Value, json};

use super::v1_15::AS_WRITTEN;
use crate::exchange::{Body, HOST_CONFIG_HEADER, Request, Response};
use crate::json::{Object, child, is_empty, map_text, number, text};
use crate::lenient::{self, Kind};
use crate::rung::Asked;

/// What containers saw inside, and what a start forgave.
const QUIRKS: [Quirk; 4] = [Quirk::AnyAddress, Quirk::OldHosts, Quirk::OldNames, Quirk::StrictEnvironment];

/// Shares of the processors that the newest version leaves as they are.
const SHARES: std::ops::RangeInclusive<i64> = 2..=262_144;

/// Among what was written: exposed ports that are none.
pub(super) const NO_PORTS: &str = "NoPorts";

const CONFIG: &[(&str, Kind)] = &[
    ("Hostname", Kind::Text),
    ("Domainname", Kind::Text),
    ("User", Kind::Text),
    ("Memory", Kind::Number),
    ("MemorySwap", Kind::Number),
    ("CpuShares", Kind::Number),
    ("Cpuset", Kind::Text),
    ("AttachStdin", Kind::Flag),
    ("AttachStdout", Kind::Flag),
    ("AttachStderr", Kind::Flag),
    ("PortSpecs", Kind::Texts),
    ("ExposedPorts", Kind::Keys),
    ("Tty", Kind::Flag),
    ("OpenStdin", Kind::Flag),
    ("StdinOnce", Kind::Flag),
    ("Env", Kind::Texts),
    ("Cmd", Kind::Texts),
    ("Image", Kind::Text),
    ("Volumes", Kind::Keys),
    ("WorkingDir", Kind::Text),
    ("Entrypoint", Kind::Texts),
    ("NetworkDisabled", Kind::Flag),
];

const HOST_CONFIG: &[(&str, Kind)] = &[
    ("Binds", Kind::Texts),
    ("ContainerIDFile", Kind::Text),
    ("LxcConf", Kind::Objects),
    ("Privileged", Kind::Flag),
    ("PortBindings", Kind::Map),
    ("Links", Kind::Texts),
    ("PublishAllPorts", Kind::Flag),
    ("Dns", Kind::Texts),
    ("DnsSearch", Kind::Texts),
    ("VolumesFrom", Kind::Texts),
    ("Devices", Kind::Objects),
    ("NetworkMode", Kind::Text),
    ("CapAdd", Kind::Texts),
    ("CapDrop", Kind::Texts),
    ("RestartPolicy", Kind::Map),
];

/// Where older rungs put what belonged to Config in their version, and belongs to HostConfig today.
pub(super) const MOVED: &str = "x-longshore-moved";

/// On a start on its way up: keys of HostConfig, parted by blanks, that are left alone if its body does not name them.
pub(super) const KEPT_HEADER: &str = "x-longshore-kept";

/// A HostConfig in the body of create did not count; it came with start.
pub(super) fn create(request: &mut Request) -> Result<(), Response> {
    let sent = lenient::object(&request.body)?;
    let mut config = lenient::fields(&sent, CONFIG);
    if text(&config, "Image").is_empty() {
        return Err(Response::error(500, "prefix can't be empty"));
    }
    let mut written = Map::new();
    limits(&mut config, &mut written);
    absolute_paths(&mut config, &mut written);
    empty_words(&mut config, &mut written);
    let moved = sent.get(MOVED).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut host_config = lenient::fields(&moved, HOST_CONFIG);
    if let Some(specs) = config.remove("PortSpecs").filter(|specs| !specs.is_null()) {
        written.insert("ExposedPorts".into(), config.get("ExposedPorts").cloned().unwrap_or_default());
        if let Some(bindings) = port_bindings(&specs) {
            if let Some(exposed) = child(&mut config, "ExposedPorts") {
                exposed.extend(bindings.keys().map(|port| (port.clone(), json!({}))));
            }
            host_config.insert("PortBindings".into(), bindings.into());
        }
        written.insert("PortSpecs".into(), specs);
    }
    no_ports(&mut config, &mut written);
    annotate(&mut host_config, "Config", written);
    config.insert("HostConfig".into(), host_config.into());
    request.body = Body::Json(config.into());
    request.set_header("Content-Type", "application/json");
    Ok(())
}

/// What could not be read as JSON was as if it had not been sent, but what could had to be of the right type.
pub(super) fn commit(request: &mut Request) -> Result<(), Response> {
    let sent = lenient::object(&request.body).unwrap_or_default();
    let mut config = Map::new();
    for (key, kind) in CONFIG.iter().chain(&[("OnBuild", Kind::Texts)]) {
        let Some(value) = sent.get(*key).filter(|value| !value.is_null()) else { continue };
        if !kind.fits(value) {
            let text = format!("json: cannot unmarshal {value} into Go struct field Config.{key}");
            return Err(Response::error(500, &text));
        }
        // An entry point of no words was none of its own.
        if *key != "Entrypoint" || !is_empty(value) {
            config.insert((*key).into(), value.clone());
        }
    }
    let specs = config.remove("PortSpecs").and_then(|specs| port_bindings(&specs)).unwrap_or_default();
    if !specs.is_empty()
        && let Some(exposed) = child(&mut config, "ExposedPorts")
    {
        exposed.extend(specs.into_iter().map(|(port, _)| (port, json!({}))));
    }
    request.body = Body::Json(config.into());
    request.set_header("Content-Type", "application/json");
    Ok(())
}

/// Limits were shown as they were asked for.
fn limits(config: &mut Object, written: &mut Object) {
    let shares = number(config, "CpuShares");
    if shares != 0 && !SHARES.contains(&shares) {
        written.insert("CpuShares".into(), json!(shares));
    }
    if shares < 0 {
        config.remove("CpuShares");
    }
    for limit in ["Memory", "MemorySwap"] {
        if number(config, "Memory") > 0 || number(config, limit) != 0 {
            written.insert(limit.into(), json!(number(config, limit)));
        }
    }
}

/// Folders that are not absolute lay in the root folder.
fn absolute_paths(config: &mut Object, written: &mut Object) {
    let relative = |path: &str| !path.is_empty() && !path.starts_with('/');
    let directory = text(config, "WorkingDir");
    if relative(directory) {
        written.insert("WorkingDir".into(), json!(directory));
        let absolute = json!(format!("/{directory}"));
        config.insert("WorkingDir".into(), absolute);
    }
    let Some(volumes) = config.get("Volumes").and_then(Value::as_object) else { return };
    if volumes.keys().any(|path| relative(path)) {
        let absolute = |path: &String| if relative(path) { format!("/{path}") } else { path.clone() };
        let volumes: Object = volumes.keys().map(|path| (absolute(path), json!({}))).collect();
        written.extend(config.insert("Volumes".into(), volumes.into()).map(|sent| ("Volumes".to_owned(), sent)));
    }
}

/// An entry point of no words was none of its own, and one of one empty word the name of a program; an image may be named with
/// a colon and no tag.
fn empty_words(config: &mut Object, written: &mut Object) {
    if config.get("Entrypoint") == Some(&json!([])) {
        written.extend(config.remove("Entrypoint").map(|none| ("Entrypoint".to_owned(), none)));
    }
    let command = config.get("Cmd").and_then(Value::as_array).cloned().unwrap_or_default();
    if config.get("Entrypoint") == Some(&json!([""])) && !command.is_empty() {
        let words: Vec<Value> = std::iter::once(json!("")).chain(command).collect();
        for (key, value) in [("Entrypoint", json!(words)), ("Cmd", Value::Null)] {
            written.extend(config.insert(key.into(), value).map(|sent| (key.to_owned(), sent)));
        }
    }
    if let Some(bare) = text(config, "Image").strip_suffix(':').map(str::to_owned) {
        written.extend(config.insert("Image".into(), json!(bare)).map(|sent| ("Image".to_owned(), sent)));
    }
}

/// What is no port could be exposed all the same, to no effect.
fn no_ports(config: &mut Object, written: &mut Object) {
    let Some(ports) = config.get_mut("ExposedPorts").and_then(Value::as_object_mut) else { return };
    let sent = std::mem::take(ports);
    let (real, nonsense): (Object, Object) =
        sent.into_iter().partition(|(port, _)| port.parse::<model::Port>().is_ok());
    *ports = real;
    if !nonsense.is_empty() {
        written.insert(NO_PORTS.into(), nonsense.into());
    }
}

/// `[[ip:]public:]private[/protocol]` as PortBindings; None if one of them is nonsense.
fn port_bindings(specs: &Value) -> Option<Object> {
    let mut bindings = Map::new();
    for spec in specs.as_array()?.iter().filter_map(Value::as_str) {
        let (ports, protocol) = spec.split_once('/').unwrap_or((spec, "tcp"));
        let parts: Vec<&str> = ports.split(':').collect();
        let (ip, public, private) = match parts[..] {
            [private] => ("", "", private),
            [public, private] => ("", public, private),
            [ip, public, private] => (ip, public, private),
            _ => return None,
        };
        private.parse::<u16>().ok()?;
        if !public.is_empty() {
            public.parse::<u16>().ok()?;
        }
        let place = bindings.entry(format!("{private}/{protocol}")).or_insert_with(|| json!([]));
        place.as_array_mut()?.push(json!({"HostIp": ip, "HostPort": public}));
    }
    Some(bindings)
}

/// A body replaced the whole HostConfig of the start before. `{}` and null were no body.
pub(super) fn start(request: &mut Request) -> Result<(), Response> {
    if matches!(request.body, Body::Empty | Body::Stream) {
        return Ok(());
    }
    if request.header("Content-Type").and_then(|kind| kind.split(';').next()).map(str::trim) != Some("application/json")
    {
        return Err(Response::error(400, "Content-Type of application/json is required"));
    }
    let sent = lenient::object(&request.body)?;
    if sent.is_empty() {
        request.body = Body::Empty;
        return Ok(());
    }
    let read = lenient::fields(&sent, HOST_CONFIG);
    let mut config = Map::new();
    let kept = request.header(KEPT_HEADER).unwrap_or_default();
    for (key, kind) in HOST_CONFIG {
        // Ports may have been asked for at create, as PortSpecs.
        if *key != "PortBindings" && !kept.split(' ').any(|kept| kept == *key) {
            let missing = match kind {
                Kind::Text => json!(""),
                Kind::Flag => json!(false),
                _ => Value::Null,
            };
            config.insert((*key).into(), missing);
        }
    }
    config.extend(read.clone());
    check(&config)?;
    make_possible(&mut config);
    let survived = |(key, value): &(String, Value)| survives(key, value) && config.get(key) == Some(value);
    let written = read.into_iter().filter(|field| !survived(field)).collect();
    annotate(&mut config, "HostConfig", written);
    request.body = Body::Json(config.into());
    request.set_header(HOST_CONFIG_HEADER, "start");
    Ok(())
}

/// Turns values of the time into such as mean the same today.
fn make_possible(config: &mut Object) {
    if let Some(Value::Array(links)) = config.get_mut("Links") {
        // Without an alias there was nothing to be found by.
        links.retain(|link| !link.as_str().is_some_and(|link| link.ends_with(':')));
    }
    if let Some(policy) = config.get_mut("RestartPolicy").and_then(Value::as_object_mut) {
        restart_policy(policy);
    }
    for key in ["CapAdd", "CapDrop"] {
        // Names began with no CAP_; today's engine takes one away.
        for name in config.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            map_text(Some(name), |name| name.starts_with("CAP_").then(|| format!("CAP_{name}")));
        }
    }
    let bindings = config.get_mut("PortBindings").and_then(Value::as_object_mut);
    for binding in bindings.into_iter().flat_map(|all| all.values_mut()).filter_map(Value::as_array_mut).flatten() {
        // What is no port of the host left the choice to the engine.
        map_text(binding.get_mut("HostPort"), |port| port.parse::<u16>().is_err().then(String::new));
    }
}

/// The limit counted runs rather than restarts, and meant something only to `on-failure`.
fn restart_policy(policy: &mut Object) {
    let limit = number(policy, "MaximumRetryCount");
    let (name, restarts) = match (text(policy, "Name"), limit) {
        ("on-failure", 0) => ("on-failure", 0),
        ("on-failure", 2..) => ("on-failure", limit - 1),
        ("always", _) => ("always", 0),
        _ => ("no", 0),
    };
    *policy =
        [("Name".to_owned(), json!(name)), ("MaximumRetryCount".to_owned(), json!(restarts))].into_iter().collect();
}

/// Whether the newest version gives a value back as it was written.
fn survives(key: &str, value: &Value) -> bool {
    match key {
        // Links were not kept here.
        "Links" => true,
        "LxcConf" => value.is_null(),
        "NetworkMode" => !matches!(value.as_str(), Some("bridge" | "default")),
        "RestartPolicy" => {
            value.is_null()
                || value.as_object().is_some_and(|policy| {
                    matches!(text(policy, "Name"), "always" | "on-failure") && number(policy, "MaximumRetryCount") == 0
                })
        }
        _ => value.is_null() || value.is_string() || value.is_boolean() || !is_empty(value),
    }
}

/// Errors of values that today's versions accept.
fn check(config: &Object) -> Result<(), Response> {
    let texts = |key: &str| {
        config.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>()
    };
    for link in texts("Links") {
        let parts: Vec<&str> = link.split(':').collect();
        match parts[..] {
            ["", _] => return Err(Response::error(400, "Container name cannot be empty")),
            [_, _] => {}
            _ => return Err(Response::error(400, &format!("bad format for links: {link}"))),
        }
    }
    for from in texts("VolumesFrom") {
        if from.split_once(':').is_some_and(|(_, mode)| !matches!(mode, "ro" | "rw")) {
            return Err(Response::error(400, &format!("invalid mode: {from}")));
        }
    }
    Ok(())
}

/// Notes what was written in the annotation of a HostConfig.
/// Quirks are those of the engine of the time.
fn annotate(config: &mut Object, part: &str, written: Object) {
    let quirks = QUIRKS.map(Quirk::word).join(" ");
    let written = Value::from(written).to_string();
    config.insert("Annotations".into(), json!({ quirk::ANNOTATION: quirks, format!("{AS_WRITTEN}{part}"): written }));
}

/// `No such image: x:latest` was `No such image: x (tag: latest)`: the image as it was asked for, and the tag that was meant.
/// What can be no image's name was missing too.
pub(super) fn missing_image(response: &mut Response, asked: &Asked) {
    let missing = |text: &str| text.starts_with("No such image: ") || text.starts_with("invalid reference format");
    if !(response.is_error() && response.message().is_some_and(missing)) {
        return;
    }
    let body = lenient::object(&asked.request.body).unwrap_or_default();
    let body = lenient::fields(&body, &[("Image", Kind::Text)]);
    let image = text(&body, "Image");
    let tag = image.rsplit_once(':').map(|(_, tag)| tag).filter(|tag| !tag.is_empty() && !tag.contains('/'));
    let text = format!("No such image: {image} (tag: {})", tag.unwrap_or("latest"));
    response.status = 404;
    response.set_message(&text);
}

/// Ports of the host in `PortSpecs` were no longer honoured since they could be bound at start.
pub(super) fn warnings(created: &mut Value, asked: &Asked) {
    let body = lenient::object(&asked.request.body).unwrap_or_default();
    let specs = lenient::fields(&body, &[("PortSpecs", Kind::Texts)]);
    let public = |spec: &Value| spec.as_str().is_some_and(|spec| spec.contains(':'));
    if specs.get("PortSpecs").and_then(Value::as_array).is_some_and(|specs| specs.iter().any(public)) {
        let text = "The mapping to public ports on your host via Dockerfile EXPOSE (host:port:port) \
             has been deprecated. Use -p to publish the ports.";
        created["Warnings"] = json!([text]);
    }
}

/// A container that is missing may be another than the one that is to start.
pub(super) fn missing_container(response: &mut Response, asked: &Asked) {
    let Some(other) = response
        .message()
        .and_then(|text| text.strip_prefix("No such container: "))
        .filter(|other| *other != asked.name())
    else {
        return;
    };
    if !response.is_error() {
        return;
    }
    let shared = asked.body()["NetworkMode"].as_str().is_some_and(|mode| mode == format!("container:{other}"));
    let (status, text) = match shared {
        true => (500, format!("Cannot start container {}: no such container to join network: {other}", asked.name())),
        false => (
            406,
            format!(
                "Cannot start container {}: Container {other} not found. Impossible to mount its volumes",
                asked.name()
            ),
        ),
    };
    response.status = status;
    response.set_message(&text);
}

#[cfg(test)]
mod tests {
    use crate::Body;
    use crate::testing::{answer, ask, climbed, down, up};
    use api::routes::Endpoint::{ContainerCreate, ContainerInspect};
    use serde_json::{Value, json};

    fn started(host_config: Value) -> Value {
        let mut request = ask("POST", "/containers/web/start", "", host_config);
        request.set_header("Content-Type", "application/json");
        match climbed("1.14", request).0.body {
            Body::Json(body) => body,
            other => panic!("no JSON but {other:?}"),
        }
    }

    #[test]
    fn values_of_the_time_become_possible_and_are_shown_as_written() {
        let ports = json!({"80/tcp": [{"HostIp": "", "HostPort": "nonsense"}], "81/tcp": [{"HostPort": "8081"}]});
        let mut body = started(json!({"PortBindings": ports, "CapAdd": ["CAP_NET_ADMIN", "CHOWN"]}));
        assert_eq!(body["PortBindings"]["80/tcp"][0]["HostPort"], json!(""));
        assert_eq!(body["PortBindings"]["81/tcp"][0]["HostPort"], json!("8081"));
        assert_eq!(body["CapAdd"], json!(["CAP_CAP_NET_ADMIN", "CHOWN"]));
        body["NetworkMode"] = json!("bridge");
        let shown = down("1.51", "1.14", ContainerInspect, json!({"HostConfig": body}));
        assert_eq!(shown["HostConfig"]["PortBindings"], ports);
        assert_eq!(shown["HostConfig"]["CapAdd"], json!(["CAP_NET_ADMIN", "CHOWN"]));
    }

    #[test]
    fn containers_get_the_quirks_of_the_time() {
        let Body::Json(body) = up("1.14", ContainerCreate, "", json!({"Image": "a"})).body else { panic!("no JSON") };
        let quirks = body["HostConfig"]["Annotations"][api::quirk::ANNOTATION].as_str().unwrap();
        assert!(quirks.split(' ').any(|word| word == "old-hosts"), "{quirks}");
        let newer = up("1.15", ContainerCreate, "", json!({"Image": "a", "HostConfig": {}}));
        assert!(!format!("{newer:?}").contains("longshore.quirks"));
    }

    #[test]
    fn an_entry_point_of_no_words_was_the_image_s() {
        let created = |entrypoint: Value| {
            let sent = json!({"Image": "a", "Entrypoint": entrypoint});
            let Body::Json(body) = up("1.14", ContainerCreate, "", sent).body else { panic!("no JSON") };
            body.get("Entrypoint").cloned()
        };
        assert_eq!((created(json!([])), created(json!(["x"]))), (None, Some(json!(["x"]))));
    }

    #[test]
    fn an_ambiguous_id_was_no_id() {
        let error = crate::Response::error(400, "Multiple IDs found with provided prefix: a");
        let older = answer("1.14", ContainerInspect, error);
        assert_eq!((older.status, older.message()), (404, Some("No such container: a")));
    }
}
