//! API 1.42, Docker 23.0.

use api::routes::Endpoint::{
    Build, ContainerCreate, ContainerInspect, ContainerRestart, ContainerStop, ContainerUpdate, DiskUsage, ExecCreate,
    ExecStart, ImageCreate, ImageList, Info, VolumePrune, VolumeUpdate,
};
use serde_json::{Value, json};

use super::shapes::forget;
use crate::exchange::{Request, Response};
use crate::json::{default, map_text, object, remove};
use crate::rung::{Asked, Change, Rung};
use crate::version::Version;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 42),
    release: "23.0",
    changes: &[
        Change::to(&[], "Streams in frames have the type `application/vnd.docker.multiplexed-stream`.")
            .traits(|traits| traits.framed_type = "application/vnd.docker.raw-stream"),
        Change::to(
            &[],
            "`GET /containers/{name}/attach/ws` honours `stdin`, `stdout` and `stderr`; before \
             all three were on.",
        )
        .traits(|traits| traits.ws_streams = false),
        Change::to(&[ContainerStop, ContainerRestart], "Stop and restart take `signal`.")
            .up(|request| forget(request, &["signal"])),
        Change::to(&[ContainerCreate, ContainerUpdate], "`KernelMemory` is ignored; `ConsoleSize` is honoured.")
            .up(kernel_memory),
        Change::to(&[ContainerInspect], "`KernelMemory` is not shown.").down(|container, _| {
            object(container, &["HostConfig"]).into_iter().for_each(|config| default(config, "KernelMemory", json!(0)));
        }),
        Change::to(&[Info], "`KernelMemory` is gone; no memory of the kernel was limited here.").down(|info, _| {
            object(info, &[]).into_iter().for_each(|info| default(info, "KernelMemory", json!(false)));
        }),
        Change::to(&[ExecCreate, ExecStart], "Exec takes `ConsoleSize`.").up(|request| {
            request.object().into_iter().for_each(|body| remove(body, &["ConsoleSize"]));
            Ok(())
        }),
        Change::to(&[ImageList], "`GET /images/json` takes `shared-size`.")
            .up(|request| forget(request, &["shared-size"])),
        Change::to(&[ImageCreate], "Import takes `platform`."),
        Change::to(
            &[DiskUsage],
            "`GET /system/df` takes `type`, tells of several `Parents` of the cache, and no longer `BuilderSize`.",
        )
        .up(|request| forget(request, &["type"]))
        .down(builder_size),
        Change::to(
            &[VolumePrune],
            "`POST /volumes/prune` removes only volumes without a name, unless the filter `all` \
             is given.",
        )
        .up(all_volumes),
        Change::to(&[Build], "Build says ` ---> Removed intermediate container`; before `Removing`.").message(
            |message, _| {
                map_text(message.get_mut("stream"), |text| {
                    Some(format!(
                        "Removing {}",
                        text.strip_prefix(" ---> Removed ")
                            .filter(|rest| rest.starts_with("intermediate container "))?
                    ))
                });
            },
        ),
        Change::added(&[VolumeUpdate], "`PUT /volumes/{name}` changes a cluster volume."),
    ],
};

fn kernel_memory(request: &mut Request) -> Result<(), Response> {
    if let Some(body) = request.object() {
        remove(body, &["KernelMemory"]);
    }
    if let Some(config) = request.body.json().and_then(|body| object(body, &["HostConfig"])) {
        remove(config, &["KernelMemory", "ConsoleSize"]);
    }
    Ok(())
}

fn builder_size(usage: &mut Value, _: &Asked) {
    let records = usage.get_mut("BuildCache").and_then(Value::as_array_mut).into_iter().flatten();
    for record in records.filter_map(Value::as_object_mut) {
        let parents = record.remove("Parents").unwrap_or_default();
        let parents: Vec<&str> = parents.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        default(record, "Parent", json!(parents.join(" ")));
    }
    let used: i64 = usage
        .get("BuildCache")
        .and_then(Value::as_array)
        .map(|records| records.iter().filter_map(|record| record["Size"].as_i64()).fold(0, i64::saturating_add))
        .unwrap_or_default();
    if let Some(usage) = usage.as_object_mut() {
        default(usage, "BuilderSize", json!(used));
    }
}

fn all_volumes(request: &mut Request) -> Result<(), Response> {
    let mut filters: Value =
        request.parameter("filters").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| json!({}));
    if let Some(filters) = filters.as_object_mut() {
        filters.insert("all".into(), json!(["true"]));
    }
    request.set_parameter("filters", filters.to_string());
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{down, up};
    use api::routes::Endpoint::{ContainerStop, DiskUsage, VolumePrune};
    use serde_json::{Value, json};

    #[test]
    fn pruning_took_every_volume() {
        assert_eq!(up("1.41", VolumePrune, "", Value::Null).parameter("filters"), Some(r#"{"all":["true"]}"#));
    }

    #[test]
    fn stop_had_no_signal() {
        assert_eq!(up("1.41", ContainerStop, "t=1&signal=HUP", Value::Null).query, [("t".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn usage_told_the_size_of_the_build_cache() {
        assert_eq!(
            down("1.42", "1.41", DiskUsage, json!({"BuildCache": [{"Size": 3}, {"Size": 4}]}))["BuilderSize"],
            json!(7)
        );
    }
}
