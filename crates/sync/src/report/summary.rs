//! What a run came to, and what its exit code is.

use std::collections::BTreeMap;
use std::sync::Arc;

use image_syncer_registry::Cause;

use crate::event::{Change, Event, Evidence, ImageName, Outcome, Planned, Volume};
use crate::failure::{Failure, Responsibility, Side};
use crate::report::{KEPT, RuleSummary};
use crate::rule::Rule;

/// What a run came to. Images are counted once for each destination.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Rules that were begun.
    pub rules: u64,
    /// Rules whose images were all found, or that failed or were interrupted.
    pub rules_ended: u64,
    /// Images that were found.
    pub discovered: u64,
    /// Images that are at the destination now, and were not before.
    pub copied: u64,
    /// Images that were there.
    pub unchanged: u64,
    /// Images, of those that were there, below which everything was looked for and found.
    pub verified: u64,
    /// Images, of those that were there, that the records vouch for, as their tags are immutable.
    pub recorded: u64,
    /// Images, of those that were copied, whose root was there and below which something was lost.
    pub repaired: u64,
    /// Images, of those that were copied, whose tag had another image before.
    pub updated: u64,
    /// Manifests and blobs that the repaired ones lacked.
    pub losses: u64,
    /// Images that would be copied, where nothing was to be written.
    pub planned: u64,
    /// Images, of those, under whose name something else stands.
    pub planned_moved: u64,
    /// Images, of those, under whose name nothing stands.
    pub planned_new: u64,
    /// Images, of those, that stand there without something that refers to them.
    pub planned_referrers: u64,
    /// Images, of those, that stand there and below which something was lost.
    pub planned_repairs: u64,
    /// Images, of those, that stand there and would be pushed all the same.
    pub planned_again: u64,
    /// Images that were not to be copied.
    pub skipped: u64,
    /// Images that are not at the destination, those left out that were interrupted.
    pub failed: u64,
    /// Images that were not finished when the run was interrupted.
    pub interrupted: u64,
    /// Rules whose images could not be listed.
    pub failed_rules: u64,
    /// Rules whose images were not all listed when the run was interrupted.
    pub interrupted_rules: u64,
    /// What was moved; of images that were only planned, what would be.
    pub volume: Volume,
    /// What refers to images and came along with them.
    pub referrers: u64,
    /// Images, of those that were copied, whose root was there, so that only what refers to it came.
    pub only_referrers: u64,
    /// Lists of referrers that others were writing at the same time, and that may not be complete.
    pub contended: u64,
    /// The failures, of images and of whole rules, by who has to do something about them; nothing that was
    /// interrupted. They add up to `failed` and `failed_rules`.
    pub by_class: BTreeMap<Responsibility, u64>,
    /// The same failures by what they are and where; at most [`KEPT`] kinds of them.
    pub by_cause: BTreeMap<FailureGroup, u64>,
    /// What failed, in the order in which it did; nothing that was interrupted; the first [`KEPT`], and the first [`FEW`] of
    /// each kind (`failed` and `failed_rules` tell how many there were).
    pub failures: Vec<FailedImage>,
    /// What a person should know and that failed nothing; at most [`KEPT`].
    pub warnings: Vec<String>,
    /// How many warnings there were.
    pub warnings_given: u64,
    /// Each rule, in the order in which they were begun.
    pub by_rule: Vec<RuleSummary>,
}

/// So many failures of each kind are kept, whatever came before them.
pub const FEW: u64 = 5;

/// What failures have in common that one remedy ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FailureGroup {
    /// What they are.
    pub cause: Cause,
    /// At which end.
    pub side: Side,
    /// At which host; empty where none was involved.
    pub host: String,
}

impl FailureGroup {
    /// What `failure` has in common with others.
    pub fn from_failure(failure: &Failure) -> Self {
        Self {
            cause: failure.cause,
            side: failure.side,
            host: failure.host.clone(),
        }
    }
}

/// An image, or a whole rule, that failed.
#[derive(Clone, Debug)]
pub struct FailedImage {
    /// The rule.
    pub rule: Arc<Rule>,
    /// The full reference at the source, or the rule's name.
    pub source: String,
    /// The full reference at the destination; `None` for a whole rule.
    pub destination: Option<String>,
    /// Why.
    pub failure: Failure,
}

impl Summary {
    /// Images that ended, one way or another.
    pub fn finished(&self) -> u64 {
        self.copied + self.planned + self.unchanged + self.skipped + self.failed + self.interrupted
    }

    /// Whether every rule that was begun and every image that was found has ended one way or another. Where this is
    /// false after a run, something was lost: a defect of this program, and a failure of the run. (More may end than
    /// was announced: a rule that fails half way does not say how many images it had found.)
    pub fn is_complete(&self) -> bool {
        self.rules <= self.rules_ended && self.discovered <= self.finished()
    }

    /// Says that the run was given `rules` and has ended: what was not begun was interrupted, if the run was cancelled,
    /// and lost otherwise.
    pub fn finish(&mut self, rules: u64, cancelled: bool) {
        self.rules = rules;
        if cancelled {
            let left = rules.saturating_sub(self.rules_ended);
            self.interrupted_rules += left;
            self.rules_ended += left;
        }
    }

    /// Whether something was left undone because the run was interrupted.
    pub fn was_interrupted(&self) -> bool {
        self.interrupted > 0 || self.interrupted_rules > 0
    }

    /// Exit code of the process (docs/operations.md#exit-codes): 0 when everything is at its destination, 1 when an
    /// image or a rule failed or was lost, 130 when the run was interrupted before all was done.
    pub fn exit_code(&self) -> u8 {
        if self.was_interrupted() {
            130
        } else {
            u8::from(self.failed > 0 || self.failed_rules > 0 || !self.is_complete())
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

    pub(super) fn fold(&mut self, event: &Event) {
        match event {
            Event::RuleStarted { .. } => self.rules += 1,
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
                        rule: Arc::clone(rule),
                        source: rule.name.to_string(),
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
            Event::RuleListed { .. } | Event::ImageStarted(_) => {}
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

    fn image(&mut self, image: &ImageName, outcome: &Outcome) {
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
                    rule: Arc::clone(&image.rule),
                    source: image.source.clone(),
                    destination: Some(image.destination.clone()),
                    failure: failure.clone(),
                });
            }
        }
    }
}
