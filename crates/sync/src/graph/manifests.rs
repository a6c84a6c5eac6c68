//! Cache of source manifests: each is fetched once, however many images of the run name it.
//!
//! Tags that share a digest (`1`, `1.27`, `latest`) are common, and each GET counts where pulls have a quota.
//! Concurrent requests for one manifest share one fetch. Recent manifests are kept within bounds.

use std::sync::Arc;

use image_syncer_registry::{Digest, Manifest, Target};

use crate::Repository;
use crate::failure::Failure;
use crate::graph::embedded::EmbeddedContent;
use crate::keyed::KeyedOnce;
use crate::store::{Source, StoreResult};

/// Maximum number of bytes of manifests that are kept for later images; some thousands of the usual size.
const MAX_KEPT_BYTES: u64 = 4 * 1024 * 1024;

/// Manifests that the run has fetched lately; shared by all images.
pub(crate) struct ManifestCache {
    /// By repository as well: a credential for a digest in one repository need not be valid for another.
    manifests: KeyedOnce<(Repository, Digest), Arc<Manifest>, Failure>,
    embedded: EmbeddedContent,
}

impl Default for ManifestCache {
    fn default() -> Self {
        Self::with_limit(MAX_KEPT_BYTES)
    }
}

impl ManifestCache {
    fn with_limit(limit: u64) -> Self {
        Self {
            manifests: KeyedOnce::with_limit(limit),
            embedded: EmbeddedContent::default(),
        }
    }
    /// Blobs that are embedded in manifests.
    pub(super) fn embedded(&self) -> &EmbeddedContent {
        &self.embedded
    }
    /// Returns the manifest of `digest` in `store`. A failure is shared by the images that wait for it, and not kept.
    pub(crate) async fn get(
        &self,
        store: &dyn Source,
        digest: &Digest,
    ) -> Result<Arc<Manifest>, Failure> {
        let key = (store.repository().clone(), digest.clone());
        let fetch = || async {
            let manifest = store.manifest(&Target::Digest(digest.clone())).await;
            Ok(Arc::new(manifest?))
        };
        self.manifests.get(key, |one| one.size(), fetch).await
    }
    /// Fetches the manifest of `target`, a tag, from `store` with a request, and keeps it for later requests of its
    /// digest.
    pub(crate) async fn fetch(
        &self,
        store: &dyn Source,
        target: &Target,
    ) -> StoreResult<Arc<Manifest>> {
        let manifest = Arc::new(store.manifest(target).await?);
        let key = (store.repository().clone(), manifest.digest().clone());
        // An earlier copy is returned, so that there is one in memory.
        Ok(self.manifests.insert(key, manifest.size(), manifest))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image_syncer_registry::ErrorKind;

    use super::*;
    use crate::store::memory::{MemoryStores, error, repository};

    #[tokio::test]
    async fn concurrent_and_later_callers_share_one_request() {
        let stores = MemoryStores::new();
        let source = repository("src.example/app");
        let image = stores.image(&source, "image", "linux/amd64", &["base"]);
        let store = stores.source_at(&source);
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
    async fn a_failure_is_shared_by_waiters_and_not_kept() {
        let stores = MemoryStores::new();
        let source = repository("src.example/app");
        let image = stores.image(&source, "image", "linux/amd64", &["base"]);
        stores.fail("manifest", 1, || error(ErrorKind::Server, "src.example"));
        let store = stores.source_at(&source);
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
    async fn the_cache_is_bounded_and_drops_the_oldest() {
        let stores = MemoryStores::new();
        let source = repository("src.example/app");
        let one = stores.image(&source, "one", "linux/amd64", &["base"]);
        let two = stores.image(&source, "two", "linux/amd64", &["base"]);
        let store = stores.source_at(&source);
        let manifests = ManifestCache::with_limit(one.size().max(two.size()));
        for wanted in [&one, &two, &two, &one] {
            manifests.get(&*store, wanted.digest()).await.unwrap();
        }
        let expected = ["one", "two", "one"].map(|name| format!("manifest src.example/app@{name}"));
        assert_eq!(stores.calls(), expected);
    }
}
