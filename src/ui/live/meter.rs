//! Samples what a run counts.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use image_syncer_sync::report::Report;
use image_syncer_sync::transfer::{InFlightUpload, Progress};

use crate::host_counts::Counts;
use crate::ui::copy_unit::CopyUnit;
use crate::ui::live::speed::{
    RemainingWork, SpeedSamples, TimeLeft, estimate, per_second, steadily,
};
use crate::ui::live::{ActiveTransfer, Pauses, RunStatus, ShutdownState};

/// How many transfers are told of one by one.
const LARGEST: usize = 4;

/// How many digits of a digest tell blobs apart.
const DIGITS: usize = 12;

/// What is sampled.
#[derive(Clone)]
pub(super) struct SampleSources {
    /// How many rules the run has.
    pub(super) rules: u64,
    /// Unit of the counters.
    pub(super) unit: CopyUnit,
    /// Whether the run sends nothing.
    pub(super) only_asks: bool,
    pub(super) report: Arc<Report>,
    pub(super) counts: Arc<Counts>,
    pub(super) progress: Arc<Progress>,
    pub(super) pauses: Arc<Pauses>,
    pub(super) ending: Arc<ShutdownState>,
}

/// How long a transfer flows before it is told of: those that are over sooner would only flicker.
const LASTING: Duration = Duration::from_millis(700);

/// Samples, and remembers what it takes to tell speeds.
pub(super) struct ProgressMeter {
    sources: SampleSources,
    started: Instant,
    speeds: SpeedSamples,
    left: TimeLeft,
    /// The transfers that were told of last, each in its place.
    places: [Option<u64>; LARGEST],
    /// When each transfer that flows was first seen.
    seen: HashMap<u64, Instant>,
}

impl ProgressMeter {
    /// A meter whose speed of the moment is taken over `window`.
    pub(super) fn new(sources: SampleSources, window: Duration) -> Self {
        let started = Instant::now();
        Self {
            sources,
            started,
            speeds: SpeedSamples::new(started, window),
            left: TimeLeft::default(),
            places: [None; LARGEST],
            seen: HashMap::new(),
        }
    }

    /// How far the run is.
    pub(super) fn sample(&mut self, now: Instant) -> RunStatus {
        let sources = &self.sources;
        let counts = sources.report.counts();
        let in_flight = sources.progress.in_flight();
        let moved = sources.progress.bytes_streamed();
        let remaining = in_flight.iter().map(|upload| rest(upload)).sum();
        let flowing = in_flight.iter().filter(|upload| is_flowing(upload)).count() as u64;
        let elapsed = now.duration_since(self.started);
        let listing = counts.rules_listed < sources.rules;
        self.speeds.sample(now, moved);
        let work = RemainingWork {
            elapsed,
            listing,
            found: counts.found,
            ended: counts.ended,
            under_way: counts.under_way,
            remaining,
            speed: None,
        };
        let known = estimate(steadily(&self.speeds, now, moved, work));
        let transfers = place(&mut self.places, lasting(&mut self.seen, &in_flight, now));
        RunStatus {
            unit: sources.unit,
            found: counts.found,
            listing,
            ended: counts.ended,
            under_way: counts.under_way,
            failed: counts.failed,
            retries: sources.counts.totals().retries,
            only_asks: sources.only_asks,
            moved,
            remaining,
            speed: self.speeds.now(now, moved),
            average: per_second(moved, elapsed),
            left: self.left.next(now, known),
            pauses: sources.pauses.current(now),
            transfers,
            flowing_transfers: flowing,
            waiting_transfers: in_flight.len() as u64 - flowing,
            ending: sources.ending.state(now),
        }
    }
}

/// What of it is not sent yet.
fn rest(upload: &InFlightUpload) -> u64 {
    let size = upload.blob().size.unwrap_or_default();
    size.saturating_sub(upload.done().unwrap_or_default())
}

/// Returns whether the bytes of an upload flow, rather than wait for their turn.
fn is_flowing(upload: &InFlightUpload) -> bool {
    upload.done().is_some()
}

/// Returns the transfers that have been flowing for a while.
fn lasting<'a>(
    seen: &mut HashMap<u64, Instant>,
    in_flight: &'a [Arc<InFlightUpload>],
    now: Instant,
) -> Vec<&'a Arc<InFlightUpload>> {
    let before = std::mem::take(seen);
    let flowing = in_flight.iter().filter(|upload| is_flowing(upload));
    flowing
        .filter(|upload| {
            let number = upload.number();
            let since = before.get(&number).copied().unwrap_or(now);
            seen.insert(number, since);
            now.duration_since(since) >= LASTING
        })
        .collect()
}

/// Puts the largest of these transfers into places; those that have one keep it until they end.
fn place(
    places: &mut [Option<u64>; LARGEST],
    mut others: Vec<&Arc<InFlightUpload>>,
) -> Vec<Option<ActiveTransfer>> {
    let mut shown: Vec<Option<ActiveTransfer>> = Vec::with_capacity(LARGEST);
    for place in places.iter_mut() {
        let kept = others.iter().position(|u| Some(u.number()) == *place);
        shown.push(kept.map(|index| transfer(others.swap_remove(index))));
    }
    others.sort_by_key(|upload| (Reverse(upload.blob().size), upload.number()));
    let mut others = others.into_iter();
    for (place, shown) in places.iter_mut().zip(&mut shown) {
        if shown.is_none() {
            *shown = others.next().map(|upload| transfer(upload));
        }
        *place = shown.as_ref().map(|transfer| transfer.number);
    }
    shown
}

fn transfer(upload: &InFlightUpload) -> ActiveTransfer {
    let done = upload.done().unwrap_or_default();
    let digest = upload.blob().digest.encoded();
    ActiveTransfer {
        number: upload.number(),
        name: upload.destination().to_string(),
        short_name: upload.destination().path().to_owned(),
        digest: digest.chars().take(DIGITS).collect(),
        done,
        size: upload.blob().size.unwrap_or(done),
    }
}
