//! Results of a run, and its exit code.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use image_syncer_registry::Cause;
use serde::{Deserialize, Serialize};

use crate::event::{Change, Event, Evidence, Outcome, Planned, Volume};
use crate::failure::{Failure, Responsibility, Side};
use crate::id::{ImageId, RuleId};
use crate::report::{KEPT, RuleSummary, groups};
use crate::shard::ShardRepositories;

/// Results of a run. Images count once for each destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Rules that were begun.
    pub rules: u64,
    /// Rules whose images are all known, and rules that failed or were interrupted.
    pub rules_ended: u64,
    /// Images that were found.
    pub discovered: u64,
    /// Images that were copied.
    pub copied: u64,
    /// Images that existed at the destination.
    pub unchanged: u64,
    /// Unchanged images that were verified completely.
    pub verified: u64,
    /// Unchanged images with immutable tags, by the records.
    pub recorded: u64,
    /// Copied images whose root existed and whose parts were lost.
    pub repaired: u64,
    /// Copied images whose tag had another image before.
    pub updated: u64,
    /// Missing manifests and blobs of the repaired images.
    pub losses: u64,
    /// Images that would be copied, in a run that writes nothing.
    pub planned: u64,
    /// Planned images whose tag has another digest.
    pub planned_moved: u64,
    /// Planned images whose tag does not exist.
    pub planned_new: u64,
    /// Planned images that exist without some of their referrers.
    pub planned_referrers: u64,
    /// Planned images that exist without some of their parts.
    pub planned_repairs: u64,
    /// Planned images that exist and would be pushed again.
    pub planned_again: u64,
    /// Images that were not to be copied.
    pub skipped: u64,
    /// Failed images, without interrupted ones.
    pub failed: u64,
    /// Images that were not finished when the run was interrupted.
    pub interrupted: u64,
    /// Rules whose images could not be listed.
    pub failed_rules: u64,
    /// Rules whose images were not all listed when the run was interrupted.
    pub interrupted_rules: u64,
    /// Repositories of rules with patterns whose images could not be listed.
    #[serde(default)]
    pub failed_repositories: u64,
    /// Repositories whose images were not all listed when the run was interrupted.
    #[serde(default)]
    pub interrupted_repositories: u64,
    /// Data that was moved, or would be moved by planned copies.
    pub volume: Volume,
    /// Referrers that were copied with images.
    pub referrers: u64,
    /// Copied images whose root existed, so that only referrers were copied.
    pub only_referrers: u64,
    /// Referrer lists that other processes were writing at the same time, and that may be incomplete.
    pub contended: u64,
    /// Failures of images and rules by the party that can resolve them, without interruptions. They add up to `failed`,
    /// `failed_rules` and `failed_repositories`.
    pub by_class: BTreeMap<Responsibility, u64>,
    /// The same failures by cause and host; at most [`KEPT`] groups. Serialised as a list of the groups, each with its
    /// number of failures as `failures`.
    #[serde(with = "groups")]
    pub by_cause: BTreeMap<FailureGroup, u64>,
    /// Failures in their order, without interruptions: the first [`KEPT`], and the first [`FEW`] of each group.
    /// [`Summary::failures_given`] is the total.
    pub failures: Vec<FailedImage>,
    /// Warnings; at most [`KEPT`].
    pub warnings: Vec<String>,
    /// Number of all warnings.
    pub warnings_given: u64,
    /// Results of each rule, in the order in which they began.
    pub by_rule: Vec<RuleSummary>,
    /// Repositories of a run that is a shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardRepositories>,
}

/// Number of failures of each group that are always kept.
pub const FEW: u64 = 5;

/// Group of failures with one remedy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FailureGroup {
    /// Their cause.
    pub cause: Cause,
    /// End of the copy at which they occurred.
    pub side: Side,
    /// Their host; empty if none was involved.
    pub host: String,
}

impl FailureGroup {
    /// Returns the group of `failure`.
    pub fn from_failure(failure: &Failure) -> Self {
        Self {
            cause: failure.cause,
            side: failure.side,
            host: failure.host.clone(),
        }
    }
}

/// An image, a repository of a rule, or a whole rule, that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedImage {
    /// The rule.
    pub rule: RuleId,
    /// The full reference at the source, the repository, or the rule's name.
    pub source: Arc<str>,
    /// The full reference at the destination; `None` for a repository or a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Arc<str>>,
    /// The failure.
    pub failure: Failure,
}

impl Summary {
    /// Returns the number of images that ended, with any outcome.
    pub fn finished(&self) -> u64 {
        self.copied + self.planned + self.unchanged + self.skipped + self.failed + self.interrupted
    }

    /// Returns the number of sources that could not be listed: rules, and repositories of patterns.
    pub fn failed_sources(&self) -> u64 {
        self.failed_rules + self.failed_repositories
    }

    /// Returns the number of sources that were not listed to their end when the run was interrupted.
    pub fn interrupted_sources(&self) -> u64 {
        self.interrupted_rules + self.interrupted_repositories
    }

    /// Returns the number of failed images, repositories and rules.
    pub fn failures_given(&self) -> u64 {
        self.failed + self.failed_sources()
    }

    /// Returns the results of each rule by its id.
    pub fn rules_by_id(&self) -> HashMap<RuleId, &RuleSummary> {
        let rules = self.by_rule.iter();
        rules.map(|entry| (entry.rule.id, entry)).collect()
    }

    /// Returns whether every rule that began and every image that was found has ended. If not, something was lost: a
    /// defect of this program, and a failure of the run. More may end than was announced, as a rule that fails half
    /// way does not report its number of images.
    pub fn is_complete(&self) -> bool {
        self.rules <= self.rules_ended && self.discovered <= self.finished()
    }

    /// Ends a run of `rules` rules. Rules that did not begin count as interrupted if the run was cancelled, otherwise
    /// as lost.
    pub fn finish(&mut self, rules: u64, cancelled: bool) {
        self.rules = rules;
        if cancelled {
            let left = rules.saturating_sub(self.rules_ended);
            self.interrupted_rules += left;
            self.rules_ended += left;
        }
    }

    /// Returns whether the interruption of the run left something undone.
    pub fn was_interrupted(&self) -> bool {
        self.interrupted > 0 || self.interrupted_sources() > 0
    }

    /// Returns the exit code of the process (docs/operations.md#exit-codes): 0 if everything is at its destination, 1
    /// if an image or a rule failed or was lost, 130 if the run was interrupted before its end.
    pub fn exit_code(&self) -> u8 {
        if self.was_interrupted() {
            130
        } else {
            u8::from(self.failures_given() > 0 || !self.is_complete())
        }
    }

    fn failed(&mut self, failure: &Failure, failed: impl FnOnce() -> FailedImage) {
        *self.by_class.entry(failure.class()).or_default() += 1;
        let alike = FailureGroup::from_failure(failure);
        let is_known = self.by_cause.contains_key(&alike) || self.by_cause.len() < KEPT;
        let mut number = 0;
        if is_known {
            let all = self.by_cause.entry(alike).or_default();
            *all += 1;
            number = *all;
        }
        if self.failures.len() < KEPT || (is_known && number <= FEW) {
            self.failures.push(failed());
        }
    }

    /// Adds an event about the rule called `name` to the results of the run.
    pub(super) fn fold(&mut self, event: &Event, name: &Arc<str>) {
        match event {
            Event::RuleStarted { .. } => self.rules += 1,
            Event::ShardSelected(repositories) => self.shard = Some(*repositories),
            Event::RuleDiscovered { images, .. } => {
                self.rules_ended += 1;
                self.discovered += images;
            }
            Event::RuleFailed { rule, failure } => {
                self.rules_ended += 1;
                if failure.interrupted {
                    self.interrupted_rules += 1;
                } else {
                    self.failed_rules += 1;
                    self.failed(failure, || FailedImage {
                        rule: *rule,
                        source: Arc::clone(name),
                        destination: None,
                        failure: failure.clone(),
                    });
                }
            }
            Event::ImageFinished { image, outcome, .. } => {
                self.image(image, outcome);
            }
            Event::Warning { text } => {
                self.warnings_given += 1;
                if self.warnings.len() < KEPT {
                    self.warnings.push(text.clone());
                }
            }
            Event::RepositoryFailed {
                rule,
                repository,
                failure,
            } => {
                if failure.interrupted {
                    self.interrupted_repositories += 1;
                } else {
                    self.failed_repositories += 1;
                    self.failed(failure, || FailedImage {
                        rule: *rule,
                        source: Arc::clone(repository),
                        destination: None,
                        failure: failure.clone(),
                    });
                }
            }
            Event::RuleListed { .. }
            | Event::TagsSelected { .. }
            | Event::RepositoriesListed { .. }
            | Event::ArchiveProgress { .. }
            | Event::RepositoryDiscovered { .. }
            | Event::ImageStarted { .. } => {}
        }
    }

    fn plan(&mut self, planned: &Planned) {
        self.planned += 1;
        *match &planned.change {
            Change::New => &mut self.planned_new,
            Change::Moved { .. } => &mut self.planned_moved,
            Change::Referrers => &mut self.planned_referrers,
            Change::Again(losses) if losses.is_empty() => &mut self.planned_again,
            Change::Again(_) => &mut self.planned_repairs,
        } += 1;
        if let Some(cost) = &planned.cost {
            self.volume += cost.volume;
            self.referrers += cost.referrers;
        }
    }

    fn image(&mut self, image: &ImageId, outcome: &Outcome) {
        match outcome {
            Outcome::Copied(copied) => {
                self.copied += 1;
                self.volume += copied.volume;
                self.referrers += copied.referrers;
                self.only_referrers += u64::from(copied.root_unchanged);
                self.contended += copied.contended;
                self.losses += copied.losses.len() as u64;
                self.repaired += u64::from(!copied.losses.is_empty());
                self.updated += u64::from(copied.replaced.is_some());
            }
            Outcome::Unchanged { by, .. } => {
                self.unchanged += 1;
                self.verified += u64::from(*by == Evidence::Verified);
                self.recorded += u64::from(*by == Evidence::Records);
            }
            Outcome::Planned(planned) => self.plan(planned),
            Outcome::Skipped { .. } => self.skipped += 1,
            Outcome::Failed(failure) if failure.interrupted => self.interrupted += 1,
            Outcome::Failed(failure) => {
                self.failed += 1;
                self.failed(failure, || FailedImage {
                    rule: image.rule,
                    source: Arc::clone(&image.source),
                    destination: Some(Arc::clone(&image.destination)),
                    failure: failure.clone(),
                });
            }
        }
    }
}
