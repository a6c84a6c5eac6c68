//! Referrers to copy with images.

use std::time::Duration;

/// Referrers that are copied with an image: signatures, attestations, SBOMs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Referrers {
    /// Look up referrers of the children of unchanged images, and of their referrers, as well.
    pub deep: bool,
    /// Only these artifact types, [`Referrers::COSIGN`] for cosign's tags; empty for all.
    pub types: Vec<String>,
    /// Minimum time between two lookups for an unchanged image, by the records; zero looks up always.
    pub interval: Duration,
}

impl Referrers {
    /// Name of cosign's tags (`sha256-….sig`, `.att`, `.sbom`) among the artifact types.
    pub const COSIGN: &str = "cosign";

    /// Returns whether all types are copied.
    pub fn includes_all(&self) -> bool {
        self.types.is_empty()
    }
    /// Returns whether referrers of that artifact type are copied; some have none.
    pub fn includes(&self, artifact_type: Option<&str>) -> bool {
        self.includes_all()
            || artifact_type.is_some_and(|wanted| self.types.iter().any(|t| t == wanted))
    }
    /// Returns whether cosign's tags are copied.
    pub fn wants_cosign(&self) -> bool {
        self.includes(Some(Self::COSIGN))
    }
}
