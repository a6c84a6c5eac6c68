//! Stream of the bytes of a blob, with its length.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, stream};

use crate::error::Error;

/// Stream of the bytes of a blob. Its end means that all bytes came and were verified.
pub struct BlobStream {
    bytes: Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>,
    size: BlobSize,
}

/// Length of a whole blob in bytes, as found by its reader. Clones share one value, which is final when the first bytes
/// are returned. Manifests of some builders state other lengths; the digest decides.
#[derive(Clone, Debug)]
pub struct BlobSize(Arc<AtomicU64>);

/// Marks an unknown length.
const UNKNOWN: u64 = u64::MAX;

impl BlobStream {
    /// Creates a stream of `bytes` with an unknown length.
    pub fn new(bytes: impl Stream<Item = Result<Bytes, Error>> + Send + 'static) -> Self {
        Self {
            bytes: Box::pin(bytes),
            size: BlobSize::default(),
        }
    }
    /// Creates a stream of a blob in memory, from byte `offset` on. It is empty if the offset is beyond the end.
    pub fn from_bytes(mut blob: Bytes, offset: u64) -> Self {
        let size = BlobSize::known(blob.len() as u64);
        let start = usize::try_from(offset).map_or(blob.len(), |start| start.min(blob.len()));
        let rest = blob.split_off(start);
        Self::new(stream::iter([Ok(rest)])).with_size(&size)
    }
    /// Sets the length of the blob.
    #[must_use]
    pub fn with_size(self, size: &BlobSize) -> Self {
        Self {
            size: size.clone(),
            ..self
        }
    }
    /// Returns the length of the whole blob, for every offset of the stream.
    pub fn size(&self) -> &BlobSize {
        &self.size
    }
}

impl Stream for BlobStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.bytes.as_mut().poll_next(cx)
    }
}

impl BlobSize {
    /// Creates a known length.
    pub fn known(size: u64) -> Self {
        Self(Arc::new(AtomicU64::new(size)))
    }
    /// Returns the length; `None` if it is not known yet.
    pub fn get(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|size| *size != UNKNOWN)
    }
    pub(super) fn set(&self, size: Option<u64>) {
        self.0.store(size.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }
}

impl Default for BlobSize {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(UNKNOWN)))
    }
}
