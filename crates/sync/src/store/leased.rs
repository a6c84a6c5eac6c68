//! Destinations of a run whose right to write tags may end.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use image_syncer_registry::transport::RequestGuard;
use image_syncer_registry::{
    Descriptor, Digest, Error, ErrorKind, IndexedReferrers, Manifest, ManifestPresence, Presence,
    Target,
};

use crate::store::Lease;
use crate::store::{
    Destination, Endpoint, Repository, RepositoryPages, RepositoryScope, Source, StartedUpload,
    StoreError, StoreResult, StoredRoot, Stores, TagDetail, Tags, UnfinishedEndpoint, UploadStart,
};

/// Reason of writes that are not made.
const ENDED: &str = "this worker's lease on the work ended, and another worker copies it";

/// Stores of a run with a lease: no tag is written, and nothing is deleted, once the lease has ended. Blobs and manifests
/// by digest are: they do no harm, and the next holder of the work finds them.
pub(crate) struct LeasedStores {
    stores: Arc<dyn Stores>,
    guard: Arc<LeaseGuard>,
}

/// Permission for the requests that a client sends later.
#[derive(Debug)]
struct LeaseGuard(Arc<dyn Lease>);

struct LeasedDestination {
    destination: Arc<dyn Destination>,
    guard: Arc<LeaseGuard>,
}

impl RequestGuard for LeaseGuard {
    fn refusal(&self) -> Option<String> {
        (!self.0.is_held()).then(|| ENDED.to_owned())
    }
}

impl LeasedStores {
    /// Returns `stores` for a run that holds `lease`.
    pub(crate) fn new(stores: Arc<dyn Stores>, lease: Arc<dyn Lease>) -> Self {
        let guard = Arc::new(LeaseGuard(lease));
        Self { stores, guard }
    }
}

impl Stores for LeasedStores {
    fn source<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Source>>> {
        self.stores.source(repository)
    }
    fn destination<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Destination>>> {
        async move {
            let destination = self.stores.destination(repository).await?;
            let guard = Arc::clone(&self.guard);
            let guarded = destination.guarding_tags(guard.clone());
            let destination = guarded.unwrap_or(destination);
            Ok(Arc::new(LeasedDestination { destination, guard }) as Arc<dyn Destination>)
        }
        .boxed()
    }
    fn repositories<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        scope: &'a RepositoryScope,
    ) -> BoxFuture<'a, StoreResult<Box<dyn RepositoryPages>>> {
        self.stores.repositories(endpoint, scope)
    }
    fn roots<'a>(
        &'a self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, StoreResult<Option<Vec<StoredRoot>>>> {
        self.stores.roots(endpoint)
    }
    fn finish(&self, stopped: bool) -> BoxFuture<'_, Vec<UnfinishedEndpoint>> {
        self.stores.finish(stopped)
    }
}

impl LeasedDestination {
    /// Fails if the lease has ended; `action` is the infinitive clause for the error.
    fn check(&self, action: impl FnOnce(&str) -> String) -> StoreResult<()> {
        let Some(why) = self.guard.refusal() else {
            return Ok(());
        };
        let repository = self.destination.repository();
        let host = repository.endpoint().to_string();
        let action = action(repository.path());
        let error = Error::new(ErrorKind::Cancelled, action, host, why);
        Err(StoreError::destination(error))
    }
}

impl Destination for LeasedDestination {
    fn repository(&self) -> &Repository {
        self.destination.repository()
    }
    fn prepare(&self) -> BoxFuture<'_, ()> {
        self.destination.prepare()
    }
    fn resolve<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<ManifestPresence>> {
        self.destination.resolve(target)
    }
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Manifest>> {
        self.destination.manifest(target)
    }
    fn head_blob<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, StoreResult<Presence>> {
        self.destination.head_blob(blob)
    }
    fn start_upload<'a>(
        &'a self,
        blob: &'a Descriptor,
        start: UploadStart<'a>,
    ) -> BoxFuture<'a, StoreResult<StartedUpload>> {
        self.destination.start_upload(blob, start)
    }
    fn accept(&self, root: &Manifest) -> StoreResult<()> {
        self.destination.accept(root)
    }
    fn put_manifest<'a>(
        &'a self,
        target: &'a Target,
        manifest: &'a Manifest,
    ) -> BoxFuture<'a, StoreResult<()>> {
        async move {
            if let Target::Tag(tag) = target {
                self.check(|path| format!("push manifest {path}:{tag}"))?;
            }
            self.destination.put_manifest(target, manifest).await
        }
        .boxed()
    }
    fn referrers<'a>(&'a self, subject: &'a Digest) -> BoxFuture<'a, StoreResult<Vec<Descriptor>>> {
        self.destination.referrers(subject)
    }
    fn update_referrers_index<'a>(
        &'a self,
        subject: &'a Digest,
        referrers: &'a [Descriptor],
    ) -> BoxFuture<'a, StoreResult<IndexedReferrers>> {
        async move {
            self.check(|path| format!("list the referrers of {path}@{subject}"))?;
            self.destination
                .update_referrers_index(subject, referrers)
                .await
        }
        .boxed()
    }
    fn delete<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<()>> {
        async move {
            self.check(|path| format!("delete {target} in {path}"))?;
            self.destination.delete(target).await
        }
        .boxed()
    }
    fn lists_digests(&self, may_probe: bool) -> BoxFuture<'_, bool> {
        self.destination.lists_digests(may_probe)
    }
    fn tags(&self, detail: TagDetail) -> Box<dyn Tags> {
        self.destination.tags(detail)
    }
}
