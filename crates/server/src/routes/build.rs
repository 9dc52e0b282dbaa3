//! Builds.

use std::collections::{BTreeMap, HashMap};

use ::buildkit::{Output, Request};
use api::host_config::{HostConfig, Ulimit};
use engine::{BuildOptions, BuildPruneOptions, Credentials, Dialect};
use futures_util::FutureExt;
use futures_util::future::FusedFuture;

use super::unbuilt::not_built;
use crate::call::{Call, with_upload};
use crate::error::Error;
use crate::message::lines;
use crate::query::Query;
use crate::reply::Reply;

/// What a build's id begins with in the request that brings its context.
const UPLOAD: &str = "upload-request:";

/// Builds an image. Messages go out while the body may still come in.
pub(crate) async fn build(call: &mut Call) -> Result<Reply, Error> {
    match call.query.text("version") {
        "" | "1" => {}
        "2" => return build_in_session(call).await,
        other => return Err(Error::invalid(format!("invalid version {other}"))),
    }
    let options = options(call)?;
    let (upload, carry) = call.upload();
    let mut carry = carry.boxed().fuse();
    let progress = with_upload(&mut carry, call.server.engine.build(options, upload)).await?;
    Ok(Reply::progress(lines(progress), carry))
}

/// Builds by BuildKit's rules.
async fn build_in_session(call: &mut Call) -> Result<Reply, Error> {
    let (upload, carry) = call.upload();
    let mut carry = carry.boxed().fuse();
    let id = call.query.text("buildid").to_owned();
    if let Some(id) = id.strip_prefix(UPLOAD) {
        with_upload(&mut carry, call.server.buildkit.bring(id, upload)).await?;
        if !carry.is_terminated() {
            carry.await;
        }
        return Ok(Reply::empty(http::StatusCode::OK));
    }
    let request = Request {
        id,
        session: call.query.text("session").to_owned(),
        remote: call.query.text("remote").to_owned(),
        attributes: attributes(&call.query)?,
        output: output(&call.query)?,
        quiet: call.query.flag("q"),
        body: upload,
    };
    let documents = with_upload(&mut carry, call.server.buildkit.build(request)).await?;
    Ok(Reply::progress(documents, carry))
}

/// The parameters by the names that BuildKit's frontend has for them.
fn attributes(query: &Query) -> Result<BTreeMap<String, String>, Error> {
    let mut attributes = BTreeMap::new();
    let same = [
        ("filename", "dockerfile"),
        ("target", "target"),
        ("platform", "platform"),
        ("force-network-mode", "networkmode"),
        ("cgroup-parent", "cgroupparent"),
        ("shm-size", "shmsize"),
        ("memory", "memory"),
        ("memswap", "memswap"),
        ("cpushares", "cpushares"),
        ("cpuperiod", "cpuperiod"),
        ("cpuquota", "cpuquota"),
        ("cpusetcpus", "cpusetcpus"),
        ("cpusetmems", "cpusetmems"),
    ];
    let given = same.iter().filter_map(|(name, parameter)| Some((*name, query.given(parameter)?)));
    attributes
        .extend(given.filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.to_owned(), value.to_owned())));
    for (name, value) in map::<Option<String>>(query, "buildargs")? {
        attributes.extend(value.map(|value| (format!("build-arg:{name}"), value)));
    }
    attributes
        .extend(map::<String>(query, "labels")?.into_iter().map(|(name, value)| (format!("label:{name}"), value)));
    if query.flag("nocache") {
        attributes.insert("no-cache".to_owned(), String::new());
    }
    if query.flag("pull") {
        attributes.insert("image-resolve-mode".to_owned(), "pull".to_owned());
    }
    let hosts = hosts(query.all("extrahosts")).into_iter().map(|host| host.replacen(':', "=", 1));
    attributes.insert("add-hosts".to_owned(), hosts.collect::<Vec<_>>().join(","));
    let images = json::<Vec<String>>(query, "cachefrom")?.unwrap_or_default();
    attributes.insert("cache-from".to_owned(), images.join(","));
    let ulimits = json::<Vec<Ulimit>>(query, "ulimits")?.unwrap_or_default();
    let ulimits = ulimits.into_iter().map(|limit| format!("{}={}:{}", limit.name, limit.soft, limit.hard));
    let remote = query.text("remote");
    if remote.contains(['/', ':']) {
        attributes.insert("context".to_owned(), remote.to_owned());
    }
    attributes.insert("ulimit".to_owned(), ulimits.collect::<Vec<_>>().join(","));
    Ok(attributes)
}

/// What becomes of the result: the image store has it, if nothing else is said.
fn output(query: &Query) -> Result<Option<Output>, Error> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Wanted {
        r#type: String,
        attrs: Option<HashMap<String, String>>,
    }
    let mut wanted = json::<Vec<Wanted>>(query, "outputs")?.unwrap_or_default();
    if wanted.len() > 1 {
        return Err(Error::invalid("multiple outputs not supported"));
    }
    let mut output = match wanted.pop() {
        None => Output { kind: "moby".to_owned(), ..Output::default() },
        Some(wanted) if wanted.r#type == "cacheonly" => return Ok(None),
        Some(wanted) => Output { kind: wanted.r#type, attributes: wanted.attrs.unwrap_or_default() },
    };
    let names = query.all("t");
    if !names.is_empty() {
        output.attributes.insert("name".to_owned(), names.join(","));
    }
    Ok(Some(output))
}

/// Removes build cache. That of steps are images, which go when images are pruned.
pub(crate) async fn prune(call: &mut Call) -> Result<Reply, Error> {
    let query = &call.query;
    let mut keep_bytes = None;
    // The same thing under its names of different times.
    for name in ["max-used-space", "reserved-space", "keep-storage"] {
        keep_bytes = keep_bytes.or(query.number(name)?.and_then(|bytes: i64| u64::try_from(bytes).ok()));
    }
    let options = BuildPruneOptions { keep_bytes: keep_bytes.filter(|bytes| *bytes > 0), filters: query.filters()? };
    Ok(Reply::json(call.server.engine.builds_prune(options).await?))
}

fn options(call: &Call) -> Result<BuildOptions, Error> {
    let query = &call.query;
    if query.text("remote") == "client-session" {
        return Err(not_built("building over a session (POST /build?remote=client-session)"));
    }
    if query.given("outputs").is_some_and(|outputs| outputs != "[]" && outputs != "null") {
        return Err(not_built("exporting what was built (POST /build?outputs=)"));
    }
    let dialect = match (call.header(ladder::OLD_BUILD_HEADER), call.header(ladder::FIRST_BUILD_HEADER)) {
        ("", _) => Dialect::Current,
        (_, "") => Dialect::Of2014,
        _ => Dialect::Of2013,
    };
    let quiet_commands = query.flag("q") && call.headers.contains_key(ladder::QUIET_COMMANDS_HEADER);
    Ok(BuildOptions {
        names: query.all("t"),
        dockerfile: query.text("dockerfile").to_owned(),
        remote: query.text("remote").to_owned(),
        no_cache: query.flag("nocache"),
        remove: query.flag_or("rm", true),
        force_remove: query.flag("forcerm"),
        quiet: query.flag("q") && !quiet_commands,
        quiet_commands,
        arguments: map(query, "buildargs")?,
        labels: map(query, "labels")?,
        target: query.text("target").to_owned(),
        platform: query.text("platform").to_owned(),
        credentials: Credentials::several_from_header(call.header("x-registry-config")),
        host: host(query)?,
        cache_from: json(query, "cachefrom")?.unwrap_or_default(),
        pull: query.flag("pull"),
        squash: query.flag("squash"),
        dialect,
    })
}

/// Limits, network and the like of the containers of steps.
fn host(query: &Query) -> Result<HostConfig, Error> {
    let number = |name: &str| query.number(name).map(Option::unwrap_or_default);
    let ulimits: Option<Vec<Ulimit>> = json(query, "ulimits")?;
    let extra_hosts = query.all("extrahosts");
    Ok(HostConfig {
        memory: number("memory")?,
        memory_swap: number("memswap")?,
        cpu_shares: number("cpushares")?,
        cpu_period: number("cpuperiod")?,
        cpu_quota: number("cpuquota")?,
        cpuset_cpus: query.text("cpusetcpus").to_owned(),
        cpuset_mems: query.text("cpusetmems").to_owned(),
        cgroup_parent: query.text("cgroupparent").to_owned(),
        shm_size: number("shmsize")?,
        network_mode: query.text("networkmode").to_owned(),
        security_opt: json(query, "securityopt")?,
        extra_hosts: Some(hosts(extra_hosts)).filter(|hosts| !hosts.is_empty()),
        ulimits,
        ..HostConfig::default()
    })
}

/// `extrahosts` comes as several values, as one with commas, or as a JSON list.
fn hosts(values: Vec<String>) -> Vec<String> {
    let split = |value: String| match serde_json::from_str::<Vec<String>>(&value) {
        Ok(list) => list,
        Err(_) => value.split(',').filter(|host| !host.is_empty()).map(str::to_owned).collect(),
    };
    values.into_iter().flat_map(split).collect()
}

fn map<V: serde::de::DeserializeOwned>(query: &Query, name: &str) -> Result<BTreeMap<String, V>, Error> {
    Ok(json::<BTreeMap<String, V>>(query, name)?.unwrap_or_default())
}

/// A parameter that is JSON; `null` is as if it were not given.
fn json<T: serde::de::DeserializeOwned>(query: &Query, name: &str) -> Result<Option<T>, Error> {
    let Some(text) = query.given(name) else { return Ok(None) };
    serde_json::from_str(text).map_err(|error| Error::invalid(format!("error reading {name}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        let query = Query::parse(
            "buildargs=%7B%22A%22:%22b%22,%22C%22:null%7D&extrahosts=a:1.2.3.4,b:::1&memory=5&ulimits=null",
        );
        let arguments: BTreeMap<String, Option<String>> = map(&query, "buildargs").unwrap();
        assert_eq!((arguments["A"].as_deref(), arguments["C"].as_deref()), (Some("b"), None));
        let host = host(&query).unwrap();
        assert_eq!((host.memory, host.extra_hosts.unwrap().len()), (5, 2));
        assert!(map::<String>(&Query::parse("labels=x"), "labels").is_err());
        assert_eq!(hosts(vec!["[\"a:1\"]".to_owned(), "b:2".to_owned()]), ["a:1", "b:2"]);
    }
}
