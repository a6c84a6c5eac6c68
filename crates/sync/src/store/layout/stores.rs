//! Layouts as stores: each repository name of a layout is a repository.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use image_syncer_registry::{
    BlobSource, BlobStream, Descriptor, Digest, Error, ErrorKind, IndexedBy, IndexedReferrers,
    ListedTag, Manifest, ManifestHead, ManifestPresence, Presence, Target,
};

use super::upload::LayoutUpload;
use super::{End, Layout};
use crate::keyed::KeyedLock;
use crate::lock::lock;
use crate::store::archive::Archives;
use crate::store::layout::reading::NameScope;
use crate::store::layout_format::{LayoutError, RootName};
use crate::store::repository::is_below;
use crate::store::{
    Destination, Endpoint, FallbackTag, Repository, RepositoryPage, RepositoryPages,
    RepositoryScope, Source, StartedUpload, StoreError, StoreResult, StoredRoot, Stores, TagDetail,
    Tags, UnfinishedEndpoint, UploadSession, UploadStart,
};

/// Maximum number of names in a message.
const MAX_SHOWN_NAMES: usize = 5;

/// The layouts and archives of a session. All repositories of a directory or a file share one [`Layout`].
#[derive(Default)]
pub(crate) struct LayoutStores {
    archives: Archives,
    open: Mutex<HashMap<PathBuf, Arc<Layout>>>,
    /// Directories that are being opened.
    opening: KeyedLock<PathBuf>,
}

/// A repository of a layout, as both ends.
struct LayoutStore {
    layout: Arc<Layout>,
    repository: Repository,
}

struct LayoutSession(LayoutUpload);

/// All tags, as one page, or the reason for the lack of any.
struct LayoutTags(Option<StoreResult<Vec<ListedTag>>>);

/// All repositories, as one page.
struct LayoutRepositories(Option<Vec<Repository>>);

impl LayoutStores {
    /// Creates stores over the archives that were opened before, and others.
    pub(crate) fn new(archives: Archives) -> Self {
        Self {
            archives,
            ..Self::default()
        }
    }
    async fn open(&self, repository: &Repository, end: End) -> Result<Arc<LayoutStore>, Error> {
        let layout = self.open_layout(repository.endpoint(), end).await?;
        let repository = repository.clone();
        Ok(Arc::new(LayoutStore { layout, repository }))
    }
    async fn open_layout(&self, endpoint: &Endpoint, end: End) -> Result<Arc<Layout>, Error> {
        let key = key_of(endpoint, end).await;
        let _turn = self.opening.lock(key.clone()).await;
        let known = lock(&self.open).get(&key).cloned();
        if let Some(layout) = known {
            check_kind(&layout, endpoint, end)?;
            if end == End::Destination {
                layout.check_destination()?;
            }
            return Ok(layout);
        }
        let layout = Layout::open(endpoint, end, &self.archives).await?;
        if end == End::Destination {
            layout.check_destination()?;
        }
        lock(&self.open).insert(key, Arc::clone(&layout));
        Ok(layout)
    }
    async fn list_repositories(
        &self,
        endpoint: &Endpoint,
        prefix: &str,
    ) -> Result<Box<dyn RepositoryPages>, Error> {
        let layout = self.open_layout(endpoint, End::Source).await?;
        layout.require()?;
        let names = layout.repositories().into_iter();
        let below = names.filter(|name| is_below(name, prefix));
        let repositories = below.filter_map(|name| Repository::at(endpoint, &name));
        let page = repositories.collect();
        Ok(Box::new(LayoutRepositories(Some(page))))
    }
    async fn list_roots(&self, endpoint: &Endpoint) -> Result<Vec<StoredRoot>, Error> {
        let layout = self.open_layout(endpoint, End::Source).await?;
        layout.require()?;
        let images = layout.images().await?.into_iter();
        let stored = images.filter_map(|(name, head)| {
            let (path, tag) = match name {
                RootName::Full(name) => (name.repository, Some(name.tag)),
                RootName::Tag(tag) => (String::new(), Some(tag)),
                RootName::Unnamed => (String::new(), None),
            };
            let repository = Repository::at(endpoint, &path)?;
            Some(StoredRoot {
                repository,
                tag,
                head,
            })
        });
        Ok(stored.collect())
    }
    async fn open_source(&self, repository: &Repository) -> Result<Arc<dyn Source>, Error> {
        let store = self.open(repository, End::Source).await?;
        store.layout.require()?;
        Ok(store)
    }
    async fn open_destination(
        &self,
        repository: &Repository,
    ) -> Result<Arc<dyn Destination>, Error> {
        if repository.path().is_empty() {
            let why = format!("the image has no name there. Write {repository}#NAME");
            let (action, host) = (
                format!("write to {repository}"),
                repository.endpoint().name(),
            );
            return Err(Error::new(ErrorKind::Rejected, action, host, why));
        }
        Ok(self.open(repository, End::Destination).await?)
    }
    /// Closes a layout that no other run uses, so that the next run sees what others write to it.
    fn close_if_idle(&self, key: &Path, layout: Arc<Layout>) {
        let mut open = lock(&self.open);
        drop(layout);
        if open
            .get(key)
            .is_some_and(|open| Arc::strong_count(open) == 1)
            && let Some(layout) = open.remove(key)
        {
            layout.close();
        }
    }
}

impl Stores for LayoutStores {
    fn source<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Source>>> {
        let store = self.open_source(repository);
        store.map_err(StoreError::source).boxed()
    }
    fn destination<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Destination>>> {
        let store = self.open_destination(repository);
        store.map_err(StoreError::destination).boxed()
    }
    fn repositories<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        scope: &'a RepositoryScope,
    ) -> BoxFuture<'a, StoreResult<Box<dyn RepositoryPages>>> {
        let listed = self.list_repositories(endpoint, scope.prefix());
        listed.map_err(StoreError::source).boxed()
    }
    fn roots<'a>(
        &'a self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, StoreResult<Option<Vec<StoredRoot>>>> {
        let listed = self.list_roots(endpoint).map_ok(Some);
        listed.map_err(StoreError::source).boxed()
    }
    fn finish(&self, stopped: bool) -> BoxFuture<'_, Vec<UnfinishedEndpoint>> {
        async move {
            let layouts: Vec<_> = lock(&self.open).clone().into_iter().collect();
            let mut unfinished = Vec::new();
            for (key, layout) in layouts {
                match layout.finish(stopped).await {
                    Ok(()) => self.close_if_idle(&key, layout),
                    Err(unwritten) => unfinished.push(UnfinishedEndpoint {
                        endpoint: layout.endpoint().clone(),
                        error: StoreError::destination(unwritten.into()),
                    }),
                }
            }
            unfinished
        }
        .boxed()
    }
}

impl LayoutStore {
    fn name(&self) -> &str {
        self.repository.path()
    }
    /// Returns the error for a repository without images in a layout with others; `None` if no image has a name.
    fn other_names(&self) -> Option<Error> {
        let endpoint = self.repository.endpoint().name().into_owned();
        let names = self.layout.repositories();
        let first = names.first()?.clone();
        let count = names.len();
        let mut shown: Vec<String> = names.into_iter().take(MAX_SHOWN_NAMES).collect();
        if count > shown.len() {
            shown.push(format!("{} more", count - shown.len()));
        }
        let why = format!(
            "the images there have other names: {}. Write {endpoint}#{first}",
            shown.join(", ")
        );
        let action = format!("list the images of {}", self.repository);
        Some(Error::new(ErrorKind::NotFound, action, endpoint, why))
    }
}

impl Source for LayoutStore {
    fn repository(&self) -> &Repository {
        &self.repository
    }
    fn resolve<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, StoreResult<Option<ManifestHead>>> {
        let head = self
            .layout
            .head(self.name(), target, NameScope::WithBareTags);
        head.map_err(at_source).boxed()
    }
    fn probe<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Option<ManifestHead>>> {
        Source::resolve(self, target)
    }
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Manifest>> {
        let scope = NameScope::WithBareTags;
        let manifest = self.layout.manifest(self.name(), target, scope);
        manifest.map_err(at_source).boxed()
    }
    fn read_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        limit: u64,
    ) -> BoxFuture<'a, StoreResult<Bytes>> {
        self.layout
            .read_blob(blob, limit)
            .map_err(at_source)
            .boxed()
    }
    fn open_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        offset: u64,
    ) -> BoxFuture<'a, StoreResult<BlobStream>> {
        self.layout
            .open_blob(blob, offset)
            .map_err(at_source)
            .boxed()
    }
    fn head_blob<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, StoreResult<Presence>> {
        self.layout.head_blob(blob).map_err(at_source).boxed()
    }
    fn blob_size<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, StoreResult<Option<u64>>> {
        if let Some(size) = blob.size {
            return std::future::ready(Ok(Some(size))).boxed();
        }
        let length = self.layout.blob_length(&blob.digest);
        length.map_err(at_source).boxed()
    }
    fn referrers<'a>(
        &'a self,
        subject: &'a Digest,
        _tag: FallbackTag,
    ) -> BoxFuture<'a, StoreResult<Vec<Descriptor>>> {
        self.layout.referrers(subject).map_err(at_source).boxed()
    }
    fn lists_digests(&self, _may_probe: bool) -> BoxFuture<'_, bool> {
        std::future::ready(true).boxed()
    }
    /// An empty list is an error if other names are there: a copy of nothing would look like a success.
    fn tags(&self, _detail: TagDetail) -> Box<dyn Tags> {
        let tags = self.layout.tags(self.name(), NameScope::WithBareTags);
        let other = tags.is_empty().then(|| self.other_names()).flatten();
        let tags = other.map_or(Ok(tags), |error| Err(StoreError::source(error)));
        Box::new(LayoutTags(Some(tags)))
    }
}

impl Destination for LayoutStore {
    fn repository(&self) -> &Repository {
        &self.repository
    }
    fn resolve<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<ManifestPresence>> {
        async move {
            let head = self.layout.verified_head(self.name(), target).await;
            let head = head.map_err(at_destination)?;
            Ok(head.map_or(ManifestPresence::Absent, ManifestPresence::Present))
        }
        .boxed()
    }
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Manifest>> {
        let scope = NameScope::FullNames;
        let manifest = self.layout.manifest(self.name(), target, scope);
        manifest.map_err(at_destination).boxed()
    }
    fn head_blob<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, StoreResult<Presence>> {
        self.layout.head_blob(blob).map_err(at_destination).boxed()
    }
    /// A blob belongs to all repositories of a layout, so that a mount is made without work, or impossible.
    fn start_upload<'a>(
        &'a self,
        blob: &'a Descriptor,
        start: UploadStart<'a>,
    ) -> BoxFuture<'a, StoreResult<StartedUpload>> {
        async move {
            let mounted = match start {
                UploadStart::Unchecked => None,
                UploadStart::UnlessPresent => Some(false),
                UploadStart::Mount(_) => Some(true),
            };
            if let Some(mounted) = mounted {
                let found = self.layout.head_blob(blob).await.map_err(at_destination)?;
                if found == Presence::Present {
                    return Ok(StartedUpload::Present { mounted });
                }
            }
            let upload = LayoutUpload::open(&self.layout, blob);
            Ok(StartedUpload::Session(Box::new(LayoutSession(upload))))
        }
        .boxed()
    }
    fn accept(&self, root: &Manifest) -> StoreResult<()> {
        self.layout.check_image(root).map_err(at_destination)
    }
    fn put_manifest<'a>(
        &'a self,
        target: &'a Target,
        manifest: &'a Manifest,
    ) -> BoxFuture<'a, StoreResult<()>> {
        let put = self.layout.put_manifest(self.name(), target, manifest);
        put.map_err(at_destination).boxed()
    }
    fn referrers<'a>(&'a self, subject: &'a Digest) -> BoxFuture<'a, StoreResult<Vec<Descriptor>>> {
        self.layout
            .referrers(subject)
            .map_err(at_destination)
            .boxed()
    }
    /// The subject is in each of the manifests, which are roots of the layout.
    fn update_referrers_index<'a>(
        &'a self,
        _subject: &'a Digest,
        _referrers: &'a [Descriptor],
    ) -> BoxFuture<'a, StoreResult<IndexedReferrers>> {
        let indexed = IndexedReferrers {
            by: IndexedBy::Api,
            contended: false,
        };
        std::future::ready(Ok(indexed)).boxed()
    }
    fn delete<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<()>> {
        async move {
            let removed = match target {
                Target::Tag(tag) => self.layout.remove_name(self.name(), tag).await,
                Target::Digest(digest) => self.layout.remove_manifest(digest).await,
            };
            if removed.map_err(at_destination)? {
                return Ok(());
            }
            let (action, endpoint) = (format!("delete {target}"), self.layout.endpoint());
            let why = "it is not there";
            let missing = LayoutError::new(ErrorKind::NotFound, action, endpoint, why);
            Err(at_destination(missing))
        }
        .boxed()
    }
    fn tags(&self, _detail: TagDetail) -> Box<dyn Tags> {
        let tags = self.layout.tags(self.name(), NameScope::FullNames);
        Box::new(LayoutTags(Some(Ok(tags))))
    }
}

impl UploadSession for LayoutSession {
    fn is_instead_of_mount(&self) -> bool {
        false
    }
    fn reserve(&mut self) -> BoxFuture<'_, StoreResult<()>> {
        self.0.reserve().map_err(at_destination).boxed()
    }
    fn send<'a>(self: Box<Self>, source: &'a dyn BlobSource) -> BoxFuture<'a, StoreResult<()>>
    where
        Self: 'a,
    {
        self.0.send(source).map_err(StoreError::destination).boxed()
    }
}

impl Tags for LayoutTags {
    fn next(&mut self) -> BoxFuture<'_, StoreResult<Option<Vec<ListedTag>>>> {
        let page = self.0.take().transpose();
        let page = page.map(|page| page.filter(|tags| !tags.is_empty()));
        std::future::ready(page).boxed()
    }
}

impl RepositoryPages for LayoutRepositories {
    fn next(&mut self) -> BoxFuture<'_, StoreResult<Option<RepositoryPage>>> {
        let page = self.0.take().filter(|page| !page.is_empty());
        let page = page.map(|repositories| RepositoryPage {
            total: Some(repositories.len() as u64),
            repositories,
        });
        std::future::ready(Ok(page)).boxed()
    }
}

fn at_source(error: LayoutError) -> StoreError {
    StoreError::source(error.into())
}

fn at_destination(error: LayoutError) -> StoreError {
    StoreError::destination(error.into())
}

/// Checks that a layout that is open is what `endpoint` names.
///
/// # Errors
/// If the file is named in two ways, of which one is a destination.
fn check_kind(layout: &Layout, endpoint: &Endpoint, end: End) -> Result<(), Error> {
    let known = layout.endpoint();
    if known.file_kind() == endpoint.file_kind() || end == End::Source {
        return Ok(());
    }
    let why = format!("the rules name it {known} as well. Write one of the two everywhere");
    let (kind, action) = (ErrorKind::Rejected, format!("write to {endpoint}"));
    Err(Error::new(kind, action, endpoint.name(), why))
}

/// Returns the key of an endpoint: the same for two spellings of a path. Standard input and output are two.
async fn key_of(endpoint: &Endpoint, end: End) -> PathBuf {
    match (endpoint.path(), end) {
        (Some(path), End::Source) if path.is_standard_stream() => "/dev/stdin".into(),
        (Some(path), End::Destination) if path.is_standard_stream() => "/dev/stdout".into(),
        (Some(path), _) => real_path(path.as_written()).await,
        (None, _) => PathBuf::new(),
    }
}

/// Returns the path without links, as far as it exists, so that two spellings of a directory are one layout, also after
/// its missing parents were created.
async fn real_path(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for existing in absolute.ancestors() {
        if let Ok(real) = tokio::fs::canonicalize(existing).await {
            return match absolute.strip_prefix(existing) {
                Ok(rest) if rest != Path::new("") => real.join(rest),
                _ => real,
            };
        }
    }
    absolute
}
