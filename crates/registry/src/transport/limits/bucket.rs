//! A rate a second, of requests or bytes.
//!
//! A bucket lends: a request starts as soon as the earlier ones are paid for, however much it takes, and the next ones
//! wait until it is paid for. Bodies that share a bucket therefore take turns by the chunk.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::lock::lock;
use crate::transport::limits::rate::RateBucket;
use crate::transport::limits::shared::Unpaid;

/// Time for which unused capacity is kept: a small burst.
pub(super) const KEPT: Duration = Duration::from_millis(100);
/// Longest time to pay for a single item. Lower rates are of no use.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A rate and its present debt; shared.
#[derive(Clone, Debug)]
pub(in crate::transport) struct Bucket(Arc<Mutex<Level>>);

#[derive(Debug)]
struct Level {
    each: f64,
    /// Time at which everything taken is paid for.
    paid: Instant,
    /// Time for which unused capacity is kept.
    kept: Duration,
}

impl Bucket {
    /// Returns a bucket with a rate per second.
    pub(super) fn new(rate: f64) -> Self {
        Self(Arc::new(Mutex::new(Level {
            each: 1.0 / rate,
            paid: Instant::now(),
            kept: KEPT,
        })))
    }
    /// Changes the rate of what is taken from now on.
    pub(super) fn set_rate(&self, rate: f64) {
        lock(&self.0).each = 1.0 / rate;
    }
    /// Forgets what was taken after `paid`, and keeps unused capacity for the time `kept`.
    pub(super) fn refill(&self, paid: Instant, kept: Duration) {
        let mut level = lock(&self.0);
        level.paid = paid;
        level.kept = kept.max(KEPT);
    }
    /// Takes `amount`. Returns the time at which the earlier amounts are paid for, which is in the past if there is no
    /// wait.
    pub(in crate::transport) fn take(&self, amount: u64) -> Instant {
        let mut level = lock(&self.0);
        let now = Instant::now();
        let start = match now.checked_sub(level.kept) {
            Some(earliest) => level.paid.max(earliest),
            None => level.paid,
        };
        level.paid = start + cost(amount, level.each);
        start
    }
    /// Returns the time at which everything taken is paid for.
    pub(super) fn next_free(&self) -> Instant {
        lock(&self.0).paid
    }
}

/// Returns the time that pays for `amount`, at `each` seconds.
pub(super) fn cost(amount: u64, each: f64) -> Duration {
    #[allow(clippy::cast_precision_loss, reason = "a rate need not be exact")]
    let seconds = amount as f64 * each;
    Duration::try_from_secs_f64(seconds).map_or(LONGEST, |cost| cost.min(LONGEST))
}

/// Takes the bytes of a body from a bucket, and waits while the bucket is empty. This wait is ours: the body does not
/// blame the peer for it.
#[derive(Debug)]
pub(in crate::transport) struct Throttle {
    bucket: RateBucket,
    waits: Option<Wait>,
}

/// A wait until the bytes so far are paid for.
#[derive(Debug)]
enum Wait {
    Own(std::pin::Pin<Box<Sleep>>),
    Shared(Unpaid),
}

impl Throttle {
    pub(in crate::transport) fn new(bucket: RateBucket) -> Self {
        Self {
            bucket,
            waits: None,
        }
    }
    /// Records `bytes` that were transferred. The next bytes wait until they are paid for.
    pub(in crate::transport) fn record_bytes(&mut self, bytes: u64) {
        match &self.bucket {
            RateBucket::Own(bucket) => {
                bucket.take(bytes);
                let paid = bucket.next_free();
                if paid > Instant::now() {
                    self.waits = Some(Wait::Own(Box::pin(tokio::time::sleep_until(paid))));
                }
            }
            RateBucket::Shared(bucket) => {
                self.waits = bucket.record(bytes).map(Wait::Shared).or(self.waits.take());
            }
        }
    }
    /// Waits until the next bytes may flow.
    pub(in crate::transport) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(waits) = self.waits.as_mut() {
            match waits {
                Wait::Own(sleep) => ready!(sleep.as_mut().poll(cx)),
                Wait::Shared(unpaid) => ready!(unpaid.poll_paid(cx)),
            }
            self.waits = None;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bodies_share_a_bucket() {
        let start = Instant::now();
        let bucket = Bucket::new(1000.0);
        let mut bodies = [(); 2].map(|()| Throttle::new(RateBucket::Own(bucket.clone())));
        for _ in 0..3 {
            for body in &mut bodies {
                std::future::poll_fn(|cx| body.poll_ready(cx)).await;
                body.record_bytes(500);
            }
        }
        // The next bytes pay for the last ones.
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }
}
