//! The layout of before 2016: `repositories`, and a folder with `json` and `layer.tar` for each step.
//!
//! Each step becomes an image of its own with the step before as its parent, as engines of that time had it.

use std::collections::{BTreeMap, BTreeSet};

use model::{ChainId, DiffId, ImageId, Reference};
use serde::Deserialize;

use super::{Found, Load, Progress, parse};
use crate::image::{EMPTY_LAYER, digest};
use crate::import::to_bytes;
use crate::save::v1::{new_run_config, origins};
use crate::{Config, Error, History, NewImage, Result, RootFs, RunConfig};

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
    id: ImageId,
    /// Its place in `found`.
    at: usize,
    diff_ids: Vec<DiffId>,
    top: Option<ChainId>,
    history: Vec<History>,
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
        if !old.os.is_empty() && old.os != "linux" {
            return Err(Error::OperatingSystem(old.os));
        }
        let path = format!("{id}/layer.tar");
        let mut short_id = id.to_owned();
        short_id.truncate(short_id.floor_char_boundary(12));
        (self.progress)(Progress::Layer { short_id, size_bytes: self.spool.size(&path)? });
        let top = below.and_then(|below| below.top);
        let layer = self.lease.import(self.spool.verified(&path, None)?, top.as_ref())?;
        let empty_layer = layer.diff_id.0 == *EMPTY_LAYER;
        let mut diff_ids = below.map(|below| below.diff_ids.clone()).unwrap_or_default();
        if !empty_layer {
            diff_ids.push(layer.diff_id);
        }
        let mut history = below.map(|below| below.history.clone()).unwrap_or_default();
        history.push(step_history(&old, empty_layer));
        let config = Config {
            container_config: old.container_config.and_then(new_run_config),
            config: old.config.and_then(new_run_config),
            rootfs: RootFs { diff_ids: diff_ids.clone(), ..RootFs::default() },
            history: history.clone(),
            ..old
        };
        let bytes = match known(id, &config)? {
            Some(bytes) => bytes,
            None => to_bytes(&config)?,
        };
        let made = Made {
            id: ImageId(digest(&bytes)),
            at: self.found.len(),
            diff_ids,
            top: if empty_layer { top } else { Some(layer.chain_id) },
            history,
        };
        let parent = below.map(|below| below.id);
        self.found.push(Found { new: NewImage { config: bytes, parent, names: Vec::new() }, asked: false });
        Ok(made)
    }
}

/// The config of the image of which a folder is a copy, if it is one that was written here: its id is that config's digest.
fn known(id: &str, config: &Config) -> Result<Option<Vec<u8>>> {
    let forms = |run: &Option<RunConfig>| match run {
        Some(run) => origins(run).map(Some).to_vec(),
        None => vec![None],
    };
    for container_config in forms(&config.container_config) {
        for run in forms(&config.config) {
            let origin = Config { container_config: container_config.clone(), config: run, ..config.clone() };
            let bytes = to_bytes(&origin)?;
            if digest(&bytes).hex() == id {
                return Ok(Some(bytes));
            }
        }
    }
    Ok(None)
}

fn step_history(old: &Config, empty_layer: bool) -> History {
    let command = old.container_config.as_ref().and_then(|config| config.cmd.clone());
    History {
        created: old.created,
        author: old.author.clone(),
        created_by: command.unwrap_or_default().join(" "),
        comment: old.comment.clone(),
        empty_layer,
    }
}
