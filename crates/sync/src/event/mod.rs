//! Events of a run. Every output (terminal, log, report) is made of these.
//!
//! An event is plain data: it refers to rules and images by their ids, and serialises. So a run of one process can be
//! reported by another.

mod outcome;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::id::{ImageId, RuleId};
use crate::rule::tag_policy::TagExplanation;
use crate::shard::ShardRepositories;

pub use outcome::{Change, Copied, Cost, Evidence, Loss, Outcome, Planned, Volume};
pub use rules::{RuleDescription, RuleTable};

/// Reason of skipped images in a run that only lists them.
pub const LISTED: &str = "only listed";

/// An event of a run.
///
/// In JSON an event is an object with one key, the kind (`image-finished`), and its fields below that. Outcomes and
/// their parts have the same form. Fields that do not apply are absent. Durations are numbers of nanoseconds
/// (`elapsed_ns`), times are numbers of nanoseconds since 1970 (`until_unix_ns`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// Discovery of a rule's images begins. Precedes all other events of the rule and its images, except
    /// [`Event::RuleListed`].
    RuleStarted {
        /// The texts that name the rule. Later events have only its id: see [`RuleTable`].
        rule: Arc<RuleDescription>,
    },
    /// The number of a rule's images is known before they are all queued. Sent for rules that name their tags before
    /// they begin, for others after their list was read, and not always.
    RuleListed {
        /// The rule.
        rule: RuleId,
        /// Expected number of pairs of image and destination. Duplicates of earlier rules can make it too high, tags
        /// of referrers without an image too low.
        images: u64,
    },
    /// All images of a rule are known, those of all of its repositories included.
    RuleDiscovered {
        /// The rule.
        rule: RuleId,
        /// Number of pairs of image and destination, without duplicates of earlier rules.
        images: u64,
        /// Reason for an empty result (`the repository has no tags`).
        #[serde(skip_serializing_if = "Option::is_none")]
        empty: Option<String>,
    },
    /// A policy selected tags of a repository. Precedes the end of the rule's search, also of one that fails since too
    /// few tags are selected.
    TagsSelected {
        /// The rule.
        rule: RuleId,
        /// The source repository.
        repository: String,
        /// Number of tags after each stage of the policy.
        explanation: TagExplanation,
    },
    /// The images of a rule could not be listed. Those found before are still copied.
    RuleFailed {
        /// The rule.
        rule: RuleId,
        /// The reason.
        failure: Failure,
    },
    /// A list of repositories begins, a page of it arrived, or it ended. Rules with patterns may share a list.
    RepositoriesListed {
        /// The registry, or the part of it that is listed (`harbor.example.com/team`).
        place: Arc<str>,
        /// Number of repositories so far.
        listed: u64,
        /// Number of repositories that the registry announced.
        #[serde(skip_serializing_if = "Option::is_none")]
        total: Option<u64>,
        /// True after the last page, or the failure of the list, which is also that of its rules.
        ended: bool,
    },
    /// All images of one repository are known, of a rule with a pattern for repositories.
    RepositoryDiscovered {
        /// The rule.
        rule: RuleId,
        /// The repository at the source.
        repository: Arc<str>,
        /// Number of pairs of image and destination, without duplicates of earlier rules.
        images: u64,
        /// Reason for an empty result (`the repository has no tags`).
        #[serde(skip_serializing_if = "Option::is_none")]
        empty: Option<String>,
    },
    /// The images of one repository could not be listed, of a rule with a pattern for repositories. The rule goes on.
    RepositoryFailed {
        /// The rule.
        rule: RuleId,
        /// The repository at the source.
        repository: Arc<str>,
        /// The reason.
        failure: Failure,
    },
    /// Repositories that the rules of a shard select. Sent at the start, with those that rules name, and again after the
    /// lists of all patterns.
    ShardSelected(ShardRepositories),
    /// Long work on an archive begins, goes on, or ended.
    ArchiveProgress {
        /// The archive, as the user named it.
        archive: Arc<str>,
        /// The work.
        work: ArchiveWork,
        /// Number of bytes that are done.
        bytes: u64,
        /// Number of bytes in all, if it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        total: Option<u64>,
        /// True at the end.
        ended: bool,
    },
    /// The copy of an image to a destination begins.
    ImageStarted {
        /// The image.
        image: ImageId,
    },
    /// The copy of an image to a destination ended. Sent exactly once for each pair that was discovered.
    ImageFinished {
        /// The image.
        image: ImageId,
        /// Its outcome.
        outcome: Outcome,
        /// Time since its start.
        #[serde(rename = "elapsed_ns", with = "crate::serde_time::nanoseconds")]
        elapsed: Duration,
    },
    /// A warning.
    Warning {
        /// The sentence.
        text: String,
    },
}

impl Event {
    /// Returns the id of the rule that the event belongs to; `None` for a warning, or a list that rules share.
    pub fn rule(&self) -> Option<RuleId> {
        match self {
            Self::RuleStarted { rule } => Some(rule.id),
            Self::RuleListed { rule, .. }
            | Self::RuleDiscovered { rule, .. }
            | Self::TagsSelected { rule, .. }
            | Self::RuleFailed { rule, .. }
            | Self::RepositoryDiscovered { rule, .. }
            | Self::RepositoryFailed { rule, .. } => Some(*rule),
            Self::ImageStarted { image } | Self::ImageFinished { image, .. } => Some(image.rule),
            Self::RepositoriesListed { .. }
            | Self::ShardSelected(_)
            | Self::ArchiveProgress { .. }
            | Self::Warning { .. } => None,
        }
    }
}

/// Work on a whole archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveWork {
    /// It is unpacked into a temporary file.
    Unpack,
    /// Its entries are found.
    Scan,
    /// It is written.
    Write,
}

/// Receives every event, in order for one image. Called from many tasks; must not block for long.
pub trait Listener: Send + Sync {
    /// Receives an event.
    fn event(&self, event: &Event);
}
