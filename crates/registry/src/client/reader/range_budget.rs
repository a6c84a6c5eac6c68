//! Memory for large blobs that arrive out of order: one limit for all blobs of a run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client::reader::hashing::HashingStreams;
use crate::lock::lock;
use crate::setters::setters;

/// Size of the buffers that bytes are copied into. A chunk as received is a small part of a buffer that it keeps alive,
/// so that a window of chunks would take several times the memory of its bytes.
pub(super) const PIECE: usize = 64 * 1024;

/// Settings for fetching a large blob in ranges, over several connections at once.
///
/// The blob starts as one ordinary request. If the consumer waits for the source, ranges further on are requested in
/// parallel, as long as that makes the whole faster, and only with download permits of the host that are free at once.
/// The bytes are returned in order.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RangeOptions {
    /// Minimum size of a blob that is fetched in ranges, in bytes.
    pub threshold: u64,
    /// Size of a range, in bytes.
    pub segment: u64,
    /// Maximum number of ranges of all blobs of a run in flight or in memory; with [`RangeOptions::segment`] this
    /// limits their memory. 0 disables ranges.
    pub segments: usize,
    /// Minimum time between two decisions about the number of connections.
    pub period: Duration,
    /// Minimum gain of an added connection, in percent of the earlier rate of one connection; 0 disables the check.
    pub gain: u64,
    /// Rate in bytes per second from which on a line is fast and no connection is added: the rate of one connection, or
    /// of all blobs of this size together.
    pub fast: u64,
}

setters! { RangeOptions {
    /// Sets the minimum size of a blob that is fetched in ranges, in bytes.
    with_threshold(threshold: u64);
    /// Sets the size of a range, in bytes.
    with_segment(segment: u64);
    /// Sets the maximum number of ranges in flight or in memory. 0 disables ranges.
    with_segments(segments: usize);
    /// Sets the minimum time between two decisions about the number of connections.
    with_period(period: Duration);
    /// Sets the minimum gain of an added connection, in percent. 0 disables the check.
    with_gain(gain: u64);
    /// Sets the rate in bytes per second from which on no connection is added.
    with_fast(fast: u64);
}}

impl RangeOptions {
    /// Maximum number of connections of one blob. Smaller than the number of ranges, so that a slow connection does not
    /// stop the others at once.
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

/// Memory for ranges, shared by all blobs of a run.
#[derive(Debug)]
pub(in crate::client) struct RangeBudget {
    pub(super) options: RangeOptions,
    /// Blobs that are being hashed, large or not.
    pub(super) streams: Arc<HashingStreams>,
    segments: Arc<Semaphore>,
    /// Received bytes of large blobs, in ranges or not.
    came: AtomicU64,
    held: AtomicU64,
    peak: AtomicU64,
    /// Memory of buffers that were handed on, for reuse. The allocator keeps freed memory for the thread that allocated
    /// it, so that a window filled by all threads in turn took two or three times its size.
    spare: Mutex<Vec<Vec<u8>>>,
}

/// A buffer of a range that is being filled.
#[derive(Debug)]
pub(super) struct RangeBuffer {
    bytes: Vec<u8>,
    room: Arc<RangeBudget>,
}

/// Reserved memory for the bytes of one range. Released on drop.
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

    /// Adds received bytes of a large blob; returns the total of all blobs.
    pub(super) fn record_bytes(&self, bytes: u64) -> u64 {
        self.came.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// Reserves memory for one range, if available.
    pub(super) fn share(self: &Arc<Self>) -> Option<RangeReservation> {
        let permit = Arc::clone(&self.segments).try_acquire_owned().ok()?;
        Some(RangeReservation {
            room: Arc::clone(self),
            held: 0,
            _permit: permit,
        })
    }

    /// Returns an empty buffer.
    pub(super) fn piece(self: &Arc<Self>) -> RangeBuffer {
        let spare = lock(&self.spare).pop();
        RangeBuffer {
            bytes: spare.unwrap_or_else(|| Vec::with_capacity(PIECE)),
            room: Arc::clone(self),
        }
    }

    /// Returns the bytes of ranges in memory.
    pub(in crate::client) fn bytes_held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Returns the maximum number of bytes of ranges in memory so far.
    pub(in crate::client) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

impl RangeBuffer {
    /// Returns the number of bytes in the buffer.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds bytes, at most [`PIECE`] in total.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the bytes, which give their memory back on drop.
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
        // Without a range in flight, nothing needs the memory.
        if self.room.segments.available_permits() < self.room.options.segments {
            bytes.clear();
            lock(&self.room.spare).push(bytes);
        }
    }
}

impl RangeReservation {
    /// Records that bytes are held in memory.
    pub(super) fn put(&mut self, bytes: u64) {
        self.held = self.held.saturating_add(bytes);
        let held = self.room.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.room.peak.fetch_max(held, Ordering::Relaxed);
    }

    /// Records that bytes were handed on.
    pub(super) fn consume(&mut self, bytes: u64) {
        let bytes = bytes.min(self.held);
        self.held -= bytes;
        self.room.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for RangeReservation {
    fn drop(&mut self) {
        self.consume(self.held);
        // Last holder of the reservation.
        if self.room.segments.available_permits() + 1 >= self.room.options.segments {
            *lock(&self.room.spare) = Vec::new();
        }
    }
}
