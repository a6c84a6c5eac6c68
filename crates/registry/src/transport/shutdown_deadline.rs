//! Until when it makes sense to wait.
//!
//! A run that is being ended gives what is under way some time. Whoever would wait for longer than that (a backoff,
//! a host that asked to be left alone) ends now, so that the run does not wait for nothing.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::transport::Transport;

/// When the run ends; not known until somebody ends it.
pub(super) struct ShutdownDeadline(watch::Sender<Option<Instant>>);

/// The wait would be over only after the run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeadlineExceeded;

impl Default for ShutdownDeadline {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl ShutdownDeadline {
    /// Waits until `until`, or finds out, now or during the wait, that the run ends earlier.
    pub(super) async fn until(&self, until: Instant) -> Result<(), DeadlineExceeded> {
        let mut end = self.0.subscribe();
        let too_late = end.wait_for(|end| end.is_some_and(|end| end < until));
        tokio::select! {
            biased;
            Ok(_) = too_late => Err(DeadlineExceeded),
            () = tokio::time::sleep_until(until) => Ok(()),
        }
    }
}

impl ShutdownDeadline {
    /// The run ends in `grace`; a time that no clock can show never comes.
    pub(super) fn end_in(&self, grace: Duration) {
        self.0.send_replace(Instant::now().checked_add(grace));
    }
}

impl Transport {
    /// Says that all will be dropped in `grace`: waits that would last longer end at once, with
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled), and so do those that are begun later. Requests that are
    /// on their way are left alone.
    pub fn set_shutdown_deadline(&self, grace: Duration) {
        self.patience.end_in(grace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn waits_that_fit_last_and_others_end_when_that_is_known() {
        let patience = ShutdownDeadline::default();
        let start = Instant::now();
        assert_eq!(patience.until(start + SECOND).await, Ok(()));
        assert_eq!(start.elapsed(), SECOND);
        let (long, short, ()) = tokio::join!(
            patience.until(start + 20 * SECOND),
            patience.until(start + 8 * SECOND),
            async {
                tokio::time::sleep(4 * SECOND).await;
                patience.0.send_replace(Some(start + 10 * SECOND));
            }
        );
        assert_eq!((long, short), (Err(DeadlineExceeded), Ok(())));
        assert_eq!(start.elapsed(), 8 * SECOND);
        assert_eq!(
            patience.until(start + 11 * SECOND).await,
            Err(DeadlineExceeded)
        );
        assert_eq!(start.elapsed(), 8 * SECOND);
    }
}
