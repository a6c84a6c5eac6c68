//! The clock of the service.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The clock of the machine, or in tests one that follows tokio's paused time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock(Option<(Timestamp, Instant)>);

impl Clock {
    /// Returns a clock that shows `now`, and goes on with tokio's time.
    #[cfg(test)]
    pub(crate) fn following_tokio(now: Timestamp) -> Self {
        Self(Some((now, Instant::now())))
    }

    /// Returns the current time, in whole milliseconds.
    pub(crate) fn now(&self) -> Timestamp {
        let now = match self.0 {
            None => Timestamp::now(),
            Some((began, since)) => {
                let elapsed = SignedDuration::try_from(since.elapsed());
                let now = elapsed.map(|elapsed| began.saturating_add(elapsed));
                now.ok().and_then(Result::ok).unwrap_or(began)
            }
        };
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}
