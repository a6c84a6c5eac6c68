//! How wide a window is: grows while answers come quickly, shrinks when a host is not happy.
//!
//! A pure controller: it is told what became of requests and says how many may be in flight. The rules (additive
//! increase, multiplicative decrease):
//!
//! - It grows only on a good answer that came while the window was full: a window that is not used says nothing. Up
//!   to a brake it grows by one an answer, which doubles it in a round trip; above, by one a round. There is no brake
//!   until the first trouble, so that a short run is not over before the window is wide.
//! - A 429 or 503 halves it, and sets the brake to that half. What was sent before the halving says nothing about the
//!   narrower window, so it is halved at most once a round trip. In a storm of refusals the brake stays where the storm
//!   began, so that the way back is short.
//! - Two connections of a round that are refused or reset do the same where others were answered: servers that bound
//!   their connections do that. One alone is chance, and a host that answers nobody is down, which no window mends.
//! - Rising latency: of the answers to HEADs, which all cost a registry about the same, the mean of a round is held
//!   against the best seen lately. Half as much again ends the growth; twice as much means that half of the window
//!   waits in a queue of the host, and narrows it in proportion, never below [`LEAST_BY_LATENCY`]. The best is
//!   forgotten after a while, as routes change; since under steady load no answer is ever as quick as an idle host's,
//!   it is then taken anew over one round at half the width.
//!
//! Bodies have no latency of that kind: they differ in length, and the answer to a closing PUT comes when the registry
//! has hashed. Their speed tells nothing either, since one stream's share shrinks with every other. Beyond its start
//! their window therefore grows only where bodies are over quickly, for which more at a time helps, and errors alone
//! shrink it.

use std::time::Duration;

use tokio::time::Instant;

use crate::transport::limits::WindowBounds;

/// Latency alone does not narrow a window below this: in so short a queue nobody waits long.
const LEAST_BY_LATENCY: f64 = 8.0;
/// A mean beyond this many times the best ends growth, where it is also beyond this much time.
const HOLD: (f64, Duration) = (1.5, Duration::from_millis(5));
/// The same, from where on the window narrows.
const NARROW: (f64, Duration) = (2.0, Duration::from_millis(20));
/// No answer counts for more than this many times the best: one that hangs is no sign of load.
const OUTLIER: f64 = 8.0;
/// A round has at least so many answers, or its mean is noise.
const LEAST_ROUND: u32 = 8;
/// How long the best latency is believed.
const BELIEVED: Duration = Duration::from_secs(30);
/// So many connections of one round have to break for that to be a sign.
const BREAKS: u32 = 2;

/// A good answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct MeasuredResponse {
    /// The [`ConcurrencyWindow::epoch`] in which the request was let go.
    pub(super) epoch: u64,
    /// When it came.
    pub(super) at: Instant,
    /// Whether no more requests could have been in flight.
    pub(super) full: bool,
    /// Whether more in flight than the window started with cost little and may help.
    pub(super) roomy: bool,
    /// How long it took, for requests that can be compared.
    pub(super) latency: Option<Duration>,
}

/// The width of one window.
#[derive(Debug)]
pub(super) struct ConcurrencyWindow {
    bounds: WindowBounds,
    size: f64,
    /// Up to here growth is fast.
    brake: f64,
    /// Counts the changes after which earlier requests tell nothing.
    epoch: u64,
    /// Good answers in this epoch.
    good: u32,
    /// Broken connections in this epoch.
    breaks: u32,
    /// Refusals since the last whole round of good answers.
    storm: bool,
    pace: LatencyRound,
    /// The width to return to once the best latency was taken anew.
    probing: Option<f64>,
}

/// The latencies of the present round against the best.
#[derive(Debug, Default)]
struct LatencyRound {
    /// The best in seconds, and when an answer last came near it.
    best: Option<(f64, Instant)>,
    sum: f64,
    count: u32,
    /// The last round was slow enough to grow no further.
    held: bool,
}

/// What a round came to.
enum RoundResult {
    Steady,
    /// The window is that many times too wide.
    Narrow(f64),
    /// The best is too old to judge.
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
    /// How many may be in flight; at least one.
    pub(super) fn size(&self) -> usize {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 1, and no larger than what came from a usize"
        )]
        let size = self.size as usize;
        size.max(1)
    }
    /// What a request that is let go now is to remember.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }
    /// A request was answered as it should be.
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
    /// A request was answered with 429 or 503; the new width, where that changed it.
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
    /// A connection was refused or broke before an answer; the new width, where that changed it.
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
    /// Takes note of a latency; whether that ended the epoch.
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
    /// What was sent until now tells nothing more.
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
    /// Takes a latency in seconds, of a window of `size`; says what the round came to, if this ends it.
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

/// Windows are far narrower than what a float holds exactly.
fn float(size: usize) -> f64 {
    f64::from(u32::try_from(size).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
