//! Shared counters that a display samples at its own pace.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use image_syncer_registry::{Descriptor, Repository};

use crate::lock::lock;

/// What the transfers of a run have moved so far. Each counter is exact; two that are read one after the other may
/// stem from different moments.
#[derive(Debug, Default)]
pub struct Progress {
    fetched: AtomicU64,
    streamed: AtomicU64,
    /// By their numbers, which are never given twice; so in the order in which they began.
    uploads: Mutex<BTreeMap<u64, Arc<InFlightUpload>>>,
    begun: AtomicU64,
}

/// An upload whose bytes flow, or wait for their turn to flow. It goes on while it is looked at.
#[derive(Debug)]
pub struct InFlightUpload {
    number: u64,
    blob: Arc<Descriptor>,
    source: Repository,
    destination: Repository,
    position: Arc<UploadPosition>,
}

/// How far into its blob an upload is. Counting costs each piece of a blob one addition that nobody else waits for.
#[derive(Debug)]
pub(super) struct UploadPosition(AtomicU64);

/// What a position is before anything was read.
const WAITING: u64 = u64::MAX;

/// An upload that is under way for as long as this lives.
pub(super) struct UploadProgress {
    progress: Arc<Progress>,
    number: u64,
}

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
        lock(&self.uploads).len() as u64
    }
    /// These uploads, in the order in which they began. What of their blobs is not done is what is known to be left to
    /// send at this moment.
    pub fn in_flight(&self) -> Vec<Arc<InFlightUpload>> {
        lock(&self.uploads).values().cloned().collect()
    }
    pub(super) fn fetched(&self, bytes: usize) {
        self.fetched.fetch_add(bytes as u64, Ordering::Relaxed);
    }
    pub(super) fn streamed(&self, bytes: usize) {
        self.streamed.fetch_add(bytes as u64, Ordering::Relaxed);
    }
    /// Begins an upload of `blob`, which is at `position`.
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
    /// A number that no other upload of the run has.
    pub fn number(&self) -> u64 {
        self.number
    }
    /// What is sent.
    pub fn blob(&self) -> &Descriptor {
        &self.blob
    }
    /// Where it is read.
    pub fn source(&self) -> &Repository {
        &self.source
    }
    /// Where it is sent.
    pub fn destination(&self) -> &Repository {
        &self.destination
    }
    /// How many bytes of the blob were handed to the destination, never more than it has; `None` while nothing flows.
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
    /// Reading begins, perhaps anew, at this byte.
    pub(super) fn begin(&self, offset: u64) {
        self.0.store(offset, Ordering::Relaxed);
    }
    /// So many bytes further.
    pub(super) fn advance(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for UploadProgress {
    fn drop(&mut self) {
        lock(&self.progress.uploads).remove(&self.number);
    }
}
