//! The stall watchdog over what is received: progress, not time, is what a timeout watches.
//!
//! What is sent is watched by [`Sending`](super::sending::Sending).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How long the other side has been silent while it was waited for.
pub(super) struct Silence {
    limit: Duration,
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: None,
            timer: None,
        }
    }
    /// Something came.
    pub(super) fn broken(&mut self) {
        self.since = None;
    }
    /// Nothing came; ready with the limit once it has been so for that long.
    pub(super) fn poll_too_long(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
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
