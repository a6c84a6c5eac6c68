//! Stores that are read and never written to.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use image_syncer_registry::{
    BlobStream, Descriptor, Digest, Error, ErrorKind, IndexedBy, IndexedReferrers, Manifest,
    ManifestHead, ManifestPresence, Presence, Repository, Target,
};

use crate::store::{FallbackTag, Opened, Session, Store, Stores, Tags};

/// Stores of a run that writes nothing: reads are real, pushed manifests are accepted and discarded. An upload of a
/// blob is an error, as it would need to read the source.
pub(crate) struct ReadOnlyStores(pub(crate) Arc<dyn Stores>);

struct ReadOnlyStore(Arc<dyn Store>);

impl Stores for ReadOnlyStores {
    fn store(&self, repository: &Repository) -> Arc<dyn Store> {
        Arc::new(ReadOnlyStore(self.0.store(repository)))
    }
}

impl ReadOnlyStore {
    fn no_upload<T>(&self, blob: &Descriptor) -> Result<T, Error> {
        let repository = self.0.repository();
        let action = format!("upload blob {}@{}", repository.path(), blob.digest);
        let why = "this run writes nothing; this is a defect of image-syncer, please report it";
        let host = repository.registry().as_str();
        Err(Error::new(ErrorKind::Refused, action, host, why))
    }
}

impl Store for ReadOnlyStore {
    fn repository(&self) -> &Repository {
        self.0.repository()
    }
    fn resolve<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>> {
        self.0.resolve(target)
    }
    fn probe<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>> {
        self.0.probe(target)
    }
    fn resolve_for_push<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<ManifestPresence, Error>> {
        self.0.resolve_for_push(target)
    }
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Manifest, Error>> {
        self.0.manifest(target)
    }
    fn read_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        limit: u64,
    ) -> BoxFuture<'a, Result<Bytes, Error>> {
        self.0.read_blob(blob, limit)
    }
    fn open_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        offset: u64,
    ) -> BoxFuture<'a, Result<BlobStream, Error>> {
        self.0.open_blob(blob, offset)
    }
    fn head_blob<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Presence, Error>> {
        self.0.head_blob(blob)
    }
    fn blob_size<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Option<u64>, Error>> {
        self.0.blob_size(blob)
    }
    fn open_upload<'a>(
        &'a self,
        blob: &'a Descriptor,
        _from: Option<&'a Repository>,
    ) -> BoxFuture<'a, Result<Opened, Error>> {
        std::future::ready(self.no_upload(blob)).boxed()
    }
    fn open_session<'a>(
        &'a self,
        blob: &'a Descriptor,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Error>> {
        std::future::ready(self.no_upload(blob)).boxed()
    }
    fn put_manifest<'a>(
        &'a self,
        _target: &'a Target,
        _manifest: &'a Manifest,
    ) -> BoxFuture<'a, Result<(), Error>> {
        std::future::ready(Ok(())).boxed()
    }
    fn referrers<'a>(
        &'a self,
        subject: &'a Digest,
        tag: FallbackTag,
    ) -> BoxFuture<'a, Result<Vec<Descriptor>, Error>> {
        self.0.referrers(subject, tag)
    }
    fn referrers_for_push<'a>(
        &'a self,
        subject: &'a Digest,
    ) -> BoxFuture<'a, Result<Vec<Descriptor>, Error>> {
        self.0.referrers_for_push(subject)
    }
    fn update_referrers_index<'a>(
        &'a self,
        _subject: &'a Digest,
        _referrers: &'a [Descriptor],
    ) -> BoxFuture<'a, Result<IndexedReferrers, Error>> {
        let attached = IndexedReferrers {
            by: IndexedBy::Api,
            contended: false,
        };
        std::future::ready(Ok(attached)).boxed()
    }
    fn tags(&self) -> Box<dyn Tags> {
        self.0.tags()
    }
    fn tags_for_push(&self) -> Box<dyn Tags> {
        self.0.tags_for_push()
    }
}
