//! How much of large blobs may be in memory out of order: one bound for all blobs of a run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client::reader::hashing::HashingStreams;

/// Bytes are copied into pieces of this size: a chunk as it comes is a small part of a buffer that it keeps alive,
/// so that a window of chunks would take several times the memory of its bytes.
pub(super) const PIECE: usize = 64 * 1024;

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
    /// Bytes a second from which on the line is fast and no connection is added: of one connection, or of all blobs of
    /// this size that are being read.
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
pub(in crate::client) struct RangeBudget {
    pub(super) options: RangeOptions,
    /// The blobs that are being hashed, large or not.
    pub(super) streams: Arc<HashingStreams>,
    segments: Arc<Semaphore>,
    /// Bytes of large blobs that came, in ranges or not.
    came: AtomicU64,
    held: AtomicU64,
    peak: AtomicU64,
    /// Memory of pieces that were handed on, for the next ones. The allocator keeps what is freed for the thread that
    /// it was allocated by, so that a window that is filled by all threads in turn took two or three times its size.
    spare: Mutex<Vec<Vec<u8>>>,
}

/// A piece of a range that is being put together.
#[derive(Debug)]
pub(super) struct RangeBuffer {
    bytes: Vec<u8>,
    room: Arc<RangeBudget>,
}

/// Room for the bytes of one range; given back when dropped.
#[derive(Debug)]
pub(super) struct RangeReservation {
    room: Arc<RangeBudget>,
    held: u64,
    _permit: OwnedSemaphorePermit,
}

impl RangeBudget {
    pub(in crate::client) fn new(options: RangeOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            streams: HashingStreams::new(),
            segments: Arc::new(Semaphore::new(options.segments.min(Semaphore::MAX_PERMITS))),
            came: AtomicU64::new(0),
            held: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            spare: Mutex::default(),
        })
    }

    /// Bytes of a large blob came; returns how many that are by now, of all blobs.
    pub(super) fn record_bytes(&self, bytes: u64) -> u64 {
        self.came.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// Room for one range, if there is some.
    pub(super) fn share(self: &Arc<Self>) -> Option<RangeReservation> {
        let permit = Arc::clone(&self.segments).try_acquire_owned().ok()?;
        Some(RangeReservation {
            room: Arc::clone(self),
            held: 0,
            _permit: permit,
        })
    }

    /// An empty piece.
    pub(super) fn piece(self: &Arc<Self>) -> RangeBuffer {
        let spare = self.spare_buffers().pop();
        RangeBuffer {
            bytes: spare.unwrap_or_else(|| Vec::with_capacity(PIECE)),
            room: Arc::clone(self),
        }
    }

    fn spare_buffers(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        // A list of buffers is whole whatever panics beside it.
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes of ranges are in memory.
    pub(in crate::client) fn bytes_held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// The most bytes of ranges that were in memory at a time.
    pub(in crate::client) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

impl RangeBuffer {
    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds bytes, at most [`PIECE`] in all.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Its bytes, which give their memory back when they are dropped.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for RangeBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for RangeBuffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        // Without a range under way, the last of which gave its room back, nobody will want it.
        if self.room.segments.available_permits() < self.room.options.segments {
            bytes.clear();
            self.room.spare_buffers().push(bytes);
        }
    }
}

impl RangeReservation {
    /// Bytes take up room.
    pub(super) fn put(&mut self, bytes: u64) {
        self.held = self.held.saturating_add(bytes);
        let held = self.room.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.room.peak.fetch_max(held, Ordering::Relaxed);
    }

    /// They were handed on.
    pub(super) fn consume(&mut self, bytes: u64) {
        let bytes = bytes.min(self.held);
        self.held -= bytes;
        self.room.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for RangeReservation {
    fn drop(&mut self) {
        self.consume(self.held);
        // This one is the last.
        if self.room.segments.available_permits() + 1 >= self.room.options.segments {
            *self.room.spare_buffers() = Vec::new();
        }
    }
}
