//! What the kernel alone takes: `bench/floor.c` does a container's work in one C program.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::bench::Rows;
use crate::run::{output, succeed, target, workspace};

/// Our metric, and the floor's total that does the same work.
const TOTALS: &[(&str, &str)] = &[
    ("full cycle net=bridge", "[bridged, pooled netns+veth] TOTAL start + exit seen"),
    ("full cycle net=none", "[no net, held ns] TOTAL start + exit seen"),
    ("exec total", "exec into container: TOTAL"),
];

/// Compiles the program and runs the parts that our metrics are compared with; the unpacked root lies on `disk` too.
pub(super) fn measure(disk: &Path, rootfs_tar: &Path) -> Result<Rows> {
    let program = target().join("floor");
    let source = workspace().join("bench/floor.c");
    succeed(Command::new("cc").args(["-O2", "-w", "-o"]).arg(&program).arg(source))?;
    let (base, root) = (disk.join("floor"), disk.join("rootfs"));
    std::fs::create_dir_all(&root)?;
    succeed(Command::new("tar").arg("-C").arg(&root).arg("-xf").arg(rootfs_tar))?;
    let mut command = Command::new("unshare");
    command.args(["-m", "-n", "--propagation", "private"]).arg(&program).arg(base).arg(root).args(["full", "execin"]);
    let printed = output(&mut command)?;
    let median_ms = |name: &str| -> Result<f64> {
        let line = printed.lines().find(|line| line.starts_with(name));
        let figure = line.and_then(|line| line.split("med=").nth(1)?.split_whitespace().next()?.parse::<f64>().ok());
        Ok(figure.with_context(|| format!("floor printed no {name:?}"))? / 1e3)
    };
    TOTALS.iter().map(|(metric, total)| Ok(((*metric).to_owned(), (median_ms(total)?, "ms".to_owned())))).collect()
}
