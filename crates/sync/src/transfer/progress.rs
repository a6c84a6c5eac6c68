//! Shared counters that a display samples.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use image_syncer_registry::Descriptor;

use crate::Repository;
use crate::lock::lock;

/// Counters of a run's transfers. Each counter is exact; two that are read one after the other may belong to different
/// moments.
#[derive(Debug, Default)]
pub struct Progress {
    fetched: AtomicU64,
    streamed: AtomicU64,
    /// By number. Numbers are never reused, so that this is the order in which the uploads began.
    uploads: Mutex<BTreeMap<u64, Arc<InFlightUpload>>>,
    begun: AtomicU64,
}

/// An upload whose bytes flow, or that waits for its transfer. It continues while it is inspected.
#[derive(Debug)]
pub struct InFlightUpload {
    number: u64,
    blob: Arc<Descriptor>,
    source: Repository,
    destination: Repository,
    position: Arc<UploadPosition>,
}

/// Position of an upload in its blob. Counting costs each chunk one uncontended addition.
#[derive(Debug)]
pub(super) struct UploadPosition(AtomicU64);

/// Position before anything was read.
const WAITING: u64 = u64::MAX;

/// An upload that is in progress for as long as this lives.
pub(super) struct UploadProgress {
    progress: Arc<Progress>,
    number: u64,
}

impl Progress {
    /// Returns the bytes of blobs that were read from sources.
    pub fn bytes_fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }
    /// Returns the bytes of blobs that were passed to destinations; bytes that were sent again count again.
    pub fn bytes_streamed(&self) -> u64 {
        self.streamed.load(Ordering::Relaxed)
    }
    /// Returns the number of uploads in progress, waiting ones included.
    pub fn uploads_under_way(&self) -> u64 {
        lock(&self.uploads).len() as u64
    }
    /// Returns these uploads, in the order in which they began. Their remaining bytes are the known rest of the work at
    /// this moment.
    pub fn in_flight(&self) -> Vec<Arc<InFlightUpload>> {
        lock(&self.uploads).values().cloned().collect()
    }
    pub(super) fn fetched(&self, bytes: usize) {
        self.fetched.fetch_add(bytes as u64, Ordering::Relaxed);
    }
    pub(super) fn streamed(&self, bytes: usize) {
        self.streamed.fetch_add(bytes as u64, Ordering::Relaxed);
    }
    /// Registers an upload of `blob`, which is at `position`.
    pub(super) fn upload(
        self: &Arc<Self>,
        blob: &Arc<Descriptor>,
        source: &Repository,
        destination: &Repository,
        position: &Arc<UploadPosition>,
    ) -> UploadProgress {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let upload = InFlightUpload {
            number,
            blob: Arc::clone(blob),
            source: source.clone(),
            destination: destination.clone(),
            position: Arc::clone(position),
        };
        lock(&self.uploads).insert(number, Arc::new(upload));
        UploadProgress {
            progress: Arc::clone(self),
            number,
        }
    }
}

impl InFlightUpload {
    /// Returns a number that no other upload of the run has.
    pub fn number(&self) -> u64 {
        self.number
    }
    /// Returns the blob.
    pub fn blob(&self) -> &Descriptor {
        &self.blob
    }
    /// Returns the repository that is read.
    pub fn source(&self) -> &Repository {
        &self.source
    }
    /// Returns the repository that is written.
    pub fn destination(&self) -> &Repository {
        &self.destination
    }
    /// Returns the number of bytes that were passed to the destination, never more than the blob has; `None` before
    /// bytes flow.
    pub fn done(&self) -> Option<u64> {
        let position = self.position.0.load(Ordering::Relaxed);
        (position != WAITING).then(|| position.min(self.blob.size.unwrap_or(u64::MAX)))
    }
}

impl Default for UploadPosition {
    fn default() -> Self {
        Self(AtomicU64::new(WAITING))
    }
}

impl UploadPosition {
    /// Sets the position to the byte at which reading begins, perhaps again.
    pub(super) fn begin(&self, offset: u64) {
        self.0.store(offset, Ordering::Relaxed);
    }
    /// Advances the position by `bytes`.
    pub(super) fn advance(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for UploadProgress {
    fn drop(&mut self) {
        lock(&self.progress.uploads).remove(&self.number);
    }
}
