//! One range of a large blob on its way.

use bytes::{Buf, Bytes};

use crate::error::{Error, ErrorKind};
use crate::transport::{ReservedPermit, ResponseBody};

use super::fetch::{BlobFetch, FetchAnswer};
use super::range_budget::{PIECE, RangeBuffer};

/// A range that is fetched, by whoever drives its steps.
pub(super) struct RangeFetch {
    fetch: BlobFetch,
    place: Option<ReservedPermit>,
    start: u64,
    /// The first byte that did not come yet.
    position: u64,
    /// The first byte that does not belong to it.
    end: u64,
    body: Option<ResponseBody>,
    /// Bytes from `position` on that came already.
    leftover: Bytes,
    /// The bytes before `position` that were not given yet.
    piece: Option<RangeBuffer>,
}

/// What a step came to.
pub(super) enum RangeProgress {
    /// The range is answered as one; its bytes follow.
    Answered,
    /// The next bytes.
    Piece(Bytes),
}

/// Why a step came to nothing.
pub(super) enum RangeFailure {
    /// This source does not answer ranges with what was asked for.
    NoRanges,
    /// Anything else. What came is kept, and the next step asks for the rest.
    Broke(Error),
}

impl RangeFetch {
    /// The bytes from `start` to before `end`, asked for in `place`.
    pub(super) fn new(fetch: BlobFetch, place: ReservedPermit, start: u64, end: u64) -> Self {
        Self {
            fetch,
            place: Some(place),
            start,
            position: start,
            end,
            body: None,
            leftover: Bytes::new(),
            piece: None,
        }
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Whether nothing of it is still to come.
    pub(super) fn is_complete(&self) -> bool {
        self.position == self.end && self.piece.is_none()
    }

    /// Asks for what is left in `place`, or where there is one.
    pub(super) fn resumed(mut self, place: Option<ReservedPermit>) -> Self {
        self.place = place;
        self
    }

    /// Takes one step.
    pub(super) async fn step(mut self) -> (Self, Result<RangeProgress, RangeFailure>) {
        let step = self.advance().await;
        if step.is_err() || self.is_complete() {
            // The place at the host is for whoever wants it next.
            self.body = None;
        }
        (self, step)
    }

    async fn advance(&mut self) -> Result<RangeProgress, RangeFailure> {
        let Some(body) = self.body.as_mut() else {
            self.body = Some(self.request().await?);
            return Ok(RangeProgress::Answered);
        };
        let room = self.fetch.client().range_budget();
        let piece = self.piece.get_or_insert_with(|| room.piece());
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let target = PIECE.min(left.saturating_add(piece.len()));
        while piece.len() < target {
            if self.leftover.is_empty() {
                self.leftover = match body.chunk().await {
                    Ok(Some(bytes)) => bytes,
                    Ok(None) => return Err(self.ended()),
                    Err(error) => return Err(RangeFailure::Broke(error)),
                };
                self.fetch.bytes_came();
            }
            let fits = self.leftover.len().min(target - piece.len());
            piece.put(self.leftover.get(..fits).unwrap_or_default());
            self.leftover.advance(fits);
            self.position += fits as u64;
        }
        let piece = self.piece.take();
        Ok(RangeProgress::Piece(
            piece.map(RangeBuffer::freeze).unwrap_or_default(),
        ))
    }

    fn ended(&self) -> RangeFailure {
        let message = format!(
            "the body ended at byte {} of the bytes {}-{}",
            self.position,
            self.start,
            self.end.saturating_sub(1)
        );
        RangeFailure::Broke(self.fetch.error(ErrorKind::Broken, message))
    }

    async fn request(&mut self) -> Result<ResponseBody, RangeFailure> {
        let place = self.place.take();
        match self.fetch.get(self.position, Some(self.end), place).await {
            Ok(FetchAnswer::Part(body)) => Ok(body),
            Ok(FetchAnswer::Whole(_) | FetchAnswer::Beyond(_) | FetchAnswer::Unusable) => {
                Err(RangeFailure::NoRanges)
            }
            // Another part, or a part of something else.
            Err(error) if matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Corrupt) => {
                Err(RangeFailure::NoRanges)
            }
            Err(error) => Err(RangeFailure::Broke(error)),
        }
    }
}
