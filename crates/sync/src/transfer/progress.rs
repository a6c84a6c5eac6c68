//! Shared counters that a display samples at its own pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the transfers of a run have moved so far. Each counter is exact; two that are read one after the other may
/// stem from different moments.
#[derive(Debug, Default)]
pub struct Progress {
    fetched: AtomicU64,
    streamed: AtomicU64,
    uploads: AtomicU64,
}

/// An upload that is under way for as long as this lives.
pub(super) struct Underway(Arc<Progress>);

impl Progress {
    /// Bytes of blobs read from sources.
    pub fn bytes_fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }
    /// Bytes of blobs handed to destinations; those that a broken upload is sent again count again.
    pub fn bytes_streamed(&self) -> u64 {
        self.streamed.load(Ordering::Relaxed)
    }
    /// Uploads whose bytes flow, or wait for their turn to flow, at this moment.
    pub fn uploads_under_way(&self) -> u64 {
        self.uploads.load(Ordering::Relaxed)
    }
    pub(super) fn fetched(&self, bytes: usize) {
        self.fetched.fetch_add(bytes as u64, Ordering::Relaxed);
    }
    pub(super) fn streamed(&self, bytes: usize) {
        self.streamed.fetch_add(bytes as u64, Ordering::Relaxed);
    }
    pub(super) fn upload(self: &Arc<Self>) -> Underway {
        self.uploads.fetch_add(1, Ordering::Relaxed);
        Underway(Arc::clone(self))
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.uploads.fetch_sub(1, Ordering::Relaxed);
    }
}
