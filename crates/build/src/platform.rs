//! Platforms: only this machine's can be built for.

use crate::{Error, Result};

/// Fails for another platform (`os[/architecture[/variant]]`) than this machine's; an empty one is this machine's.
pub(crate) fn check(platform: &str) -> Result<()> {
    let mut parts = platform.split('/');
    match (parts.next(), parts.next()) {
        (Some("" | "linux"), None) => Ok(()),
        (Some("linux"), Some(wanted)) if wanted == architecture() => Ok(()),
        _ => Err(Error::Unsupported(format!(
            "building for the platform {platform} is not built into this version of longshore; this machine is linux/{}",
            architecture()
        ))),
    }
}

/// Arguments that tell where a build runs and what it is for. Each `FROM` knows them; a stage does if it declares them.
pub(crate) fn arguments() -> impl Iterator<Item = (String, String)> {
    ["BUILD", "TARGET"].into_iter().flat_map(|place| {
        let values = [
            ("PLATFORM", format!("linux/{}", architecture())),
            ("OS", "linux".to_owned()),
            ("ARCH", architecture().to_owned()),
            ("VARIANT", String::new()),
        ];
        values.map(|(name, value)| (format!("{place}{name}"), value))
    })
}

/// This machine's, as images call it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
