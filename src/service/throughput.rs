//! Speed of a run over time, for its plot.

use serde::Serialize;

/// Maximum number of samples. When they are full, every second one is dropped, and the interval doubles.
const MOST: usize = 512;

/// State of a run at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Sample {
    /// Seconds since the start of the run.
    pub(crate) second: u64,
    /// Bytes of blobs that were read from sources, in total.
    pub(crate) fetched_bytes: u64,
    /// Bytes of blobs that were sent to destinations, in total.
    pub(crate) sent_bytes: u64,
    /// Images that ended, in total.
    pub(crate) ended_images: u64,
    /// Uploads in progress.
    pub(crate) uploads: u64,
}

impl Sample {
    /// Returns true if nothing has moved since an earlier sample, apart from the time.
    pub(crate) fn is_standstill_since(&self, earlier: &Self) -> bool {
        *self
            == Self {
                second: self.second,
                ..*earlier
            }
    }
}

/// Samples of a run from its start to now, a bounded number.
#[derive(Clone, Debug)]
pub(crate) struct Throughput {
    samples: Vec<Sample>,
    /// Interval between two samples, in seconds.
    interval: u64,
}

impl Default for Throughput {
    fn default() -> Self {
        Self {
            samples: Vec::new(),
            interval: 1,
        }
    }
}

impl Throughput {
    /// Adds the state at a further second.
    pub(crate) fn add(&mut self, sample: Sample) {
        if !sample.second.is_multiple_of(self.interval) {
            return;
        }
        if self.samples.len() >= MOST {
            self.interval *= 2;
            let interval = self.interval;
            self.samples
                .retain(|sample| sample.second.is_multiple_of(interval));
            if !sample.second.is_multiple_of(interval) {
                return;
            }
        }
        self.samples.push(sample);
    }

    /// Adds the last state, also within a second that has one.
    pub(crate) fn finish(&mut self, sample: Sample) {
        if self
            .samples
            .last()
            .is_some_and(|last| last.second == sample.second)
        {
            self.samples.pop();
        }
        self.samples.push(sample);
    }

    /// Returns at most `most` samples, which span the whole run: every second one is dropped until so few are left.
    pub(crate) fn condensed(&self, most: usize) -> Vec<Sample> {
        let mut step = 1;
        while self.samples.len().div_ceil(step) > most.max(1) {
            step *= 2;
        }
        // The last one has the totals.
        let mut samples: Vec<Sample> = self.samples.iter().rev().step_by(step).copied().collect();
        samples.reverse();
        samples
    }

    /// Returns the samples, the oldest first.
    pub(crate) fn samples(&self) -> &[Sample] {
        &self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_samples_is_bounded_and_they_span_the_whole_run() {
        let mut throughput = Throughput::default();
        for second in 0..100_000 {
            throughput.add(Sample {
                second,
                sent_bytes: 10 * second,
                ..Sample::default()
            });
        }
        let samples = throughput.samples();
        assert!(
            samples.len() <= MOST && samples.len() >= MOST / 4,
            "{}",
            samples.len()
        );
        assert_eq!(samples.first().map(|sample| sample.second), Some(0));
        assert!(samples.last().is_some_and(|sample| sample.second > 99_000));
        assert!(samples.windows(2).all(|pair| match pair {
            [a, b] => b.second - a.second == 256,
            _ => false,
        }));
    }

    #[test]
    fn fewer_samples_span_the_whole_run_and_keep_its_totals() {
        let mut throughput = Throughput::default();
        for second in 0..300 {
            throughput.add(Sample {
                second,
                ..Sample::default()
            });
        }
        let last = Sample {
            second: 299,
            sent_bytes: 7,
            ..Sample::default()
        };
        throughput.finish(last);
        let samples = throughput.condensed(120);
        assert_eq!(samples.len(), 75);
        assert_eq!(samples.first().map(|sample| sample.second), Some(3));
        assert_eq!(samples.last(), Some(&last));
        assert_eq!(throughput.condensed(300), throughput.samples());
    }
}
