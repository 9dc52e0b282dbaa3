//! Builds.

use std::collections::BTreeMap;

use api::host_config::{HostConfig, Ulimit};
use engine::{BuildOptions, Credentials};
use futures_util::{FutureExt, StreamExt, stream};

use super::unbuilt::not_built;
use crate::call::{Call, with_upload};
use crate::error::Error;
use crate::message::{End, lines};
use crate::query::Query;
use crate::reply::Reply;

/// Builds an image. Messages go out while the body may still come in.
pub(crate) async fn build(call: &mut Call) -> Result<Reply, Error> {
    let options = options(call)?;
    let (upload, carry) = call.upload();
    let mut carry = carry.boxed().fuse();
    let progress = with_upload(&mut carry, call.server.engine.build(options, upload)).await?;
    let documents = stream::unfold((lines(progress), carry), async |(mut documents, mut carry)| {
        loop {
            tokio::select! {
                biased;
                document = documents.next() => return document.map(|document| (document, (documents, carry))),
                // Once it has ended it stays silent.
                () = &mut carry => {}
            }
        }
    });
    Ok(Reply::messages(documents.boxed(), End::CarriageReturn))
}

fn options(call: &Call) -> Result<BuildOptions, Error> {
    let query = &call.query;
    match query.text("version") {
        "" | "1" => {}
        "2" => return Err(not_built("building with BuildKit (POST /build?version=2; set DOCKER_BUILDKIT=0)")),
        other => return Err(Error::invalid(format!("invalid version {other}"))),
    }
    if query.flag("squash") {
        return Err(not_built("squashing the layers of a build (POST /build?squash=1)"));
    }
    if query.text("remote") == "client-session" {
        return Err(not_built("building over a session (POST /build?remote=client-session)"));
    }
    if query.given("outputs").is_some_and(|outputs| outputs != "[]" && outputs != "null") {
        return Err(not_built("exporting what was built (POST /build?outputs=)"));
    }
    let old = call.headers.contains_key(ladder::OLD_BUILD_HEADER);
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
        old,
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
