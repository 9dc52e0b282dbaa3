//! What the peers once took, for machines without them.

use anyhow::{Context, Result, bail};

use crate::bench::{Columns, Rows};
use crate::run::workspace;

/// Names of the peers in the order of the file's columns.
const PEERS: [&str; 2] = ["docker", "podman"];

/// Columns of `bench/peers.tsv`, whose head says where they come from.
pub(super) fn columns() -> Result<Columns> {
    let path = workspace().join("bench/peers.tsv");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut columns = Columns::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let [metric, unit, figures @ ..] = &line.split('\t').collect::<Vec<_>>()[..] else {
            bail!("{}: no such line: {line:?}", path.display());
        };
        for (peer, figure) in PEERS.into_iter().zip(figures) {
            let figure = figure.parse().with_context(|| format!("{}: {line:?}", path.display()))?;
            let rows: &mut Rows = columns.entry(peer).or_default();
            rows.insert((*metric).to_owned(), (figure, (*unit).to_owned()));
        }
    }
    Ok(columns)
}
