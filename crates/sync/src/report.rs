//! The summary, folded from events.

use std::sync::{Mutex, PoisonError};

use crate::event::{Event, Listener, Outcome};
use crate::failure::Failure;

/// Folds what happens into a [`Summary`].
#[derive(Debug, Default)]
pub struct Report(Mutex<Summary>);

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
    /// What failed, in the order in which it did; nothing that was interrupted.
    pub failures: Vec<Failed>,
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
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Listener for Report {
    fn event(&self, event: &Event) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fold(event);
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

    /// Whether something was left undone because the run was interrupted.
    pub fn was_interrupted(&self) -> bool {
        self.interrupted > 0 || self.interrupted_rules > 0
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
                    self.failures.push(Failed {
                        source: rule.name.to_string(),
                        destination: None,
                        failure: failure.clone(),
                    });
                }
            }
            Event::ImageFinished { image, outcome, .. } => {
                self.image(&image.source, &image.destination, outcome);
            }
            Event::ImageStarted(_) | Event::Warning { .. } => {}
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
            }
            Outcome::Unchanged { .. } => self.unchanged += 1,
            Outcome::Skipped { .. } => self.skipped += 1,
            Outcome::Failed(failure) if failure.interrupted => self.interrupted += 1,
            Outcome::Failed(failure) => {
                self.failed += 1;
                self.failures.push(Failed {
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
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
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
                manifests: 2,
                blobs: 3,
                bytes: 10,
                mounted_bytes: 20,
                present_bytes: 30,
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
}
