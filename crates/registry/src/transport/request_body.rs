//! Bodies of requests.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};

/// The bytes of a request, from their producer.
pub type RequestStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyAborted>> + Send>>;

/// The body of a request.
pub enum RequestBody {
    /// No bytes; `Content-Length: 0` is sent with POST, PUT and PATCH.
    Empty,
    /// Bytes that are all in memory.
    Bytes(Bytes),
    /// A stream of exactly `length` bytes, which becomes `Content-Length`. If the stream yields an error, or another
    /// number of bytes, the request is aborted and the peer never sees a complete body. The last bytes are held back
    /// until the stream has ended.
    Stream {
        /// Exact length in bytes.
        length: u64,
        /// The bytes. An error is the producer's, and the producer keeps it.
        stream: RequestStream,
    },
}

impl RequestBody {
    /// Returns a second body of the same bytes, or `None` for a stream, which can be read once.
    pub(super) fn replay(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Bytes(bytes) => Some(Self::Bytes(bytes.clone())),
            Self::Stream { .. } => None,
        }
    }
}

/// Error of a request's body whose producer stopped early. The producer knows the reason.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the body's producer gave up")]
pub struct BodyAborted;

/// Polls a stream of no bytes to its end, since the HTTP library would not poll it at all.
pub(super) async fn drained_if_empty(body: RequestBody) -> Result<RequestBody, BodyAborted> {
    match body {
        RequestBody::Stream {
            length: 0,
            mut stream,
        } => {
            while let Some(bytes) = stream.next().await {
                if !bytes?.is_empty() {
                    return Err(BodyAborted);
                }
            }
            Ok(RequestBody::Empty)
        }
        body => Ok(body),
    }
}
