//! Destinations that are read and never written to.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use image_syncer_registry::{
    Descriptor, Digest, Error, ErrorKind, IndexedBy, IndexedReferrers, Manifest, ManifestPresence,
    Presence, Target,
};

use crate::store::{
    Destination, Endpoint, Repository, RepositoryPages, RepositoryScope, Source, StartedUpload,
    StoreError, StoreResult, StoredRoot, Stores, TagDetail, Tags, UnfinishedEndpoint, UploadStart,
};

/// Stores of a run that writes nothing: reads are real, pushed manifests are accepted and discarded. An upload of a
/// blob is an error, as it would need to read the source.
pub(crate) struct ReadOnlyStores(pub(crate) Arc<dyn Stores>);

struct ReadOnlyDestination(Arc<dyn Destination>);

impl Stores for ReadOnlyStores {
    fn source<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Source>>> {
        self.0.source(repository)
    }
    fn destination<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Destination>>> {
        async move {
            let destination = self.0.destination(repository).await?;
            Ok(Arc::new(ReadOnlyDestination(destination)) as Arc<dyn Destination>)
        }
        .boxed()
    }
    fn repositories<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        scope: &'a RepositoryScope,
    ) -> BoxFuture<'a, StoreResult<Box<dyn RepositoryPages>>> {
        self.0.repositories(endpoint, scope)
    }
    fn roots<'a>(
        &'a self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, StoreResult<Option<Vec<StoredRoot>>>> {
        self.0.roots(endpoint)
    }
    fn finish(&self, stopped: bool) -> BoxFuture<'_, Vec<UnfinishedEndpoint>> {
        self.0.finish(stopped)
    }
}

impl Destination for ReadOnlyDestination {
    fn repository(&self) -> &Repository {
        self.0.repository()
    }
    fn prepare(&self) -> BoxFuture<'_, ()> {
        self.0.prepare()
    }
    fn resolve<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<ManifestPresence>> {
        self.0.resolve(target)
    }
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Manifest>> {
        self.0.manifest(target)
    }
    fn head_blob<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, StoreResult<Presence>> {
        self.0.head_blob(blob)
    }
    fn start_upload<'a>(
        &'a self,
        blob: &'a Descriptor,
        _start: UploadStart<'a>,
    ) -> BoxFuture<'a, StoreResult<StartedUpload>> {
        let repository = self.0.repository();
        let action = format!("upload blob {}@{}", repository.path(), blob.digest);
        let why = "this run writes nothing; this is a defect of image-syncer, please report it";
        let host = repository.endpoint().to_string();
        let error = Error::new(ErrorKind::Refused, action, host, why);
        std::future::ready(Err(StoreError::destination(error))).boxed()
    }
    fn accept(&self, root: &Manifest) -> StoreResult<()> {
        self.0.accept(root)
    }
    fn put_manifest<'a>(
        &'a self,
        _target: &'a Target,
        _manifest: &'a Manifest,
    ) -> BoxFuture<'a, StoreResult<()>> {
        std::future::ready(Ok(())).boxed()
    }
    fn referrers<'a>(&'a self, subject: &'a Digest) -> BoxFuture<'a, StoreResult<Vec<Descriptor>>> {
        self.0.referrers(subject)
    }
    fn update_referrers_index<'a>(
        &'a self,
        _subject: &'a Digest,
        _referrers: &'a [Descriptor],
    ) -> BoxFuture<'a, StoreResult<IndexedReferrers>> {
        let updated = IndexedReferrers {
            by: IndexedBy::Api,
            contended: false,
        };
        std::future::ready(Ok(updated)).boxed()
    }
    fn delete<'a>(&'a self, _target: &'a Target) -> BoxFuture<'a, StoreResult<()>> {
        std::future::ready(Ok(())).boxed()
    }
    fn lists_digests(&self, may_probe: bool) -> BoxFuture<'_, bool> {
        self.0.lists_digests(may_probe)
    }
    fn tags(&self, detail: TagDetail) -> Box<dyn Tags> {
        self.0.tags(detail)
    }
}
