//! The bytes of a blob on their way, with their number.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, stream};

use crate::error::Error;

/// The bytes of a blob as they come. The end of the stream means that all of it came and is what it should be.
pub struct BlobStream {
    bytes: Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>,
    size: BlobSize,
}

/// Length of a whole blob in bytes, as found where it is read. Clones share one value, which is final when the first
/// bytes were handed on. Manifests of some builders state other lengths: the digest decides, not they.
#[derive(Clone, Debug)]
pub struct BlobSize(Arc<AtomicU64>);

/// Stands for a length that is not known.
const UNKNOWN: u64 = u64::MAX;

impl BlobStream {
    /// A stream of `bytes` whose source does not say how many they are.
    pub fn new(bytes: impl Stream<Item = Result<Bytes, Error>> + Send + 'static) -> Self {
        Self {
            bytes: Box::pin(bytes),
            size: BlobSize::default(),
        }
    }
    /// A stream of a blob that is at hand, from byte `offset` on. An offset beyond its end gives no bytes.
    pub fn from_bytes(mut blob: Bytes, offset: u64) -> Self {
        let size = BlobSize::known(blob.len() as u64);
        let start = usize::try_from(offset).map_or(blob.len(), |start| start.min(blob.len()));
        let rest = blob.split_off(start);
        Self::new(stream::iter([Ok(rest)])).with_size(&size)
    }
    /// The same stream of a blob of this size.
    #[must_use]
    pub fn with_size(self, size: &BlobSize) -> Self {
        Self {
            size: size.clone(),
            ..self
        }
    }
    /// The size of the whole blob, wherever the stream begins in it.
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
    /// A size that is known already.
    pub fn known(size: u64) -> Self {
        Self(Arc::new(AtomicU64::new(size)))
    }
    /// Returns the size; `None` while it is not known.
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
