//! Platforms, as descriptors and configs state them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ManifestError;
use super::lenient::{self, LenientText};

/// A platform as descriptors and configs state it. It serialises as the object of the specification, without the fields
/// that are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Platform {
    /// `linux`, `windows`, …; empty where not said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os: String,
    /// `amd64`, `arm64`, …; empty where not said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub architecture: String,
    /// `v7`, `v8`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The version of the operating system (Windows).
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
}

/// The fields that a platform in an index and an image's config have in common.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct RawPlatform {
    os: LenientText,
    architecture: LenientText,
    variant: LenientText,
    #[serde(rename = "os.version")]
    os_version: LenientText,
}

impl Platform {
    /// Reads the platform that an image's config blob states (`os`, `architecture`, `variant`, `os.version`). The
    /// config of an artifact may state none: then os and architecture are empty.
    ///
    /// # Errors
    /// If the blob is not a JSON object.
    pub fn from_config(config: &[u8]) -> Result<Self, ManifestError> {
        lenient::read_config::<RawPlatform>(config).map(Self::from)
    }
}

impl From<RawPlatform> for Platform {
    fn from(raw: RawPlatform) -> Self {
        Self {
            os: raw.os.0.unwrap_or_default(),
            architecture: raw.architecture.0.unwrap_or_default(),
            variant: raw.variant.filled(),
            os_version: raw.os_version.filled(),
        }
    }
}

/// `os/architecture[/variant]`, with `unknown` for what is not said.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |text: &'_ str| {
            if text.is_empty() {
                "unknown".to_owned()
            } else {
                text.to_owned()
            }
        };
        write!(f, "{}/{}", said(&self.os), said(&self.architecture))?;
        if let Some(variant) = &self.variant {
            write!(f, "/{variant}")?;
        }
        Ok(())
    }
}
