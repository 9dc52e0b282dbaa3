//! The project's own commands, so that a fresh machine needs to know two words: `cargo xtask test`.

mod bench;
mod check;
mod clients;
mod daemon;
mod disk;
mod install;
mod peers;
mod run;
mod test;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask test [unit|e2e|contract|check]...   all tests, or only the named parts
cargo xtask check                               formatting, lints, licences, direction of dependencies
cargo xtask clients                             every client of the package registries, into docs/clients.md
cargo xtask bench [image|build]                 the benchmark beside Docker Engine and podman, or only a part of it";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((command, parts)) if command == "test" => test::run(parts),
        Some((command, [])) if command == "check" => check::run(),
        Some((command, [])) if command == "clients" => test::clients(),
        Some((command, flags)) if command == "bench" => bench::run(flags),
        _ => bail!("{USAGE}"),
    }
}
