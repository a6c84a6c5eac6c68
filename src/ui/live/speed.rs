//! Speed of a run, and its remaining time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Window of the current speed: long enough not to flicker.
pub(super) const MOMENTS: Duration = Duration::from_secs(5);

/// Window of the speed that estimates the remaining time.
const WHILE: Duration = Duration::from_secs(30);

/// Minimum interval between samples, so that few are kept.
const APART: Duration = Duration::from_millis(250);

/// Time without an estimate at the start.
const EARLY: Duration = Duration::from_secs(5);

/// Number of ended images, or part of all images, from which their pace is used.
const ENOUGH_IMAGES: u64 = 50;
const ENOUGH_PART: u64 = 20;

/// Time constant of the displayed estimate in seconds: after it, two thirds of a change are visible.
const INERTIA: f64 = 10.0;

/// Sampled bytes of the recent past.
#[derive(Debug)]
pub(super) struct SpeedSamples {
    window: Duration,
    samples: VecDeque<(Instant, u64)>,
}

impl SpeedSamples {
    /// Creates samples with a current speed over `window`.
    pub(super) fn new(start: Instant, window: Duration) -> Self {
        Self {
            window,
            samples: VecDeque::from([(start, 0)]),
        }
    }

    /// Adds a sample: bytes since the start.
    pub(super) fn sample(&mut self, now: Instant, bytes: u64) {
        let keep = self.window.max(WHILE);
        // The oldest sample that is kept is as old as the window, or a little older.
        while let Some((second, _)) = self.samples.get(1)
            && now.duration_since(*second) >= keep
        {
            self.samples.pop_front();
        }
        let last = self.samples.back();
        if last.is_none_or(|(last, _)| now.duration_since(*last) >= APART) {
            self.samples.push_back((now, bytes));
        }
    }

    /// Returns bytes per second over the window; `None` if nothing moved.
    pub(super) fn now(&self, now: Instant, bytes: u64) -> Option<u64> {
        self.over(self.window, now, bytes)
    }

    /// Returns bytes per second over a longer time.
    fn steady(&self, now: Instant, bytes: u64) -> Option<u64> {
        self.over(WHILE, now, bytes)
    }

    fn over(&self, window: Duration, now: Instant, bytes: u64) -> Option<u64> {
        let from = self
            .samples
            .iter()
            .rev()
            .find(|(at, _)| now.duration_since(*at) >= window)
            .or_else(|| self.samples.front())?;
        per_second(bytes.saturating_sub(from.1), now.duration_since(from.0))
    }
}

/// Returns bytes per second; `None` if that has no meaning.
pub(super) fn per_second(bytes: u64, time: Duration) -> Option<u64> {
    let milliseconds = time.as_millis();
    if bytes == 0 || milliseconds < 100 {
        return None;
    }
    u64::try_from(u128::from(bytes) * 1000 / milliseconds).ok()
}

/// Known part of the remaining work.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RemainingWork {
    /// Time since the start.
    pub(super) elapsed: Duration,
    /// More images may be found.
    pub(super) listing: bool,
    pub(super) found: u64,
    pub(super) ended: u64,
    pub(super) under_way: u64,
    /// Bytes that are known to be missing.
    pub(super) remaining: u64,
    /// Bytes per second.
    pub(super) speed: Option<u64>,
}

/// Estimates the remaining time at the current pace; `None` if it is unknown. One bound is the number of bytes that are
/// known to be missing. The other is the number of images: the rest may take as long per image as those before.
pub(super) fn estimate(work: RemainingWork) -> Option<Duration> {
    if work.listing || work.elapsed < EARLY || work.ended >= work.found {
        return None;
    }
    let by_bytes = match (work.remaining, work.speed) {
        (0, _) => None,
        (_, None) => return None,
        (bytes, Some(speed)) => Some(bytes.div_ceil(speed.max(1))),
    };
    let waiting = work.found.saturating_sub(work.ended + work.under_way);
    let by_images = if waiting == 0 {
        None
    } else if work.ended >= ENOUGH_IMAGES || work.ended * ENOUGH_PART >= work.found {
        let left = u128::from(work.found - work.ended);
        let time = work.elapsed.as_millis() * left / u128::from(work.ended.max(1));
        u64::try_from(time / 1000).ok()
    } else {
        return None;
    };
    by_bytes.max(by_images).map(Duration::from_secs)
}

/// Displayed remaining time. It follows the estimate slowly, and counts down in between.
#[derive(Debug, Default)]
pub(super) struct TimeLeft(Option<(Instant, f64)>);

impl TimeLeft {
    /// Returns the time to display, for the estimate `known`.
    pub(super) fn next(&mut self, now: Instant, known: Option<Duration>) -> Option<Duration> {
        let known = known.map(|time| time.as_secs_f64());
        let said = match (self.0, known) {
            (_, None) => None,
            (None, Some(known)) => Some(known),
            (Some((before, said)), Some(known)) => {
                let passed = now.duration_since(before).as_secs_f64();
                let due = (said - passed).max(0.0);
                Some(due + (known - due) * (1.0 - (-passed / INERTIA).exp()))
            }
        };
        self.0 = said.map(|said| (now, said));
        said.and_then(|said| Duration::try_from_secs_f64(said).ok())
    }
}

/// Returns `work` with the steady speed of `speeds`.
pub(super) fn steadily(
    speeds: &SpeedSamples,
    now: Instant,
    moved: u64,
    work: RemainingWork,
) -> RemainingWork {
    RemainingWork {
        speed: speeds.steady(now, moved),
        ..work
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_current_speed_forgets_the_past() {
        let start = Instant::now();
        let mut speeds = SpeedSamples::new(start, MOMENTS);
        assert_eq!(speeds.now(start, 0), None);
        for second in 1..=100 {
            // 1000 B/s for a minute, then nothing.
            let bytes = 1000 * u64::from(second.min(60_u32));
            let now = start + second * SECOND;
            speeds.sample(now, bytes);
            let expected = match second {
                ..=60 => Some(1000),
                61..=64 => Some(u64::from(65 - second) * 200),
                _ => None,
            };
            assert_eq!(speeds.now(now, bytes), expected, "{second}");
        }
        assert!(speeds.samples.len() <= 32, "{}", speeds.samples.len());
    }

    fn work() -> RemainingWork {
        RemainingWork {
            elapsed: 60 * SECOND,
            found: 100,
            ended: 50,
            under_way: 10,
            ..RemainingWork::default()
        }
    }

    #[test]
    fn the_estimate_is_the_larger_of_two_bounds() {
        assert_eq!(estimate(work()), Some(60 * SECOND));
        let bytes = |remaining| RemainingWork {
            remaining,
            speed: Some(1_000),
            ..work()
        };
        assert_eq!(estimate(bytes(30_000)), Some(60 * SECOND));
        assert_eq!(estimate(bytes(90_000)), Some(90 * SECOND));
        // If all images have started, the known bytes are all that is missing.
        let all_begun = RemainingWork {
            under_way: 50,
            ..bytes(2_500)
        };
        assert_eq!(estimate(all_begun), Some(3 * SECOND));
    }

    #[test]
    fn there_is_no_estimate_without_enough_data() {
        let early = RemainingWork {
            elapsed: 4 * SECOND,
            ..work()
        };
        let listing = RemainingWork {
            listing: true,
            ..work()
        };
        let few = RemainingWork { ended: 4, ..work() };
        let stuck = RemainingWork {
            remaining: 1,
            ..work()
        };
        let done = RemainingWork {
            ended: 100,
            ..work()
        };
        for work in [early, listing, few, stuck, done] {
            assert_eq!(estimate(work), None, "{work:?}");
        }
    }

    #[test]
    fn the_displayed_time_counts_down_and_never_jumps() {
        let start = Instant::now();
        let mut left = TimeLeft::default();
        let at = |tenths: u32| start + tenths * SECOND / 10;
        let mut said = left.next(at(0), Some(100 * SECOND)).unwrap();
        assert_eq!(said, 100 * SECOND);
        // The estimate jumps up and down; the display moves by a few per cent of the jump at most.
        for tenths in 1..1000 {
            let known = if tenths % 50 < 25 { 30 } else { 300 };
            let next = left.next(at(tenths), Some(known * SECOND)).unwrap();
            assert!(next.abs_diff(said) < 4 * SECOND, "{said:?} {next:?}");
            said = next;
        }
        // If the estimate counts down steadily, the display reaches it.
        for tenths in 1000..2000 {
            let known = (3_000 - tenths) * SECOND / 10;
            said = left.next(at(tenths), Some(known)).unwrap();
        }
        assert!(said.abs_diff(100 * SECOND) < 2 * SECOND, "{said:?}");
        assert_eq!(left.next(at(2000), None), None);
    }
}
