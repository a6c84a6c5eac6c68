//! The task that draws tokens while something waits for them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use crate::transport::limits::shared::bucket::SharedBucket;
use crate::transport::limits::shared::{Grant, LimitsUnavailable};

/// Time after which a draw without an answer counts as unavailable.
const PATIENCE: Duration = Duration::from_secs(1);

/// Draws for one bucket.
pub(super) struct Driver {
    bucket: Arc<SharedBucket>,
    draw: Option<DrawInFlight>,
    /// Tokens that were taken from the share of this process during an outage, and the time at which they may be used.
    local: Option<(Instant, u64)>,
}

struct DrawInFlight {
    amount: u64,
    start: Instant,
    answer: BoxFuture<'static, Result<Grant, LimitsUnavailable>>,
}

impl Driver {
    pub(super) fn new(bucket: Arc<SharedBucket>) -> Self {
        Self {
            bucket,
            draw: None,
            local: None,
        }
    }
    /// Draws until nothing waits.
    pub(super) async fn run(mut self) {
        while let Some(needed) = self.bucket.pay() {
            self.supply(needed).await;
        }
    }
    /// Waits for tokens, or for the next step towards them.
    async fn supply(&mut self, needed: u64) {
        let now = Instant::now();
        let usable = self.bucket.usable();
        if usable > now {
            sleep_until(usable).await;
            return;
        }
        let retry = self.bucket.retry();
        if self.draw.is_none() && retry.is_none_or(|retry| retry <= now) {
            self.draw = Some(self.begin(needed, now));
        }
        if self.local.is_none() {
            self.local = self.bucket.take_locally(needed);
        }
        match self.next_answer(self.wake(retry, now)).await {
            Some((Ok(grant), amount)) => {
                self.local = None;
                self.bucket.add(grant, amount);
            }
            Some((Err(LimitsUnavailable), _)) => self.bucket.fail(),
            None => match self.local {
                Some((at, tokens)) if at <= Instant::now() => {
                    self.local = None;
                    self.bucket.add_locally(tokens);
                }
                // The time of the next draw has come.
                Some(_) => {}
                None => self.bucket.fail(),
            },
        }
    }
    fn begin(&self, needed: u64, start: Instant) -> DrawInFlight {
        let (limits, draw) = self.bucket.next_draw(needed);
        DrawInFlight {
            amount: draw.amount,
            start,
            answer: Box::pin(async move { limits.draw(draw).await }),
        }
    }
    /// Returns the time until which an answer is waited for.
    fn wake(&self, retry: Option<Instant>, now: Instant) -> Instant {
        match (&self.draw, self.local, retry) {
            (Some(_), Some((at, _)), _) | (None, Some((at, _)), None) => at,
            (Some(draw), None, _) => draw.start + PATIENCE,
            (None, Some((at, _)), Some(retry)) => at.min(retry),
            (None, None, _) => now,
        }
    }
    /// Waits for the answer to the draw in flight, with its amount. Returns `None` at `end`.
    async fn next_answer(
        &mut self,
        end: Instant,
    ) -> Option<(Result<Grant, LimitsUnavailable>, u64)> {
        let draw = &mut self.draw;
        let answer = async {
            match draw {
                Some(draw) => (draw.answer.as_mut().await, draw.amount),
                None => std::future::pending().await,
            }
        };
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            () = sleep_until(end) => return None,
        };
        self.draw = None;
        Some(answer)
    }
}
