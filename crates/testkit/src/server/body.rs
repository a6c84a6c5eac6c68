//! The body of an answer: bytes or a blob, with the effect of a fault.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::wire::Wire;
use crate::fault::Cut;
use crate::log::Entry;
use crate::reply::Content;

/// Largest frame: the size of a real server's reads from its storage.
const FRAME: usize = 64 * 1024;

/// The event when a body reaches a certain byte.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Cut(Cut),
    Stall,
}

/// The effect of a fault on the body of an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Damage {
    pub(crate) end: Option<(u64, End)>,
    pub(crate) corrupt: Option<u64>,
}

/// Marks a request as running until it is dropped.
pub(crate) struct Running(pub(crate) Arc<Entry>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// The body of an answer that is being sent.
pub(crate) struct Outgoing {
    pub(crate) content: Content,
    /// `Content-Length` is left out: the client finds the length at the end of the body.
    pub(crate) unsaid: bool,
    /// Value of `Content-Length`. If the content is shorter, the connection ends early.
    pub(crate) announced: u64,
    pub(crate) damage: Damage,
    pub(crate) offset: u64,
    pub(crate) wire: Arc<Wire>,
    pub(crate) running: Option<Arc<Running>>,
    pub(crate) entry: Arc<Entry>,
    /// Bytes per second, read again for every frame.
    pub(crate) rate: Box<dyn Fn() -> Option<u64> + Send + Sync>,
    pub(crate) pause: Option<Pin<Box<Sleep>>>,
}

impl Outgoing {
    fn next(&mut self) -> Option<Bytes> {
        let rate = (self.rate)();
        // Small frames on slow connections, so that bytes flow evenly.
        let even = rate.map_or(FRAME, |rate| usize::try_from(rate / 50).unwrap_or(FRAME));
        let mut limit = even.clamp(1, FRAME);
        if let Some((end, _)) = self.damage.end {
            limit = limit.min(usize::try_from(end - self.offset).unwrap_or(usize::MAX));
        }
        let mut chunk = self.content.chunk(self.offset, limit);
        if chunk.is_empty() {
            return None;
        }
        if let Some(wrong) = self.damage.corrupt
            && let Some(position) = wrong.checked_sub(self.offset)
            && let Ok(position) = usize::try_from(position)
            && position < chunk.len()
        {
            chunk = flipped(&chunk, position);
        }
        if let Some(rate) = rate {
            let until = self.wire.book(chunk.len(), rate);
            self.pause = Some(Box::pin(tokio::time::sleep_until(until)));
        }
        self.offset += chunk.len() as u64;
        self.entry.sent(chunk.len());
        Some(chunk)
    }
}

fn flipped(chunk: &Bytes, position: usize) -> Bytes {
    let mut changed = BytesMut::from(chunk.as_ref());
    if let Some(byte) = changed.get_mut(position) {
        *byte ^= 1;
    }
    changed.freeze()
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        if let Some((end, how)) = self.damage.end
            && self.offset >= end
        {
            if let End::Cut(cut) = how {
                self.wire.cut_after_flush(cut);
            }
            return Poll::Pending;
        }
        if let Some(chunk) = self.next() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if self.offset < self.announced {
            self.wire.cut_after_flush(Cut::Close);
            return Poll::Pending;
        }
        self.running = None;
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.damage.end.is_none() && self.offset >= self.announced.max(self.content.len())
    }

    fn size_hint(&self) -> SizeHint {
        if self.unsaid {
            return SizeHint::default();
        }
        SizeHint::with_exact(self.announced.saturating_sub(self.offset))
    }
}
