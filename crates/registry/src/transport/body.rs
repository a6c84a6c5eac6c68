//! Bodies in both directions.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;

use crate::error::Error;

/// What is sent.
pub enum RequestBody {
    /// Nothing; `Content-Length: 0` is sent with POST, PUT and PATCH.
    Empty,
    /// All of it at hand.
    Bytes(Bytes),
    /// A stream of exactly `length` bytes, which becomes `Content-Length`. When the stream yields an error, or
    /// ends early, the request is aborted: the peer never sees a complete body.
    Stream {
        /// Its exact length in bytes.
        length: u64,
        /// The bytes. An error here is the producer's, and the producer keeps it.
        stream: Pin<Box<dyn Stream<Item = Result<Bytes, BodyAborted>> + Send>>,
    },
}

/// The producer of a request's body gave up; what happened is for the producer to tell.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the body's producer gave up")]
pub struct BodyAborted;

/// What is received: watched for stalls, counted, holding its host's permit.
pub struct ResponseBody {
    // Filled in by the transport.
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResponseBody")
    }
}

impl ResponseBody {
    /// The next bytes, or `None` at the end. A connection that breaks or stalls is an error; an end before
    /// `Content-Length` is one too.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        todo!()
    }
    /// All of it, if it is at most `limit` bytes; nothing is allocated on the word of a header.
    pub async fn bytes(self, _limit: u64) -> Result<Bytes, Error> {
        todo!()
    }
    /// Reads what is left of a small body so that the connection can be used again, and drops it otherwise.
    pub async fn drain(self) {
        todo!()
    }
}
