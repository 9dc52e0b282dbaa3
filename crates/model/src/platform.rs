//! What an image runs on.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A text that names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}: an invalid platform; os/architecture[/variant] is wanted")]
pub struct InvalidPlatform(pub String);

/// A platform: `linux/arm64/v8`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(default)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// Go's word: `amd64`, `arm64`.
    pub architecture: String,
    /// `v7`; empty if there is only one.
    pub variant: String,
    /// Version of the operating system, where it matters.
    #[serde(rename = "os.version")]
    pub os_version: String,
}

/// This machine's architecture in Go's words.
pub fn native_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

impl Platform {
    /// This machine's.
    pub fn native() -> Self {
        let architecture = native_architecture();
        let variant = match architecture {
            "arm64" => "v8",
            "arm" => "v7",
            _ => "",
        };
        Self {
            os: "linux".into(),
            architecture: architecture.into(),
            variant: variant.into(),
            os_version: String::new(),
        }
    }

    /// How well something made for `other` runs here: higher is better, `None` not at all.
    pub fn fit(&self, other: &Self) -> Option<u32> {
        if self.os != other.os || self.architecture != other.architecture {
            return None;
        }
        let (own, others) = (self.rank(), other.rank());
        match self.architecture.as_str() {
            // A newer processor runs what was made for an older one.
            "arm" | "amd64" => (others <= own).then_some(others),
            _ => (own == others).then_some(others),
        }
    }

    /// Whether both mean the same.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.os, &self.architecture, self.rank()) == (&other.os, &other.architecture, other.rank())
    }

    /// The variant as it is shown: that which an architecture has anyway is not, but arm's is.
    pub fn shown_variant(&self) -> &str {
        match (self.architecture.as_str(), self.variant.as_str()) {
            ("arm", "") => "v7",
            ("arm64", "v8") | ("amd64", "v1") => "",
            (_, variant) => variant,
        }
    }

    /// The number of the variant; what none means depends on the architecture.
    fn rank(&self) -> u32 {
        let default = match self.architecture.as_str() {
            "arm" => 7,
            "arm64" => 8,
            _ => 1,
        };
        self.variant.strip_prefix('v').and_then(|number| number.parse().ok()).unwrap_or(default)
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let invalid = || InvalidPlatform(text.to_owned());
        let word =
            |word: &&str| !word.is_empty() && word.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c));
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() > 3 || !parts.iter().all(word) {
            return Err(invalid());
        }
        let native = Self::native();
        let named = |os: &str, architecture: &str, variant: &str| {
            let (architecture, variant) = match architecture {
                "x86_64" => ("amd64", variant),
                "aarch64" => ("arm64", variant),
                "armhf" => ("arm", "v7"),
                "armel" => ("arm", "v6"),
                other => (other, variant),
            };
            Self {
                os: os.into(),
                architecture: architecture.into(),
                variant: variant.into(),
                os_version: String::new(),
            }
        };
        match parts.as_slice() {
            [os] if *os == "linux" => Ok(native),
            [architecture] => Ok(named(&native.os, architecture, "")),
            [os, architecture] => Ok(named(os, architecture, "")),
            [os, architecture, variant] => Ok(named(os, architecture, variant)),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits() {
        let fit = |own: &str, other: &str| own.parse::<Platform>().unwrap().fit(&other.parse().unwrap());
        assert!(fit("linux/amd64", "linux/amd64").is_some());
        assert!(fit("linux/amd64", "linux/arm64").is_none() && fit("linux/amd64", "windows/amd64").is_none());
        assert!(fit("linux/arm64", "linux/arm64/v8").is_some());
        assert!(fit("linux/arm/v7", "linux/arm/v6") < fit("linux/arm/v7", "linux/arm/v7"));
        assert!(fit("linux/arm/v6", "linux/arm/v7").is_none());
        for bad in ["", "a/b/c/d", "linux//", "li nux/amd64"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
