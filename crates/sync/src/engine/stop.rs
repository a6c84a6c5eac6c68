//! Early end of a run.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Signals for the early end of a run: an orderly end first, then an immediate one.
///
/// A bare [`CancellationToken`] has no grace period.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Once cancelled, no further image is started and no further page of a list is requested. Images in flight go on.
    pub cancel: CancellationToken,
    /// Once cancelled, images in flight are dropped as well.
    pub abandon: CancellationToken,
    /// Maximum time that images may go on after `cancel`.
    pub grace: Duration,
}

impl Stop {
    /// Returns signals that are not set.
    pub fn new(grace: Duration) -> Self {
        Self {
            cancel: CancellationToken::new(),
            abandon: CancellationToken::new(),
            grace,
        }
    }

    /// Enforces the grace period, and turns an immediate end into an orderly one as well. Never returns.
    pub(super) async fn enforce_deadline(&self) -> std::convert::Infallible {
        tokio::select! {
            () = self.abandon.cancelled() => self.cancel.cancel(),
            () = self.cancel.cancelled() => {
                // Without a grace period, not even a tick of the clock.
                if !self.grace.is_zero() {
                    tokio::time::sleep(self.grace).await;
                }
                self.abandon.cancel();
            }
        }
        std::future::pending().await
    }
}

impl From<CancellationToken> for Stop {
    fn from(cancel: CancellationToken) -> Self {
        Self {
            abandon: cancel.clone(),
            cancel,
            grace: Duration::ZERO,
        }
    }
}
