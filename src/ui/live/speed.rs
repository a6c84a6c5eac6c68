//! How fast it goes, and how long it will take.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Over which time the speed of this moment is taken: long enough not to flicker.
pub(super) const MOMENTS: Duration = Duration::from_secs(5);

/// Over which time the speed is taken that tells how long it will take.
const WHILE: Duration = Duration::from_secs(30);

/// How far samples lie apart at least, so that few are kept.
const APART: Duration = Duration::from_millis(250);

/// Before this, nothing is said of how long it will take.
const EARLY: Duration = Duration::from_secs(5);

/// How many images must have ended, or which part of them, before their pace says anything.
const ENOUGH_IMAGES: u64 = 50;
const ENOUGH_PART: u64 = 20;

/// How quickly what is said follows what is known, in seconds: after this, two thirds of the way are gone.
const INERTIA: f64 = 10.0;

/// Bytes at some moments of the last while.
#[derive(Debug)]
pub(super) struct SpeedSamples {
    window: Duration,
    samples: VecDeque<(Instant, u64)>,
}

impl SpeedSamples {
    /// Speeds of which that of the moment is taken over `window`.
    pub(super) fn new(start: Instant, window: Duration) -> Self {
        Self {
            window,
            samples: VecDeque::from([(start, 0)]),
        }
    }

    /// At this moment so many bytes were moved since the start.
    pub(super) fn sample(&mut self, now: Instant, bytes: u64) {
        let keep = self.window.max(WHILE);
        // The oldest that is kept is as old as the window, or a bit older.
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

    /// Bytes a second over the last moments; `None` where nothing moved.
    pub(super) fn now(&self, now: Instant, bytes: u64) -> Option<u64> {
        self.over(self.window, now, bytes)
    }

    /// Bytes a second over a longer while.
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

/// Bytes a second; `None` where that would say nothing.
pub(super) fn per_second(bytes: u64, time: Duration) -> Option<u64> {
    let milliseconds = time.as_millis();
    if bytes == 0 || milliseconds < 100 {
        return None;
    }
    u64::try_from(u128::from(bytes) * 1000 / milliseconds).ok()
}

/// What is known of the work that is left.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RemainingWork {
    /// Since the start.
    pub(super) elapsed: Duration,
    /// Whether more images may be found.
    pub(super) listing: bool,
    pub(super) found: u64,
    pub(super) ended: u64,
    pub(super) under_way: u64,
    /// Bytes that are known to be left to send.
    pub(super) remaining: u64,
    /// Bytes a second.
    pub(super) speed: Option<u64>,
}

/// How long the rest will take if all goes on as before; `None` where that cannot be told. The bytes that are known
/// to be left are one bound. Images that were not begun may take others, which nobody knows yet: that the rest of the
/// images will take as long as those before is the other.
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

/// What is said of how long it will take: it follows what is known slowly, and counts down meanwhile.
#[derive(Debug, Default)]
pub(super) struct TimeLeft(Option<(Instant, f64)>);

impl TimeLeft {
    /// What to say at this moment, where `known` is known.
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

/// What remains of `bytes` at the steady speed of `speeds`, in `work`.
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
    fn the_speed_of_the_moment_forgets_what_was_before() {
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
    fn the_rest_takes_as_long_as_its_bytes_or_as_its_images() {
        assert_eq!(estimate(work()), Some(60 * SECOND));
        let bytes = |remaining| RemainingWork {
            remaining,
            speed: Some(1_000),
            ..work()
        };
        assert_eq!(estimate(bytes(30_000)), Some(60 * SECOND));
        assert_eq!(estimate(bytes(90_000)), Some(90 * SECOND));
        // When all have begun, the bytes that are left are all that there is.
        let all_begun = RemainingWork {
            under_way: 50,
            ..bytes(2_500)
        };
        assert_eq!(estimate(all_begun), Some(3 * SECOND));
    }

    #[test]
    fn nothing_is_said_until_it_means_something() {
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
    fn what_is_said_counts_down_and_never_jumps() {
        let start = Instant::now();
        let mut left = TimeLeft::default();
        let at = |tenths: u32| start + tenths * SECOND / 10;
        let mut said = left.next(at(0), Some(100 * SECOND)).unwrap();
        assert_eq!(said, 100 * SECOND);
        // What is known leaps up and down; what is said moves by a few hundredths of the leap at most.
        for tenths in 1..1000 {
            let known = if tenths % 50 < 25 { 30 } else { 300 };
            let next = left.next(at(tenths), Some(known * SECOND)).unwrap();
            assert!(next.abs_diff(said) < 4 * SECOND, "{said:?} {next:?}");
            said = next;
        }
        // When it counts down as time passes, what is said comes there.
        for tenths in 1000..2000 {
            let known = (3_000 - tenths) * SECOND / 10;
            said = left.next(at(tenths), Some(known)).unwrap();
        }
        assert!(said.abs_diff(100 * SECOND) < 2 * SECOND, "{said:?}");
        assert_eq!(left.next(at(2000), None), None);
    }
}
