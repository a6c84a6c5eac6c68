//! How a run is asked to end before all is done.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How a run is asked to end before all is done: in order, then at once.
///
/// A bare [`CancellationToken`] is one without a grace period.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Cancelled, no further image is begun and no further page of a list is asked for; images that are under way go
    /// on.
    pub cancel: CancellationToken,
    /// Cancelled, the images that are under way are dropped as well.
    pub abandon: CancellationToken,
    /// How long images may go on after `cancel` before they are dropped.
    pub grace: Duration,
}

impl Stop {
    /// Nobody has asked for anything yet.
    pub fn new(grace: Duration) -> Self {
        Self {
            cancel: CancellationToken::new(),
            abandon: CancellationToken::new(),
            grace,
        }
    }

    /// Sees to it that nothing goes on for longer than the grace period, and that an end at once is an end as well.
    /// Never returns.
    pub(super) async fn enforce_deadline(&self) -> std::convert::Infallible {
        tokio::select! {
            () = self.abandon.cancelled() => self.cancel.cancel(),
            () = self.cancel.cancelled() => {
                // Not even a turn of the clock, where there is no grace.
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
