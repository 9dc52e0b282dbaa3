//! Platforms: what a build is for, and where it runs.

use model::Platform;

use crate::{Error, Result};

/// A platform as an instruction or a client writes it; `None` if nothing is written.
///
/// # Errors
/// It is none, or none that programs of this kernel run on.
pub(crate) fn parse(text: &str) -> Result<Option<Platform>> {
    if text.is_empty() {
        return Ok(None);
    }
    let platform: Platform = text.parse().map_err(|error: model::InvalidPlatform| Error::Invalid(error.to_string()))?;
    match platform.os.as_str() {
        "linux" => Ok(Some(platform)),
        other => Err(Error::Invalid(format!("images for {other} cannot be built here: expected linux/architecture"))),
    }
}

/// Arguments that tell where a build runs, what it is for (`None`: the same) and up to which stage it goes (empty: the
/// last). Each `FROM` knows them; a stage does if it declares them.
pub(crate) fn arguments(target: Option<&Platform>, stage: &str) -> impl Iterator<Item = (String, String)> {
    let native = Platform::native();
    let target = target.unwrap_or(&native).clone();
    let stage = if stage.is_empty() { "default" } else { stage }.to_owned();
    let of = |place: &'static str, platform: Platform| {
        let variant = platform.shown_variant().to_owned();
        let shown = Platform { variant: variant.clone(), ..platform.clone() };
        let values = [
            ("PLATFORM", shown.to_string()),
            ("OS", platform.os),
            ("ARCH", platform.architecture),
            ("VARIANT", variant),
        ];
        values.map(|(name, value)| (format!("{place}{name}"), value))
    };
    let places = [of("BUILD", native), of("TARGET", target)];
    places.into_iter().flatten().chain([("TARGETSTAGE".to_owned(), stage)])
}

/// The reason why a program of an image for another machine could not be run, with what helps.
pub(crate) fn not_run(platform: &Platform, error: Error) -> Error {
    let native = Platform::native();
    let is_foreign = native.fit(platform).is_none();
    // The kernel's own words, whatever stands before them.
    if !is_foreign || !error.to_string().to_ascii_lowercase().contains("exec format error") {
        return error;
    }
    Error::Step(format!(
        "this machine ({native}) cannot run programs for {platform}: register an interpreter for them with binfmt_misc \
         (Debian: apt install qemu-user-binfmt), or begin the stage with FROM --platform=$BUILDPLATFORM and cross-compile"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_instructions_know() {
        let target = parse("linux/arm").unwrap();
        let all: std::collections::BTreeMap<String, String> = arguments(target.as_ref(), "").collect();
        let value = |name: &str| all[name].as_str();
        assert_eq!((value("TARGETPLATFORM"), value("TARGETOS")), ("linux/arm/v7", "linux"));
        assert_eq!((value("TARGETARCH"), value("TARGETVARIANT"), value("TARGETSTAGE")), ("arm", "v7", "default"));
        assert_eq!(value("BUILDARCH"), model::native_architecture());
        let arm64: Vec<(String, String)> = arguments(parse("linux/arm64/v8").unwrap().as_ref(), "x").collect();
        assert!(arm64.contains(&("TARGETPLATFORM".into(), "linux/arm64".into())), "{arm64:?}");
        assert!(arm64.contains(&("TARGETSTAGE".into(), "x".into())), "{arm64:?}");
        assert_eq!(parse("").unwrap(), None);
        assert!(parse("windows/amd64").is_err() && parse("a/b/c/d").is_err());
    }

    #[test]
    fn a_remedy_is_named_where_one_helps() {
        let failed = || Error::Step("error during container init: exec /bin/sh: exec format error".to_owned());
        let foreign: Platform = "linux/s390x".parse().unwrap();
        assert!(not_run(&foreign, failed()).to_string().contains("cannot run programs for linux/s390x: register"));
        assert_eq!(not_run(&Platform::native(), failed()).to_string(), failed().to_string());
        assert_eq!(not_run(&foreign, Error::Step("no memory".into())).to_string(), "no memory");
    }
}
