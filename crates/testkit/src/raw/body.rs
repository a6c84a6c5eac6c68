//! Bodies of requests.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::blob::Blob;
use crate::image::Manifest;

/// The body of a request.
#[derive(Clone, Debug)]
pub enum Payload {
    /// No body and no `Content-Length`.
    None,
    /// Bytes with their `Content-Length`.
    Bytes(Bytes),
    /// The bytes of a blob with their `Content-Length`, without the whole blob in memory.
    Blob(Blob),
    /// Bytes in chunked transfer coding.
    Chunked(Bytes),
}

impl Payload {
    /// Returns an empty body with `Content-Length: 0`.
    pub fn empty() -> Self {
        Self::Bytes(Bytes::new())
    }
}

impl From<&Blob> for Payload {
    fn from(blob: &Blob) -> Self {
        Self::Blob(blob.clone())
    }
}

impl From<&Manifest> for Payload {
    fn from(manifest: &Manifest) -> Self {
        Self::Bytes(manifest.bytes.clone())
    }
}

/// A body that is being sent.
pub(super) struct Sent {
    payload: Payload,
    offset: u64,
}

impl Sent {
    pub(super) fn new(payload: Payload) -> Self {
        Self { payload, offset: 0 }
    }

    fn chunk(&self) -> Bytes {
        match &self.payload {
            Payload::None => Bytes::new(),
            Payload::Blob(blob) => blob.chunk(self.offset, 64 * 1024).unwrap_or_default(),
            Payload::Bytes(bytes) | Payload::Chunked(bytes) => {
                let from = usize::try_from(self.offset).unwrap_or(usize::MAX);
                bytes.slice(from.min(bytes.len())..)
            }
        }
    }

    fn left(&self) -> Option<u64> {
        match &self.payload {
            Payload::None => Some(0),
            Payload::Bytes(bytes) => Some(bytes.len() as u64 - self.offset),
            Payload::Blob(blob) => Some(blob.size() - self.offset),
            Payload::Chunked(_) => None,
        }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = self.chunk();
        if chunk.is_empty() {
            return Poll::Ready(None);
        }
        self.offset += chunk.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
