//! Hashing of blobs: in the task that reads, or on a separate thread while cores are idle.
//!
//! Decrypting, hashing and encrypting one stream is work for three cores. A task for the hash does not move it to
//! another core, since a woken task stays with the worker that woke it; a thread does. A single blob of 4 GiB took a
//! third less time that way, and a tenth more CPU. With many streams, each is hashed where it is read (measured in
//! November 2026).

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::digest::{Digest, Hasher};

/// Bytes of a blob between two checks of the number of other blobs. Smaller blobs never get a thread.
const LOOK: usize = 8 * 1024 * 1024;
/// Bytes handed over at a time: waking a thread for each TLS record costs as much as the thread saves.
const BATCH: usize = 128 * 1024;
/// Maximum number of batches that wait for the thread.
const QUEUE: usize = 1;
/// Cores that one stream with a separate hash uses: decrypting, hashing, encrypting.
const STAGES: usize = 3;
/// Maximum number of streams with a separate hash, also on machines with more cores: each holds up to three more batches.
const MOST: usize = 4;

/// Blobs of a run that are being hashed.
#[derive(Debug)]
pub(super) struct HashingStreams {
    hashed: AtomicUsize,
    /// Number of blobs up to which each has a thread.
    few: usize,
}

impl HashingStreams {
    /// Starts without blobs, for the cores of this machine.
    pub(super) fn new() -> Arc<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self::with_few((cores / STAGES).min(MOST))
    }

    fn with_few(few: usize) -> Arc<Self> {
        Arc::new(Self {
            hashed: AtomicUsize::new(0),
            few,
        })
    }

    fn are_few(&self) -> bool {
        self.hashed.load(Ordering::Relaxed) <= self.few
    }
}

/// Registration of a blob that is being hashed. Removed on drop.
struct StreamGuard(Arc<HashingStreams>);

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.0.hashed.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Hash of a blob that is being read.
pub(super) struct BlobHash {
    place: HashPlace,
    counted: StreamGuard,
    /// Bytes since the last check of the other blobs.
    since: usize,
}

enum HashPlace {
    Here(Hasher),
    Beside(HashThread),
    /// The thread ended early.
    Lost,
}

impl BlobHash {
    /// Starts in the task that reads the blob.
    pub(super) fn new(hasher: Hasher, streams: &Arc<HashingStreams>) -> Self {
        streams.hashed.fetch_add(1, Ordering::Relaxed);
        Self {
            place: HashPlace::Here(hasher),
            counted: StreamGuard(Arc::clone(streams)),
            since: 0,
        }
    }

    /// Adds the next bytes; waits if the thread is behind.
    pub(super) async fn update(&mut self, bytes: &Bytes) {
        self.since = self.since.saturating_add(bytes.len());
        if self.since >= LOOK {
            self.since = 0;
            self.relocate().await;
        }
        match &mut self.place {
            HashPlace::Here(hasher) => hasher.update(bytes),
            HashPlace::Beside(beside) => beside.update(bytes.clone()).await,
            HashPlace::Lost => {}
        }
    }

    /// Returns the digest of all added bytes; `None` if it was lost.
    pub(super) async fn finish(self) -> Option<Digest> {
        match self.place {
            HashPlace::Here(hasher) => Some(hasher.finish()),
            HashPlace::Beside(beside) => beside.end().await.map(Hasher::finish),
            HashPlace::Lost => None,
        }
    }

    /// Moves the hash to a thread or back, depending on the number of streams.
    async fn relocate(&mut self) {
        let few = self.counted.0.are_few();
        self.place = match std::mem::replace(&mut self.place, HashPlace::Lost) {
            HashPlace::Here(hasher) if few => match HashThread::begin(hasher.clone()) {
                Ok(beside) => HashPlace::Beside(beside),
                // No thread can be started.
                Err(_) => HashPlace::Here(hasher),
            },
            HashPlace::Beside(beside) if !few => {
                beside.end().await.map_or(HashPlace::Lost, HashPlace::Here)
            }
            place => place,
        };
    }
}

/// A hash on its own thread, which ends with it.
struct HashThread {
    batches: mpsc::Sender<Vec<Bytes>>,
    hasher: oneshot::Receiver<Hasher>,
    gathered: Vec<Bytes>,
    size: usize,
}

impl HashThread {
    fn begin(mut hasher: Hasher) -> std::io::Result<Self> {
        let (batches, mut queue) = mpsc::channel::<Vec<Bytes>>(QUEUE);
        let (told, end) = oneshot::channel();
        thread::Builder::new()
            .name("hash".to_owned())
            .spawn(move || {
                while let Some(batch) = queue.blocking_recv() {
                    for bytes in batch {
                        hasher.update(&bytes);
                    }
                }
                // The receiver is gone, so the result is not needed.
                let _ = told.send(hasher);
            })?;
        Ok(Self {
            batches,
            hasher: end,
            gathered: Vec::new(),
            size: 0,
        })
    }

    async fn update(&mut self, bytes: Bytes) {
        self.size = self.size.saturating_add(bytes.len());
        self.gathered.push(bytes);
        if self.size >= BATCH {
            self.send_buffer().await;
        }
    }

    async fn send_buffer(&mut self) {
        self.size = 0;
        let batch = std::mem::take(&mut self.gathered);
        // A thread that is gone is detected at the end.
        let _ = self.batches.send(batch).await;
    }

    /// Returns the hasher after it has processed everything.
    async fn end(mut self) -> Option<Hasher> {
        self.send_buffer().await;
        drop(self.batches);
        self.hasher.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;

    const CHUNK: usize = 16 * 1024;

    fn begin(streams: &Arc<HashingStreams>) -> BlobHash {
        BlobHash::new(Hasher::with_algorithm(Algorithm::Sha256), streams)
    }

    /// Adds `count` chunks of `all`.
    async fn take(hashing: &mut BlobHash, all: &mut Vec<u8>, count: usize) {
        for number in 0..count {
            let length = CHUNK + number % 7;
            let chunk = vec![u8::try_from(number % 251).unwrap_or_default(); length];
            all.extend_from_slice(&chunk);
            hashing.update(&Bytes::from(chunk)).await;
        }
    }

    fn is_beside(hashing: &BlobHash) -> bool {
        matches!(hashing.place, HashPlace::Beside(_))
    }

    #[tokio::test]
    async fn a_lone_blob_is_hashed_beside_and_several_are_not() {
        let streams = HashingStreams::with_few(1);
        let (mut hashing, mut all) = (begin(&streams), Vec::new());
        take(&mut hashing, &mut all, LOOK / CHUNK - 1).await;
        assert!(!is_beside(&hashing), "it is small so far");
        take(&mut hashing, &mut all, 20).await;
        assert!(is_beside(&hashing));
        let other = begin(&streams);
        take(&mut hashing, &mut all, LOOK / CHUNK).await;
        assert!(!is_beside(&hashing), "there are two");
        drop(other);
        take(&mut hashing, &mut all, LOOK / CHUNK + 3).await;
        assert!(is_beside(&hashing), "it is alone again");
        assert_eq!(hashing.finish().await, Some(Digest::sha256(&all)));
        assert_eq!(streams.hashed.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn too_few_cores_hash_in_place() {
        let streams = HashingStreams::with_few(0);
        let (mut hashing, mut all) = (begin(&streams), Vec::new());
        take(&mut hashing, &mut all, LOOK / CHUNK + 1).await;
        assert!(!is_beside(&hashing));
        assert_eq!(hashing.finish().await, Some(Digest::sha256(&all)));
    }

    #[tokio::test]
    async fn a_thread_that_is_gone_gives_no_digest() {
        let streams = HashingStreams::with_few(1);
        let mut hashing = begin(&streams);
        let (batches, queue) = mpsc::channel(QUEUE);
        let (_, hasher) = oneshot::channel();
        drop(queue);
        hashing.place = HashPlace::Beside(HashThread {
            batches,
            hasher,
            gathered: Vec::new(),
            size: 0,
        });
        take(&mut hashing, &mut Vec::new(), 20).await;
        assert_eq!(hashing.finish().await, None);
    }
}
