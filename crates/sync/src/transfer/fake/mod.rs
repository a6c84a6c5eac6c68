//! Stores that do what a test tells them, and log it.
//!
//! Every repository holds blobs; what it does at its next calls is scripted, first script first, and ordinary when
//! the scripts are used up. Calls are logged as `post DST`, `mount DST from SRC`, `open SRC 0` (a download at an
//! offset), `done DST` (an upload).

mod session;
mod store;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use image_syncer_registry::{Descriptor, Digest, ErrorKind, Registry, Repository};
use tokio::sync::{Semaphore, watch};

use crate::store::Store;
use store::FakeStore;

/// All registries of a test; clones share them.
#[derive(Clone, Default)]
pub(in crate::transfer) struct Fake(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    held: HashMap<Repository, HashSet<Digest>>,
    contents: HashMap<Digest, Bytes>,
    log: Vec<String>,
    mounts: HashMap<Registry, Mounts>,
    /// Repositories in which a manifest names everything.
    committed: HashSet<Repository>,
    posts: HashMap<Repository, VecDeque<Post>>,
    reads: HashMap<Repository, VecDeque<Read>>,
    takes: HashMap<Repository, VecDeque<Take>>,
    /// Destinations that ask for the bytes again, once, after an error of the source.
    insistent: HashSet<Repository>,
    chunk: usize,
    /// The longest that a call may take, in milliseconds, and the state of the dice.
    jitter: u64,
    dice: u64,
    sending: HashSet<(Repository, Digest)>,
    read: usize,
    streams: usize,
    most_streams: usize,
    received: HashMap<Repository, usize>,
    /// How many uploads a registry takes at a time; where nothing is said, as many as there are.
    windows: HashMap<Registry, Arc<Semaphore>>,
}

/// Whether a registry mounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::transfer) enum Mounts {
    #[default]
    Takes,
    /// Only from repositories in which a manifest names the blob.
    OnlyCommitted,
    Declines,
}

/// What a repository does when an upload is opened.
#[derive(Clone)]
pub(in crate::transfer) enum Post {
    Fail(ErrorKind),
    Hold(Gate),
    Panic,
}

/// What a source does when it is opened.
#[derive(Clone)]
pub(in crate::transfer) enum Read {
    Fail(ErrorKind),
    Hold(Gate),
    /// Gives this many bytes, then an error.
    Break(usize, ErrorKind),
    /// Gives this many bytes, then waits.
    Pause(usize, Gate),
    /// Panics after this many bytes.
    Panic(usize),
}

/// What a destination does with the bytes of an upload.
#[derive(Clone)]
pub(in crate::transfer) enum Take {
    /// Waits before it asks for bytes.
    Hold(Gate),
    /// Takes this many bytes, then fails for good.
    Fail(usize, ErrorKind),
    /// Takes this many bytes, then asks for them again from the start.
    Restart(usize),
    /// Takes this many bytes, then asks for the rest anew.
    Resume(usize),
    /// Takes this many bytes, then waits.
    Pause(usize, Gate),
}

/// Holds back until it is opened.
#[derive(Clone)]
pub(in crate::transfer) struct Gate(Arc<(watch::Sender<usize>, watch::Sender<bool>)>);

impl Gate {
    pub(in crate::transfer) fn new() -> Self {
        Self(Arc::new((watch::Sender::new(0), watch::Sender::new(false))))
    }
    pub(in crate::transfer) fn open(&self) {
        self.0.1.send_replace(true);
    }
    /// Waits until somebody waits at the gate.
    pub(in crate::transfer) async fn reached(&self) {
        let mut reached = self.0.0.subscribe();
        reached.wait_for(|reached| *reached > 0).await.unwrap();
    }
    async fn pass(&self) {
        self.0.0.send_modify(|reached| *reached += 1);
        let mut open = self.0.1.subscribe();
        open.wait_for(|open| *open).await.unwrap();
    }
}

/// Waits until nothing moves any more, but for what waits for time to pass. The clock must be paused.
pub(in crate::transfer) async fn settled() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

pub(in crate::transfer) fn repository(name: &str) -> Repository {
    Repository::parse(name).unwrap()
}

impl Fake {
    /// Registries that give blobs in chunks of this many bytes.
    pub(in crate::transfer) fn new(chunk: usize) -> Self {
        let fake = Self::default();
        fake.world().chunk = chunk;
        fake
    }
    /// Lets every call take up to so many milliseconds, by dice.
    pub(in crate::transfer) fn jitter(&self, milliseconds: u64, dice: u64) {
        let mut world = self.world();
        world.jitter = milliseconds;
        world.dice = dice;
    }
    /// A manifest in the repository names everything there.
    pub(in crate::transfer) fn commit(&self, name: &str) {
        self.world().committed.insert(repository(name));
    }
    /// A blob of this many bytes, held by `repositories`.
    pub(in crate::transfer) fn blob(&self, bytes: usize, repositories: &[&str]) -> Descriptor {
        let content: Bytes = (0..bytes).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let digest = Digest::sha256(&content);
        let mut world = self.world();
        world.contents.insert(digest.clone(), content);
        for name in repositories {
            let held = world.held.entry(repository(name)).or_default();
            held.insert(digest.clone());
            world.committed.insert(repository(name));
        }
        Descriptor {
            media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
            digest,
            size: Some(bytes as u64),
            platform: None,
            annotations: std::collections::BTreeMap::new(),
            urls: Vec::new(),
            artifact_type: None,
        }
    }
    pub(in crate::transfer) fn store(&self, name: &str) -> Arc<dyn Store> {
        Arc::new(FakeStore {
            fake: self.clone(),
            repository: repository(name),
        })
    }
    pub(in crate::transfer) fn stores(&self, names: &[&str]) -> Vec<Arc<dyn Store>> {
        names.iter().map(|name| self.store(name)).collect()
    }
    pub(in crate::transfer) fn mounts(&self, registry: &str, mounts: Mounts) {
        let registry = Registry::parse(registry).unwrap();
        self.world().mounts.insert(registry, mounts);
    }
    pub(in crate::transfer) fn post(&self, name: &str, post: Post) {
        let mut world = self.world();
        world
            .posts
            .entry(repository(name))
            .or_default()
            .push_back(post);
    }
    pub(in crate::transfer) fn read(&self, name: &str, read: Read) {
        let mut world = self.world();
        world
            .reads
            .entry(repository(name))
            .or_default()
            .push_back(read);
    }
    pub(in crate::transfer) fn take(&self, name: &str, take: Take) {
        let mut world = self.world();
        world
            .takes
            .entry(repository(name))
            .or_default()
            .push_back(take);
    }
    /// The destination asks for the bytes again, once, after an error of the source.
    pub(in crate::transfer) fn insist(&self, name: &str) {
        self.world().insistent.insert(repository(name));
    }
    /// The calls so far, in order.
    pub(in crate::transfer) fn log(&self) -> Vec<String> {
        self.world().log.clone()
    }
    /// The calls so far that start with `prefix`, counted.
    pub(in crate::transfer) fn count(&self, prefix: &str) -> usize {
        let world = self.world();
        world.log.iter().filter(|l| l.starts_with(prefix)).count()
    }
    /// Bytes that all sources gave.
    pub(in crate::transfer) fn bytes_read(&self) -> usize {
        self.world().read
    }
    /// Bytes that a repository was sent.
    pub(in crate::transfer) fn received(&self, name: &str) -> usize {
        let world = self.world();
        world.received.get(&repository(name)).copied().unwrap_or(0)
    }
    /// The most downloads that were open at the same time.
    pub(in crate::transfer) fn most_streams(&self) -> usize {
        self.world().most_streams
    }
    pub(in crate::transfer) fn holds(&self, name: &str, blob: &Descriptor) -> bool {
        self.world().holds(&repository(name), &blob.digest)
    }

    /// The registry takes `size` uploads at a time.
    pub(in crate::transfer) fn window(&self, registry: &str, size: usize) {
        let registry = Registry::parse(registry).unwrap();
        let window = Arc::new(Semaphore::new(size));
        self.world().windows.insert(registry, window);
    }
    fn places(&self, registry: &Registry) -> Arc<Semaphore> {
        let mut world = self.world();
        let window = world.windows.entry(registry.clone());
        Arc::clone(window.or_insert_with(|| Arc::new(Semaphore::new(Semaphore::MAX_PERMITS))))
    }
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
    fn receive(&self, repository: &Repository, bytes: usize) {
        let mut world = self.world();
        *world.received.entry(repository.clone()).or_default() += bytes;
    }
    /// Takes its time, and lets others have their turn even where that is none.
    async fn dawdle(&self) {
        let time = {
            let mut world = self.world();
            // Numerical Recipes' linear congruential generator: dice enough for a schedule.
            world.dice = world
                .dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            match world.jitter {
                0 => 0,
                jitter => (world.dice >> 33) % (jitter + 1),
            }
        };
        if time == 0 {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(Duration::from_millis(time)).await;
        }
    }
}

impl World {
    fn holds(&self, repository: &Repository, digest: &Digest) -> bool {
        let held = self.held.get(repository);
        held.is_some_and(|held| held.contains(digest))
    }
    fn hold(&mut self, repository: &Repository, digest: &Digest) {
        let held = self.held.entry(repository.clone()).or_default();
        held.insert(digest.clone());
    }
    fn would_mount(&self, from: &Repository, digest: &Digest) -> bool {
        let mounts = self.mounts.get(from.registry());
        self.holds(from, digest)
            && match mounts.copied().unwrap_or_default() {
                Mounts::Takes => true,
                Mounts::OnlyCommitted => self.committed.contains(from),
                Mounts::Declines => false,
            }
    }
}
