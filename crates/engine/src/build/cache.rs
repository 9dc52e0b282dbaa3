//! What builds leave for the next ones beside images: the folders of `RUN --mount=type=cache`, and the files of clients.
//!
//! What steps leave are images, which go when images are pruned.

use api::image::BuildCachePruned;
use api::system::BuildCache;
use build::{CacheFolder, CacheKind};
use model::Timestamp;

use crate::engine::Engine;
use crate::options::{BuildPruneOptions, Filters};
use crate::{Error, Result};

/// All folders together keep at most this part of the disk that they are on; those go first that were not used for longest.
const DISK_PART: u64 = 10;

/// A folder as it is known, and as it is shown.
struct Cache {
    folder: CacheFolder,
    shown: BuildCache,
}

impl Engine {
    /// All build cache.
    pub(crate) fn list_build_cache(&self) -> Result<Vec<BuildCache>> {
        Ok(self.shown_caches()?.into_iter().map(|cache| cache.shown).collect())
    }

    fn shown_caches(&self) -> Result<Vec<Cache>> {
        let caches = &self.build_folders.caches;
        let shown = |folder: CacheFolder| {
            // BuildKit's words.
            let (kind, what) = match folder.kind {
                CacheKind::Mount => ("exec.cachemount", "cached mount"),
                CacheKind::Context => ("source.local", "local source for"),
            };
            let shown = BuildCache {
                id: folder.name.clone(),
                r#type: kind.to_owned(),
                description: format!("{what} {}", folder.id),
                in_use: caches.is_used(&folder.name),
                shared: false,
                size: i64::try_from(caches.size_bytes(&folder)?).unwrap_or(i64::MAX),
                created_at: folder.created.to_string(),
                last_used_at: folder.last_used.to_string(),
                usage_count: folder.uses,
            };
            Ok(Cache { folder, shown })
        };
        caches.list()?.into_iter().map(shown).collect()
    }

    /// Removes build cache that nothing uses now: all of it, or until it takes no more than it may.
    pub(crate) fn prune_builds(&self, options: &BuildPruneOptions) -> Result<BuildCachePruned> {
        let filters = &options.filters;
        // `docker system prune` asks everything that can be pruned with the same filters.
        let known = ["until", "unused-for", "id", "type", "description", "inuse", "shared", "private", "parents"];
        filters.only(&[&known[..], &["label", "label!"]].concat())?;
        let Ok(_alone) = self.pruning.try_lock() else {
            return Err(Error::conflict("a prune operation is already running"));
        };
        let unused_since = match filters.values("until").first().or(filters.values("unused-for").first()) {
            Some(text) => Some(
                Timestamp::parse_filter(text, Timestamp::now()).map_err(|error| Error::invalid(error.to_string()))?,
            ),
            None => None,
        };
        let wanted = |cache: &Cache| {
            let unused = unused_since.is_none_or(|since| cache.folder.last_used < since);
            Ok(unused && fits(&cache.shown, filters)?)
        };
        let pruned = self.remove_build_caches(options.keep_bytes, wanted)?;
        let reclaimed = pruned.space_reclaimed.to_string();
        self.tell("builder", "prune", "", [("reclaimed", reclaimed.as_str())]);
        Ok(pruned)
    }

    /// After a build: what was not used for longest goes if the disk would be filled otherwise.
    pub(super) fn bound_build_caches(&self) -> Result<()> {
        let disk = rustix::fs::statvfs(&self.config.data_root)
            .map_err(|error| Error::system("cannot measure the data root's disk").caused_by(error))?;
        let keep_bytes = disk.f_blocks.saturating_mul(disk.f_frsize) / DISK_PART;
        self.remove_build_caches(Some(keep_bytes), |_| Ok(true)).map(drop)
    }

    fn remove_build_caches(
        &self,
        keep_bytes: Option<u64>,
        wanted: impl Fn(&Cache) -> Result<bool>,
    ) -> Result<BuildCachePruned> {
        let size = |cache: &Cache| u64::try_from(cache.shown.size).unwrap_or(0);
        let mut caches = self.shown_caches()?;
        let mut left: u64 = caches.iter().map(size).sum();
        // One that is too large on its own goes first, so that the others may stay.
        caches.sort_by_key(|cache| (keep_bytes.is_none_or(|keep| size(cache) <= keep), cache.folder.last_used));
        let mut pruned = BuildCachePruned::default();
        for cache in caches {
            let enough = keep_bytes.is_some_and(|keep| left <= keep);
            // One that is used now is not removed.
            if enough || !wanted(&cache)? || !self.build_folders.caches.remove(&cache.folder.name)? {
                continue;
            }
            left -= size(&cache);
            pruned.space_reclaimed += size(&cache);
            pruned.caches_deleted.get_or_insert_default().push(cache.folder.name);
        }
        Ok(pruned)
    }
}

fn fits(cache: &BuildCache, filters: &Filters) -> Result<bool> {
    Ok(filters.any("id", |id| cache.id.starts_with(id))
        && filters.any("type", |kind| cache.r#type == kind)
        && filters.any("description", |words| cache.description.contains(words))
        && filters.flag("inuse")?.is_none_or(|wanted| wanted == cache.in_use)
        && filters.flag("shared")?.is_none_or(|wanted| wanted == cache.shared)
        && filters.flag("private")?.is_none_or(|wanted| wanted != cache.shared)
        // None of these has labels, or parents.
        && filters.labels(None)
        && filters.values("parents").is_empty())
}
