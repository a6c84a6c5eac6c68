//! The end of a run, as the summary and the report describe it.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_sync::event::RuleDescription;
use image_syncer_sync::report::Summary;
use serde::Serialize;

use crate::host_counts::HostCounts;

/// Facts at the end of a run.
pub(crate) struct RunSummary<'a> {
    /// Result of the run.
    pub(crate) summary: &'a Summary,
    /// Part of a run that several processes share.
    pub(crate) shard: Option<&'a ShardRecord>,
    /// All rules of the run, including those that were not started.
    pub(crate) rules: &'a [Arc<RuleDescription>],
    /// Counters of each registry, and of those without a name together.
    pub(crate) hosts: &'a [(Option<String>, HostCounts)],
    /// Bytes that were read from sources and sent to destinations.
    pub(crate) traffic: Traffic,
    /// Time since the start of the run.
    pub(crate) elapsed: Duration,
    /// Exit code of the process.
    pub(crate) exit_code: u8,
}

/// Part of a run that several processes share, as its report has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ShardRecord {
    /// Number of the part, from 0.
    pub(crate) index: u32,
    /// Number of parts.
    pub(crate) count: u32,
    /// Digest of the rules and weights, which all parts must share.
    pub(crate) config: String,
}

/// Bytes of blobs on the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Bytes read from sources.
    pub(crate) fetched: u64,
    /// Bytes sent to destinations, including those of unfinished blobs.
    pub(crate) sent: u64,
}

impl Traffic {
    /// Returns the bytes that sources did not have to send because one download fed several uploads.
    pub(crate) fn saved_source_bytes(self) -> u64 {
        self.sent.saturating_sub(self.fetched)
    }
}
