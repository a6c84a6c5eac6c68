//! Units of work, as plain data.

use std::collections::BTreeMap;
use std::sync::Arc;

use image_syncer_sync::Listener;
use image_syncer_sync::rule::RuleScope;
use image_syncer_sync::session::Lease;
use image_syncer_sync::settings::Intent;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// Identity of a run among those that workers share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RunKey(pub(crate) i64);

/// Work of one unit. Rules are named by their positions, which are the same for all workers of a run, since their rules
/// have the same digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(crate) enum UnitSpec {
    /// Everything: the only unit of a run in one process.
    All,
    /// Adds the units that a shared run begins with.
    Start,
    /// Lists the repositories of all patterns, and adds a unit for each.
    List,
    /// Copies the images of these rules, which share repositories.
    Rules {
        /// Positions among the rules that name their repositories.
        rules: Vec<usize>,
        /// Bytes that a former run sent for an image, on average.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image_bytes: Option<u64>,
    },
    /// Copies the images of a repository that a pattern selects.
    Repository {
        /// Position among the patterns.
        pattern: usize,
        /// The repository at the source.
        repository: String,
        /// Bytes that a former run sent for an image, on average.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image_bytes: Option<u64>,
    },
    /// Copies tags of a repository that another unit selected and handed over.
    Part {
        /// The rule.
        rule: RulePosition,
        /// The repository at the source.
        repository: String,
        /// The tags.
        tags: Vec<String>,
    },
}

/// Position of a rule in its rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RulePosition {
    /// Among the rules that name their repositories.
    Rule(usize),
    /// Among the patterns.
    Pattern(usize),
}

/// A unit to add to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewUnit {
    /// Text that no other unit of the run has.
    pub(crate) key: String,
    /// Expected cost, of which only the order matters: the largest is claimed first.
    pub(crate) weight: i64,
    /// Its work.
    pub(crate) spec: UnitSpec,
}

/// Cost of a unit and its parts in a former run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnitCost {
    /// Number of pairs of image and destination.
    pub(crate) images: u64,
    /// Bytes of blobs that were sent.
    pub(crate) bytes: u64,
    /// Time of all images together, in milliseconds.
    pub(crate) milliseconds: u64,
}

/// A unit that this worker carries out.
#[derive(Clone)]
pub(crate) struct ClaimedUnit {
    /// The run.
    pub(crate) run: RunKey,
    /// Number of the unit in its run.
    pub(crate) id: i64,
    /// Number of the attempt, from 1. What earlier attempts report is refused.
    pub(crate) attempt: i32,
    /// Part of the files that the run carries out, and its purpose.
    pub(crate) work: Arc<RunWork>,
    /// Its work.
    pub(crate) spec: UnitSpec,
    /// Lease, which each write of a tag checks; `None` for a run of one process.
    pub(crate) lease: Option<Arc<dyn Lease>>,
    /// Cancelled when the unit need not be carried out any more: its lease has ended, or its run.
    pub(crate) ended: CancellationToken,
    /// Receiver of the events.
    pub(crate) listener: Arc<dyn Listener>,
}

/// Work of a run, for all of its units.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RunWork {
    /// Purpose.
    pub(crate) intent: Intent,
    /// Name of the only rule; `None` for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<String>,
    /// Part of these rules.
    pub(crate) scope: RuleScope,
    /// Tags whose push a hook reported, as `registry/path:tag`, with their digests where the registry stated them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) pushed: BTreeMap<String, Option<String>>,
}

/// End of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UnitEnd {
    /// Everything was tried. Its events are the result.
    Done,
    /// No worker can carry it out, for this reason.
    Failed(String),
    /// This worker stops. Others carry out the unit from its start.
    Returned,
}
