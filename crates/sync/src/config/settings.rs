//! What flags say of a whole run.

use std::sync::Arc;

use crate::inventory::records::Records;
use crate::rule::{Immutable, PlatformFilter};

/// What a run is asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which platforms.
    pub platforms: Arc<PlatformFilter>,
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
    /// What is remembered between runs; `None` to remember nothing.
    pub records: Option<Arc<Records>>,
}
