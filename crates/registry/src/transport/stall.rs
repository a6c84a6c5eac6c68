//! The stall watchdog over what is received: progress, not time, is what a timeout watches.
//!
//! A side that sends nothing is stalled after the stall time. One that drips is after twice that time, if it sent less
//! than the slowest link would carry: otherwise a byte now and then would hold a connection and its permit for ever. Only
//! time counts in which the other side was waited for, so a slow reader or a limit of the user's makes nobody slow.
//!
//! What is sent is watched by [`BodyProgress`](super::body_progress::BodyProgress).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Bytes a second below which a body is taken for one that drips: the sixteenth part of a modem's line, which as many
/// transfers may share.
const SLOWEST: u64 = 128;

/// Progress of the other side while it was waited for.
pub(super) struct StallTimer {
    limit: Duration,
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Time that the present window was waited, and what came in it.
    waited: Duration,
    received: u64,
}

/// What came in a window that was too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooSlow {
    pub(super) bytes: u64,
    pub(super) waited: Duration,
}

impl StallTimer {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: None,
            timer: None,
            waited: Duration::ZERO,
            received: 0,
        }
    }
    /// Takes note of `bytes` that came.
    ///
    /// # Errors
    /// When what came in the window that ends now is too little.
    pub(super) fn record_bytes(&mut self, bytes: u64) -> Result<(), TooSlow> {
        let waited = self.since.take().map(|since| since.elapsed());
        // Longer than that nobody waited: whoever did would have met the stall, and others were away.
        self.waited += waited.unwrap_or_default().min(self.limit);
        self.received = self.received.saturating_add(bytes);
        if self.waited < self.limit.saturating_mul(2) {
            return Ok(());
        }
        let window = TooSlow {
            bytes: std::mem::take(&mut self.received),
            waited: std::mem::take(&mut self.waited),
        };
        let least = SLOWEST.saturating_mul(window.waited.as_secs());
        if window.bytes < least {
            return Err(window);
        }
        Ok(())
    }
    /// Nothing came; ready with the limit once it has been so for that long.
    pub(super) fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let limit = self.limit;
        let since = *self.since.get_or_insert_with(Instant::now);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(since + limit)));
        // The timer is moved only when it goes off, not with every chunk: it then says when it was set, and what
        // came since is in `since`.
        while timer.as_mut().poll(cx).is_ready() {
            if since.elapsed() >= limit {
                return Poll::Ready(limit);
            }
            timer.as_mut().reset(since + limit);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Waits for `pause`, then `bytes` come.
    async fn come(timer: &mut StallTimer, pause: Duration, bytes: u64) -> Result<(), TooSlow> {
        let stalled = poll_fn(|cx| timer.poll_stalled(cx));
        let waited = tokio::time::timeout(pause, stalled).await;
        assert!(waited.is_err(), "{waited:?}");
        timer.record_bytes(bytes)
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_a_second_is_too_slow_and_a_narrow_line_is_not() {
        let mut timer = StallTimer::new(60 * SECOND);
        for second in 1..120 {
            assert_eq!(come(&mut timer, SECOND, 1).await, Ok(()), "{second}");
        }
        let window = TooSlow {
            bytes: 120,
            waited: 120 * SECOND,
        };
        assert_eq!(come(&mut timer, SECOND, 1).await, Err(window));

        let mut timer = StallTimer::new(60 * SECOND);
        for _ in 0..1_000 {
            assert_eq!(come(&mut timer, 10 * SECOND, 1_280).await, Ok(()));
        }
        // A burst now and then does as well as a steady flow.
        for _ in 0..100 {
            assert_eq!(come(&mut timer, 59 * SECOND, 30_000).await, Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waits_makes_nobody_slow() {
        let mut timer = StallTimer::new(SECOND);
        for _ in 0..1_000 {
            tokio::time::sleep(60 * SECOND).await;
            assert_eq!(timer.record_bytes(1), Ok(()));
        }
    }
}
