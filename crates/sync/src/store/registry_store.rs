//! A repository of a registry as a store.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use image_syncer_registry::transport::RequestGuard;
use image_syncer_registry::{
    BlobSource, BlobStream, Client, Descriptor, Digest, Error, ErrorKind, IndexedReferrers,
    ListedTag, ListedTagPages, Manifest, ManifestHead, ManifestPresence, OpenedUpload, Presence,
    Registries, Tag, TagPages, Target, Upload,
};

use crate::store::{
    Destination, Endpoint, FallbackTag, Repository, RepositoryPage, RepositoryPages,
    RepositoryScope, Source, SourceCapabilities, StartedUpload, StoreError, StoreResult, Stores,
    TagDetail, Tags, UploadSession, UploadStart,
};

/// Stores of all registries.
pub struct RegistryStores(Arc<Registries>);

/// A repository of a registry, as both ends.
struct RegistryStore {
    client: Client,
    /// The repository as the client names it.
    name: image_syncer_registry::Repository,
    repository: Repository,
}

struct RegistrySession {
    client: Client,
    upload: Upload,
}

/// Pages of names of tags at one side of the copy.
struct NamedTags {
    pages: TagPages,
    with_side: fn(Error) -> StoreError,
}

/// Pages of tags with digests at one side of the copy.
struct RegistryTags {
    pages: ListedTagPages,
    with_side: fn(Error) -> StoreError,
}

/// Pages of the repositories of a registry.
struct RegistryRepositories {
    pages: image_syncer_registry::RepositoryPages,
}

impl RegistryStores {
    /// Creates stores over `registries`.
    pub fn new(registries: impl Into<Arc<Registries>>) -> Self {
        Self(registries.into())
    }
    fn open(&self, repository: &Repository) -> Result<Arc<RegistryStore>, Error> {
        let Some(name) = repository.in_registry() else {
            let action = format!("open {repository}");
            return Err(no_registry(repository.endpoint(), action));
        };
        Ok(Arc::new(RegistryStore {
            client: self.0.client(name.registry()),
            name,
            repository: repository.clone(),
        }))
    }
}

impl Stores for RegistryStores {
    fn source<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Source>>> {
        let store = self.open(repository).map_err(StoreError::source);
        std::future::ready(store.map(|store| store as Arc<dyn Source>)).boxed()
    }
    fn destination<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Destination>>> {
        let store = self.open(repository).map_err(StoreError::destination);
        std::future::ready(store.map(|store| store as Arc<dyn Destination>)).boxed()
    }
    fn repositories<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        scope: &'a RepositoryScope,
    ) -> BoxFuture<'a, StoreResult<Box<dyn RepositoryPages>>> {
        let pages = match endpoint.registry() {
            Some(registry) => {
                let client = self.0.client(registry);
                let mut pages = client.list_repositories(scope.prefix());
                if let Some(filter) = scope.namespaces() {
                    pages = pages.with_namespaces(move |first| filter(first));
                }
                Ok(Box::new(RegistryRepositories { pages }) as Box<dyn RepositoryPages>)
            }
            None => Err(StoreError::source(no_registry(
                endpoint,
                format!("list the repositories of {endpoint}"),
            ))),
        };
        std::future::ready(pages).boxed()
    }
}

fn no_registry(endpoint: &Endpoint, action: String) -> Error {
    let why = "this session has no access to files";
    Error::new(ErrorKind::Refused, action, endpoint.to_string(), why)
}

impl RegistryStore {
    /// Returns the registry's own list of referrers, with those that an index under a tag adds.
    async fn referrers_of_both(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let (listed, tagged) = futures_util::try_join!(
            self.client.referrers_by_api(&self.name, subject).boxed(),
            self.client.referrers_by_tag(&self.name, subject).boxed()
        )?;
        let mut all = listed.descriptors;
        let known: HashSet<Digest> = all.iter().map(|known| known.digest.clone()).collect();
        let tagged = tagged.descriptors.into_iter();
        all.extend(tagged.filter(|referrer| !known.contains(&referrer.digest)));
        Ok(all)
    }
    async fn stream(&self, blob: &Descriptor, offset: u64) -> Result<BlobStream, Error> {
        let reader = match self.client.open_blob(&self.name, blob, offset).await {
            // Registries need not hold these.
            Err(error) if error.kind() == ErrorKind::NotFound && blob.is_foreign() => {
                self.client.open_foreign(&self.name, blob, offset).await?
            }
            opened => opened?,
        };
        Ok(reader.into_stream())
    }
    fn session(&self, upload: Upload) -> StartedUpload {
        let client = self.client.clone();
        StartedUpload::Session(Box::new(RegistrySession { client, upload }))
    }
    async fn start(
        &self,
        blob: &Descriptor,
        start: UploadStart<'_>,
    ) -> Result<StartedUpload, Error> {
        let from = match start {
            UploadStart::UnlessPresent => None,
            UploadStart::Mount(from) => from.in_registry(),
            UploadStart::Unchecked => {
                let upload = self.client.start_upload(&self.name, blob).await?;
                return Ok(self.session(upload));
            }
        };
        let opened = self.client.open_upload(&self.name, blob, from.as_ref());
        Ok(match opened.await? {
            OpenedUpload::Present { mounted } => StartedUpload::Present { mounted },
            OpenedUpload::Session(upload) => self.session(upload),
        })
    }
}

impl Source for RegistryStore {
    fn repository(&self) -> &Repository {
        &self.repository
    }
    fn capabilities(&self) -> SourceCapabilities {
        SourceCapabilities {
            limits_pulls: self.name.registry().is_docker_hub(),
        }
    }
    fn resolve<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, StoreResult<Option<ManifestHead>>> {
        let found = self.client.find_manifest(&self.name, target);
        found.map_err(StoreError::source).boxed()
    }
    fn probe<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Option<ManifestHead>>> {
        let head = self.client.head_manifest(&self.name, target);
        head.map_err(StoreError::source).boxed()
    }
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Manifest>> {
        let manifest = self.client.get_manifest(&self.name, target);
        manifest.map_err(StoreError::source).boxed()
    }
    fn read_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        limit: u64,
    ) -> BoxFuture<'a, StoreResult<Bytes>> {
        let bytes = self.client.read_blob(&self.name, blob, limit);
        bytes.map_err(StoreError::source).boxed()
    }
    fn open_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        offset: u64,
    ) -> BoxFuture<'a, StoreResult<BlobStream>> {
        self.stream(blob, offset)
            .map_err(StoreError::source)
            .boxed()
    }
    fn head_blob<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, StoreResult<Presence>> {
        let found = self.client.head_blob(&self.name, blob);
        found.map_err(StoreError::source).boxed()
    }
    fn blob_size<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, StoreResult<Option<u64>>> {
        if let Some(size) = blob.size {
            return std::future::ready(Ok(Some(size))).boxed();
        }
        let size = self.client.blob_size(&self.name, blob);
        size.map_err(StoreError::source).boxed()
    }
    fn referrers<'a>(
        &'a self,
        subject: &'a Digest,
        tag: FallbackTag,
    ) -> BoxFuture<'a, StoreResult<Vec<Descriptor>>> {
        async move {
            let (client, name) = (&self.client, &self.name);
            let listed = match tag {
                FallbackTag::Present => return self.referrers_of_both(subject).await,
                FallbackTag::Absent => client.referrers_by_api(name, subject).await?,
                FallbackTag::Unknown => client.referrers(name, subject).await?,
            };
            Ok(listed.descriptors)
        }
        .map_err(StoreError::source)
        .boxed()
    }
    fn lists_digests(&self, may_probe: bool) -> BoxFuture<'_, bool> {
        self.client.lists_digests(&self.name, may_probe).boxed()
    }
    fn tags(&self, detail: TagDetail) -> Box<dyn Tags> {
        let with_side = StoreError::source;
        match detail {
            TagDetail::Names => Box::new(NamedTags {
                pages: self.client.tags(&self.name),
                with_side,
            }),
            TagDetail::Digests => Box::new(RegistryTags {
                pages: self.client.list_tags(&self.name),
                with_side,
            }),
        }
    }
}

impl Destination for RegistryStore {
    fn repository(&self) -> &Repository {
        &self.repository
    }
    fn prepare(&self) -> BoxFuture<'_, ()> {
        self.client.prepare_push(&self.name).boxed()
    }
    fn resolve<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<ManifestPresence>> {
        let head = self.client.head_manifest_for_push(&self.name, target);
        head.map_err(StoreError::destination).boxed()
    }
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Manifest>> {
        let manifest = self.client.get_manifest(&self.name, target);
        manifest.map_err(StoreError::destination).boxed()
    }
    fn head_blob<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, StoreResult<Presence>> {
        let found = self.client.head_blob(&self.name, blob);
        found.map_err(StoreError::destination).boxed()
    }
    fn start_upload<'a>(
        &'a self,
        blob: &'a Descriptor,
        start: UploadStart<'a>,
    ) -> BoxFuture<'a, StoreResult<StartedUpload>> {
        self.start(blob, start)
            .map_err(StoreError::destination)
            .boxed()
    }
    fn put_manifest<'a>(
        &'a self,
        target: &'a Target,
        manifest: &'a Manifest,
    ) -> BoxFuture<'a, StoreResult<()>> {
        self.client
            .put_manifest(&self.name, target, manifest)
            .map_ok(drop)
            .map_err(StoreError::destination)
            .boxed()
    }
    fn referrers<'a>(&'a self, subject: &'a Digest) -> BoxFuture<'a, StoreResult<Vec<Descriptor>>> {
        self.client
            .referrers_for_push(&self.name, subject)
            .map_ok(|listed| listed.descriptors)
            .map_err(StoreError::destination)
            .boxed()
    }
    fn update_referrers_index<'a>(
        &'a self,
        subject: &'a Digest,
        referrers: &'a [Descriptor],
    ) -> BoxFuture<'a, StoreResult<IndexedReferrers>> {
        self.client
            .update_referrers_index(&self.name, subject, referrers)
            .map_err(StoreError::destination)
            .boxed()
    }
    fn delete<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<()>> {
        let deleted = self.client.delete_manifest(&self.name, target);
        deleted.map_err(StoreError::destination).boxed()
    }
    fn guarding_tags(&self, guard: Arc<dyn RequestGuard>) -> Option<Arc<dyn Destination>> {
        Some(Arc::new(Self {
            client: self.client.clone().with_tag_guard(guard),
            name: self.name.clone(),
            repository: self.repository.clone(),
        }))
    }
    fn lists_digests(&self, may_probe: bool) -> BoxFuture<'_, bool> {
        self.client.lists_digests(&self.name, may_probe).boxed()
    }
    fn tags(&self, detail: TagDetail) -> Box<dyn Tags> {
        let with_side = StoreError::destination;
        match detail {
            TagDetail::Names => Box::new(NamedTags {
                pages: self.client.tags_for_push(&self.name),
                with_side,
            }),
            TagDetail::Digests => Box::new(RegistryTags {
                pages: self.client.list_tags_for_push(&self.name),
                with_side,
            }),
        }
    }
}

impl UploadSession for RegistrySession {
    fn is_instead_of_mount(&self) -> bool {
        self.upload.is_instead_of_mount()
    }
    fn reserve(&mut self) -> BoxFuture<'_, StoreResult<()>> {
        self.client
            .reserve_upload(&mut self.upload)
            .map_err(StoreError::destination)
            .boxed()
    }
    fn send<'a>(self: Box<Self>, source: &'a dyn BlobSource) -> BoxFuture<'a, StoreResult<()>>
    where
        Self: 'a,
    {
        async move {
            let upload = self.client.upload(self.upload, source);
            Box::pin(upload).await.map_err(StoreError::destination)
        }
        .boxed()
    }
}

impl Tags for NamedTags {
    fn next(&mut self) -> BoxFuture<'_, StoreResult<Option<Vec<ListedTag>>>> {
        let listed = |tags: Vec<Tag>| tags.into_iter().map(ListedTag::from).collect();
        let page = self.pages.next().map_ok(move |page| page.map(listed));
        page.map_err(self.with_side).boxed()
    }
}

impl Tags for RegistryTags {
    fn next(&mut self) -> BoxFuture<'_, StoreResult<Option<Vec<ListedTag>>>> {
        self.pages.next().map_err(self.with_side).boxed()
    }
}

impl RepositoryPages for RegistryRepositories {
    fn next(&mut self) -> BoxFuture<'_, StoreResult<Option<RepositoryPage>>> {
        async move {
            let page = self.pages.next().await.map_err(StoreError::source)?;
            Ok(page.map(|page| RepositoryPage {
                repositories: page
                    .repositories
                    .into_iter()
                    .map(Repository::from)
                    .collect(),
                total: page.total,
            }))
        }
        .boxed()
    }
}
