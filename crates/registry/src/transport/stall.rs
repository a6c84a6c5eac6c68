//! Stall watchdog for answers: the timeout watches progress, not total time.
//!
//! A side that sends nothing is stalled after the stall time. One that drips is stalled after twice that time, if it
//! sent less than the slowest link would carry: otherwise an occasional byte would hold a connection and its permit for
//! ever. Only time spent waiting for the other side counts, so a slow reader or a limit of the user's makes nobody
//! slow.
//!
//! Request bodies are watched by [`BodyProgress`](super::body_progress::BodyProgress).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Minimum rate of a body in bytes a second, below which it drips: a sixteenth of a modem's line, which as many
/// transfers may share.
const SLOWEST: u64 = 128;

/// Progress of the other side during the waits for it.
pub(super) struct StallTimer {
    limit: Duration,
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Time waited in the present window, and bytes received in it.
    waited: Duration,
    received: u64,
}

/// A window with too few bytes.
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
    /// Records `bytes` that arrived.
    ///
    /// # Errors
    /// If the window that ends now has too few bytes.
    pub(super) fn record_bytes(&mut self, bytes: u64) -> Result<(), TooSlow> {
        let waited = self.since.take().map(|since| since.elapsed());
        // Nobody waited for longer than that: a waiter would have met the stall, and others did not poll.
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
    /// Called if no bytes are available. Ready with the limit after that much time without any.
    pub(super) fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let limit = self.limit;
        let since = *self.since.get_or_insert_with(Instant::now);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(since + limit)));
        // The timer is moved only when it fires, not with every chunk. It then knows when it was set; later arrivals
        // are in `since`.
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

    /// Waits for `pause`, then receives `bytes`.
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
        // Occasional bursts are as good as a steady flow.
        for _ in 0..100 {
            assert_eq!(come(&mut timer, 59 * SECOND, 30_000).await, Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_without_a_waiting_reader_does_not_count() {
        let mut timer = StallTimer::new(SECOND);
        for _ in 0..1_000 {
            tokio::time::sleep(60 * SECOND).await;
            assert_eq!(timer.record_bytes(1), Ok(()));
        }
    }
}
