//! Source that returns a blob a second time without a request: the first blob that was read whole, and
//! every blob that was embedded in a manifest.
//!
//! The platform of a single image is in its config: a config that the filter read is not fetched again for the copy.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use image_syncer_registry::{
    BlobStream, Descriptor, Digest, Manifest, ManifestHead, Presence, Target,
};

use crate::graph::ManifestCache;
use crate::store::{
    FallbackTag, Repository, Source, SourceCapabilities, StoreResult, TagDetail, Tags,
};

/// Source that keeps the first blob that was read whole, and uses the blobs embedded in manifests.
pub(super) struct CachingSource {
    source: Arc<dyn Source>,
    read: OnceLock<(Digest, Bytes)>,
    manifests: Arc<ManifestCache>,
}

impl CachingSource {
    pub(super) fn new(source: Arc<dyn Source>, manifests: Arc<ManifestCache>) -> Self {
        Self {
            source,
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

impl Source for CachingSource {
    fn read_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        limit: u64,
    ) -> BoxFuture<'a, StoreResult<Bytes>> {
        async move {
            if let Some(bytes) = self.manifests.embedded().get(&blob.digest) {
                return Ok(bytes);
            }
            let bytes = self.source.read_blob(blob, limit).await?;
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
    ) -> BoxFuture<'a, StoreResult<BlobStream>> {
        let Some(bytes) = self.remembered(blob) else {
            return self.source.open_blob(blob, offset);
        };
        async move { Ok(BlobStream::from_bytes(bytes, offset)) }.boxed()
    }

    fn repository(&self) -> &Repository {
        self.source.repository()
    }
    fn capabilities(&self) -> SourceCapabilities {
        self.source.capabilities()
    }
    fn resolve<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, StoreResult<Option<ManifestHead>>> {
        self.source.resolve(target)
    }
    fn probe<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Option<ManifestHead>>> {
        self.source.probe(target)
    }
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Manifest>> {
        self.source.manifest(target)
    }
    fn head_blob<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, StoreResult<Presence>> {
        self.source.head_blob(blob)
    }
    fn blob_size<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, StoreResult<Option<u64>>> {
        self.source.blob_size(blob)
    }
    fn referrers<'a>(
        &'a self,
        subject: &'a Digest,
        tag: FallbackTag,
    ) -> BoxFuture<'a, StoreResult<Vec<Descriptor>>> {
        self.source.referrers(subject, tag)
    }
    fn lists_digests(&self, may_probe: bool) -> BoxFuture<'_, bool> {
        self.source.lists_digests(may_probe)
    }
    fn tags(&self, detail: TagDetail) -> Box<dyn Tags> {
        self.source.tags(detail)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures_util::StreamExt;

    use super::*;
    use crate::store::memory::{MemoryStores, repository};

    async fn text(store: &dyn Source, blob: &Descriptor, offset: u64) -> String {
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
        let store = CachingSource::new(stores.source_at(&source), Arc::default());
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
