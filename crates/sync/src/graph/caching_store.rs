//! Store over a source that returns a blob a second time without a request: the first blob that was read whole, and
//! every blob that was embedded in a manifest.
//!
//! The platform of a single image is in its config: a config that the filter read is not fetched again for the copy.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use image_syncer_registry::{
    BlobStream, Descriptor, Digest, Error, IndexedReferrers, Manifest, ManifestHead,
    ManifestPresence, Presence, Repository, Target,
};

use crate::graph::ManifestCache;
use crate::store::{FallbackTag, Opened, Session, Store, Tags};

/// Store that keeps the first blob that was read whole, and uses the blobs embedded in manifests.
pub(super) struct CachingStore {
    store: Arc<dyn Store>,
    read: OnceLock<(Digest, Bytes)>,
    manifests: Arc<ManifestCache>,
}

impl CachingStore {
    pub(super) fn new(store: Arc<dyn Store>, manifests: Arc<ManifestCache>) -> Self {
        Self {
            store,
            read: OnceLock::new(),
            manifests,
        }
    }
    fn remembered(&self, blob: &Descriptor) -> Option<Bytes> {
        match self.read.get() {
            Some((digest, bytes)) if *digest == blob.digest => Some(bytes.clone()),
            _ => self.manifests.embedded().get(&blob.digest),
        }
    }
}

impl Store for CachingStore {
    fn read_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        limit: u64,
    ) -> BoxFuture<'a, Result<Bytes, Error>> {
        async move {
            if let Some(bytes) = self.manifests.embedded().get(&blob.digest) {
                return Ok(bytes);
            }
            let bytes = self.store.read_blob(blob, limit).await?;
            // Another blob, read at the same time, may already be kept. Then this one is not.
            let _ = self.read.set((blob.digest.clone(), bytes.clone()));
            Ok(bytes)
        }
        .boxed()
    }
    fn open_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        offset: u64,
    ) -> BoxFuture<'a, Result<BlobStream, Error>> {
        let Some(bytes) = self.remembered(blob) else {
            return self.store.open_blob(blob, offset);
        };
        async move { Ok(BlobStream::from_bytes(bytes, offset)) }.boxed()
    }

    fn repository(&self) -> &Repository {
        self.store.repository()
    }
    fn resolve<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>> {
        self.store.resolve(target)
    }
    fn probe<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>> {
        self.store.probe(target)
    }
    fn resolve_for_push<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<ManifestPresence, Error>> {
        self.store.resolve_for_push(target)
    }
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Manifest, Error>> {
        self.store.manifest(target)
    }
    fn head_blob<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Presence, Error>> {
        self.store.head_blob(blob)
    }
    fn blob_size<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Option<u64>, Error>> {
        self.store.blob_size(blob)
    }
    fn open_upload<'a>(
        &'a self,
        blob: &'a Descriptor,
        from: Option<&'a Repository>,
    ) -> BoxFuture<'a, Result<Opened, Error>> {
        self.store.open_upload(blob, from)
    }
    fn open_session<'a>(
        &'a self,
        blob: &'a Descriptor,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Error>> {
        self.store.open_session(blob)
    }
    fn put_manifest<'a>(
        &'a self,
        target: &'a Target,
        manifest: &'a Manifest,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.store.put_manifest(target, manifest)
    }
    fn referrers<'a>(
        &'a self,
        subject: &'a Digest,
        tag: FallbackTag,
    ) -> BoxFuture<'a, Result<Vec<Descriptor>, Error>> {
        self.store.referrers(subject, tag)
    }
    fn referrers_for_push<'a>(
        &'a self,
        subject: &'a Digest,
    ) -> BoxFuture<'a, Result<Vec<Descriptor>, Error>> {
        self.store.referrers_for_push(subject)
    }
    fn update_referrers_index<'a>(
        &'a self,
        subject: &'a Digest,
        referrers: &'a [Descriptor],
    ) -> BoxFuture<'a, Result<IndexedReferrers, Error>> {
        self.store.update_referrers_index(subject, referrers)
    }
    fn tags(&self) -> Box<dyn Tags> {
        self.store.tags()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures_util::StreamExt;

    use super::*;
    use crate::store::Stores;
    use crate::store::memory::{MemoryStores, repository};

    async fn text(store: &dyn Store, blob: &Descriptor, offset: u64) -> String {
        let stream = store.open_blob(blob, offset).await.unwrap();
        let chunks: Vec<Bytes> = stream.map(Result::unwrap).collect().await;
        String::from_utf8(chunks.concat()).unwrap()
    }

    #[tokio::test]
    async fn a_read_blob_is_returned_again_from_any_offset() {
        let stores = MemoryStores::new();
        let source = repository("src.example/app");
        let config = stores.blob(&source, "config", "the config");
        let layer = stores.blob(&source, "layer", "the layer");
        let store = CachingStore::new(stores.store(&source), Arc::default());
        assert_eq!(text(&store, &config, 0).await, "the config");
        assert_eq!(store.read_blob(&config, 100).await.unwrap(), "the config");
        stores.take_sorted();
        assert_eq!(text(&store, &config, 0).await, "the config");
        assert_eq!(text(&store, &config, 4).await, "config");
        assert_eq!(text(&store, &config, 99).await, "");
        assert_eq!(stores.calls(), Vec::<String>::new());
        assert_eq!(text(&store, &layer, 4).await, "layer");
        assert_eq!(stores.calls(), ["open-blob src.example/app@layer at 4"]);
    }
}
