//! Scripts for uploads and downloads: what a repository does at its next calls, first script first. Without a script a
//! call succeeds.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::{Digest, ErrorKind, Registry};
use tokio::sync::Semaphore;

use crate::store::memory::{Gate, MemoryStores, repository};
use crate::{Endpoint, Repository};

/// Behavior of a registry at mounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mounts {
    #[default]
    Accepts,
    /// Only from repositories in which a manifest names the blob.
    OnlyCommitted,
    Refuses,
}

/// Behavior of a repository when an upload is opened.
#[derive(Clone)]
pub(crate) enum OpenScript {
    Fail(ErrorKind),
    Hold(Gate),
    Panic,
}

/// Behavior of a source when a blob is read.
#[derive(Clone)]
pub(crate) enum ReadScript {
    Fail(ErrorKind),
    Hold(Gate),
    /// Sends this many bytes, then an error.
    Break(usize, ErrorKind),
    /// Sends this many bytes, then waits.
    Pause(usize, Gate),
    /// Panics after this many bytes.
    Panic(usize),
}

/// Behavior of a destination while it receives a blob.
#[derive(Clone)]
pub(crate) enum ReceiveScript {
    /// Waits before it requests bytes.
    Hold(Gate),
    /// Receives this many bytes, then fails permanently.
    Fail(usize, ErrorKind),
    /// Receives this many bytes, then requests them again from the start.
    Restart(usize),
    /// Receives this many bytes, then requests the rest in a new stream.
    Resume(usize),
    /// Receives this many bytes, then waits.
    Pause(usize, Gate),
}

/// Scripts of all repositories, and counters of their transfers.
#[derive(Default)]
pub(super) struct Scripts {
    opens: HashMap<Repository, VecDeque<OpenScript>>,
    reads: HashMap<Repository, VecDeque<ReadScript>>,
    receives: HashMap<Repository, VecDeque<ReceiveScript>>,
    /// Destinations that request the bytes again, once, after an error of the source.
    pub(super) insistent: HashSet<Repository>,
    mounts: HashMap<Endpoint, Mounts>,
    /// Repositories in which a manifest names every blob.
    committed: HashSet<Repository>,
    /// Uploads that a registry accepts at the same time; unlimited without an entry.
    windows: HashMap<Endpoint, Arc<Semaphore>>,
    /// Maximum duration of a call in milliseconds, and the state of the random numbers.
    jitter: u64,
    random: u64,
    /// Uploads in progress.
    pub(super) sending: HashSet<(Repository, Digest)>,
    pub(super) bytes_read: usize,
    pub(super) received: HashMap<Repository, usize>,
    pub(super) streams: usize,
    pub(super) most_streams: usize,
}

impl Scripts {
    pub(super) fn next_open(&mut self, repository: &Repository) -> Option<OpenScript> {
        self.opens.get_mut(repository)?.pop_front()
    }
    pub(super) fn next_read(&mut self, repository: &Repository) -> Option<ReadScript> {
        self.reads.get_mut(repository)?.pop_front()
    }
    pub(super) fn next_receive(&mut self, repository: &Repository) -> Option<ReceiveScript> {
        self.receives.get_mut(repository)?.pop_front()
    }
    /// Returns whether a blob of `from` can be mounted.
    pub(super) fn mounts_from(&self, from: &Repository) -> bool {
        let mounts = self.mounts.get(from.endpoint());
        match mounts.copied().unwrap_or_default() {
            Mounts::Accepts => true,
            Mounts::OnlyCommitted => self.committed.contains(from),
            Mounts::Refuses => false,
        }
    }
    /// Returns a random duration of a call.
    fn next_delay(&mut self) -> Duration {
        // Numerical Recipes' linear congruential generator: random enough for a schedule.
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        match self.jitter {
            0 => Duration::ZERO,
            jitter => Duration::from_millis((self.random >> 33) % (jitter + 1)),
        }
    }
}

impl MemoryStores {
    /// Adds a script for the next opened upload at `name`.
    pub(crate) fn on_open(&self, name: &str, script: OpenScript) {
        let scripts = &mut self.state().scripts.opens;
        let queue = scripts.entry(repository(name)).or_default();
        queue.push_back(script);
    }
    /// Adds a script for the next read from `name`.
    pub(crate) fn on_read(&self, name: &str, script: ReadScript) {
        let scripts = &mut self.state().scripts.reads;
        let queue = scripts.entry(repository(name)).or_default();
        queue.push_back(script);
    }
    /// Adds a script for the next blob that is sent to `name`.
    pub(crate) fn on_receive(&self, name: &str, script: ReceiveScript) {
        let scripts = &mut self.state().scripts.receives;
        let queue = scripts.entry(repository(name)).or_default();
        queue.push_back(script);
    }
    /// Makes the destination request the bytes again, once, after an error of the source.
    pub(crate) fn insist(&self, name: &str) {
        self.state().scripts.insistent.insert(repository(name));
    }
    /// Sets the behavior of a registry at mounts.
    pub(crate) fn set_mounts(&self, registry: &str, mounts: Mounts) {
        let registry = Endpoint::Registry(Registry::parse(registry).unwrap());
        self.state().scripts.mounts.insert(registry, mounts);
    }
    /// Declares that a manifest of the repository names all of its blobs.
    pub(crate) fn commit(&self, name: &str) {
        self.state().scripts.committed.insert(repository(name));
    }
    /// Limits the registry to `size` uploads at the same time.
    pub(crate) fn limit_uploads(&self, registry: &str, size: usize) {
        let registry = Endpoint::Registry(Registry::parse(registry).unwrap());
        let window = Arc::new(Semaphore::new(size));
        self.state().scripts.windows.insert(registry, window);
    }
    /// Makes calls take up to this many milliseconds, at random.
    pub(crate) fn set_jitter(&self, milliseconds: u64, seed: u64) {
        let scripts = &mut self.state().scripts;
        (scripts.jitter, scripts.random) = (milliseconds, seed);
    }
    /// Returns the number of bytes that were read from all sources.
    pub(crate) fn bytes_read(&self) -> usize {
        self.state().scripts.bytes_read
    }
    /// Returns the number of bytes that were sent to `name`.
    pub(crate) fn received(&self, name: &str) -> usize {
        let received = &self.state().scripts.received;
        received.get(&repository(name)).copied().unwrap_or(0)
    }
    /// Returns the maximum number of downloads at the same time.
    pub(crate) fn most_streams(&self) -> usize {
        self.state().scripts.most_streams
    }
    /// Returns the upload slots of a registry.
    pub(super) fn window(&self, endpoint: &Endpoint) -> Arc<Semaphore> {
        let windows = &mut self.state().scripts.windows;
        let window = windows.entry(endpoint.clone());
        Arc::clone(window.or_insert_with(|| Arc::new(Semaphore::new(Semaphore::MAX_PERMITS))))
    }
    /// Takes a random time, and yields to other tasks even if that is none.
    pub(super) async fn delay(&self) {
        let delay = self.state().scripts.next_delay();
        if delay.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(delay).await;
        }
    }
}

/// Waits until nothing moves any more except time. The clock must be paused.
pub(crate) async fn settled() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
