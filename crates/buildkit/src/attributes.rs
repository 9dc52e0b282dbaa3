//! What a client asks of the Dockerfile frontend: words under names that BuildKit gave them.

use std::collections::BTreeMap;

use api::host_config::{HostConfig, Ulimit};
use build::Options;
use serde_json::Value;

use crate::grpc::{Code, Status};

/// Frontend attributes of one build, or options of `POST /build` under the same names.
pub(crate) type Attributes = BTreeMap<String, String>;

/// What is built, and how.
///
/// # Errors
/// A value cannot be, or it is something that is not built.
pub(crate) fn options(attributes: &Attributes, engine_version: String) -> Result<Options, Status> {
    refuse_unbuilt(attributes)?;
    let (cache_import, ignored) = cache_images(attributes)?;
    Ok(Options {
        dockerfile: text(attributes, "filename").to_owned(),
        // With stages to leave out the cache for in it, or alone. More than was asked is done again then, never less.
        no_cache: attributes.contains_key("no-cache"),
        pull: text(attributes, "image-resolve-mode") == "pull",
        remove: true,
        force_remove: true,
        arguments: under(attributes, "build-arg:")
            .filter(|(name, _)| !name.starts_with("BUILDKIT_"))
            .map(|(name, value)| (name, Some(value)))
            .collect(),
        labels: under(attributes, "label:").collect(),
        target: text(attributes, "target").to_owned(),
        platform: text(attributes, "platform").to_owned(),
        cache_import,
        ignored,
        engine_version,
        ..Options::default()
    })
}

/// Images whose steps count as done before: a list of names from older clients, one of sources of cache from newer ones, of
/// which images at registries are names too; and what is said of the other sources.
fn cache_images(attributes: &Attributes) -> Result<(Vec<String>, Vec<String>), Status> {
    let mut images: Vec<String> = csv(text(attributes, "cache-from")).collect();
    let mut ignored = Vec::new();
    let listed = text(attributes, "cache-imports");
    if !listed.is_empty() {
        let sources: Vec<Value> =
            serde_json::from_str(listed).map_err(|error| invalid("cache-imports", &error.to_string()))?;
        for source in &sources {
            match (source["Type"].as_str().unwrap_or_default(), source["Attrs"]["ref"].as_str()) {
                ("registry", Some(name)) => images.push(name.to_owned()),
                (kind, _) => ignored.push(format!("--cache-from type={kind} is ignored: only images are caches here")),
            }
        }
    }
    Ok((images, ignored))
}

/// Limits, network and the like of the containers of steps.
///
/// # Errors
/// A value cannot be.
pub(crate) fn host(attributes: &Attributes) -> Result<HostConfig, Status> {
    let network = match text(attributes, "force-network-mode") {
        network @ ("" | "none" | "host") => network,
        "sandbox" | "default" => "",
        network => return Err(invalid("force-network-mode", network)),
    };
    let extra_hosts = csv(text(attributes, "add-hosts"))
        .map(|entry| {
            let (name, address) = entry.split_once('=').ok_or_else(|| invalid("add-hosts", &entry))?;
            Ok(format!("{name}:{address}"))
        })
        .collect::<Result<Vec<_>, Status>>()?;
    let ulimits = csv(text(attributes, "ulimit")).map(|entry| ulimit(&entry)).collect::<Result<Vec<_>, Status>>()?;
    Ok(HostConfig {
        network_mode: network.to_owned(),
        cgroup_parent: text(attributes, "cgroup-parent").to_owned(),
        shm_size: number(attributes, "shm-size")?,
        memory: number(attributes, "memory")?,
        memory_swap: number(attributes, "memswap")?,
        cpu_shares: number(attributes, "cpushares")?,
        cpu_period: number(attributes, "cpuperiod")?,
        cpu_quota: number(attributes, "cpuquota")?,
        cpuset_cpus: text(attributes, "cpusetcpus").to_owned(),
        cpuset_mems: text(attributes, "cpusetmems").to_owned(),
        extra_hosts: (!extra_hosts.is_empty()).then_some(extra_hosts),
        ulimits: (!ulimits.is_empty()).then_some(ulimits),
        ..HostConfig::default()
    })
}

/// Attributes whose name begins so, by the rest of their name.
pub(crate) fn under<'a>(attributes: &'a Attributes, prefix: &'a str) -> impl Iterator<Item = (String, String)> + 'a {
    attributes.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone())))
}

/// An attribute; empty if it is not there.
pub(crate) fn text<'a>(attributes: &'a Attributes, name: &str) -> &'a str {
    attributes.get(name).map(String::as_str).unwrap_or_default()
}

/// The refusal of something that BuildKit has and longshore has not.
pub(crate) fn unbuilt(what: &str) -> Status {
    Status::new(Code::Unimplemented, format!("{what} is not built into this version of longshore"))
}

/// The refusal of a frontend that is not our own.
pub(crate) fn other_frontend(name: &str) -> Status {
    unbuilt(&format!("the frontend {name} (Dockerfiles are built by longshore itself, without fetching a frontend)"))
}

fn refuse_unbuilt(attributes: &Attributes) -> Result<(), Status> {
    if let Some(syntax) = attributes.get("build-arg:BUILDKIT_SYNTAX") {
        return Err(other_frontend(syntax));
    }
    if text(attributes, "platform").contains(',') || text(attributes, "multi-platform") == "true" {
        return Err(unbuilt("building for several platforms at once (--platform a,b)"));
    }
    if let Some((kind, _)) = under(attributes, "attest:").next() {
        return Err(unbuilt(&format!("attesting a build (--attest {kind})")));
    }
    Ok(())
}

fn number(attributes: &Attributes, name: &str) -> Result<i64, Status> {
    match text(attributes, name) {
        "" => Ok(0),
        value => value.parse().map_err(|_| invalid(name, value)),
    }
}

/// `name=soft[:hard]`.
fn ulimit(entry: &str) -> Result<Ulimit, Status> {
    let wrong = || invalid("ulimit", entry);
    let (name, limits) = entry.split_once('=').ok_or_else(wrong)?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let number = |text: &str| text.parse().map_err(|_| wrong());
    Ok(Ulimit { name: name.to_owned(), soft: number(soft)?, hard: number(hard)? })
}

/// Fields between commas, some of them in quotation marks.
pub(crate) fn csv(line: &str) -> impl Iterator<Item = String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match (character, fields.last_mut()) {
            ('"', _) => quoted = !quoted,
            (',', _) if !quoted => fields.push(String::new()),
            (other, Some(field)) => field.push(other),
            (_, None) => {}
        }
    }
    fields.into_iter().filter(|field| !field.is_empty())
}

fn invalid(name: &str, value: &str) -> Status {
    Status::new(Code::InvalidArgument, format!("invalid {name}: {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(pairs: &[(&str, &str)]) -> Attributes {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn attributes_become_options() {
        let given = attributes(&[
            ("filename", "sub/Dockerfile"),
            ("build-arg:A", "b"),
            ("build-arg:BUILDKIT_INLINE_CACHE", "1"),
            ("label:l", "m"),
            ("no-cache", ""),
            ("add-hosts", "a=1.2.3.4,b=::1"),
            ("ulimit", "nofile=10:20"),
            ("shm-size", "65536"),
            ("cache-from", "a:1"),
            ("cache-imports", r#"[{"Type":"registry","Attrs":{"ref":"b:2"}},{"Type":"local","Attrs":{"src":"c"}}]"#),
            ("force-network-mode", "none"),
        ]);
        let options = options(&given, "1".to_owned()).unwrap();
        assert_eq!((&*options.dockerfile, options.no_cache, options.arguments.len()), ("sub/Dockerfile", true, 1));
        assert_eq!((options.arguments["A"].as_deref(), &*options.labels["l"]), (Some("b"), "m"));
        assert_eq!(options.cache_import, ["a:1", "b:2"]);
        assert_eq!(options.ignored, ["--cache-from type=local is ignored: only images are caches here"]);
        let host = host(&given).unwrap();
        assert_eq!(host.extra_hosts.unwrap(), ["a:1.2.3.4", "b:::1"]);
        assert_eq!(host.ulimits.unwrap(), [Ulimit { name: "nofile".to_owned(), soft: 10, hard: 20 }]);
        assert_eq!((host.shm_size, &*host.network_mode), (65536, "none"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let sources = attributes(&[("cache-imports", "x")]);
        assert_eq!(options(&sources, String::new()).unwrap_err().code(), Code::InvalidArgument);
        for (name, value) in
            [("build-arg:BUILDKIT_SYNTAX", "x"), ("platform", "linux/amd64,linux/arm64"), ("attest:sbom", "")]
        {
            assert_eq!(options(&attributes(&[(name, value)]), String::new()).unwrap_err().code(), Code::Unimplemented);
        }
        for (name, value) in
            [("shm-size", "x"), ("ulimit", "nofile"), ("add-hosts", "a"), ("force-network-mode", "mine")]
        {
            assert_eq!(host(&attributes(&[(name, value)])).unwrap_err().code(), Code::InvalidArgument, "{name}");
        }
        assert_eq!(csv("a,\"b,c\",,d").collect::<Vec<_>>(), ["a", "b,c", "d"]);
    }
}
