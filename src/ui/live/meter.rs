//! Samples the counters of a run.

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
use crate::ui::live::{ActiveTransfer, Listings, Pauses, RunStatus, ShutdownState};

/// Number of transfers with a line of their own.
const LARGEST: usize = 4;

/// Number of digits of a digest that distinguish blobs.
const DIGITS: usize = 12;

/// Counters that are sampled.
#[derive(Clone)]
pub(super) struct SampleSources {
    /// Number of rules of the run.
    pub(super) rules: u64,
    /// Unit of the counters.
    pub(super) unit: CopyUnit,
    /// The run sends nothing.
    pub(super) sends_nothing: bool,
    pub(super) report: Arc<Report>,
    pub(super) counts: Arc<Counts>,
    pub(super) progress: Arc<Progress>,
    pub(super) pauses: Arc<Pauses>,
    pub(super) listings: Arc<Listings>,
    pub(super) ending: Arc<ShutdownState>,
}

/// Minimum age of a transfer with a line. Shorter ones would only flicker.
const LASTING: Duration = Duration::from_millis(700);

/// Samples counters, and keeps the samples that speeds need.
pub(super) struct ProgressMeter {
    sources: SampleSources,
    started: Instant,
    speeds: SpeedSamples,
    left: TimeLeft,
    /// Transfers with a line, each at its position.
    places: [Option<u64>; LARGEST],
    /// Time at which each flowing transfer was first seen.
    seen: HashMap<u64, Instant>,
}

impl ProgressMeter {
    /// Creates a meter that averages the current speed over `window`.
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

    /// Returns the progress of the run.
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
            sends_nothing: sources.sends_nothing,
            moved,
            remaining,
            speed: self.speeds.now(now, moved),
            average: per_second(moved, elapsed),
            left: self.left.next(now, known),
            listings: sources.listings.running(),
            pauses: sources.pauses.current(now),
            transfers,
            flowing_transfers: flowing,
            waiting_transfers: in_flight.len() as u64 - flowing,
            ending: sources.ending.state(now),
        }
    }
}

/// Returns the bytes that are not sent yet.
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

/// Assigns the largest transfers to the positions. A transfer keeps its position until it ends.
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
