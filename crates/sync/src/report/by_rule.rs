//! Results of one rule.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{Event, Outcome, RuleDescription};
use crate::failure::Failure;

/// Results of one rule. Images count once for each destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSummary {
    /// The rule.
    pub rule: Arc<RuleDescription>,
    /// Number of images; `None` if they are not all known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovered: Option<u64>,
    /// Reason for an empty result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty: Option<String>,
    /// Failure of its discovery, interruption included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Repositories of a rule with a pattern that were listed, or could not be; 0 for other rules.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repositories: u64,
    /// Repositories whose images could not be listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed_repositories: u64,
    /// Repositories whose images were not all listed when the run was interrupted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interrupted_repositories: u64,
    /// Images that were copied.
    pub copied: u64,
    /// Images that would be copied, in a run that writes nothing.
    pub planned: u64,
    /// Images that existed at the destination.
    pub unchanged: u64,
    /// Images that were not to be copied.
    pub skipped: u64,
    /// Images that failed.
    pub failed: u64,
    /// Images that were not finished when the run was interrupted.
    pub interrupted: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature of serde")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl RuleSummary {
    pub(super) fn new(rule: Arc<RuleDescription>) -> Self {
        Self {
            rule,
            discovered: None,
            empty: None,
            failure: None,
            repositories: 0,
            failed_repositories: 0,
            interrupted_repositories: 0,
            copied: 0,
            planned: 0,
            unchanged: 0,
            skipped: 0,
            failed: 0,
            interrupted: 0,
        }
    }

    pub(super) fn fold(&mut self, event: &Event) {
        match event {
            Event::RuleDiscovered { images, empty, .. } => {
                self.discovered = Some(*images);
                self.empty.clone_from(empty);
            }
            Event::RuleFailed { failure, .. } => self.failure = Some(failure.clone()),
            Event::RepositoryDiscovered { .. } => self.repositories += 1,
            Event::RepositoryFailed { failure, .. } => {
                self.repositories += 1;
                if failure.interrupted {
                    self.interrupted_repositories += 1;
                } else {
                    self.failed_repositories += 1;
                }
            }
            Event::ImageFinished { outcome, .. } => match outcome {
                Outcome::Copied(_) => self.copied += 1,
                Outcome::Unchanged { .. } => self.unchanged += 1,
                Outcome::Planned(_) => self.planned += 1,
                Outcome::Skipped { .. } => self.skipped += 1,
                Outcome::Failed(failure) if failure.interrupted => self.interrupted += 1,
                Outcome::Failed(_) => self.failed += 1,
            },
            Event::RuleStarted { .. }
            | Event::RuleListed { .. }
            | Event::TagsSelected { .. }
            | Event::RepositoriesListed { .. }
            | Event::ArchiveProgress { .. }
            | Event::ShardSelected(_)
            | Event::ImageStarted { .. }
            | Event::Warning { .. } => {}
        }
    }
}
