//! The layout of before 2016: `repositories`, and a folder with `json` and `layer.tar` for each step.
//!
//! Each step becomes an image of its own with the step before as its parent, as engines of that time had it.

use std::collections::{BTreeMap, BTreeSet};

use model::{ChainId, Reference};
use serde::Deserialize;

use super::{Found, Load, Progress, parse};
use crate::{Config, Error, Lineage, Result, is_empty_layer};

const REPOSITORIES: &str = "repositories";
/// Longest line of steps; the engines of that time stopped at 127.
const MAX_STEPS: usize = 1024;

/// Repository names to tags to ids.
type Repositories = BTreeMap<String, BTreeMap<String, String>>;

#[derive(Deserialize)]
struct Folder {
    #[serde(default)]
    parent: Option<String>,
    #[serde(flatten)]
    config: Config,
}

/// A step that has become an image.
#[derive(Clone)]
struct Made {
    /// Its place in `found`.
    at: usize,
    lineage: Lineage,
    top: Option<ChainId>,
}

impl Load<'_> {
    /// Loads all images that have a name, or, if none has, all that are not another's parent.
    pub(super) fn v1(&mut self) -> Result<()> {
        let mut made = BTreeMap::new();
        if self.spool.contains(REPOSITORIES) {
            let repositories: Repositories = parse(REPOSITORIES, &self.spool.document(REPOSITORIES)?)?;
            for (repository, tags) in repositories {
                for (tag, id) in tags {
                    let name = Reference::from_repository(&repository, &tag)?;
                    let at = self.line(&id, &mut made)?.at;
                    self.found[at].asked = true;
                    self.found[at].new.names.push(name);
                }
            }
            return Ok(());
        }
        let mut tops = Vec::new();
        let mut parents = BTreeSet::new();
        let folders: Vec<String> =
            self.spool.paths().filter_map(|path| path.strip_suffix("/json")).map(str::to_owned).collect();
        for id in folders {
            let member = format!("{id}/json");
            let folder: Folder = parse(&member, &self.spool.document(&member)?)?;
            parents.extend(folder.parent.filter(|parent| !parent.is_empty()));
            tops.push(id);
        }
        tops.sort();
        for id in tops.iter().filter(|id| !parents.contains(*id)) {
            let at = self.line(id, &mut made)?.at;
            self.found[at].asked = true;
        }
        Ok(())
    }

    /// Makes a step and all before it, oldest first.
    fn line(&mut self, id: &str, made: &mut BTreeMap<String, Made>) -> Result<Made> {
        let mut pending = Vec::new();
        let mut next = Some(id.to_owned());
        let mut below = None;
        while let Some(id) = next.filter(|id| !id.is_empty()) {
            if let Some(known) = made.get(&id) {
                below = Some(known.clone());
                break;
            }
            let member = format!("{id}/json");
            let folder: Folder = parse(&member, &self.spool.document(&member)?)?;
            next = folder.parent.clone();
            pending.push((id, folder.config));
            if pending.len() > MAX_STEPS {
                return Err(Error::Limit { what: "the number of steps".to_owned(), limit: MAX_STEPS as u64 });
            }
        }
        while let Some((id, config)) = pending.pop() {
            let step = self.step(&id, config, below.as_ref())?;
            made.insert(id, step.clone());
            below = Some(step);
        }
        below.ok_or_else(|| Error::Member(format!("{id}/json")))
    }

    /// Makes one step's layer and image.
    fn step(&mut self, id: &str, old: Config, below: Option<&Made>) -> Result<Made> {
        let path = format!("{id}/layer.tar");
        let mut short_id = id.to_owned();
        short_id.truncate(short_id.floor_char_boundary(12));
        (self.progress)(Progress::Layer { short_id, size_bytes: self.spool.size(&path)? });
        let top = below.and_then(|below| below.top);
        let layer = self.lease.import(self.spool.verified(&path, None)?, top.as_ref())?;
        let mut lineage = below.map(|below| below.lineage.clone()).unwrap_or_default();
        let new = lineage.step(id, old, layer.diff_id)?;
        let top = if is_empty_layer(&layer.diff_id) { top } else { Some(layer.chain_id) };
        let made = Made { at: self.found.len(), lineage, top };
        self.found.push(Found { new, asked: false });
        Ok(made)
    }
}
