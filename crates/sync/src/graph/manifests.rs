//! Manifests of sources, each fetched once however many images of the run name it.
//!
//! Tags that share a digest (`1`, `1.27`, `latest`) are the rule, and each GET counts where pulls have a quota. Those
//! who want the same manifest at the same moment share one request; what came last stays for a while, within bounds.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use image_syncer_registry::{Digest, Manifest, Repository, Target};
use tokio::sync::OnceCell;

use crate::failure::{Failure, Side};
use crate::graph::embedded::EmbeddedContent;
use crate::lock::lock;
use crate::store::Store;

/// How many bytes of manifests stay that nobody uses at the moment; some thousands of the usual size.
const MAX_KEPT_BYTES: u64 = 4 * 1024 * 1024;

/// The table of dead entries is swept when it has grown to this, or to twice what lived at the last sweep.
const SWEEP_AT_LEAST: usize = 1_024;

/// The manifests that the run has fetched lately; shared by all images.
pub struct ManifestCache {
    shelf: Mutex<CacheShard>,
    limit: u64,
    embedded: EmbeddedContent,
}

/// Keyed by repository too: who may read a digest in one repository need not be able to in another.
type Key = (Repository, Digest);
type Slot = OnceCell<Result<Arc<Manifest>, Failure>>;

#[derive(Default)]
struct CacheShard {
    slots: HashMap<Key, Weak<Slot>>,
    /// What keeps slots alive that nobody waits for, oldest first, with the sizes.
    kept: VecDeque<(Arc<Slot>, u64)>,
    kept_bytes: u64,
    sweep_at: usize,
}

impl Default for ManifestCache {
    fn default() -> Self {
        Self::with_limit(MAX_KEPT_BYTES)
    }
}

impl ManifestCache {
    fn with_limit(limit: u64) -> Self {
        Self {
            shelf: Mutex::default(),
            limit,
            embedded: EmbeddedContent::default(),
        }
    }
    /// The blobs that stood in manifests.
    pub(super) fn embedded(&self) -> &EmbeddedContent {
        &self.embedded
    }
    /// The manifest of `digest` in `store`. A failure is shared by those who wait for it now and not remembered.
    pub async fn get(&self, store: &dyn Store, digest: &Digest) -> Result<Arc<Manifest>, Failure> {
        let key = (store.repository().clone(), digest.clone());
        let slot = self.lock().slot(&key);
        let fetch = async {
            match store.manifest(&Target::Digest(digest.clone())).await {
                Ok(manifest) => {
                    self.lock().keep(&slot, manifest.size(), self.limit);
                    Ok(Arc::new(manifest))
                }
                Err(error) => {
                    self.lock().slots.remove(&key);
                    Err(Failure::registry(Side::Source, &error))
                }
            }
        };
        slot.get_or_init(|| fetch).await.clone()
    }
    /// What `target`, a tag, names in `store`: always a request. Whoever wants that digest next has it.
    pub async fn fetch(
        &self,
        store: &dyn Store,
        target: &Target,
    ) -> Result<Arc<Manifest>, image_syncer_registry::Error> {
        let manifest = Arc::new(store.manifest(target).await?);
        let key = (store.repository().clone(), manifest.digest().clone());
        let mut shelf = self.lock();
        let slot = shelf.slot(&key);
        if slot.set(Ok(Arc::clone(&manifest))).is_ok() {
            shelf.keep(&slot, manifest.size(), self.limit);
        }
        // One copy in memory, whoever came first.
        Ok(match slot.get() {
            Some(Ok(kept)) => Arc::clone(kept),
            _ => manifest,
        })
    }
    fn lock(&self) -> MutexGuard<'_, CacheShard> {
        lock(&self.shelf)
    }
}

impl CacheShard {
    fn slot(&mut self, key: &Key) -> Arc<Slot> {
        if let Some(slot) = self.slots.get(key).and_then(Weak::upgrade) {
            return slot;
        }
        if self.slots.len() >= self.sweep_at {
            self.slots.retain(|_, slot| slot.strong_count() > 0);
            self.sweep_at = SWEEP_AT_LEAST.max(self.slots.len() * 2);
        }
        let slot = Arc::new(Slot::new());
        self.slots.insert(key.clone(), Arc::downgrade(&slot));
        slot
    }
    fn keep(&mut self, slot: &Arc<Slot>, size: u64, limit: u64) {
        self.kept.push_back((Arc::clone(slot), size));
        self.kept_bytes += size;
        while self.kept_bytes > limit
            && let Some((_, size)) = self.kept.pop_front()
        {
            self.kept_bytes -= size;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image_syncer_registry::ErrorKind;

    use super::*;
    use crate::store::Stores;
    use crate::store::memory::{MemoryStores, error, repository};

    #[tokio::test]
    async fn those_who_want_it_at_once_and_later_share_one_request() {
        let stores = MemoryStores::new();
        let source = repository("src.example/app");
        let image = stores.image(&source, "image", "linux/amd64", &["base"]);
        let store = stores.store(&source);
        let manifests = ManifestCache::default();
        let (one, two) = tokio::join!(
            manifests.get(&*store, image.digest()),
            manifests.get(&*store, image.digest())
        );
        let three = manifests.get(&*store, image.digest()).await.unwrap();
        assert_eq!(one.unwrap().digest(), two.unwrap().digest());
        assert_eq!(three.bytes(), image.bytes());
        assert_eq!(stores.calls(), ["manifest src.example/app@image"]);
    }

    #[tokio::test]
    async fn a_failure_is_shared_by_those_who_wait_and_asked_anew_later() {
        let stores = MemoryStores::new();
        let source = repository("src.example/app");
        let image = stores.image(&source, "image", "linux/amd64", &["base"]);
        stores.fail("manifest", 1, || error(ErrorKind::Server, "src.example"));
        let store = stores.store(&source);
        let manifests = ManifestCache::default();
        let (one, two) = tokio::join!(
            manifests.get(&*store, image.digest()),
            manifests.get(&*store, image.digest())
        );
        assert!(one.is_err() && two.is_err());
        assert_eq!(stores.count("manifest"), 1);
        assert!(manifests.get(&*store, image.digest()).await.is_ok());
        assert_eq!(stores.count("manifest"), 2);
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded_and_the_oldest_goes_first() {
        let stores = MemoryStores::new();
        let source = repository("src.example/app");
        let one = stores.image(&source, "one", "linux/amd64", &["base"]);
        let two = stores.image(&source, "two", "linux/amd64", &["base"]);
        let store = stores.store(&source);
        let manifests = ManifestCache::with_limit(one.size().max(two.size()));
        for wanted in [&one, &two, &two, &one] {
            manifests.get(&*store, wanted.digest()).await.unwrap();
        }
        let expected = ["one", "two", "one"].map(|name| format!("manifest src.example/app@{name}"));
        assert_eq!(stores.calls(), expected);
    }
}
