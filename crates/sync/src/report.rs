//! The summary, folded from events.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::event::{Event, Evidence, Listener, Outcome};
use crate::failure::{Class, Failure};
use crate::lock::lock;
use crate::rule::Rule;

/// How many failures, and how many warnings, are kept in full; of the others only the number is known. So memory
/// grows with the rules and not with the images.
pub const KEPT: usize = 1_000;

/// Folds what happens into a [`Summary`].
#[derive(Debug, Default)]
pub struct Report(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    summary: Summary,
    /// Where a rule stands in `summary.by_rule`, by its address; the summary holds the rule, so that it stays.
    positions: HashMap<usize, usize>,
}

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
    /// Manifests and blobs that these lacked.
    pub losses: u64,
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
    /// Bytes of blobs streamed.
    pub bytes: u64,
    /// Bytes of blobs that registries took from other repositories of theirs.
    pub mounted_bytes: u64,
    /// Bytes of blobs that were there.
    pub present_bytes: u64,
    /// Blobs streamed.
    pub blobs: u64,
    /// Manifests pushed.
    pub manifests: u64,
    /// What refers to images and came along with them.
    pub referrers: u64,
    /// Images, of those that were copied, whose root was there, so that only what refers to it came.
    pub only_referrers: u64,
    /// Lists of referrers that others were writing at the same time, and that may not be complete.
    pub contended: u64,
    /// The failures, of images and of whole rules, by who has to do something about them; nothing that was
    /// interrupted. They add up to `failed` and `failed_rules`.
    pub by_class: BTreeMap<Class, u64>,
    /// What failed, in the order in which it did; nothing that was interrupted; at most [`KEPT`] (`failed` and
    /// `failed_rules` tell how many there were).
    pub failures: Vec<Failed>,
    /// What a person should know and that failed nothing; at most [`KEPT`].
    pub warnings: Vec<String>,
    /// How many warnings there were.
    pub warnings_given: u64,
    /// Each rule, in the order in which they were begun.
    pub by_rule: Vec<RuleSummary>,
}

/// What one rule came to. Images are counted once for each destination.
#[derive(Clone, Debug)]
pub struct RuleSummary {
    /// The rule.
    pub rule: Arc<Rule>,
    /// How many images were found; `None` where they are not all known.
    pub discovered: Option<u64>,
    /// Why there are none, where there are none.
    pub empty: Option<String>,
    /// Why its images could not be listed, interruption included.
    pub failure: Option<Failure>,
    /// Images that are at the destination now, and were not before.
    pub copied: u64,
    /// Images that were there.
    pub unchanged: u64,
    /// Images that were not to be copied.
    pub skipped: u64,
    /// Images that failed.
    pub failed: u64,
    /// Images that were not finished when the run was interrupted.
    pub interrupted: u64,
}

/// An image, or a whole rule, that failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The full reference at the source, or the rule's name.
    pub source: String,
    /// The full reference at the destination; `None` for a whole rule.
    pub destination: Option<String>,
    /// Why.
    pub failure: Failure,
}

impl Report {
    /// Nothing happened yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the run has come to so far.
    pub fn summary(&self) -> Summary {
        self.lock().summary.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl Listener for Report {
    fn event(&self, event: &Event) {
        let mut state = self.lock();
        state.summary.fold(event);
        match event {
            Event::RuleStarted { rule }
            | Event::RuleDiscovered { rule, .. }
            | Event::RuleFailed { rule, .. } => {
                if let Some(entry) = state.of_rule(rule) {
                    entry.fold(event);
                }
            }
            Event::ImageFinished { image, .. } => {
                if let Some(entry) = state.of_rule(&image.rule) {
                    entry.fold(event);
                }
            }
            Event::ImageStarted(_) | Event::Warning { .. } => {}
        }
    }
}

impl State {
    fn of_rule(&mut self, rule: &Arc<Rule>) -> Option<&mut RuleSummary> {
        let by_rule = &mut self.summary.by_rule;
        let address = Arc::as_ptr(rule).addr();
        let position = *self.positions.entry(address).or_insert_with(|| {
            by_rule.push(RuleSummary::new(Arc::clone(rule)));
            by_rule.len() - 1
        });
        by_rule.get_mut(position)
    }
}

impl RuleSummary {
    fn new(rule: Arc<Rule>) -> Self {
        Self {
            rule,
            discovered: None,
            empty: None,
            failure: None,
            copied: 0,
            unchanged: 0,
            skipped: 0,
            failed: 0,
            interrupted: 0,
        }
    }

    fn fold(&mut self, event: &Event) {
        match event {
            Event::RuleDiscovered { images, empty, .. } => {
                self.discovered = Some(*images);
                self.empty.clone_from(empty);
            }
            Event::RuleFailed { failure, .. } => self.failure = Some(failure.clone()),
            Event::ImageFinished { outcome, .. } => match outcome {
                Outcome::Copied(_) => self.copied += 1,
                Outcome::Unchanged { .. } => self.unchanged += 1,
                Outcome::Skipped { .. } => self.skipped += 1,
                Outcome::Failed(failure) if failure.interrupted => self.interrupted += 1,
                Outcome::Failed(_) => self.failed += 1,
            },
            Event::RuleStarted { .. } | Event::ImageStarted(_) | Event::Warning { .. } => {}
        }
    }
}

impl Summary {
    /// Images that ended, one way or another.
    pub fn finished(&self) -> u64 {
        self.copied + self.unchanged + self.skipped + self.failed + self.interrupted
    }

    /// Whether every rule that was begun and every image that was found has ended one way or another. Where this is
    /// false after a run, something was lost: a defect of this program, and a failure of the run. (More may end than
    /// was announced: a rule that fails half way does not say how many images it had found.)
    pub fn adds_up(&self) -> bool {
        self.rules <= self.rules_ended && self.discovered <= self.finished()
    }

    /// Says that the run was given `rules` and has ended: what was not begun was interrupted, if the run was cancelled,
    /// and lost otherwise.
    pub fn settle(&mut self, rules: u64, cancelled: bool) {
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

    /// What the process should exit with (design.md, "Survival"): 0 when everything is at its destination, 1 when an
    /// image or a rule failed or was lost, 130 when the run was interrupted before all was done.
    pub fn exit_code(&self) -> u8 {
        if self.was_interrupted() {
            130
        } else {
            u8::from(self.failed > 0 || self.failed_rules > 0 || !self.adds_up())
        }
    }

    fn failed(&mut self, class: Class, failed: impl FnOnce() -> Failed) {
        *self.by_class.entry(class).or_default() += 1;
        if self.failures.len() < KEPT {
            self.failures.push(failed());
        }
    }

    fn fold(&mut self, event: &Event) {
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
                    self.failed(failure.class(), || Failed {
                        source: rule.name.to_string(),
                        destination: None,
                        failure: failure.clone(),
                    });
                }
            }
            Event::ImageFinished { image, outcome, .. } => {
                self.image(&image.source, &image.destination, outcome);
            }
            Event::Warning { text } => {
                self.warnings_given += 1;
                if self.warnings.len() < KEPT {
                    self.warnings.push(text.clone());
                }
            }
            Event::ImageStarted(_) => {}
        }
    }

    fn image(&mut self, source: &str, destination: &str, outcome: &Outcome) {
        match outcome {
            Outcome::Copied(copied) => {
                self.copied += 1;
                self.bytes += copied.bytes;
                self.mounted_bytes += copied.mounted_bytes;
                self.present_bytes += copied.present_bytes;
                self.blobs += copied.blobs;
                self.manifests += copied.manifests;
                self.referrers += copied.referrers;
                self.only_referrers += u64::from(copied.root_unchanged);
                self.contended += copied.contended;
                self.losses += copied.losses.len() as u64;
                self.repaired += u64::from(!copied.losses.is_empty());
            }
            Outcome::Unchanged { by, .. } => {
                self.unchanged += 1;
                self.verified += u64::from(*by == Evidence::Verified);
                self.recorded += u64::from(*by == Evidence::Records);
            }
            Outcome::Skipped { .. } => self.skipped += 1,
            Outcome::Failed(failure) if failure.interrupted => self.interrupted += 1,
            Outcome::Failed(failure) => {
                self.failed += 1;
                self.failed(failure.class(), || Failed {
                    source: source.to_owned(),
                    destination: Some(destination.to_owned()),
                    failure: failure.clone(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use std::time::Duration;

    use super::*;
    use crate::event::{Copied, ImageName};
    use crate::rule::{Rule, Select, Source};

    fn rule() -> Arc<Rule> {
        Arc::new(Rule {
            name: "r.example/a".into(),
            location: None,
            source: Source {
                repository: registry::Repository::parse("r.example/a").unwrap(),
                select: Select::All,
            },
            destinations: Vec::new(),
        })
    }

    fn finished(outcome: Outcome) -> Event {
        Event::ImageFinished {
            image: ImageName {
                rule: rule(),
                source: "r.example/a:v1".to_owned(),
                destination: "s.example/a:v1".to_owned(),
            },
            outcome,
            elapsed: Duration::ZERO,
        }
    }

    fn discovered(images: u64) -> Event {
        Event::RuleDiscovered {
            rule: rule(),
            images,
            empty: None,
        }
    }

    fn fold(events: &[Event]) -> Summary {
        let report = Report::new();
        for event in events {
            report.event(event);
        }
        report.summary()
    }

    #[test]
    fn each_outcome_is_counted_once_and_bytes_are_added() {
        let copied = || {
            finished(Outcome::Copied(Copied {
                digest: registry::Digest::sha256(b""),
                filtered: false,
                sparse: false,
                manifests: 2,
                blobs: 3,
                bytes: 10,
                mounted_bytes: 20,
                present_bytes: 30,
                referrers: 0,
                root_unchanged: false,
                contended: 0,
                losses: Vec::new(),
            }))
        };
        let summary = fold(&[
            Event::RuleStarted { rule: rule() },
            discovered(4),
            copied(),
            copied(),
            finished(Outcome::Skipped { why: String::new() }),
            finished(Outcome::Failed(Failure::local("no"))),
        ]);
        assert_eq!((summary.copied, summary.skipped, summary.failed), (2, 1, 1));
        assert_eq!((summary.manifests, summary.blobs), (4, 6));
        assert_eq!(
            (summary.bytes, summary.mounted_bytes, summary.present_bytes),
            (20, 40, 60)
        );
        assert!(summary.adds_up());
        assert_eq!(summary.failures.len(), 1);
    }

    #[test]
    fn an_image_that_never_ends_does_not_add_up() {
        let started = Event::RuleStarted { rule: rule() };
        assert!(!fold(std::slice::from_ref(&started)).adds_up());
        let skipped = finished(Outcome::Skipped { why: String::new() });
        assert!(!fold(&[started, discovered(2), skipped]).adds_up());
    }

    #[test]
    fn what_was_interrupted_is_not_a_failure() {
        let summary = fold(&[
            Event::RuleStarted { rule: rule() },
            Event::RuleFailed {
                rule: rule(),
                failure: Failure::interrupted(),
            },
            finished(Outcome::Failed(Failure::interrupted())),
        ]);
        assert!(summary.was_interrupted());
        assert_eq!((summary.failed, summary.failed_rules), (0, 0));
        assert!(summary.failures.is_empty() && summary.adds_up());
    }

    #[test]
    fn the_exit_code_tells_faults_and_interruption_apart() {
        let unchanged = finished(Outcome::Unchanged {
            digest: registry::Digest::sha256(b""),
            by: Evidence::Registry,
        });
        let failed = finished(Outcome::Failed(Failure::local("no")));
        let interrupted = finished(Outcome::Failed(Failure::interrupted()));
        assert_eq!(fold(std::slice::from_ref(&unchanged)).exit_code(), 0);
        assert_eq!(fold(&[unchanged.clone(), failed.clone()]).exit_code(), 1);
        assert_eq!(fold(&[unchanged, failed, interrupted]).exit_code(), 130);
        // A rule that matched nothing is said and fails nothing; one that could not be listed does.
        assert_eq!(fold(&[discovered(0)]).exit_code(), 0);
        let failure = Failure::local("no such repository");
        let rule_failed = Event::RuleFailed {
            rule: rule(),
            failure,
        };
        assert_eq!(fold(&[rule_failed]).exit_code(), 1);
        assert_eq!(fold(&[Event::RuleStarted { rule: rule() }]).exit_code(), 1);
    }

    #[test]
    fn each_rule_has_counts_of_its_own() {
        let report = Report::new();
        let (one, two) = (rule(), rule());
        for (rule, outcome) in [
            (&one, Outcome::Skipped { why: String::new() }),
            (&two, Outcome::Failed(Failure::interrupted())),
            (&one, Outcome::Failed(Failure::local("no"))),
        ] {
            let mut event = finished(outcome);
            if let Event::ImageFinished { image, .. } = &mut event {
                image.rule = Arc::clone(rule);
            }
            report.event(&event);
        }
        report.event(&Event::RuleDiscovered {
            rule: one,
            images: 2,
            empty: None,
        });
        let rules = report.summary().by_rule;
        assert_eq!(rules.len(), 2);
        assert_eq!((rules[0].skipped, rules[0].failed), (1, 1));
        assert_eq!(rules[0].discovered, Some(2));
        assert_eq!((rules[1].interrupted, rules[1].discovered), (1, None));
    }

    #[test]
    fn failures_and_warnings_are_bounded_and_counted() {
        let report = Report::new();
        for _ in 0..KEPT + 5 {
            report.event(&finished(Outcome::Failed(Failure::local("no"))));
            let text = "mind".to_owned();
            report.event(&Event::Warning { text });
        }
        let summary = report.summary();
        assert_eq!(
            (summary.failures.len(), summary.warnings.len()),
            (KEPT, KEPT)
        );
        assert_eq!(summary.failed, KEPT as u64 + 5);
        assert_eq!(summary.warnings_given, KEPT as u64 + 5);
        let by_class = BTreeMap::from([(Class::Internal, KEPT as u64 + 5)]);
        assert_eq!(summary.by_class, by_class);
    }

    #[test]
    fn rules_that_were_never_begun_are_interrupted_or_lost() {
        let mut cancelled = fold(&[]);
        cancelled.settle(2, true);
        assert!(cancelled.was_interrupted() && cancelled.adds_up());
        let mut drained = fold(&[]);
        drained.settle(2, false);
        assert!(!drained.was_interrupted() && !drained.adds_up());
    }
}
