//! Waits for optional deadlines.

use tokio::time::{Instant, sleep_until};

/// Waits until `instant`, or without an end if there is none.
pub(crate) async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
