//! Bodies of requests from the stream of a source: exact lengths, nothing collected, nothing read twice.
//!
//! The body of the request and the stream of the source run as two tasks of one future, with a small channel between
//! them: the body must be `'static`, and the source is borrowed. This also hashes the source while the destination's
//! bytes are encrypted.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

use crate::client::reader::{BlobSource, BlobStream};
use crate::error::{Error, ErrorKind};
use crate::transport::{BodyAborted, RequestBody};

use super::RequestSpec;

/// Maximum number of chunks between source and destination. The HTTP library reads up to 400 KiB at once, and each end
/// holds one more chunk. With 4, 16 streams took 40 to 45 MiB instead of 32 to 34, at the same speed (measured in
/// November 2026).
const WINDOW: usize = 1;

/// Body of one request.
struct RequestBodyStream {
    chunks: mpsc::Receiver<Bytes>,
    remaining: u64,
    taken: Arc<AtomicU64>,
}

/// Sender of the bytes of a body.
pub(super) struct RequestBodySender {
    chunks: mpsc::Sender<Bytes>,
    taken: Arc<AtomicU64>,
}

/// Creates a body of `length` bytes and its sender.
pub(super) fn channel(length: u64) -> (RequestBody, RequestBodySender) {
    let (sender, chunks) = mpsc::channel(WINDOW);
    let taken = Arc::new(AtomicU64::new(0));
    let inlet = RequestBodySender {
        chunks: sender,
        taken: Arc::clone(&taken),
    };
    let feed = RequestBodyStream {
        chunks,
        remaining: length,
        taken,
    };
    let body = match length {
        0 => RequestBody::Empty,
        _ => RequestBody::Stream {
            length,
            stream: Box::pin(feed),
        },
    };
    (body, inlet)
}

impl RequestBodySender {
    /// Returns a counter of the bytes that left the body.
    pub(super) fn bytes_taken(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.taken)
    }
}

impl Stream for RequestBodyStream {
    type Item = Result<Bytes, BodyAborted>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match ready!(self.chunks.poll_recv(cx)) {
            Some(bytes) => {
                let length = bytes.len() as u64;
                self.remaining = self.remaining.saturating_sub(length);
                self.taken.fetch_add(length, Ordering::Relaxed);
                Poll::Ready(Some(Ok(bytes)))
            }
            None if self.remaining == 0 => Poll::Ready(None),
            None => Poll::Ready(Some(Err(BodyAborted))),
        }
    }
}

/// Reads a source piece by piece, over any number of requests.
pub(super) struct SourceReader<'a> {
    source: &'a dyn BlobSource,
    /// Length stated by the source, once it was opened; before that, by the descriptor.
    size: Option<u64>,
    /// Request for errors about the source's length.
    request: RequestSpec,
    open: Option<OpenSource>,
}

/// A stream of the source with its position.
struct OpenSource {
    stream: BlobStream,
    /// Offset of the first byte that was not used yet.
    position: u64,
    /// Bytes from `position` on that were read already.
    leftover: Bytes,
}

impl<'a> SourceReader<'a> {
    /// Creates a reader of `source`, which has `size` bytes according to its descriptor.
    pub(super) fn new(source: &'a dyn BlobSource, size: Option<u64>, request: RequestSpec) -> Self {
        Self {
            source,
            size,
            request,
            open: None,
        }
    }

    /// Returns the length of the blob; `None` while it is unknown.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// Drops the stream of the source: the next bytes come from a new one.
    pub(super) fn reset(&mut self) {
        self.open = None;
    }

    /// Returns whether a stream of the source is open, with the permits that it holds.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Opens the source at `from` with its first bytes ready, unless no bytes are needed (`to` is not beyond). After
    /// that, [size](SourceReader::size) is the length stated by the source.
    pub(super) async fn prime(&mut self, from: u64, to: u64) -> Result<(), Error> {
        if self.open.as_ref().is_some_and(|open| open.position == from) {
            return Ok(());
        }
        self.open = None;
        if from < to || self.size.is_none() {
            let mut reading = OpenSource {
                stream: self.source.open(from).await?,
                position: from,
                leftover: Bytes::new(),
            };
            reading.leftover = self.read(&mut reading).await?.unwrap_or_default();
            self.open = Some(reading);
        }
        Ok(())
    }

    /// Sends the bytes up to `to` into `inlet`, until all are sent or the body is dropped. An error is the source's.
    pub(super) async fn pump(&mut self, inlet: RequestBodySender, to: u64) -> Result<(), Error> {
        // Taken while it runs: bytes that are lost when this future is dropped are read again.
        let Some(mut reading) = self.open.take() else {
            return Ok(());
        };
        while reading.position < to {
            let bytes = self.piece(&mut reading, to).await?;
            if inlet.chunks.send(bytes).await.is_err() {
                return Ok(());
            }
        }
        self.open = Some(reading);
        Ok(())
    }

    /// Returns the next bytes, at most up to `to`.
    async fn piece(&mut self, reading: &mut OpenSource, to: u64) -> Result<Bytes, Error> {
        if reading.leftover.is_empty() {
            let Some(bytes) = self.read(reading).await? else {
                return Err(self.wrong(&format!("ended after {} of", reading.position)));
            };
            reading.leftover = bytes;
        }
        let most = usize::try_from(to - reading.position).unwrap_or(usize::MAX);
        let length = most.min(reading.leftover.len());
        let piece = reading.leftover.split_to(length);
        reading.position += piece.len() as u64;
        Ok(piece)
    }

    /// Reads the next bytes of the stream; `None` at the end of the blob. The last bytes are returned only after the
    /// stream has ended, which means that all of them were verified.
    async fn read(&mut self, reading: &mut OpenSource) -> Result<Option<Bytes>, Error> {
        let next_bytes = next(&mut reading.stream).await?;
        self.size = reading.stream.size().get().or(self.size);
        let end = reading.position + next_bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let Some(size) = self.size else {
            return Ok(next_bytes);
        };
        match next_bytes {
            None if end < size => Err(self.wrong(&format!("ended after {end} of"))),
            Some(_) if end > size => Err(self.wrong("has more than")),
            Some(_) if end == size && next(&mut reading.stream).await?.is_some() => {
                Err(self.wrong("has more than"))
            }
            next_bytes => Ok(next_bytes),
        }
    }

    fn wrong(&self, what: &str) -> Error {
        let size = self.size.unwrap_or_default();
        self.request.error(
            ErrorKind::Corrupt,
            format!("the source {what} the {size} bytes that it should have"),
        )
    }
}

/// Reads the next chunk that is not empty.
async fn next(stream: &mut BlobStream) -> Result<Option<Bytes>, Error> {
    loop {
        match stream.next().await.transpose()? {
            Some(bytes) if bytes.is_empty() => {}
            other => return Ok(other),
        }
    }
}
