//! Updates of the history, as they wait for the thread that writes them.

use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::{Cause, Digest};
use image_syncer_sync::event::{Change, RuleDescription};
use image_syncer_sync::{Event, Failure, ImageId, Outcome, RuleId};
use jiff::Timestamp;

use crate::service::history::records::{ChangeKind, ImageOutcome, TagState};
use crate::service::run::RunId;
use crate::service::throughput::Sample;

/// Update of the history.
#[derive(Debug)]
pub(super) enum Update {
    /// An event of a run.
    Event(RunId, RunUpdate),
    /// Throughput of a run that ends.
    Throughput(RunId, Vec<Sample>),
    /// A change of the queue of notifications.
    Delivery(DeliveryUpdate),
}

/// Event of a run, as far as the history keeps it.
#[derive(Debug)]
pub(super) enum RunUpdate {
    /// A rule of the run began.
    RuleStarted(Arc<RuleDescription>),
    /// All images of a rule of the run are known: so many.
    RuleDiscovered(u64),
    /// A list of a rule failed, of the repository if one is given.
    ListFailed(RuleId, Option<Arc<str>>, Box<Failure>),
    /// An image ended.
    Image(Box<ImageUpdate>),
}

/// End of an image.
#[derive(Debug)]
pub(super) struct ImageUpdate {
    pub(super) source: Arc<str>,
    pub(super) destination: Arc<str>,
    pub(super) at: Timestamp,
    pub(super) elapsed: Duration,
    pub(super) result: ImageResult,
}

/// Result of an image.
#[derive(Debug)]
pub(super) enum ImageResult {
    Unchanged(Digest),
    Copied {
        digest: Digest,
        replaced: Option<Digest>,
        bytes: u64,
    },
    Different {
        expected: Digest,
        change: ChangeKind,
        /// Digest at the destination, if it has another one.
        from: Option<Digest>,
        /// State of the tag.
        state: TagState,
    },
    Skipped(String),
    Failed(Box<Failure>),
}

/// Change of the queue of notifications.
#[derive(Debug)]
pub(super) enum DeliveryUpdate {
    Added {
        receiver: String,
        body: String,
        at: Timestamp,
    },
    Finished(i64),
    Retried {
        id: i64,
        next: Timestamp,
        error: String,
    },
    Postponed {
        id: i64,
        next: Timestamp,
    },
    Failed {
        id: i64,
        error: String,
    },
}

impl RunUpdate {
    /// Returns what the history keeps of an event.
    pub(super) fn from_event(event: &Event) -> Option<Self> {
        Some(match event {
            Event::RuleStarted { rule } => Self::RuleStarted(Arc::clone(rule)),
            Event::RuleDiscovered { images, .. } => Self::RuleDiscovered(*images),
            Event::RuleFailed { rule, failure } => {
                Self::ListFailed(*rule, None, Box::new(failure.clone()))
            }
            Event::RepositoryFailed {
                rule,
                repository,
                failure,
            } => {
                let repository = Some(Arc::clone(repository));
                Self::ListFailed(*rule, repository, Box::new(failure.clone()))
            }
            Event::ImageFinished {
                image,
                outcome,
                elapsed,
            } => Self::Image(Box::new(ImageUpdate::new(image, outcome, *elapsed))),
            _ => return None,
        })
    }
}

impl ImageUpdate {
    fn new(image: &ImageId, outcome: &Outcome, elapsed: Duration) -> Self {
        Self {
            source: Arc::clone(&image.source),
            destination: Arc::clone(&image.destination),
            at: Timestamp::now(),
            elapsed,
            result: ImageResult::new(outcome),
        }
    }
}

impl ImageResult {
    fn new(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Unchanged { digest, .. } => Self::Unchanged(digest.clone()),
            Outcome::Copied(copied) => Self::Copied {
                digest: copied.digest.clone(),
                replaced: copied.replaced.clone(),
                bytes: copied.volume.bytes,
            },
            Outcome::Planned(planned) => {
                let (change, from, state) = difference(&planned.change);
                Self::Different {
                    expected: planned.digest.clone(),
                    change,
                    from,
                    state,
                }
            }
            Outcome::Skipped { why } => Self::Skipped(why.clone()),
            Outcome::Failed(failure) => Self::Failed(Box::new(failure.clone())),
        }
    }

    /// Returns the outcome; `None` for an unchanged image.
    pub(super) fn outcome(&self) -> Option<ImageOutcome> {
        Some(match self {
            Self::Unchanged(_) => return None,
            Self::Copied { .. } => ImageOutcome::Copied,
            Self::Different { .. } => ImageOutcome::Different,
            Self::Skipped(_) => ImageOutcome::Skipped,
            Self::Failed(failure) if failure.interrupted => ImageOutcome::Interrupted,
            Self::Failed(_) => ImageOutcome::Failed,
        })
    }

    /// Returns true for a failure that says nothing about the tag: another rule writes it.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Failed(failure) if failure.cause == Cause::TagConflict)
    }
}

/// Returns the kind of a change, the other digest at the destination, and the state of the tag.
fn difference(change: &Change) -> (ChangeKind, Option<Digest>, TagState) {
    match change {
        Change::New => (ChangeKind::New, None, TagState::Missing),
        Change::Moved { from } => (ChangeKind::Moved, Some(from.clone()), TagState::Moved),
        Change::Referrers => (ChangeKind::Referrers, None, TagState::Incomplete),
        // Pushed again without a look: nothing is known to be missing.
        Change::Again(losses) if losses.is_empty() => (ChangeKind::Again, None, TagState::Same),
        Change::Again(_) => (ChangeKind::Again, None, TagState::Incomplete),
    }
}
