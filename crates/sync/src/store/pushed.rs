//! Sources of a run that a registry asked for: it may report a push before it shows the tag.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use image_syncer_registry::{
    BlobStream, Descriptor, Digest, ErrorKind, ListedTag, Manifest, ManifestHead, Presence, Tag,
    Target,
};
use tokio::time::Instant;

use crate::event::{Event, Listener};
use crate::store::{
    Destination, Endpoint, FallbackTag, Repository, RepositoryPages, RepositoryScope, Source,
    SourceCapabilities, StoreResult, StoredRoot, Stores, TagDetail, Tags, UnfinishedEndpoint,
};

/// Pauses between two looks at a tag that is not as reported.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Time after the start of a run from which its registries are believed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tags that registries reported as pushed, with their digests where they stated them.
#[derive(Clone, Debug, Default)]
pub struct PushedTags(HashMap<Repository, HashMap<Tag, Option<Digest>>>);

impl PushedTags {
    /// Adds a tag. `digest` is `None` if the registry stated none.
    pub fn add(&mut self, repository: Repository, tag: Tag, digest: Option<Digest>) {
        self.0.entry(repository).or_default().insert(tag, digest);
    }

    /// Returns the tags of names such as `registry/path:tag`. Names and digests of other forms are left out.
    pub fn named(names: &BTreeMap<String, Option<String>>) -> Self {
        let mut pushed = Self::default();
        for (name, digest) in names {
            let parts = name.rsplit_once(':').and_then(|(repository, tag)| {
                let repository = Repository::parse(repository).ok()?;
                Some((repository, Tag::parse(tag).ok()?))
            });
            if let Some((repository, tag)) = parts {
                let digest = digest.as_ref().and_then(|it| Digest::parse(it).ok());
                pushed.add(repository, tag, digest);
            }
        }
        pushed
    }

    /// Returns true without any tag.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Stores whose sources are looked at again while a reported tag is missing, or has another digest. What is as reported
/// costs no further request.
pub(crate) struct PushedStores {
    stores: Arc<dyn Stores>,
    pushed: Arc<PushedTags>,
    listener: Arc<dyn Listener>,
    /// Time from which the registries are believed.
    believed: Instant,
}

/// A source with reported tags. Cheap to clone.
#[derive(Clone)]
struct PushedSource {
    source: Arc<dyn Source>,
    pushed: Arc<PushedTags>,
    listener: Arc<dyn Listener>,
    believed: Instant,
}

/// List of tags, with the reported ones that it does not have yet.
struct PushedPages {
    source: PushedSource,
    pages: Box<dyn Tags>,
    unseen: BTreeSet<Tag>,
    is_over: bool,
}

impl PushedStores {
    /// Returns `stores` for a run that starts now, since registries reported `pushed`. Warnings go to `listener`.
    pub(crate) fn new(
        stores: Arc<dyn Stores>,
        pushed: Arc<PushedTags>,
        listener: Arc<dyn Listener>,
    ) -> Self {
        Self {
            stores,
            pushed,
            listener,
            believed: Instant::now() + PATIENCE,
        }
    }
}

impl Stores for PushedStores {
    fn source<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Source>>> {
        if !self.pushed.0.contains_key(repository) {
            return self.stores.source(repository);
        }
        async move {
            Ok(Arc::new(PushedSource {
                source: self.stores.source(repository).await?,
                pushed: Arc::clone(&self.pushed),
                listener: Arc::clone(&self.listener),
                believed: self.believed,
            }) as Arc<dyn Source>)
        }
        .boxed()
    }
    fn destination<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> BoxFuture<'a, StoreResult<Arc<dyn Destination>>> {
        self.stores.destination(repository)
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

impl PushedSource {
    fn tags_of_repository(&self) -> Option<&HashMap<Tag, Option<Digest>>> {
        self.pushed.0.get(self.source.repository())
    }

    /// Returns what was reported about `target`: a tag, and its digest if that is known.
    fn reported(&self, target: &Target) -> Option<(&Tag, Option<&Digest>)> {
        let Target::Tag(tag) = target else {
            return None;
        };
        let (tag, digest) = self.tags_of_repository()?.get_key_value(tag)?;
        Some((tag, digest.as_ref()))
    }

    /// Looks at `target` until it is as reported, or the registry is believed.
    async fn settled<'a, T>(
        &'a self,
        target: &'a Target,
        look: impl Fn() -> BoxFuture<'a, StoreResult<T>>,
        digest: impl Fn(&T) -> Option<&Digest>,
    ) -> StoreResult<T> {
        let Some((tag, reported)) = self.reported(target) else {
            return look().await;
        };
        let mut pauses = PAUSES.iter();
        loop {
            let found = look().await;
            let other = match &found {
                Ok(value) => match (digest(value), reported) {
                    (Some(own), Some(reported)) if own != reported => Some((own, reported)),
                    (Some(_), _) => return found,
                    (None, _) => None,
                },
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(_) => return found,
            };
            let pause = pauses.next();
            let pause = pause.filter(|pause| Instant::now() + **pause <= self.believed);
            let Some(pause) = pause else {
                if let Some((own, reported)) = other {
                    self.warn(tag, own, reported);
                }
                return found;
            };
            tokio::time::sleep(*pause).await;
        }
    }

    fn warn(&self, tag: &Tag, own: &Digest, reported: &Digest) {
        let repository = self.source.repository();
        let text = format!(
            "{repository}:{tag} is {own} at its registry, which reported the push of {reported}: the tag was pushed again, \
             or the registry shows an older image. What it shows is copied."
        );
        self.listener.event(&Event::Warning { text });
    }
}

impl Source for PushedSource {
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
        let look = || self.source.resolve(target);
        self.settled(target, look, |head| head.as_ref().map(|head| &head.digest))
            .boxed()
    }
    fn probe<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Option<ManifestHead>>> {
        self.source.probe(target)
    }
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Manifest>> {
        let look = || self.source.manifest(target);
        self.settled(target, look, |manifest| Some(manifest.digest()))
            .boxed()
    }
    fn read_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        limit: u64,
    ) -> BoxFuture<'a, StoreResult<Bytes>> {
        self.source.read_blob(blob, limit)
    }
    fn open_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        offset: u64,
    ) -> BoxFuture<'a, StoreResult<BlobStream>> {
        self.source.open_blob(blob, offset)
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
        let pushed = self.tags_of_repository().into_iter();
        Box::new(PushedPages {
            source: self.clone(),
            pages: self.source.tags(detail),
            unseen: pushed.flat_map(HashMap::keys).cloned().collect(),
            is_over: false,
        })
    }
}

impl PushedPages {
    /// Keeps the digest of a listed tag only if it is the reported one: otherwise the tag itself is looked at.
    fn check(&mut self, listed: &mut ListedTag) {
        self.unseen.remove(&listed.tag);
        let pushed = self.source.tags_of_repository();
        let reported = pushed.and_then(|pushed| pushed.get(&listed.tag)?.as_ref());
        if reported.is_some() && listed.digest.as_ref() != reported {
            *listed = ListedTag {
                pushed: listed.pushed,
                ..ListedTag::from(listed.tag.clone())
            };
        }
    }

    /// Returns the reported tags that the list does not have, and that exist.
    async fn rest(&mut self) -> StoreResult<Option<Vec<ListedTag>>> {
        let unseen: Vec<Target> = std::mem::take(&mut self.unseen)
            .into_iter()
            .map(Target::Tag)
            .collect();
        let heads = unseen.iter().map(|target| self.source.resolve(target));
        let heads = join_all(heads).await;
        let mut tags = Vec::new();
        for (target, head) in unseen.into_iter().zip(heads) {
            let is_present = match head {
                Ok(head) => head.is_some(),
                Err(error) if error.kind() == ErrorKind::NotFound => false,
                Err(error) => return Err(error),
            };
            if let (Target::Tag(tag), true) = (target, is_present) {
                tags.push(ListedTag::from(tag));
            }
        }
        Ok((!tags.is_empty()).then_some(tags))
    }
}

impl Tags for PushedPages {
    fn next(&mut self) -> BoxFuture<'_, StoreResult<Option<Vec<ListedTag>>>> {
        async move {
            if self.is_over {
                return Ok(None);
            }
            let page = match self.pages.next().await {
                // The first push to a repository.
                Err(error) if error.kind() == ErrorKind::NotFound && !self.unseen.is_empty() => {
                    self.is_over = true;
                    return match self.rest().await? {
                        None => Err(error),
                        rest => Ok(rest),
                    };
                }
                page => page?,
            };
            let Some(mut page) = page else {
                self.is_over = true;
                return self.rest().await;
            };
            for listed in &mut page {
                self.check(listed);
            }
            Ok(Some(page))
        }
        .boxed()
    }
}
