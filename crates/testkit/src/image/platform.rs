//! Platforms.

use serde_json::{Map, Value, json};

/// The platform of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Operating system, such as `linux`.
    pub os: String,
    /// Architecture, such as `amd64`.
    pub architecture: String,
    /// Variant of the architecture, such as `v7`.
    pub variant: Option<String>,
    /// Version of the operating system (Windows).
    pub os_version: Option<String>,
}

impl Platform {
    /// Returns a platform without variant and version.
    pub fn new(os: &str, architecture: &str) -> Self {
        Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: None,
            os_version: None,
        }
    }

    /// Returns linux on this architecture.
    pub fn linux(architecture: &str) -> Self {
        Self::new("linux", architecture)
    }

    /// Returns windows/amd64 of this version, such as `10.0.20348.2402`.
    pub fn windows(version: &str) -> Self {
        Self {
            os_version: Some(version.to_owned()),
            ..Self::new("windows", "amd64")
        }
    }

    /// Sets the variant.
    pub fn variant(mut self, variant: &str) -> Self {
        self.variant = Some(variant.to_owned());
        self
    }

    /// Returns the platform of `BuildKit`'s attestations.
    pub fn unknown() -> Self {
        Self::new("unknown", "unknown")
    }

    /// Returns the platform in the form of descriptors, which image configs use as well.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("architecture".into(), json!(self.architecture));
        map.insert("os".into(), json!(self.os));
        if let Some(version) = &self.os_version {
            map.insert("os.version".into(), json!(version));
        }
        if let Some(variant) = &self.variant {
            map.insert("variant".into(), json!(variant));
        }
        map
    }
}
