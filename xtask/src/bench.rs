//! `cargo xtask bench`: what longshore takes, beside what the kernel alone and the peers take.
//!
//! Docker Engine and podman run beside us, on the same disk, and the engines take turns; where they cannot be installed,
//! `bench/peers.tsv` has what they once took. `bench/dbench.rs` is the client (its own cost: 0.01 ms a request), `bench/floor.c`
//! the same work as one C program. Figures are medians, and what counts is the ratio of a row.

mod build;
mod engine;
mod floor;
mod image;
mod ladder;
mod life;
mod memory;
mod recorded;
mod registry;
mod table;
mod traffic;

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::bench::engine::Engines;
use crate::disk::Disk;
use crate::peers;

/// A median and its unit.
type Figure = (f64, String);
/// Rows of one engine, by the metric's name.
type Rows = BTreeMap<String, Figure>;
/// Rows of each engine, by its name.
type Columns = BTreeMap<&'static str, Rows>;

/// Builds everything, measures, prints the table. `image` alone measures only the traffic of images, `build` only builds.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let wanted = match words {
        [] => None,
        [part] if part == "image" || part == "build" => Some(part.as_str()),
        _ => bail!("bench takes nothing, `image` or `build`"),
    };
    let installed = crate::install::all()?;
    let root = peers::installed().inspect_err(|error| eprintln!("no peers beside us: {error:#}")).ok();
    let disk = Disk::mount()?;
    let rootfs = crate::test::rootfs_tar(&installed.busybox)?;
    let mut floor = Rows::new();
    let mut columns = Columns::new();
    let engines = Engines::on(disk.folder(), root.clone());
    if wanted.is_none() {
        merge(&mut columns, life::measure(disk.folder(), &rootfs, &engines)?);
        floor.extend(floor::measure(disk.folder(), &rootfs)?);
    }
    let running = engines.start("images")?;
    if wanted != Some("build") {
        merge(&mut columns, traffic::measure(disk.folder(), &running, &mut floor)?);
    }
    if wanted != Some("image") {
        merge(&mut columns, build::measure(disk.folder(), &rootfs, &installed.buildx, &running)?);
    }
    drop(running);
    let origin = match root {
        Some(root) => format!("beside us; {}", peers::versions(&root)?),
        None => {
            merge(&mut columns, recorded::columns()?);
            "NOT beside us; recorded in bench/peers.tsv".to_owned()
        }
    };
    table::print(&origin, columns, &floor);
    Ok(())
}

fn merge(columns: &mut Columns, further: Columns) {
    for (engine, rows) in further {
        columns.entry(engine).or_default().extend(rows);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
