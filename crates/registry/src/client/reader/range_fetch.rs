//! Download of one range of a large blob.

use bytes::{Buf, Bytes};

use crate::error::{Error, ErrorKind};
use crate::transport::{ReservedPermit, ResponseBody};

use super::fetch::{BlobFetch, FetchAnswer};
use super::range_budget::{PIECE, RangeBuffer};

/// Download of one range. Its owner drives the steps.
pub(super) struct RangeFetch {
    fetch: BlobFetch,
    place: Option<ReservedPermit>,
    start: u64,
    /// Offset of the first byte that has not arrived yet.
    position: u64,
    /// Offset after the last byte of the range.
    end: u64,
    body: Option<ResponseBody>,
    /// Bytes from `position` on that have arrived already.
    leftover: Bytes,
    /// Bytes before `position` that were not returned yet.
    piece: Option<RangeBuffer>,
}

/// Result of a step.
pub(super) enum RangeProgress {
    /// The range was answered as a range; its bytes follow.
    Answered,
    /// The next bytes.
    Piece(Bytes),
}

/// Failure of a step.
pub(super) enum RangeFailure {
    /// The source does not answer with the requested range.
    NoRanges,
    /// Any other error. Received bytes are kept, and the next step requests the rest.
    Broke(Error),
}

impl RangeFetch {
    /// Creates a download of the bytes from `start` to before `end`, with the permit `place`.
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

    /// Returns whether all bytes were returned.
    pub(super) fn is_complete(&self) -> bool {
        self.position == self.end && self.piece.is_none()
    }

    /// Sets the permit for the rest; without one, the next request waits for it.
    pub(super) fn resumed(mut self, place: Option<ReservedPermit>) -> Self {
        self.place = place;
        self
    }

    /// Takes one step.
    pub(super) async fn step(mut self) -> (Self, Result<RangeProgress, RangeFailure>) {
        let step = self.advance().await;
        if step.is_err() || self.is_complete() {
            // Releases the permit of the host.
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
            // Another part, or a part of another blob.
            Err(error) if matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Corrupt) => {
                Err(RangeFailure::NoRanges)
            }
            Err(error) => Err(RangeFailure::Broke(error)),
        }
    }
}
