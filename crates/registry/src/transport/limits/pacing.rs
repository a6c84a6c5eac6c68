//! Rate that a registry can take, learned from its answers.
//!
//! A 429 pauses the registry for a time P. Without pacing, all that wait start at once afterwards, and many of them are
//! refused again. A registry that accepted N requests in the time T before it refused accepts about N in T + P if it is
//! paused each time. Requests start at nearly that rate, `N / (T + P)`,
//! from then on: those for the time of the pause together, the others evenly spaced. This is what the registry gets
//! without pacing, too, so pacing only leaves out what is refused.
//!
//! - The first 429s only suggest a limit: they may be chance, or come from a registry that limits requests in flight,
//!   which the window handles. The rate then doubles every [`DOUBLING`], and has no effect after a second. So a wrong
//!   suggestion costs a fraction of a second, and a right one a few refusals instead of a window full of them.
//! - A 429 below the present rate confirms the limit, and measures it again. While no other 429 comes, the rate rises by
//!   5 % in the first second, 22 % after two, 57 % after three, and has no effect after [`LAPSE`], so that a temporary
//!   limit is soon forgotten.
//! - A refusal that declares a pull quota concerns pulls alone, and teaches nothing.

use std::time::Duration;

use tokio::time::Instant;

use crate::transport::limits::bucket::Bucket;

/// Number of refusals in a row that suggest a limit. Fewer are chance.
const REFUSALS: u32 = 3;
/// Minimum number of accepted requests that suggest a limit.
const LEAST_ACCEPTED: u32 = 8;
/// Number of accepted requests that measure a rate well. A smaller number lowers a rate to half of it at most.
const WELL_MEASURED: u32 = 16;
/// A refusal confirms a limit if the rate before was below this multiple of the measured one. A registry that refuses
/// only far above it limits requests in flight.
const CONFIRMED: f64 = 4.0;
/// The part of the measured rate that is used.
const PART: f64 = 0.9;
/// Lowest rate a second.
const LOWEST: f64 = 1.0;
/// Time in which a suggested rate doubles.
const DOUBLING: Duration = Duration::from_millis(100);
/// Time after a pause at which a suggested rate has no effect any more.
const SUGGESTED_LAPSE: Duration = Duration::from_secs(1);
/// Exponent by which a confirmed rate grows, per square second.
const GROWTH: f64 = 0.05;
/// Time after a pause at which a confirmed rate has no effect any more.
const LAPSE: Duration = Duration::from_secs(12);
/// Time in which refusals belong together, if no pause follows.
const TOGETHER: Duration = Duration::from_millis(300);
/// Half of the time over which accepted requests are counted.
const SLOT: Duration = Duration::from_secs(4);

/// Number of accepted requests of the last 4 to 8 seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct AcceptedMeter {
    /// Start of the present slot.
    start: Instant,
    previous: u32,
    present: u32,
}

/// Accepted requests, and the time at which counting began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transport) struct Accepted {
    pub(super) count: u32,
    pub(super) since: Instant,
}

/// Refusals of one registry, and the rate that they taught.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    last: Option<Refusals>,
    learned: Option<LearnedRate>,
}

/// Refusals that belong together.
#[derive(Debug)]
struct Refusals {
    /// Time of the first one.
    at: Instant,
    /// Time of the last one.
    last: Instant,
    /// End of the pause after them.
    until: Instant,
    count: u32,
    /// Rate before them, if it was limited.
    before: Option<f64>,
    accepted: Accepted,
}

/// A rate, which grows.
#[derive(Debug)]
struct LearnedRate {
    /// Rate at the end of the pause.
    start: f64,
    resumed: Instant,
    /// True if the rate limited requests that were refused.
    is_confirmed: bool,
    bucket: Bucket,
}

impl AcceptedMeter {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            previous: 0,
            present: 0,
        }
    }
    /// Counts a request that was accepted at `at`.
    pub(super) fn record(&mut self, at: Instant) {
        self.advance(at);
        self.present = self.present.saturating_add(1);
    }
    /// Returns the count at `at`, and begins a new one.
    pub(super) fn restart(&mut self, at: Instant) -> Accepted {
        self.advance(at);
        let accepted = Accepted {
            count: self.previous.saturating_add(self.present),
            since: match self.previous {
                0 => self.start,
                _ => self.start.checked_sub(SLOT).unwrap_or(self.start),
            },
        };
        *self = Self::new(at);
        accepted
    }
    fn advance(&mut self, at: Instant) {
        let elapsed = at.saturating_duration_since(self.start);
        if elapsed >= SLOT * 2 {
            *self = Self::new(at);
        } else if elapsed >= SLOT {
            self.previous = self.present;
            self.present = 0;
            self.start += SLOT;
        }
    }
}

impl Accepted {
    /// Returns the sum of two counts.
    pub(super) fn plus(self, other: Self) -> Self {
        match (self.count, other.count) {
            (_, 0) => self,
            (0, _) => other,
            (own, more) => Self {
                count: own.saturating_add(more),
                since: self.since.min(other.since),
            },
        }
    }
}

impl Pacing {
    /// Records an answer with 429. `accepted` returns the count of accepted requests, and begins a new one.
    pub(super) fn record_refusal(&mut self, now: Instant, accepted: impl FnOnce() -> Accepted) {
        let before = self.rate(now);
        match &mut self.last {
            Some(last) if now <= last.until => {
                last.count = last.count.saturating_add(1);
                last.last = now;
            }
            last => {
                let resumed = last.as_ref().map(|last| last.until);
                let Accepted { count, since } = accepted();
                let since = resumed.map_or(since, |resumed| since.max(resumed));
                *last = Some(Refusals {
                    at: now,
                    last: now,
                    until: now + TOGETHER,
                    count: 1,
                    before,
                    accepted: Accepted { count, since },
                });
            }
        }
    }
    /// Records a pause for `delay` after a refusal.
    pub(super) fn record_pause(&mut self, now: Instant, delay: Duration) {
        let Some(last) = self.last.as_mut().filter(|last| now <= last.until) else {
            return;
        };
        last.until = last.until.max(now.checked_add(delay).unwrap_or(now));
        let Some(start) = last.rate() else {
            return;
        };
        let bucket = Bucket::new(start);
        bucket.refill(last.last, last.until.saturating_duration_since(last.last));
        self.learned = Some(LearnedRate {
            start,
            resumed: last.until,
            is_confirmed: last.before.is_some_and(|before| before < CONFIRMED * start),
            bucket,
        });
    }
    /// Takes one request. Returns the time at which it may start, or `None` without a limit.
    pub(super) fn take(&self, now: Instant) -> Option<Instant> {
        let LearnedRate { bucket, .. } = self.learned.as_ref()?;
        self.rate(now)?;
        // The rate of the time at which the next one is paid for, so that those in the queue profit from its growth.
        let start = bucket.next_free().max(now);
        bucket.set_rate(self.learned.as_ref()?.rate_at(start));
        Some(bucket.take(1))
    }
    /// Returns the end of the pause after which the present rate holds, or `None` without a limit.
    pub(super) fn resumed(&self, now: Instant) -> Option<Instant> {
        let learned = self.learned.as_ref()?;
        learned.rate(now).map(|_| learned.resumed)
    }
    /// Returns the present rate, or `None` without a limit.
    pub(super) fn rate(&self, now: Instant) -> Option<f64> {
        self.learned.as_ref()?.rate(now)
    }
}

impl Refusals {
    fn pause(&self) -> Duration {
        self.until.saturating_duration_since(self.at)
    }
    /// Returns the rate to use after the pause, if they teach one.
    fn rate(&self) -> Option<f64> {
        let counted = self.at.saturating_duration_since(self.accepted.since);
        let time = counted + self.pause();
        let Accepted { count, .. } = self.accepted;
        let measured = (PART * f64::from(count) / time.as_secs_f64()).max(LOWEST);
        let is_limit = self.count >= REFUSALS && count >= LEAST_ACCEPTED;
        match self.before {
            Some(before) if count < WELL_MEASURED => Some(measured.max(before / 2.0).min(before)),
            Some(before) => Some(measured.min(before)),
            None => is_limit.then_some(measured),
        }
    }
}

impl LearnedRate {
    /// Returns the rate at `now`, or `None` if it has no effect any more.
    fn rate(&self, now: Instant) -> Option<f64> {
        let lapse = if self.is_confirmed {
            LAPSE
        } else {
            SUGGESTED_LAPSE
        };
        let elapsed = now.saturating_duration_since(self.resumed);
        (elapsed < lapse).then(|| self.rate_at(now))
    }
    fn rate_at(&self, time: Instant) -> f64 {
        let seconds = time.saturating_duration_since(self.resumed).as_secs_f64();
        let exponent = if self.is_confirmed {
            GROWTH * seconds * seconds
        } else {
            std::f64::consts::LN_2 * seconds / DOUBLING.as_secs_f64()
        };
        self.start * exponent.exp()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns pacing after `count` accepted requests in a second, three refusals, and a pause of a second that begins
    /// at `at`.
    fn refused(pacing: &mut Pacing, at: Instant, count: u32) {
        for _ in 0..REFUSALS {
            let since = at.checked_sub(SECOND).unwrap();
            pacing.record_refusal(at, || Accepted { count, since });
        }
        pacing.record_pause(at, SECOND);
    }

    /// Returns the rate at `time`, rounded.
    fn rate(pacing: &Pacing, time: Instant) -> Option<i64> {
        #[allow(clippy::cast_possible_truncation)]
        pacing.rate(time).map(|rate| rate.round() as i64)
    }

    #[tokio::test(start_paused = true)]
    async fn the_meter_counts_the_last_seconds() {
        let start = Instant::now();
        let mut meter = AcceptedMeter::new(start);
        for second in 0..7 {
            meter.record(start + second * SECOND);
        }
        let accepted = meter.restart(start + 7 * SECOND);
        assert_eq!((accepted.count, accepted.since), (7, start));
        for second in 8..20 {
            meter.record(start + second * SECOND);
        }
        let accepted = meter.restart(start + 20 * SECOND);
        assert_eq!((accepted.count, accepted.since), (5, start + 15 * SECOND));
        let accepted = meter.restart(start + 90 * SECOND);
        assert_eq!((accepted.count, accepted.since), (0, start + 90 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_suggested_rate_doubles_and_a_confirmed_one_rises_slowly() {
        let start = Instant::now() + SECOND;
        let mut pacing = Pacing::default();
        assert_eq!(rate(&pacing, start), None);
        refused(&mut pacing, start, 100);
        // 90 % of 100 in two seconds.
        let resumed = start + SECOND;
        let after = |millis: u64| resumed + Duration::from_millis(millis);
        let rates = [0, 100, 200, 900].map(|millis| rate(&pacing, after(millis)));
        assert_eq!(rates, [Some(45), Some(90), Some(180), Some(23_040)]);
        assert_eq!(rate(&pacing, after(1_000)), None);
        // The second one counts from the end of the pause: 20 in 0.1 s, and the pause.
        pacing.record_refusal(after(100), || Accepted {
            count: 60,
            since: start,
        });
        pacing.record_pause(after(100), SECOND);
        let after = |millis: u64| resumed + Duration::from_millis(1_100 + millis);
        let rates = [0, 1_000, 2_000, 3_000].map(|millis| rate(&pacing, after(millis)));
        assert_eq!(rates, [Some(49), Some(52), Some(60), Some(77)]);
        assert_eq!(rate(&pacing, after(12_000)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_refusals_or_accepted_requests_teach_nothing() {
        let start = Instant::now() + SECOND;
        let mut pacing = Pacing::default();
        refused(&mut pacing, start, LEAST_ACCEPTED - 1);
        assert_eq!(rate(&pacing, start), None);
        let mut pacing = Pacing::default();
        for _ in 1..REFUSALS {
            pacing.record_refusal(start, || Accepted {
                count: 100,
                since: start,
            });
        }
        pacing.record_pause(start, SECOND);
        assert_eq!(rate(&pacing, start), None);
        assert_eq!(pacing.take(start), None);
    }

    #[tokio::test(start_paused = true)]
    async fn those_for_the_time_of_the_pause_start_together() {
        let mut pacing = Pacing::default();
        tokio::time::advance(SECOND).await;
        refused(&mut pacing, Instant::now(), 100);
        tokio::time::advance(SECOND).await;
        let now = Instant::now();
        let turns: Vec<_> = std::iter::repeat_with(|| pacing.take(now).unwrap())
            .take(53)
            .map(|turn| turn.saturating_duration_since(now).as_millis())
            .collect();
        assert!(turns.iter().take(46).all(|wait| *wait == 0), "{turns:?}");
        assert_eq!(turns.get(46..), Some(&[22, 41, 57, 72, 86, 98, 109][..]));
    }
}
