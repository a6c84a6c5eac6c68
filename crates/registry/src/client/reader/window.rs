//! Ranges of a large blob that are under way at the same time, and what came of them, in their order.
//!
//! Nothing runs by itself: the ranges move on while somebody waits for an [`RangeEvent`], and end with the window.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use crate::error::Error;
use crate::transport::ReservedPermit;

use super::range_budget::RangeReservation;
use super::range_fetch::{RangeFailure, RangeFetch, RangeProgress};

/// What happened to one of the ranges.
pub(super) enum RangeEvent {
    /// It is answered as a range.
    Answered,
    /// So many bytes of it came.
    Came(u64),
    /// It broke, and waits to be [resumed](RangeWindow::resume).
    Broke(Error),
    /// It was answered with something else: this source has no ranges.
    NoRanges,
}

/// A row of ranges, each of which begins where the one before ends.
pub(super) struct RangeWindow {
    slots: VecDeque<RangeSlot>,
    running:
        FuturesUnordered<BoxFuture<'static, (RangeFetch, Result<RangeProgress, RangeFailure>)>>,
    /// Those that broke.
    broken: Vec<RangeFetch>,
    /// The first byte that was not handed on.
    start: u64,
    /// The first byte that no range was asked for.
    end: u64,
    /// One of them was answered as a range.
    confirmed: bool,
}

/// What came of one range and was not handed on.
struct RangeSlot {
    start: u64,
    /// The first byte that is not here.
    position: u64,
    end: u64,
    pieces: VecDeque<Bytes>,
    share: RangeReservation,
}

impl RangeWindow {
    /// An empty row from byte `start` on.
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

    /// The first byte that was not handed on.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// The first byte that no range was asked for.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Whether the source has answered a range as one.
    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// How many ranges are under way.
    pub(super) fn flowing(&self) -> usize {
        self.running.len()
    }

    /// Whether a range broke and waits to be resumed.
    pub(super) fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// Whether everything that was asked for was handed on.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Begins with `segment`, which is the next in the row and ends before byte `end`.
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

    /// Goes on with the first of the ranges that broke, in `place` or where there is one.
    pub(super) fn resume(&mut self, place: Option<ReservedPermit>) {
        let first =
            (0..self.broken.len()).min_by_key(|at| self.broken.get(*at).map(RangeFetch::start));
        if let Some(first) = first {
            let segment = self.broken.swap_remove(first).resumed(place);
            self.running.push(segment.step().boxed());
        }
    }

    /// The next bytes in order, if they are here.
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

    /// Waits until something happens; `None` where nothing is under way. Nothing is lost when the future is dropped.
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

    /// Ends all that is under way; keeps what came without a gap.
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
