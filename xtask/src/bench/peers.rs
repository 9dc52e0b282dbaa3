//! The peers' recorded figures.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::bench::Rows;
use crate::run::workspace;

/// Names of the peers in the order of the file's columns.
const PEERS: [&str; 2] = ["docker", "podman"];

/// Columns of `bench/peers.tsv`, whose head says where they come from.
pub(super) fn recorded() -> Result<BTreeMap<&'static str, Rows>> {
    let path = workspace().join("bench/peers.tsv");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut columns: BTreeMap<&'static str, Rows> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let [metric, unit, figures @ ..] = &line.split('\t').collect::<Vec<_>>()[..] else {
            bail!("{}: no such line: {line:?}", path.display());
        };
        for (peer, figure) in PEERS.into_iter().zip(figures) {
            let figure = figure.parse().with_context(|| format!("{}: {line:?}", path.display()))?;
            columns.entry(peer).or_default().insert((*metric).to_owned(), (figure, (*unit).to_owned()));
        }
    }
    Ok(columns)
}
