//! The end of a run, as the summary and the report describe it.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_sync::report::Summary;
use image_syncer_sync::rule::Rule;

use crate::host_counts::HostCounts;

/// What is known at the end of a run.
pub(crate) struct RunSummary<'a> {
    /// What the run came to.
    pub(crate) summary: &'a Summary,
    /// All rules of the run, those that were not begun as well.
    pub(crate) rules: &'a [Arc<Rule>],
    /// What was counted at each registry, and at those without a name together.
    pub(crate) hosts: &'a [(Option<String>, HostCounts)],
    /// What was read at sources and sent to destinations.
    pub(crate) traffic: Traffic,
    /// From the start of the run.
    pub(crate) elapsed: Duration,
    /// What the process will exit with.
    pub(crate) exit_code: u8,
}

/// Bytes of blobs over the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Read at sources.
    pub(crate) fetched: u64,
    /// Sent to destinations, blobs that were not finished included.
    pub(crate) sent: u64,
}

impl Traffic {
    /// What sources were spared as one download fed several uploads.
    pub(crate) fn saved_source_bytes(self) -> u64 {
        self.sent.saturating_sub(self.fetched)
    }
}
