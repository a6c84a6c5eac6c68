//! Number of connections for a large blob. Knows no clock and no network: the caller reports what arrived, and reads
//! the wanted number of connections.
//!
//! Only a trial shows whether a line carries more than one connection uses. So connections are added while the consumer
//! waits for bytes. They stay if the total rate grows by at least half of what the same number of old connections
//! carried ([`RangeOptions::gain`]). Otherwise they are closed, and the next trial follows after a rest that doubles
//! each time.

use std::time::Duration;

use super::RangeOptions;

/// Number of slow periods in a row before the first trial: a machine that is busy for a moment is not a slow line.
const DOUBT: u32 = 3;
/// Periods without a trial after the first trial without gain.
const REST: u32 = 40;
/// Periods without a trial after a connection broke, or if no permit was free for one.
const BREATH: u32 = 8;

/// Measures the rate and decides on the number of connections.
#[derive(Debug)]
pub(super) struct ParallelismTuner {
    options: RangeOptions,
    /// Wanted number of connections.
    wanted: usize,
    /// Current period: its length, the bytes that arrived in it, and the time spent waiting for them.
    elapsed: Duration,
    came: u64,
    /// Bytes of all large blobs at the start of the period, and now.
    before: u64,
    all: u64,
    waited: Duration,
    /// Maximum number of connections in the period.
    flowing: usize,
    /// A connection broke since the last period that counted.
    broken: bool,
    /// This period does not count: connections start slowly, and leave a gap when they end.
    settling: bool,
    trial: Option<ParallelismTrial>,
    /// Periods until the next trial.
    rest: u32,
    /// Periods of rest after the next trial without gain.
    next_rest: u32,
    /// Periods in a row in which more connections may have helped.
    slow: u32,
    /// Bytes per second in the last period that counted.
    rate: u64,
}

/// State before connections were added.
#[derive(Clone, Copy, Debug)]
struct ParallelismTrial {
    connections: usize,
    rate: u64,
}

impl ParallelismTuner {
    pub(super) fn new(options: RangeOptions) -> Self {
        Self {
            options,
            wanted: 1,
            elapsed: Duration::ZERO,
            came: 0,
            before: 0,
            all: 0,
            waited: Duration::ZERO,
            flowing: 0,
            broken: false,
            settling: true,
            trial: None,
            rest: 0,
            next_rest: REST,
            slow: 0,
            rate: 0,
        }
    }

    /// Returns the wanted number of connections.
    pub(super) fn connections(&self) -> usize {
        self.wanted
    }

    /// Returns the last measured rate in bytes per second.
    pub(super) fn rate(&self) -> u64 {
        self.rate
    }

    /// Records `bytes` from the network; `all` is the total of all large blobs since the start of the run.
    pub(super) fn record_bytes(&mut self, bytes: u64, all: u64) {
        if self.came == 0 {
            self.before = all.saturating_sub(bytes);
        }
        self.came = self.came.saturating_add(bytes);
        self.all = all;
    }

    /// Records that the consumer waited for bytes for `waited`, after it was busy for `busy`.
    pub(super) fn spent(&mut self, busy: Duration, waited: Duration) {
        self.elapsed = self.elapsed.saturating_add(busy).saturating_add(waited);
        self.waited = self.waited.saturating_add(waited);
    }

    /// Checks the period, and ends it if it is over. `flowing` is the current number of connections.
    pub(super) fn end_period(&mut self, flowing: usize) {
        self.flowing = self.flowing.max(flowing);
        let over = self.elapsed >= self.options.period && self.came >= self.options.segment / 2;
        if !over {
            return;
        }
        let rate = per_second(self.came, self.elapsed);
        let line = per_second(self.all.saturating_sub(self.before), self.elapsed);
        let hungry = self.waited.saturating_mul(2) >= self.elapsed;
        (self.elapsed, self.waited, self.came) = (Duration::ZERO, Duration::ZERO, 0);
        let flowing = std::mem::take(&mut self.flowing);
        if std::mem::take(&mut self.settling) {
            return;
        }
        self.rate = rate;
        self.broken = false;
        self.rest = self.rest.saturating_sub(1);
        match self.trial.take() {
            Some(before) if flowing <= before.connections => {
                // No permit was free for them.
                self.wanted = flowing.max(1);
                self.rest = BREATH;
            }
            Some(before) if hungry && !self.is_worthwhile(before, flowing, rate) => {
                self.change(before.connections);
                self.rest = self.next_rest;
                self.next_rest = self.next_rest.saturating_mul(2);
            }
            _ if hungry && self.rest == 0 => self.grow(flowing, line),
            _ => self.slow = 0,
        }
    }

    /// Returns whether `flowing` connections with a total of `rate` are worthwhile.
    fn is_worthwhile(&self, before: ParallelismTrial, flowing: usize, rate: u64) -> bool {
        let added = flowing.saturating_sub(before.connections) as u64;
        let share = before.rate / before.connections.max(1) as u64;
        let gain = share
            .saturating_mul(added)
            .saturating_mul(self.options.gain)
            / 100;
        self.options.gain == 0 || rate >= before.rate.saturating_add(gain)
    }

    fn grow(&mut self, flowing: usize, line: u64) {
        let flowing = flowing.max(1);
        let each = self.rate / flowing as u64;
        // Bytes of other blobs over the same line count as well; bytes of ranges do not make a line fast.
        let others = line.saturating_sub(self.rate);
        let most = self.options.connections();
        if flowing >= most || each.saturating_add(others) >= self.options.fast {
            self.slow = 0;
            return;
        }
        self.slow = self.slow.saturating_add(1);
        if self.wanted == 1 && self.slow < DOUBT {
            return;
        }
        self.trial = Some(ParallelismTrial {
            connections: flowing,
            rate: self.rate,
        });
        self.change((flowing + (flowing / 2).max(1)).min(most));
    }

    fn change(&mut self, wanted: usize) {
        self.wanted = wanted;
        self.settling = true;
    }

    /// Records that a connection broke and `flowing` are left. One break says nothing about the others; two in a period
    /// cost one connection each, down to one.
    pub(super) fn broke(&mut self, flowing: usize) {
        let least = if self.broken { 1 } else { 2 };
        self.broken = true;
        self.rest_at(flowing.max(least).min(self.wanted));
    }

    /// Returns to one connection, without regard to measurements.
    pub(super) fn alone(&mut self) {
        self.rest_at(1);
    }

    fn rest_at(&mut self, wanted: usize) {
        self.trial = None;
        self.rest = self.rest.max(BREATH);
        self.change(wanted);
    }
}

fn per_second(bytes: u64, time: Duration) -> u64 {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
    bytes.saturating_mul(1_000_000) / micros
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    /// Runs one period of `flowing` connections with a total of `rate`, with a consumer that waits or not.
    fn period(pace: &mut ParallelismTuner, flowing: usize, rate: u64, hungry: bool) -> usize {
        let second = Duration::from_secs(1);
        pace.record_bytes(rate, rate);
        let (busy, waited) = if hungry {
            (second / 10, second * 9 / 10)
        } else {
            (second * 9 / 10, second / 10)
        };
        pace.spent(busy, waited);
        pace.end_period(flowing);
        pace.connections()
    }

    /// Returns the number of connections after `periods`, if each carries `each` over a line of `line`.
    fn run(pace: &mut ParallelismTuner, periods: usize, each: u64, line: u64) -> Vec<usize> {
        (0..periods)
            .map(|_| {
                let flowing = pace.connections();
                period(pace, flowing, (each * flowing as u64).min(line), true)
            })
            .collect()
    }

    fn pace() -> ParallelismTuner {
        ParallelismTuner::new(RangeOptions::default())
    }

    #[test]
    fn adds_connections_as_long_as_each_brings_more() {
        let ramp = run(&mut pace(), 16, 20 * MB, u64::MAX);
        assert_eq!(ramp, [1, 1, 1, 2, 2, 3, 3, 4, 4, 6, 6, 6, 6, 6, 6, 6]);
    }

    #[test]
    fn goes_back_where_the_line_is_full() {
        let mut pace = pace();
        let ramp = run(&mut pace, 12, 20 * MB, 60 * MB);
        assert_eq!(ramp, [1, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 3]);
        // The rest before the next trial grows.
        let trials: Vec<usize> = run(&mut pace, 400, 20 * MB, 60 * MB)
            .into_iter()
            .enumerate()
            .filter_map(|(at, wanted)| (wanted == 4).then_some(at))
            .collect();
        assert_eq!(trials, [38, 39, 121, 122, 284, 285]);
    }

    #[test]
    fn one_connection_that_fills_the_line_stays_alone() {
        let ramp = run(&mut pace(), 8, 50 * MB, 50 * MB);
        assert_eq!(ramp, [1, 1, 1, 2, 2, 1, 1, 1]);
    }

    #[test]
    fn no_connection_is_added_on_a_fast_line_or_for_a_slow_consumer() {
        let fast = RangeOptions::default().fast;
        assert_eq!(run(&mut pace(), 9, fast, u64::MAX), [1; 9]);
        let mut pace = pace();
        for _ in 0..9 {
            assert_eq!(period(&mut pace, 1, 20 * MB, false), 1);
        }
    }

    #[test]
    fn many_blobs_fill_a_line_without_ranges() {
        let mut pace = pace();
        for second in 0..9 {
            // Eight connections, each as slow as this one.
            pace.record_bytes(MB, second * 160 * MB + MB);
            pace.record_bytes(19 * MB, (second + 1) * 160 * MB);
            pace.spent(Duration::ZERO, Duration::from_secs(1));
            pace.end_period(1);
            assert_eq!(pace.connections(), 1);
        }
    }

    #[test]
    fn a_trial_during_a_slow_consumer_does_not_count() {
        let mut pace = pace();
        assert_eq!(run(&mut pace, 4, 20 * MB, u64::MAX), [1, 1, 1, 2]);
        assert_eq!(period(&mut pace, 2, 20 * MB, true), 2);
        assert_eq!(period(&mut pace, 2, 20 * MB, false), 2, "nobody waited");
        assert_eq!(period(&mut pace, 2, 40 * MB, true), 3);
    }

    #[test]
    fn uses_the_permits_that_are_free() {
        let mut pace = pace();
        run(&mut pace, 4, 20 * MB, u64::MAX);
        assert_eq!(pace.connections(), 2);
        for _ in 0..2 {
            period(&mut pace, 1, 20 * MB, true);
        }
        assert_eq!(pace.connections(), 1, "there was no place for a second one");
    }

    #[test]
    fn a_break_costs_a_connection_and_a_pause() {
        let mut pace = pace();
        run(&mut pace, 7, 20 * MB, u64::MAX);
        assert_eq!(pace.connections(), 3);
        pace.broke(2);
        assert_eq!(pace.connections(), 2);
        let ramp = run(&mut pace, 11, 20 * MB, u64::MAX);
        assert_eq!(ramp, [2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 4]);
        pace.broke(1);
        assert_eq!(
            pace.connections(),
            2,
            "one break says nothing of the others"
        );
        pace.broke(1);
        assert_eq!(pace.connections(), 1);
    }

    #[test]
    fn a_period_has_a_length_and_enough_bytes() {
        let mut pace = pace();
        for _ in 0..100 {
            pace.record_bytes(1, 1);
            pace.spent(Duration::ZERO, Duration::from_secs(1));
            pace.end_period(1);
        }
        pace.record_bytes(100 * MB, 100 * MB);
        pace.end_period(1);
        assert_eq!(pace.connections(), 1, "the first period is not counted");
        pace.record_bytes(20 * MB, 20 * MB);
        pace.spent(Duration::ZERO, Duration::from_millis(1));
        pace.end_period(1);
        assert_eq!(pace.connections(), 1, "too short to tell");
    }
}
