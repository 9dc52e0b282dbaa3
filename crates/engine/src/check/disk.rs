//! What lies on the disk against what the database lists.

use std::collections::BTreeSet;
use std::path::Path;

use model::ChainId;

use super::rows::Rows;
use super::{Look, Problem, short};

impl Look {
    /// Notes what is listed and has no files, and files that belong to nothing listed.
    pub(super) fn compare(&mut self, rows: &Rows, daemon_runs: bool) {
        for (path, reason) in &self.disk.strays {
            let repair = "longshore did not make it: move it away; the daemon's start removes what lies in its folders";
            self.problems.insert(Problem::new("stray file", reason, repair).at(path));
        }
        self.missing(rows);
        self.unknown_containers(rows, daemon_runs);
        self.unknown_layers(rows, daemon_runs);
        for volume in self.disk.volumes.iter().filter(|name| !rows.volumes.contains(name)) {
            let reason = "the database does not know it";
            let repair = "restart the daemon: its start takes the volume in; docker volume rm removes it then";
            let path = Path::new("volume-data").join(volume);
            self.problems.insert(Problem::new(format!("volume {volume}"), reason, repair).at(path));
        }
    }

    fn missing(&mut self, rows: &Rows) {
        for (id, layers) in &rows.images {
            for chain in layers.iter().filter(|chain| self.disk.layer(chain).is_none()) {
                let reason = format!("its layer {chain} is missing");
                let repair = "the daemon's next start removes the image; pull, load or build it again";
                self.problems.insert(Problem::new(
                    format!("image {} ({})", rows.name_of(id), short(id)),
                    reason,
                    repair,
                ));
            }
        }
        let folders: BTreeSet<&str> = self.disk.containers.iter().map(|(id, _)| id.as_str()).collect();
        for (id, name) in rows.containers.iter().filter(|(id, _)| !folders.contains(id.as_str())) {
            let repair = format!("remove the container: docker rm {name}");
            let problem = Problem::new(format!("container {name}"), "its files are missing", repair);
            self.problems.insert(problem.at(Path::new("containers").join(id)));
        }
        for (id, top) in &self.disk.containers {
            let (Some(name), Some(top)) = (rows.containers.get(id), top) else { continue };
            let broken = self.disk.line(*top).last().and_then(|lowest| self.disk.layer(&lowest)?.parent);
            let missing = if self.disk.layer(top).is_none() { Some(*top) } else { broken };
            if let Some(missing) = missing {
                let reason = format!("the layer {missing} that it stands on is missing");
                let repair = format!("remove the container: docker rm {name}");
                self.problems.insert(Problem::new(format!("container {name}"), reason, repair));
            }
        }
        for volume in rows.volumes.iter().filter(|name| !self.disk.volumes.contains(name)) {
            let repair = "restart the daemon: its start makes the folder, empty";
            let problem = Problem::new(format!("volume {volume}"), "its folder is missing", repair);
            self.problems.insert(problem.at(Path::new("volume-data").join(volume)));
        }
    }

    fn unknown_containers(&mut self, rows: &Rows, daemon_runs: bool) {
        for (id, _) in self.disk.containers.iter().filter(|(id, _)| !rows.known_containers.contains(id)) {
            let path = Path::new("containers").join(id);
            if daemon_runs {
                let reason = "no container has this id";
                let problem =
                    Problem::new("stray container", reason, "restart the daemon: its start removes the folder");
                self.problems.insert(problem.at(path));
            } else {
                self.unfinished.push(path);
            }
        }
    }

    /// Layers and init layers that neither an image nor a container needs.
    fn unknown_layers(&mut self, rows: &Rows, daemon_runs: bool) {
        // An operation may be about to register them, or nobody can tell whose they are.
        let leased = self.unfinished.iter().any(|path| path.ends_with(image::LEASED));
        let excused = leased || rows.lost_images || !daemon_runs;
        let layers = self.disk.layers().map(|layer| layer.chain_id).map(|chain| ("layers", chain));
        let inits = self.disk.init.iter().map(|chain| ("init", *chain));
        let unknown: Vec<(&str, ChainId)> =
            layers.chain(inits).filter(|(_, chain)| !self.users.contains_key(chain)).collect();
        for (folder, chain) in unknown {
            let path = Path::new(folder).join(chain.hex());
            if excused {
                self.unfinished.push(path);
                continue;
            }
            let reason = "neither an image nor a container needs it";
            let problem = Problem::new(format!("layer {chain}"), reason, "restart the daemon: its start removes it");
            self.problems.insert(problem.at(path));
        }
        for chain in rows.layers.iter().filter(|chain| self.disk.layer(chain).is_none()) {
            let repair = "restart the daemon: its start puts the list of layers in order";
            let problem = Problem::new(format!("layer {chain}"), "it is listed, and its files are missing", repair);
            self.problems.insert(problem.at(Path::new("layers").join(chain.hex())));
        }
    }
}
