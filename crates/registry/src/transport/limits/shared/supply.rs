//! Tokens on hand, and the size of the next draw.

use std::time::Duration;

use tokio::time::Instant;

use crate::transport::limits::shared::BATCH;

/// Time that a token waits at most when all processes draw: the size of draws follows from it.
const TURN: u64 = 4;
/// Longest wait for a grant that is believed.
const LONGEST: Duration = Duration::from_secs(900);

/// Tokens of the last grant.
#[derive(Debug)]
pub(super) struct Supply {
    tokens: u64,
    usable: Instant,
    expires: Instant,
    /// Number of tokens of the grant.
    granted: u64,
    /// True if other processes drew so much that the tokens had to wait.
    is_contended: bool,
}

impl Supply {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            tokens: 0,
            usable: now,
            expires: now,
            granted: 0,
            is_contended: false,
        }
    }
    /// Uses at most `amount` tokens. Returns the number.
    pub(super) fn consume(&mut self, amount: u64, now: Instant) -> u64 {
        if now < self.usable || self.expires <= now {
            return 0;
        }
        let used = amount.min(self.tokens);
        self.tokens -= used;
        used
    }
    /// Adds a grant, and drops what is left of the one before.
    pub(super) fn add(&mut self, tokens: u64, delay: Duration, now: Instant) {
        self.tokens = tokens;
        self.granted = tokens;
        self.usable = now + delay.min(LONGEST);
        self.expires = self.usable + BATCH;
        self.is_contended = delay > BATCH;
    }
    /// Returns the time at which tokens may be used, or the next draw makes sense.
    pub(super) fn usable(&self) -> Instant {
        self.usable
    }
    /// Returns the amount of the next draw, which is for `needed` tokens now, and for some of the near future: twice as
    /// many as before, if those were used up in time. With `processes` that all draw, each draws less, so that none
    /// waits for long.
    pub(super) fn next_amount(
        &self,
        needed: u64,
        batch: u64,
        processes: usize,
        now: Instant,
    ) -> u64 {
        let expected = if now > self.expires + BATCH {
            0
        } else if self.tokens == 0 {
            self.granted.saturating_mul(2)
        } else {
            self.granted - self.tokens
        };
        let processes = u64::try_from(processes).unwrap_or(u64::MAX).max(1);
        let most = if self.is_contended {
            (batch.saturating_mul(TURN) / processes).clamp(1, batch)
        } else {
            batch
        };
        needed.max(expected).clamp(1, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn draws_follow_the_demand() {
        let start = Instant::now();
        let mut supply = Supply::new(start);
        assert_eq!(supply.next_amount(1, 25, 8, start), 1);
        supply.add(1, Duration::ZERO, start);
        assert_eq!(supply.consume(5, start), 1);
        // Used up: more is needed soon.
        assert_eq!(supply.next_amount(1, 25, 8, start), 2);
        assert_eq!(supply.next_amount(9, 25, 8, start), 9);
        assert_eq!(supply.next_amount(90, 25, 8, start), 25);
        // Not used up in time: the next draw is for as many as were used.
        supply.add(20, Duration::ZERO, start);
        assert_eq!(supply.consume(7, start + 249 * MS), 7);
        let later = start + 250 * MS;
        assert_eq!(supply.consume(7, later), 0);
        assert_eq!(supply.next_amount(1, 25, 8, later), 7);
        // A longer time without requests says nothing.
        assert_eq!(supply.next_amount(1, 25, 8, later + 251 * MS), 1);
    }

    #[test]
    fn tokens_wait_for_their_time() {
        let start = Instant::now();
        let mut supply = Supply::new(start);
        supply.add(3, 100 * MS, start);
        assert_eq!(supply.usable(), start + 100 * MS);
        assert_eq!(supply.consume(1, start + 99 * MS), 0);
        assert_eq!(supply.consume(1, start + 100 * MS), 1);
        assert_eq!(supply.consume(9, start + 349 * MS), 2);
        supply.add(1, Duration::MAX, start);
        assert_eq!(supply.usable(), start + LONGEST);
    }

    #[test]
    fn processes_that_all_draw_draw_less() {
        let start = Instant::now();
        let mut supply = Supply::new(start);
        supply.add(25, 251 * MS, start);
        let amounts = [1, 4, 8, 50, 1000, 0].map(|n| supply.next_amount(90, 25, n, start));
        assert_eq!(amounts, [25, 25, 12, 2, 1, 25]);
        // A process that gets its grants without a wait is alone.
        supply.add(25, 250 * MS, start);
        assert_eq!(supply.next_amount(90, 25, 1000, start), 25);
    }
}
