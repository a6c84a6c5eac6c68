//! The time until which waiting makes sense.
//!
//! A run that is shutting down gives its work some time. Waits that would last longer (a backoff, a pause that a host
//! asked for) end immediately.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::transport::Transport;

/// Clause for a wait that ended early.
pub(super) const OVER: &str = "the run ends before it may be asked again";

/// End of the run, unknown until the shutdown begins.
pub(super) struct ShutdownDeadline(watch::Sender<Option<Instant>>);

/// Error of a wait that would end after the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeadlineExceeded;

impl Default for ShutdownDeadline {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl ShutdownDeadline {
    /// Waits until `until`. Fails if the run ends earlier, as soon as that is known.
    pub(super) async fn until(&self, until: Instant) -> Result<(), DeadlineExceeded> {
        let mut end = self.0.subscribe();
        let too_late = end.wait_for(|end| end.is_some_and(|end| end < until));
        tokio::select! {
            biased;
            Ok(_) = too_late => Err(DeadlineExceeded),
            () = tokio::time::sleep_until(until) => Ok(()),
        }
    }
    /// Waits for `ready`, which resolves at `earliest` or later. Fails at the end of the run, or if the run ends before
    /// `earliest`, as soon as that is known.
    pub(super) async fn within<T>(
        &self,
        earliest: Instant,
        ready: impl Future<Output = T>,
    ) -> Result<T, DeadlineExceeded> {
        tokio::select! {
            biased;
            ready = ready => Ok(ready),
            () = self.reached(earliest) => Err(DeadlineExceeded),
        }
    }
    /// Waits until the run ends, or until it is known that it ends before `time`.
    async fn reached(&self, time: Instant) {
        let mut end = self.0.subscribe();
        loop {
            let known = *end.borrow_and_update();
            let over = async {
                match known {
                    Some(end) if end < time => {}
                    Some(end) => tokio::time::sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => return,
                // The sender lives as long as `self`.
                _ = end.changed() => {}
            }
        }
    }
}

impl ShutdownDeadline {
    /// Sets the end of the run to `grace` from now. A time beyond the clock's range never comes.
    pub(super) fn end_in(&self, grace: Duration) {
        self.0.send_replace(Instant::now().checked_add(grace));
    }
}

impl Transport {
    /// Announces that everything is dropped after `grace`: waits that would last longer end immediately with
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled), and so do those that begin later. Requests in flight are
    /// not affected.
    pub fn set_shutdown_deadline(&self, grace: Duration) {
        self.shutdown.end_in(grace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn waits_beyond_the_deadline_end_as_soon_as_it_is_known() {
        let shutdown = ShutdownDeadline::default();
        let start = Instant::now();
        assert_eq!(shutdown.until(start + SECOND).await, Ok(()));
        assert_eq!(start.elapsed(), SECOND);
        let (long, short, ()) = tokio::join!(
            shutdown.until(start + 20 * SECOND),
            shutdown.until(start + 8 * SECOND),
            async {
                tokio::time::sleep(4 * SECOND).await;
                shutdown.0.send_replace(Some(start + 10 * SECOND));
            }
        );
        assert_eq!((long, short), (Err(DeadlineExceeded), Ok(())));
        assert_eq!(start.elapsed(), 8 * SECOND);
        assert_eq!(
            shutdown.until(start + 11 * SECOND).await,
            Err(DeadlineExceeded)
        );
        assert_eq!(start.elapsed(), 8 * SECOND);
    }
}
