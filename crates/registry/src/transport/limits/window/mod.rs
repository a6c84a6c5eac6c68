//! Width of a window: it grows while answers come quickly, and shrinks when a host is overloaded.
//!
//! A pure controller: its input is the results of requests, its output the number that may be in flight. The rules
//! (additive increase, multiplicative decrease):
//!
//! - It grows only on a good answer that came while the window was full: an unused window proves nothing. Up to a
//!   threshold it grows by one per answer, which doubles it in a round trip; above, by one per round. There is no
//!   threshold until the first overload, so that a short run is not over before the window is wide.
//! - A 429 or 503 halves it, and sets the threshold to that half. Requests from before the halving prove nothing about
//!   the narrower window, so it is halved at most once per round trip. During a series of refusals the threshold stays
//!   where the series began, so that the window recovers quickly.
//! - Two refused or reset connections in a round have the same effect if others were answered: some servers bound their
//!   connections in this way. A single one is chance, and a host that answers nobody is down, which no window fixes.
//! - Rising latency: the answers to HEADs all cost a registry about the same, so the mean of a round is compared with
//!   the best recent one. One and a half times the best stops the growth; twice the best means that half of the window
//!   waits in a queue of the host, and narrows it in proportion, never below [`LEAST_BY_LATENCY`]. The best expires
//!   after a while, since routes change. Under steady load no answer is as quick as from an idle host, so the best is
//!   then measured again over one round at half the width.
//!
//! Bodies have no comparable latency: they differ in length, and the answer to a closing PUT comes after the registry
//! has hashed. Their speed proves nothing either, since the share of a stream shrinks with every other one. Above its
//! start, their window therefore grows only if bodies are complete quickly, where more at a time help, and only errors
//! shrink it.

use std::time::Duration;

use tokio::time::Instant;

use crate::transport::limits::WindowBounds;

/// Latency alone does not narrow a window below this: so short a queue delays nobody for long.
const LEAST_BY_LATENCY: f64 = 8.0;
/// A mean beyond this multiple of the best stops the growth, if it also exceeds the best by this much time.
const HOLD: (f64, Duration) = (1.5, Duration::from_millis(5));
/// The same, for narrowing the window.
const NARROW: (f64, Duration) = (2.0, Duration::from_millis(20));
/// No answer counts for more than this multiple of the best: one that hangs is no sign of load.
const OUTLIER: f64 = 8.0;
/// Minimum number of answers in a round. The mean of fewer is noise.
const LEAST_ROUND: u32 = 8;
/// Time after which the best latency expires.
const BELIEVED: Duration = Duration::from_secs(30);
/// Number of connections in one round that must break to be a sign of overload.
const BREAKS: u32 = 2;

/// A good answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct MeasuredResponse {
    /// The [`ConcurrencyWindow::epoch`] in which the request was sent.
    pub(super) epoch: u64,
    /// Time of the answer.
    pub(super) at: Instant,
    /// True if the window was full.
    pub(super) full: bool,
    /// True if more requests than the start value cost little and may help.
    pub(super) roomy: bool,
    /// Latency, for comparable requests.
    pub(super) latency: Option<Duration>,
}

/// The width of one window.
#[derive(Debug)]
pub(super) struct ConcurrencyWindow {
    bounds: WindowBounds,
    size: f64,
    /// Threshold up to which growth is fast.
    brake: f64,
    /// Number of changes after which earlier requests prove nothing.
    epoch: u64,
    /// Good answers in this epoch.
    good: u32,
    /// Broken connections in this epoch.
    breaks: u32,
    /// Refusals since the last complete round of good answers.
    storm: bool,
    pace: LatencyRound,
    /// Width to return to after the best latency was measured again.
    probing: Option<f64>,
}

/// Latencies of the present round, compared with the best.
#[derive(Debug, Default)]
struct LatencyRound {
    /// The best in seconds, and the last time at which an answer came near it.
    best: Option<(f64, Instant)>,
    sum: f64,
    count: u32,
    /// True if the last round was too slow for growth.
    held: bool,
}

/// Result of a round.
enum RoundResult {
    Steady,
    /// The window is too wide by this factor.
    Narrow(f64),
    /// The best has expired.
    Stale,
}

impl ConcurrencyWindow {
    pub(super) fn new(bounds: WindowBounds) -> Self {
        Self {
            bounds,
            size: float(bounds.start.max(1)),
            brake: f64::INFINITY,
            epoch: 0,
            good: 0,
            breaks: 0,
            storm: false,
            pace: LatencyRound::default(),
            probing: None,
        }
    }
    /// Number of requests that may be in flight; at least one.
    pub(super) fn size(&self) -> usize {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 1, and no larger than what came from a usize"
        )]
        let size = self.size as usize;
        size.max(1)
    }
    /// Returns the epoch, which a request that starts now must remember.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }
    /// Records a good answer.
    pub(super) fn record_answer(&mut self, answer: &MeasuredResponse) {
        if answer.epoch != self.epoch {
            return;
        }
        self.good = self.good.saturating_add(1);
        if f64::from(self.good) >= self.size {
            self.storm = false;
            if let Some(size) = self.probing.take() {
                self.size = size;
                self.start_round();
                return;
            }
        }
        if let Some(latency) = answer.latency
            && self.paced(latency, answer.at)
        {
            return;
        }
        if answer.full && !self.pace.held && self.probing.is_none() {
            self.grow(answer.roomy);
        }
    }
    /// Records an answer with 429 or 503. Returns the new width if it changed.
    pub(super) fn overloaded(&mut self, epoch: u64) -> Option<usize> {
        let before = self.size();
        if epoch != self.epoch || before == 1 {
            return None;
        }
        let half = self.size / 2.0;
        if !self.storm {
            self.brake = half;
        }
        self.storm = true;
        self.narrow_to(half.max(1.0));
        Some(self.size())
    }
    /// Records a connection that was refused or broke before an answer. Returns the new width if it changed.
    pub(super) fn broke(&mut self, epoch: u64) -> Option<usize> {
        if epoch != self.epoch {
            return None;
        }
        self.breaks = self.breaks.saturating_add(1);
        if self.breaks < BREAKS || self.good == 0 {
            return None;
        }
        self.overloaded(epoch)
    }
    fn grow(&mut self, roomy: bool) {
        let (start, most) = (float(self.bounds.start), float(self.bounds.most));
        let most = if roomy { most.max(start) } else { start };
        if self.size >= most {
            return;
        }
        let step = if self.size < self.brake {
            1.0
        } else {
            1.0 / self.size
        };
        self.size = (self.size + step).min(most);
    }
    /// Records a latency. Returns true if that ended the epoch.
    fn paced(&mut self, latency: Duration, at: Instant) -> bool {
        let round = self
            .pace
            .add_latency(latency.as_secs_f64(), at, self.size());
        match round {
            _ if self.probing.is_some() => false,
            None | Some(RoundResult::Steady) => false,
            Some(RoundResult::Narrow(times)) => {
                let least = LEAST_BY_LATENCY.min(float(self.bounds.start));
                let size = (self.size / times.min(2.0)).max(least);
                if size >= self.size {
                    return false;
                }
                self.brake = size;
                self.narrow_to(size);
                true
            }
            Some(RoundResult::Stale) => {
                let size = self.size;
                self.narrow_to((size / 2.0).max(1.0));
                self.pace.best = None;
                self.probing = Some(size);
                true
            }
        }
    }
    fn narrow_to(&mut self, size: f64) {
        self.size = size;
        self.probing = None;
        self.start_round();
    }
    /// Starts a new epoch: earlier requests prove nothing from now on.
    fn start_round(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.good = 0;
        self.breaks = 0;
        self.pace.begin();
    }
}

impl LatencyRound {
    fn begin(&mut self) {
        self.sum = 0.0;
        self.count = 0;
        self.held = false;
    }
    /// Records a latency in seconds, of a window of `size`. Returns the result of the round if it is complete.
    fn add_latency(&mut self, latency: f64, at: Instant, size: usize) -> Option<RoundResult> {
        let (best, near) = match self.best {
            Some((best, near)) if latency > best * 1.1 => (best, near),
            Some((best, _)) => (best.min(latency), at),
            None => (latency, at),
        };
        self.best = Some((best, near));
        self.sum += latency.min(best * OUTLIER);
        self.count = self.count.saturating_add(1);
        let round = u32::try_from(size).unwrap_or(u32::MAX).max(LEAST_ROUND);
        if self.count < round {
            return None;
        }
        let mean = self.sum / f64::from(self.count);
        let beyond = |(times, least): (f64, Duration)| {
            mean > best * times && mean - best > least.as_secs_f64()
        };
        self.begin();
        if !beyond(HOLD) {
            return Some(RoundResult::Steady);
        }
        self.held = true;
        if at.saturating_duration_since(near) > BELIEVED {
            return Some(RoundResult::Stale);
        }
        Some(if beyond(NARROW) {
            RoundResult::Narrow(mean / (best * NARROW.0))
        } else {
            RoundResult::Steady
        })
    }
}

/// Windows are far narrower than the exact range of a float.
fn float(size: usize) -> f64 {
    f64::from(u32::try_from(size).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
