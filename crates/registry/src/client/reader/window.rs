//! Ranges of a large blob in flight at the same time, and their bytes in order.
//!
//! Nothing runs by itself: ranges advance while a caller waits for a [`RangeEvent`], and end with the window.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use crate::error::Error;
use crate::transport::ReservedPermit;

use super::range_budget::RangeReservation;
use super::range_fetch::{RangeFailure, RangeFetch, RangeProgress};

/// Event of one range.
pub(super) enum RangeEvent {
    /// It was answered as a range.
    Answered,
    /// This many bytes of it arrived.
    Came(u64),
    /// It broke, and waits to be [resumed](RangeWindow::resume).
    Broke(Error),
    /// It was answered with something else: the source has no ranges.
    NoRanges,
}

/// A row of ranges, each of which begins where the previous one ends.
pub(super) struct RangeWindow {
    slots: VecDeque<RangeSlot>,
    running:
        FuturesUnordered<BoxFuture<'static, (RangeFetch, Result<RangeProgress, RangeFailure>)>>,
    /// Broken ranges.
    broken: Vec<RangeFetch>,
    /// Offset of the first byte that was not handed on.
    start: u64,
    /// Offset of the first byte that was not requested.
    end: u64,
    /// At least one range was answered as a range.
    confirmed: bool,
}

/// Bytes of one range that were not handed on.
struct RangeSlot {
    start: u64,
    /// Offset of the first byte that has not arrived.
    position: u64,
    end: u64,
    pieces: VecDeque<Bytes>,
    share: RangeReservation,
}

impl RangeWindow {
    /// Creates an empty row at byte `start`.
    pub(super) fn new(start: u64) -> Self {
        Self {
            slots: VecDeque::new(),
            running: FuturesUnordered::new(),
            broken: Vec::new(),
            start,
            end: start,
            confirmed: false,
        }
    }

    /// Returns the offset of the first byte that was not handed on.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Returns the offset of the first byte that was not requested.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Returns whether the source has answered a range as a range.
    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Returns the number of ranges in flight.
    pub(super) fn flowing(&self) -> usize {
        self.running.len()
    }

    /// Returns whether a broken range waits to be resumed.
    pub(super) fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// Returns whether all requested bytes were handed on.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Starts `segment`, which is the next in the row and ends before byte `end`.
    pub(super) fn add(&mut self, segment: RangeFetch, end: u64, share: RangeReservation) {
        self.slots.push_back(RangeSlot {
            start: segment.start(),
            position: segment.start(),
            end,
            pieces: VecDeque::new(),
            share,
        });
        self.end = end;
        self.running.push(segment.step().boxed());
    }

    /// Resumes the first broken range with the permit `place`; without one, it waits for one.
    pub(super) fn resume(&mut self, place: Option<ReservedPermit>) {
        let first =
            (0..self.broken.len()).min_by_key(|at| self.broken.get(*at).map(RangeFetch::start));
        if let Some(first) = first {
            let segment = self.broken.swap_remove(first).resumed(place);
            self.running.push(segment.step().boxed());
        }
    }

    /// Returns the next bytes in order, if they have arrived.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let slot = self.slots.front_mut()?;
        let piece = slot.pieces.pop_front()?;
        slot.share.consume(piece.len() as u64);
        self.start += piece.len() as u64;
        if slot.pieces.is_empty() && slot.position == slot.end {
            self.slots.pop_front();
        }
        Some(piece)
    }

    /// Waits for the next event; `None` if no range is in flight. Dropping the future loses nothing.
    pub(super) async fn event(&mut self) -> Option<RangeEvent> {
        let (segment, step) = self.running.next().await?;
        Some(match step {
            Ok(RangeProgress::Answered) => {
                self.confirmed = true;
                self.running.push(segment.step().boxed());
                RangeEvent::Answered
            }
            Ok(RangeProgress::Piece(piece)) => {
                let length = piece.len() as u64;
                if let Some(slot) = self.slot(segment.start()) {
                    slot.share.put(length);
                    slot.position += length;
                    slot.pieces.push_back(piece);
                }
                if !segment.is_complete() {
                    self.running.push(segment.step().boxed());
                }
                RangeEvent::Came(length)
            }
            Err(RangeFailure::Broke(error)) => {
                self.broken.push(segment);
                RangeEvent::Broke(error)
            }
            Err(RangeFailure::NoRanges) => RangeEvent::NoRanges,
        })
    }

    fn slot(&mut self, start: u64) -> Option<&mut RangeSlot> {
        self.slots.iter_mut().find(|slot| slot.start == start)
    }

    /// Ends all ranges in flight; keeps the bytes that arrived without a gap.
    pub(super) fn cut_short(&mut self) {
        self.running.clear();
        self.broken.clear();
        let whole = |slot: &RangeSlot| slot.position == slot.end;
        let kept = self.slots.iter().take_while(|slot| whole(slot)).count();
        self.slots.truncate(kept + 1);
        if let Some(last) = self.slots.back_mut() {
            last.end = last.position;
            self.end = last.end;
        }
        if self.slots.back().is_some_and(|slot| slot.pieces.is_empty()) {
            self.slots.pop_back();
        }
    }
}
