//! What must hold of the sources: formatting, lints, documentation, the direction of dependencies, unsafe code in one crate only.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::run::{cargo, output, succeed};

/// Which of our crates each crate may use: the arrows of ARCHITECTURE.md. Nothing else may appear in a manifest.
const ARROWS: &[(&str, &[&str])] = &[
    ("api", &["model"]),
    ("build", &["dockerfile", "image", "model", "storage", "sys"]),
    ("buildkit", &["api", "build", "dockerfile", "engine", "model", "sys"]),
    ("client", &["api"]),
    ("deflate", &[]),
    ("dockerfile", &["model"]),
    (
        "engine",
        &["api", "build", "image", "model", "network", "registry", "runtime", "shim", "storage", "store", "sys"],
    ),
    (
        "hostile",
        &[
            "api",
            "build",
            "buildkit",
            "deflate",
            "dockerfile",
            "image",
            "ladder",
            "model",
            "network",
            "registry",
            "runtime",
            "shim",
            "storage",
            "sys",
        ],
    ),
    ("image", &["model", "storage", "store"]),
    ("ladder", &["api", "model"]),
    (
        "longshore",
        &["api", "client", "engine", "ladder", "model", "network", "runtime", "server", "shim", "storage", "sys"],
    ),
    ("model", &[]),
    ("network", &["model", "store", "sys"]),
    ("registry", &["deflate", "image", "model"]),
    ("runtime", &["model", "sys"]),
    ("server", &["api", "buildkit", "engine", "ladder", "model", "sys"]),
    ("shim", &["model", "runtime", "sys"]),
    ("storage", &["model", "store", "sys"]),
    ("store", &["model"]),
    ("sys", &[]),
    ("testkit", &["api", "client", "model"]),
    ("tests", &["api", "client", "ladder", "model", "testkit"]),
    ("xtask", &[]),
];

/// The blocking world: none of these may pull an async runtime in.
const BLOCKING: &[&str] = &["build", "dockerfile", "model", "network", "runtime", "shim", "storage", "store", "sys"];

/// Every check.
pub(crate) fn run() -> Result<()> {
    succeed(cargo().args(["fmt", "--all", "--check"]))?;
    arrows()?;
    unsafe_code()?;
    succeed(cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    succeed(cargo().args(["doc", "--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    licences()?;
    Ok(())
}

/// Each crate uses only what it may, and stands in the index of crates.
fn arrows() -> Result<()> {
    let metadata: Value =
        serde_json::from_str(&output(cargo().args(["metadata", "--format-version=1", "--no-deps"]))?)?;
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    let index = std::fs::read_to_string(crate::run::workspace().join("crates/README.md"))?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let line = format!("- [{name}]({name}): {}", package["description"].as_str().unwrap_or_default());
        let path = package["manifest_path"].as_str().unwrap_or_default();
        if path.ends_with(&format!("crates/{name}/Cargo.toml")) && !index.lines().any(|known| known == line) {
            wrong.push(format!("crates/README.md does not have the line {line:?}"));
        }
        let Some(uses) = allowed.get(name) else {
            wrong.push(format!("crate {name} has no line in xtask's ARROWS"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let other = dependency["name"].as_str().unwrap_or_default();
            let development = dependency["kind"] == "dev";
            if dependency["path"].is_string() && !uses.contains(&other) && !development {
                wrong.push(format!("{name} must not use {other}"));
            }
            if BLOCKING.contains(&name) && other == "tokio" && !development {
                wrong.push(format!("{name} is blocking code and must not use tokio"));
            }
        }
    }
    ensure!(wrong.is_empty(), "the crates are not as they should be:\n  {}", wrong.join("\n  "));
    Ok(())
}

/// Licences, duplicate versions and banned crates, as `deny.toml` has them.
fn licences() -> Result<()> {
    let mut deny = Command::new(crate::install::cargo_deny()?);
    deny.current_dir(crate::run::workspace());
    // Everything was fetched to be built, so nothing is looked up.
    succeed(deny.args(["--offline", "--log-level", "error", "check", "bans", "licenses", "sources"]))
}

fn unsafe_code() -> Result<()> {
    let mut grep = Command::new("git");
    grep.current_dir(crate::run::workspace()).args([
        "grep",
        "-lE",
        r"\bunsafe (\{|fn|impl|extern)",
        "--",
        "*.rs",
        ":!crates/sys",
    ]);
    let found = grep.output()?;
    let files = String::from_utf8_lossy(&found.stdout).into_owned();
    ensure!(files.is_empty(), "unsafe code outside crates/sys:\n{files}");
    Ok(())
}
