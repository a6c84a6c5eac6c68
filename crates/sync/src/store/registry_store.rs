//! A repository of a registry as a store.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use image_syncer_registry::{
    BlobSource, BlobStream, Client, Descriptor, Digest, Error, ErrorKind, IndexedReferrers,
    Manifest, ManifestHead, ManifestPresence, OpenedUpload, Presence, Registries, Repository, Tag,
    TagPages, Target, Upload,
};

use crate::store::{FallbackTag, Opened, Session, Store, Stores, Tags};

/// Stores of all registries of a run.
pub struct RegistryStores(Registries);

struct RegistryStore {
    client: Client,
    repository: Repository,
}

struct RegistrySession {
    client: Client,
    upload: Upload,
}

impl RegistryStores {
    /// Creates stores over `registries`.
    pub fn new(registries: Registries) -> Self {
        Self(registries)
    }
}

impl Stores for RegistryStores {
    fn store(&self, repository: &Repository) -> Arc<dyn Store> {
        Arc::new(RegistryStore {
            client: self.0.client(repository.registry()),
            repository: repository.clone(),
        })
    }
}

impl RegistryStore {
    /// Returns the registry's own list of referrers, with those that an index under a tag adds.
    async fn referrers_of_both(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let (listed, tagged) = futures_util::try_join!(
            self.client
                .referrers_by_api(&self.repository, subject)
                .boxed(),
            self.client
                .referrers_by_tag(&self.repository, subject)
                .boxed()
        )?;
        let mut all = listed.descriptors;
        let known: HashSet<Digest> = all.iter().map(|known| known.digest.clone()).collect();
        let tagged = tagged.descriptors.into_iter();
        all.extend(tagged.filter(|referrer| !known.contains(&referrer.digest)));
        Ok(all)
    }
}

impl Store for RegistryStore {
    fn repository(&self) -> &Repository {
        &self.repository
    }
    fn resolve<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>> {
        self.client.find_manifest(&self.repository, target).boxed()
    }
    fn probe<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>> {
        self.client.head_manifest(&self.repository, target).boxed()
    }
    fn resolve_for_push<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<ManifestPresence, Error>> {
        self.client
            .head_manifest_for_push(&self.repository, target)
            .boxed()
    }
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Manifest, Error>> {
        self.client.get_manifest(&self.repository, target).boxed()
    }
    fn read_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        limit: u64,
    ) -> BoxFuture<'a, Result<Bytes, Error>> {
        self.client.read_blob(&self.repository, blob, limit).boxed()
    }
    fn open_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        offset: u64,
    ) -> BoxFuture<'a, Result<BlobStream, Error>> {
        async move {
            let (client, repository) = (&self.client, &self.repository);
            let reader = match client.open_blob(repository, blob, offset).await {
                // Registries need not hold these.
                Err(error) if error.kind() == ErrorKind::NotFound && blob.is_foreign() => {
                    client.open_foreign(repository, blob, offset).await?
                }
                opened => opened?,
            };
            Ok(reader.into_stream())
        }
        .boxed()
    }
    fn head_blob<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Presence, Error>> {
        self.client.head_blob(&self.repository, blob).boxed()
    }
    fn blob_size<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Option<u64>, Error>> {
        async move {
            match blob.size {
                Some(size) => Ok(Some(size)),
                None => self.client.blob_size(&self.repository, blob).await,
            }
        }
        .boxed()
    }
    fn open_upload<'a>(
        &'a self,
        blob: &'a Descriptor,
        from: Option<&'a Repository>,
    ) -> BoxFuture<'a, Result<Opened, Error>> {
        async move {
            Ok(
                match self
                    .client
                    .open_upload(&self.repository, blob, from)
                    .await?
                {
                    OpenedUpload::Present { mounted } => Opened::Present { mounted },
                    OpenedUpload::Session(upload) => Opened::Session(Box::new(RegistrySession {
                        client: self.client.clone(),
                        upload,
                    })),
                },
            )
        }
        .boxed()
    }
    fn open_session<'a>(
        &'a self,
        blob: &'a Descriptor,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Error>> {
        async move {
            let upload = self.client.start_upload(&self.repository, blob).await?;
            let client = self.client.clone();
            Ok(Box::new(RegistrySession { client, upload }) as Box<dyn Session>)
        }
        .boxed()
    }
    fn put_manifest<'a>(
        &'a self,
        target: &'a Target,
        manifest: &'a Manifest,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.client
            .put_manifest(&self.repository, target, manifest)
            .map_ok(drop)
            .boxed()
    }
    fn referrers<'a>(
        &'a self,
        subject: &'a Digest,
        tag: FallbackTag,
    ) -> BoxFuture<'a, Result<Vec<Descriptor>, Error>> {
        async move {
            let listed = match tag {
                FallbackTag::Present => return self.referrers_of_both(subject).await,
                FallbackTag::Absent => {
                    let listed = self.client.referrers_by_api(&self.repository, subject);
                    listed.await?
                }
                FallbackTag::Unknown => self.client.referrers(&self.repository, subject).await?,
            };
            Ok(listed.descriptors)
        }
        .boxed()
    }
    fn referrers_for_push<'a>(
        &'a self,
        subject: &'a Digest,
    ) -> BoxFuture<'a, Result<Vec<Descriptor>, Error>> {
        self.client
            .referrers_for_push(&self.repository, subject)
            .map_ok(|listed| listed.descriptors)
            .boxed()
    }
    fn update_referrers_index<'a>(
        &'a self,
        subject: &'a Digest,
        referrers: &'a [Descriptor],
    ) -> BoxFuture<'a, Result<IndexedReferrers, Error>> {
        self.client
            .update_referrers_index(&self.repository, subject, referrers)
            .boxed()
    }
    fn tags(&self) -> Box<dyn Tags> {
        Box::new(self.client.tags(&self.repository))
    }
    fn tags_for_push(&self) -> Box<dyn Tags> {
        Box::new(self.client.tags_for_push(&self.repository))
    }
}

impl Session for RegistrySession {
    fn is_instead_of_mount(&self) -> bool {
        self.upload.is_instead_of_mount()
    }
    fn reserve(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        self.client.reserve_upload(&mut self.upload).boxed()
    }
    fn send<'a>(self: Box<Self>, source: &'a dyn BlobSource) -> BoxFuture<'a, Result<(), Error>>
    where
        Self: 'a,
    {
        async move {
            let upload = self.client.upload(self.upload, source);
            Box::pin(upload).await
        }
        .boxed()
    }
}

impl Tags for TagPages {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<Tag>>, Error>> {
        TagPages::next(self).boxed()
    }
}
