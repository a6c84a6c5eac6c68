//! Settings of a whole run, from flags.

use std::sync::Arc;

use crate::inventory::records::Records;
use crate::rule::{Immutable, Parts, PlatformFilter, Referrers};

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Purpose of the run.
    pub intent: Intent,
    /// Platforms to copy.
    pub platforms: Arc<PlatformFilter>,
    /// Parts of images to copy.
    pub parts: Parts,
    /// Push manifests even if the destination has the same digest.
    pub force: bool,
    /// Look up everything below a root that the destination has already, and copy what is missing.
    pub verify: bool,
    /// Tags that never change. Tags that the records know as copied are not requested, unless `force` or `verify` is
    /// set.
    pub immutable: Arc<Immutable>,
    /// Maximum number of blob downloads in flight; `None` for the limits of the hosts alone.
    pub transfers: Option<usize>,
    /// Maximum number of images in flight; at least 1.
    pub images: usize,
    /// Referrers that are copied with an image; `None` copies none.
    pub referrers: Option<Arc<Referrers>>,
    /// Records of earlier runs; `None` to use none.
    pub records: Option<Arc<Records>>,
}

/// Purpose of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intent {
    /// Copies what is missing.
    #[default]
    Copy,
    /// Reports what a copy would move, blob by blob, and writes nothing.
    Plan,
    /// Reports different images with the fewest requests, and writes nothing.
    Check,
}
