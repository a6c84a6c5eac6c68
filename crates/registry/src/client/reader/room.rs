//! How much of large blobs may be in memory out of order: one bound for all blobs of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// When and how a large blob is fetched in ranges, over several connections at once.
///
/// It begins as one ordinary request. Where whoever takes the bytes waits for the source, ranges from further on are
/// asked for beside it, for as long as that makes the whole faster, and only in places among the host's downloads that
/// are free at once. The bytes are handed on in their order.
#[derive(Clone, Copy, Debug)]
pub struct RangeOptions {
    /// The least size of such a blob, in bytes.
    pub threshold: u64,
    /// The size of a range, in bytes.
    pub segment: u64,
    /// How many ranges of all blobs of a run may be under way or in memory at a time; with [`RangeOptions::segment`]
    /// this is the memory that they take. 0: none are asked for.
    pub segments: usize,
    /// The shortest time after which the number of connections is thought over.
    pub period: Duration,
    /// What an added connection must bring at the least, in percent of what each brought before; with 0 it
    /// is not asked.
    pub gain: u64,
    /// Bytes a second from which on the line is fast and no connection is added: of one connection, times the large
    /// blobs that are being read.
    pub fast: u64,
}

impl RangeOptions {
    /// The most connections of one blob. Fewer than ranges, so that one that is slower than the others does not hold
    /// them up at once.
    pub(super) fn connections(&self) -> usize {
        self.segments - self.segments / 4
    }
}

impl Default for RangeOptions {
    fn default() -> Self {
        Self {
            threshold: 64 << 20,
            segment: 4 << 20,
            segments: 8,
            period: Duration::from_millis(250),
            gain: 50,
            fast: 128 << 20,
        }
    }
}

/// The room for ranges, shared by all blobs of a run.
#[derive(Debug)]
pub(in crate::client) struct Room {
    pub(super) options: RangeOptions,
    segments: Arc<Semaphore>,
    /// How many large blobs are being read.
    readers: AtomicUsize,
    held: AtomicU64,
    peak: AtomicU64,
}

/// A large blob that is being read.
#[derive(Debug)]
pub(super) struct Reading(Arc<Room>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Room for the bytes of one range; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    room: Arc<Room>,
    held: u64,
    _permit: OwnedSemaphorePermit,
}

impl Room {
    pub(in crate::client) fn new(options: RangeOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            segments: Arc::new(Semaphore::new(options.segments.min(Semaphore::MAX_PERMITS))),
            readers: AtomicUsize::new(0),
            held: AtomicU64::new(0),
            peak: AtomicU64::new(0),
        })
    }

    /// One more large blob is read, until what is returned is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Reading {
        self.readers.fetch_add(1, Ordering::Relaxed);
        Reading(Arc::clone(self))
    }

    /// How many large blobs are being read.
    pub(super) fn readers(&self) -> usize {
        self.readers.load(Ordering::Relaxed)
    }

    /// Room for one range, if there is some.
    pub(super) fn share(self: &Arc<Self>) -> Option<Share> {
        let permit = Arc::clone(&self.segments).try_acquire_owned().ok()?;
        Some(Share {
            room: Arc::clone(self),
            held: 0,
            _permit: permit,
        })
    }

    /// How many bytes of ranges are in memory.
    pub(in crate::client) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// The most bytes of ranges that were in memory at a time.
    pub(in crate::client) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Bytes take up room.
    pub(super) fn put(&mut self, bytes: u64) {
        self.held = self.held.saturating_add(bytes);
        let held = self.room.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.room.peak.fetch_max(held, Ordering::Relaxed);
    }

    /// They were handed on.
    pub(super) fn take(&mut self, bytes: u64) {
        let bytes = bytes.min(self.held);
        self.held -= bytes;
        self.room.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.take(self.held);
    }
}
