//! The build cache, as `docker buildx du` and `prune` ask for it.

use api::system::BuildCache;
use engine::{BuildPruneOptions, Filters};

use crate::Buildkit;
use crate::grpc::{Code, Status};
use crate::message::{DiskUsageRequest, DiskUsageResponse, PruneRequest, Timestamp, UsageRecord};
use crate::solve::of_engine;

const BUILD_CACHE: &str = "build-cache";

impl Buildkit {
    pub(crate) async fn disk_usage(&self, request: DiskUsageRequest) -> Result<DiskUsageResponse, Status> {
        let filter = Filter::parse(&request.filters)?;
        let cache = self.build_cache().await?;
        let records = cache.iter().filter(|cache| filter.fits(cache)).map(record).collect();
        Ok(DiskUsageResponse { records })
    }

    /// Removes what is not used; what is gone.
    pub(crate) async fn prune(&self, request: PruneRequest) -> Result<Vec<UsageRecord>, Status> {
        let filter = Filter::parse(&request.filters)?;
        let cache: Vec<BuildCache> = self.build_cache().await?.into_iter().filter(|cache| filter.fits(cache)).collect();
        if cache.is_empty() {
            return Ok(Vec::new());
        }
        let mut filters = Filters::default();
        filters.0.insert("id".to_owned(), cache.iter().map(|cache| cache.id.clone()).collect());
        if request.keep_nanoseconds > 0 {
            let age = format!("{}s", request.keep_nanoseconds / 1_000_000_000);
            filters.0.insert("unused-for".to_owned(), vec![age]);
        }
        let bytes = if request.reserved_bytes > 0 { request.reserved_bytes } else { request.most_bytes };
        let keep_bytes = u64::try_from(bytes).ok().filter(|bytes| *bytes > 0);
        let pruned = self.engine.builds_prune(BuildPruneOptions { keep_bytes, filters }).await;
        let gone = pruned.map_err(|error| of_engine(&error))?.caches_deleted.unwrap_or_default();
        Ok(cache.iter().filter(|cache| gone.contains(&cache.id)).map(record).collect())
    }

    async fn build_cache(&self) -> Result<Vec<BuildCache>, Status> {
        let usage = self.engine.disk_usage(&[BUILD_CACHE.to_owned()]).await;
        Ok(usage.map_err(|error| of_engine(&error))?.build_cache)
    }
}

fn record(cache: &BuildCache) -> UsageRecord {
    UsageRecord {
        id: cache.id.clone(),
        // It can be written to by the next build.
        mutable: true,
        in_use: cache.in_use,
        size: cache.size,
        created: cache.created_at.parse().ok().map(moment),
        last_used: cache.last_used_at.parse().ok().map(moment),
        usage_count: i64::try_from(cache.usage_count).unwrap_or(i64::MAX),
        description: cache.description.clone(),
        kind: cache.r#type.clone(),
        shared: cache.shared,
    }
}

fn moment(time: model::Timestamp) -> Timestamp {
    const SECOND: i64 = 1_000_000_000;
    let nanoseconds = time.unix_nanoseconds();
    let nanos = i32::try_from(nanoseconds.rem_euclid(SECOND)).unwrap_or_default();
    Timestamp { seconds: nanoseconds.div_euclid(SECOND), nanos }
}

/// containerd's filters: any of several lines, each of which has all of its conditions between commas.
#[derive(Debug, Default, PartialEq, Eq)]
struct Filter(Vec<Vec<Condition>>);

/// `key==value` or `key~=part`.
#[derive(Debug, PartialEq, Eq)]
struct Condition {
    key: String,
    value: String,
    /// A part is enough.
    part: bool,
}

impl Filter {
    fn parse(lines: &[String]) -> Result<Self, Status> {
        let conditions =
            |line: &String| line.split(',').filter(|text| !text.is_empty()).map(Condition::parse).collect();
        let lines: Vec<Vec<Condition>> = lines.iter().map(conditions).collect::<Result<_, _>>()?;
        Ok(Self(lines.into_iter().filter(|line| !line.is_empty()).collect()))
    }

    fn fits(&self, cache: &BuildCache) -> bool {
        self.0.is_empty() || self.0.iter().any(|line| line.iter().all(|condition| condition.fits(cache)))
    }
}

impl Condition {
    fn parse(text: &str) -> Result<Self, Status> {
        let wrong = || Status::new(Code::InvalidArgument, format!("invalid filter '{text}'"));
        let (key, value, part) = match (text.split_once("=="), text.split_once("~=")) {
            (Some((key, value)), _) => (key, value, false),
            (None, Some((key, value))) => (key, value, true),
            (None, None) => (text, "true", false),
        };
        match key {
            "id" | "type" | "description" | "inuse" | "shared" | "mutable" => {
                Ok(Self { key: key.to_owned(), value: value.trim_matches('"').to_owned(), part })
            }
            _ => Err(wrong()),
        }
    }

    fn fits(&self, cache: &BuildCache) -> bool {
        let flag = |flag: bool| if flag { "true" } else { "false" };
        let value = match self.key.as_str() {
            "id" => &cache.id,
            "type" => &cache.r#type,
            "description" => &cache.description,
            "inuse" => flag(cache.in_use),
            "shared" => flag(cache.shared),
            _ => flag(true),
        };
        if self.part { value.contains(&self.value) } else { value == self.value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        let cache = BuildCache { id: "abc".to_owned(), r#type: "exec.cachemount".to_owned(), ..BuildCache::default() };
        let fits = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            Filter::parse(&lines).map(|filter| filter.fits(&cache))
        };
        for yes in [&[] as &[&str], &[""], &["id~=b"], &["id==x", "type==exec.cachemount"], &["mutable,inuse==false"]] {
            assert!(fits(yes).unwrap(), "{yes:?}");
        }
        for no in [&["id==b"] as &[&str], &["id~=b,shared"], &["type==regular"]] {
            assert!(!fits(no).unwrap(), "{no:?}");
        }
        assert_eq!(fits(&["colour==red"]).unwrap_err().code(), Code::InvalidArgument);
    }
}
