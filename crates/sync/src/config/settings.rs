//! What flags say of a whole run.

use std::sync::Arc;
use std::time::Duration;

use crate::inventory::records::Records;
use crate::rule::{Immutable, Parts, PlatformFilter};

/// What a run is asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether anything is written, and how much is found out where nothing is.
    pub intent: Intent,
    /// Which platforms.
    pub platforms: Arc<PlatformFilter>,
    /// Which parts of an image beside that.
    pub parts: Parts,
    /// Push manifests even where the destination has the same digest.
    pub force: bool,
    /// Look for everything below a root that the destination has already, and bring back what is lost.
    pub verify: bool,
    /// Tags that never change: those that the records know as copied are not asked about, unless `force` or `verify`
    /// is set.
    pub immutable: Arc<Immutable>,
    /// At most this many blob downloads at a time; `None` for no bound but the hosts' own.
    pub transfers: Option<usize>,
    /// At most this many images at a time; at least one.
    pub images: usize,
    /// What of that which refers to an image comes along; `None` for nothing.
    pub referrers: Option<Arc<Referrers>>,
    /// What is remembered between runs; `None` to remember nothing.
    pub records: Option<Arc<Records>>,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intent {
    /// To copy what is missing.
    #[default]
    Copy,
    /// To tell what a copy would take, blob by blob, and to write nothing anywhere.
    Plan,
    /// To tell which images differ, with the fewest requests, and to write nothing anywhere.
    Check,
}

/// What comes along with an image: signatures, attestations, SBOMs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Referrers {
    /// Ask for the children of unchanged images, and for referrers of their referrers, as well.
    pub deep: bool,
    /// Only these artifact types, [`Referrers::COSIGN`] for cosign's tags; empty for all.
    pub types: Vec<String>,
    /// Unchanged images are not asked about where the records say that they were within this; zero to ask always.
    pub interval: Duration,
}

impl Referrers {
    /// What stands for cosign's tags (`sha256-….sig`, `.att`, `.sbom`) among the artifact types.
    pub const COSIGN: &str = "cosign";

    /// Whether all come along, whatever they are.
    pub fn includes_all(&self) -> bool {
        self.types.is_empty()
    }
    /// Whether those of that artifact type come along; some have none.
    pub fn includes(&self, artifact_type: Option<&str>) -> bool {
        self.includes_all()
            || artifact_type.is_some_and(|wanted| self.types.iter().any(|t| t == wanted))
    }
    /// Whether cosign's tags come along.
    pub fn wants_cosign(&self) -> bool {
        self.includes(Some(Self::COSIGN))
    }
}
