//! Shapes that several rungs touch: endpoints, mounts, networks, events, configurations.

use serde_json::{Value, json};

use crate::exchange::{Request, Response};
use crate::json::{Object, child, each, each_value, text};

/// Does something to every endpoint of an inspected container, or of each container of a list.
pub(super) fn endpoints(value: &mut Value, mut change: impl FnMut(&mut Object)) {
    match value {
        Value::Array(containers) => containers
            .iter_mut()
            .for_each(|container| each_value(container.pointer_mut("/NetworkSettings/Networks"), &mut change)),
        container => each_value(container.pointer_mut("/NetworkSettings/Networks"), &mut change),
    }
}

/// Does something to an inspected network, or to each of a list.
pub(super) fn networks(value: &mut Value, mut change: impl FnMut(&mut Object)) {
    match value {
        Value::Object(network) => change(network),
        list => each(list, change),
    }
}

/// The mounts that a request to create a container asks for.
pub(super) fn mounts(request: &mut Request) -> &[Value] {
    request
        .body
        .json()
        .and_then(|body| body.pointer("/HostConfig/Mounts"))
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The HostConfig of a request to create or start a container; made if there is none. None if the body is no object.
pub(super) fn host_config(request: &mut Request) -> Option<&mut Object> {
    if request.path.ends_with("/start") {
        return request.object();
    }
    child(request.object()?, "HostConfig")
}

/// Takes parameters away that the version below did not know.
pub(super) fn forget(request: &mut Request, parameters: &[&str]) -> Result<(), Response> {
    parameters.iter().for_each(|name| request.remove_parameter(name));
    Ok(())
}

/// Drops events of a kind (of every kind if that is empty) whose action, up to a colon, is one of these.
pub(super) fn drop_events(event: &mut Value, kind: &str, actions: &[&str]) {
    let Some(fields) = event.as_object() else { return };
    let action = text(fields, "Action");
    let action = action.split_once(':').map_or(action, |(action, _)| action);
    if (kind.is_empty() || text(fields, "Type") == kind) && actions.contains(&action) {
        *event = Value::Null;
    }
}

/// The configuration of a container that says nothing.
pub(super) fn empty_config() -> Value {
    json!({
        "Hostname": "", "Domainname": "", "User": "", "AttachStdin": false, "AttachStdout": false, "AttachStderr": false, "Tty": false, "OpenStdin": false,
        "StdinOnce": false, "Env": null, "Cmd": null, "Image": "", "Volumes": null, "WorkingDir": "", "Entrypoint": null, "OnBuild": null, "Labels": null,
    })
}

/// An image's id without the name of its digest: `sha256:<hex>` is `<hex>`.
pub(super) fn plain_id(id: &str) -> Option<String> {
    id.strip_prefix("sha256:").map(str::to_owned)
}
