//! Limit of requests per second.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::lock::lock;
use crate::reply::Reply;

/// Permits for requests: a bucket that holds those of one second.
pub(crate) struct RateLimit {
    per_second: f64,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    permits: f64,
    /// Time of the last refill.
    at: Instant,
}

impl RateLimit {
    /// Returns a full bucket.
    pub(crate) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        let bucket = Bucket {
            permits: per_second,
            at: Instant::now(),
        };
        Self {
            per_second,
            bucket: Mutex::new(bucket),
        }
    }

    /// Takes a permit for a request that arrives now. Returns the refusal if there is none.
    pub(crate) fn refuse(&self) -> Option<Reply> {
        let wait = self.wait_at(Instant::now())?;
        let reply = Reply::error(429, "TOOMANYREQUESTS", "too many requests");
        // The header has whole seconds.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Some(reply.with(http::header::RETRY_AFTER, &seconds.to_string()))
    }

    /// Takes a permit. Returns the time until the next one if there is none.
    fn wait_at(&self, now: Instant) -> Option<Duration> {
        let mut bucket = lock(&self.bucket);
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.permits = (bucket.permits + since * self.per_second).min(self.per_second);
        bucket.at = now;
        if bucket.permits >= 1.0 {
            bucket.permits -= 1.0;
            return None;
        }
        Some(Duration::from_secs_f64(
            (1.0 - bucket.permits) / self.per_second,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_brings_its_permits_and_no_more() {
        let limit = RateLimit::new(4);
        let start = Instant::now();
        let granted = |millis: u64| {
            let now = start + Duration::from_millis(millis);
            (0..100).filter(|_| limit.wait_at(now).is_none()).count()
        };
        assert_eq!(granted(0), 4);
        assert_eq!(granted(0), 0);
        assert_eq!(granted(500), 2);
        assert_eq!(granted(624), 0);
        assert_eq!(granted(750), 1);
        assert_eq!(granted(60_000), 4, "unused permits do not add up");
        let wait = limit.wait_at(start + Duration::from_millis(60_125));
        assert_eq!(wait, Some(Duration::from_millis(125)));
    }
}
