//! One image of a plan, in little memory.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use image_syncer_registry::Digest;
use image_syncer_sync::Outcome;
use image_syncer_sync::event::{Change, Cost, Loss, Planned, Volume};

use crate::escape;
use crate::ui::plan::order::by_name;
use crate::ui::style::Style;
use crate::ui::units;

/// Maximum number of platform lists that are shared. Most images of a run have one of a few lists.
const SHARED: usize = 1_000;

/// Maximum number of losses of one image that are named.
const NAMED: usize = 3;

/// Image and destination, in 0.3 to 0.5 KiB.
#[derive(Debug)]
pub(super) struct PlanRow {
    /// Position of its repositories in the [places](super::places) of its rule.
    pub(super) place: usize,
    /// Source reference after the repository: `:v1`, `@sha256:…`.
    pub(super) source: Box<str>,
    /// Destination reference after the repository: `:v1`, `@sha256:…` or nothing.
    pub(super) destination: Box<str>,
    /// Planned outcome.
    pub(super) outcome: PlannedOutcome,
}

/// Planned outcome of an image.
#[derive(Debug)]
pub(super) enum PlannedOutcome {
    /// The image would be copied.
    Planned(Box<PlannedCopy>),
    /// The destination has the image.
    Unchanged(Digest),
    /// The image is not selected.
    Skipped(Box<str>),
    /// The outcome is unknown.
    Failed(Box<str>),
}

/// Image that would be copied.
#[derive(Debug)]
pub(super) struct PlannedCopy {
    /// Kind of difference.
    pub(super) kind: RowKind,
    /// New digest.
    pub(super) digest: Digest,
    /// Old digest, if it differs.
    pub(super) from: Option<Digest>,
    /// Size of the copy, if it was computed.
    pub(super) size: Option<CopySize>,
    /// Remarks, or nothing.
    pub(super) notes: Box<str>,
}

/// Size of a copy.
#[derive(Debug)]
pub(super) struct CopySize {
    /// Platforms, separated by commas.
    pub(super) platforms: Arc<str>,
    /// Number of layers.
    pub(super) layers: u64,
    /// Volume to move.
    pub(super) volume: Volume,
}

/// Kind of difference: the first word of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowKind {
    /// The destination has no such name.
    New,
    /// The name has another image.
    Changed,
    /// The image is there, and some of its referrers are not.
    Referrers,
    /// The image is there, and parts of it are missing.
    Repair,
    /// The image is there, and is pushed again.
    Again,
    /// The image is there.
    Unchanged,
    /// The image is not selected.
    Skipped,
    /// The outcome is unknown.
    Failed,
}

impl RowKind {
    /// Returns the word.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Referrers => "referrers",
            Self::Repair => "repair",
            Self::Again => "again",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }

    /// Returns the colour, the same as in the lines of a run.
    pub(super) fn paint(self) -> Style {
        match self {
            Self::New | Self::Changed | Self::Again => Style::Green,
            Self::Referrers | Self::Repair | Self::Skipped => Style::Yellow,
            Self::Unchanged => Style::Dim,
            Self::Failed => Style::Red,
        }
    }
}

impl PlannedOutcome {
    /// Returns the kind.
    pub(super) fn kind(&self) -> RowKind {
        match self {
            Self::Planned(wanted) => wanted.kind,
            Self::Unchanged(_) => RowKind::Unchanged,
            Self::Skipped(_) => RowKind::Skipped,
            Self::Failed(_) => RowKind::Failed,
        }
    }
}

impl PlanRow {
    /// Creates the row of an image at `place` that ended; `None` if the image was interrupted or even copied.
    pub(super) fn new(
        place: usize,
        (source, destination): (&str, &str),
        outcome: &Outcome,
        platforms: &mut PlatformLists,
    ) -> Option<Self> {
        let outcome = match outcome {
            Outcome::Planned(planned) => {
                PlannedOutcome::Planned(Box::new(planned_copy(planned, platforms)))
            }
            Outcome::Unchanged { digest, .. } => PlannedOutcome::Unchanged(digest.clone()),
            Outcome::Skipped { why } => PlannedOutcome::Skipped(printable(why).into()),
            Outcome::Failed(failure) if !failure.interrupted => {
                PlannedOutcome::Failed(printable(&failure.reason).into())
            }
            Outcome::Failed(_) | Outcome::Copied(_) => return None,
        };
        Some(Self {
            place,
            source: source.into(),
            destination: destination.into(),
            outcome,
        })
    }

    /// Orders rows of one place by name.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        by_name(&self.source, &other.source)
            .then_with(|| by_name(&self.destination, &other.destination))
    }
}

/// Shared lists of platforms.
#[derive(Debug, Default)]
pub(super) struct PlatformLists(HashSet<Arc<str>>);

impl PlatformLists {
    fn intern(&mut self, platforms: &[String]) -> Arc<str> {
        let text = printable(&platforms.join(","));
        if let Some(known) = self.0.get(text.as_str()) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        if self.0.len() < SHARED {
            self.0.insert(Arc::clone(&text));
        }
        text
    }
}

fn planned_copy(planned: &Planned, platforms: &mut PlatformLists) -> PlannedCopy {
    let (kind, from) = match &planned.change {
        Change::New => (RowKind::New, None),
        Change::Moved { from } => (RowKind::Changed, Some(from.clone())),
        Change::Referrers => (RowKind::Referrers, None),
        Change::Again(losses) if losses.is_empty() => (RowKind::Again, None),
        Change::Again(_) => (RowKind::Repair, None),
    };
    let size = planned.cost.as_ref().map(|cost| CopySize {
        platforms: platforms.intern(&cost.platforms),
        layers: cost.layers,
        volume: cost.volume,
    });
    PlannedCopy {
        kind,
        digest: planned.digest.clone(),
        from,
        size,
        notes: notes(planned).into(),
    }
}

/// Returns the remarks about an image: referrers, losses, a filtered index.
fn notes(planned: &Planned) -> String {
    let mut notes = Vec::new();
    let referrers = planned
        .cost
        .as_ref()
        .map_or(0, |cost: &Cost| cost.referrers);
    if referrers > 0 {
        notes.push(units::count(referrers, "referrer"));
    }
    if planned.filtered {
        notes.push("as a filtered index".to_owned());
    }
    if planned.sparse {
        notes.push("without the children that were not selected".to_owned());
    }
    if planned.hidden {
        notes.push("the repository is hidden from the login, or does not exist".to_owned());
    }
    if let Change::Again(losses) = &planned.change {
        notes.extend(losses.iter().take(NAMED).map(Loss::to_string));
        let more = losses.len().saturating_sub(NAMED);
        if more > 0 {
            notes.push(format!("and {more} more"));
        }
    }
    notes.join("; ")
}

/// Returns `text` on one line and safe for a terminal, because parts of it come from registries.
pub(super) fn printable(text: &str) -> String {
    escape::line(text).into_owned()
}
