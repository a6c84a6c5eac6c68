//! One image of a plan, in as little memory as it takes.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use image_syncer_registry::Digest;
use image_syncer_sync::Outcome;
use image_syncer_sync::event::{Change, Cost, ImageName, Loss, Planned, Volume};
use image_syncer_sync::rule::Rule;

use crate::escape;
use crate::ui::plan::order::by_name;
use crate::ui::style::Style;
use crate::ui::units;

/// How many lists of platforms are held once for all images that have them; most images of a run have one of a few.
const SHARED: usize = 1_000;

/// How many losses of one image are named.
const NAMED: usize = 3;

/// One image and one destination: 0.3 to 0.5 KiB, whatever it consists of.
#[derive(Debug)]
pub(super) struct PlanRow {
    /// Which of the rule's destinations; behind the last where it is none of them.
    pub(super) place: usize,
    /// What stands behind the rule's source repository: `:v1`, `@sha256:…`.
    pub(super) source: Box<str>,
    /// What stands behind the destination's repository: `:v1`, `@sha256:…` or nothing.
    pub(super) destination: Box<str>,
    /// What would become of it.
    pub(super) fate: PlannedOutcome,
}

/// What would become of an image.
#[derive(Debug)]
pub(super) enum PlannedOutcome {
    /// It would be copied.
    Planned(Box<PlannedCopy>),
    /// It is there.
    Unchanged(Digest),
    /// It is not to be copied.
    Skipped(Box<str>),
    /// It cannot be told.
    Failed(Box<str>),
}

/// An image that would be copied.
#[derive(Debug)]
pub(super) struct PlannedCopy {
    /// How it differs.
    pub(super) kind: RowKind,
    /// What would stand there.
    pub(super) digest: Digest,
    /// What stands there, where that is something else.
    pub(super) from: Option<Digest>,
    /// What it would take, where that was asked.
    pub(super) size: Option<CopySize>,
    /// What is particular about it; empty where nothing is.
    pub(super) notes: Box<str>,
}

/// What a copy would take.
#[derive(Debug)]
pub(super) struct CopySize {
    /// Its platforms, with a comma between them.
    pub(super) platforms: Arc<str>,
    /// Its layers.
    pub(super) layers: u64,
    /// What would be moved.
    pub(super) volume: Volume,
}

/// How an image differs, or does not: the word that its row begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowKind {
    /// Nothing stands under its name.
    New,
    /// Something else does.
    Changed,
    /// It stands there, and what refers to it does not.
    Referrers,
    /// It stands there, and something below it was lost.
    Repair,
    /// It stands there, and is to be pushed all the same.
    Again,
    /// It stands there.
    Unchanged,
    /// It is not to be copied.
    Skipped,
    /// It cannot be told.
    Failed,
}

impl RowKind {
    /// Its word.
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

    /// Its colour: that of the line that a run would say.
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
    /// Its kind.
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
    /// The row of an image that ended; `None` where that belongs into no plan: it was interrupted, or even copied.
    pub(super) fn new(
        image: &ImageName,
        outcome: &Outcome,
        platforms: &mut PlatformLists,
    ) -> Option<Self> {
        let fate = match outcome {
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
        let (place, destination) = place(&image.rule, &image.destination);
        let repository = image.rule.source.repository.to_string();
        Some(Self {
            place,
            source: suffix_after(&image.source, &repository)
                .unwrap_or(&image.source)
                .into(),
            destination: destination.into(),
            fate,
        })
    }

    /// The order of rows: by destination, then by name.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let place = self.place.cmp(&other.place);
        let source = || by_name(&self.source, &other.source);
        place
            .then_with(source)
            .then_with(|| by_name(&self.destination, &other.destination))
    }
}

/// Which of the rule's destinations the reference is at, and what stands behind its repository.
pub(super) fn place<'a>(rule: &Rule, reference: &'a str) -> (usize, &'a str) {
    let mut places = rule.destinations.iter().enumerate();
    let found = places.find_map(|(place, destination)| {
        suffix_after(reference, &destination.repository.to_string()).map(|rest| (place, rest))
    });
    found.unwrap_or((rule.destinations.len(), reference))
}

/// What stands behind `repository` in a reference of it.
fn suffix_after<'a>(reference: &'a str, repository: &str) -> Option<&'a str> {
    let rest = reference.strip_prefix(repository)?;
    (rest.is_empty() || rest.starts_with([':', '@'])).then_some(rest)
}

/// Lists of platforms that are held once.
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

/// What is particular about an image: what comes along, what was lost, whether its index is its own.
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

/// `text` in one line and without what a terminal might obey, as parts of it come from registries.
pub(super) fn printable(text: &str) -> String {
    escape::line(text).into_owned()
}
