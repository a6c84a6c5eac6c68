//! Histograms with fixed buckets.

use std::time::Duration;

/// Numbers of durations up to each bound, and their sum.
#[derive(Clone, Debug)]
pub(super) struct Histogram<const N: usize> {
    bounds: &'static [f64; N],
    counts: [u64; N],
    sum: Duration,
    count: u64,
}

/// Bounds for requests, in seconds.
pub(super) const REQUEST_SECONDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Bounds for runs, in seconds: from a second to half a day.
pub(super) const RUN_SECONDS: [f64; 9] = [
    1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 43_200.0,
];

impl<const N: usize> Histogram<N> {
    /// Creates an empty histogram.
    pub(super) fn new(bounds: &'static [f64; N]) -> Self {
        Self {
            bounds,
            counts: [0; N],
            sum: Duration::ZERO,
            count: 0,
        }
    }

    /// Adds a duration.
    pub(super) fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = self.bounds.iter().position(|bound| seconds <= *bound);
        if let Some(count) = bucket.and_then(|bucket| self.counts.get_mut(bucket)) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(duration);
        self.count += 1;
    }

    /// Returns the sum in seconds.
    pub(super) fn sum(&self) -> f64 {
        self.sum.as_secs_f64()
    }

    /// Returns the number of durations.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Returns each bound with the number of durations up to it and beyond the bound before; the last is infinite.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let beyond = self.count - self.counts.iter().sum::<u64>();
        let bounded = self.bounds.iter().copied().zip(self.counts);
        bounded.chain([(f64::INFINITY, beyond)]).collect()
    }
}
