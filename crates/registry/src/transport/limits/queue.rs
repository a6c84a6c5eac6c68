//! Order of waiting requests: the largest first, so that a run does not end with one straggler. Every fourth turn goes
//! to the oldest, so that small ones do not wait for ever. Among equals, the first to come goes first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Number of turns after which the oldest request goes, without regard to its weight.
const OLDEST_EVERY: u8 = 4;

/// A place in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueueTicket(u64);

/// A queue of waiting requests.
#[derive(Debug)]
pub(super) struct WaitQueue<T> {
    next: QueueTicket,
    by_age: BTreeMap<QueueTicket, (u64, T)>,
    /// The last entry is the heaviest, and the oldest among equals.
    by_weight: BTreeSet<(u64, Reverse<QueueTicket>)>,
    /// Turns since the last one for the oldest.
    turns: u8,
}

impl<T> WaitQueue<T> {
    pub(super) fn new() -> Self {
        Self {
            next: QueueTicket(0),
            by_age: BTreeMap::new(),
            by_weight: BTreeSet::new(),
            turns: 0,
        }
    }
    pub(super) fn is_empty(&self) -> bool {
        self.by_age.is_empty()
    }
    /// Adds `waiter` to the queue.
    pub(super) fn push(&mut self, weight: u64, waiter: T) -> QueueTicket {
        let ticket = self.next;
        self.next = QueueTicket(ticket.0.wrapping_add(1));
        self.by_age.insert(ticket, (weight, waiter));
        self.by_weight.insert((weight, Reverse(ticket)));
        ticket
    }
    /// Removes a waiter that gave up.
    pub(super) fn remove(&mut self, ticket: QueueTicket) -> Option<T> {
        let (weight, waiter) = self.by_age.remove(&ticket)?;
        self.by_weight.remove(&(weight, Reverse(ticket)));
        Some(waiter)
    }
    /// Removes the next waiter.
    pub(super) fn pop(&mut self) -> Option<T> {
        let oldest = *self.by_age.first_key_value()?.0;
        let (_, Reverse(heaviest)) = *self.by_weight.last()?;
        self.turns = (self.turns + 1) % OLDEST_EVERY;
        self.remove(if self.turns == 0 { oldest } else { heaviest })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn drained(queue: &mut WaitQueue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn equals_go_as_they_came() {
        let mut queue = WaitQueue::new();
        for name in ["a", "b", "c", "d", "e"] {
            queue.push(0, name);
        }
        assert_eq!(drained(&mut queue), ["a", "b", "c", "d", "e"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn the_largest_go_first_and_every_fourth_turn_is_for_the_oldest() {
        let mut queue = WaitQueue::new();
        for (name, weight) in [
            ("tiny", 1),
            ("small", 2),
            ("big", 90),
            ("also big", 90),
            ("huge", 100),
            ("middle", 50),
            ("middling", 40),
        ] {
            queue.push(weight, name);
        }
        assert_eq!(
            drained(&mut queue),
            [
                "huge", "big", "also big", "tiny", "middle", "middling", "small"
            ]
        );
    }

    #[test]
    fn a_removed_waiter_has_no_turn() {
        let mut queue = WaitQueue::new();
        queue.push(1, "a");
        let heaviest = queue.push(9, "b");
        queue.push(5, "c");
        assert_eq!(queue.remove(heaviest), Some("b"));
        assert_eq!(queue.remove(heaviest), None);
        assert_eq!(drained(&mut queue), ["c", "a"]);
    }
}
