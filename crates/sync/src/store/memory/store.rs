//! A repository as a store.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryFutureExt};
use image_syncer_registry::manifest::ManifestView;
use image_syncer_registry::{
    BlobStream, Descriptor, Digest, Error, ErrorKind, IndexedBy, IndexedReferrers, Manifest,
    ManifestHead, ManifestPresence, Presence, Target,
};

use crate::Repository;
use crate::store::memory::list::MemoryTags;
use crate::store::memory::session::{MemorySession, read};
use crate::store::memory::{Content, MemoryStores, OpenScript, ReadScript, error};
use crate::store::{
    Destination, FallbackTag, Source, SourceCapabilities, StartedUpload, StoreError, StoreResult,
    TagDetail, Tags, UploadStart,
};

pub(super) struct MemoryStore {
    pub(super) stores: MemoryStores,
    pub(super) repository: Repository,
}

impl MemoryStore {
    async fn begin_call(&self, verb: &str, target: &Target) -> Result<(), Error> {
        let call = self.stores.state().words(verb, &self.repository, target);
        self.stores.begin_call(call).await
    }
    async fn enter_blob(&self, verb: &str, blob: &Descriptor) -> Result<(), Error> {
        self.begin_call(verb, &Target::Digest(blob.digest.clone()))
            .await
    }
    fn error(&self, kind: ErrorKind, message: &str) -> Error {
        let path = self.repository.path();
        let host = &self.repository.endpoint().to_string();
        Error::new(kind, format!("handle {path}"), host, message)
    }
    fn find(&self, target: &Target) -> Option<Manifest> {
        let state = self.stores.state();
        let content = state.repositories.get(&self.repository)?;
        let digest = match target {
            Target::Tag(tag) => content.tags.get(tag)?,
            Target::Digest(digest) => digest,
        };
        content.manifests.get(digest).cloned()
    }
    fn head(&self, target: &Target) -> Option<ManifestHead> {
        let manifest = self.find(target)?;
        Some(ManifestHead {
            digest: manifest.digest().clone(),
            media_type: Some(manifest.media_type().to_owned()),
            size: Some(manifest.size()),
        })
    }
    fn blob(&self, blob: &Descriptor) -> Result<Bytes, Error> {
        let bytes = self.stores.blob_bytes(&self.repository, &blob.digest);
        bytes.ok_or_else(|| self.error(ErrorKind::NotFound, "there is no such blob"))
    }
    fn says_it_has(&self, digest: &Digest) -> bool {
        let state = self.stores.state();
        state
            .repositories
            .get(&self.repository)
            .is_some_and(|content| {
                content.blobs.contains_key(digest) || content.claimed.contains(digest)
            })
    }
    fn mount(&self, digest: &Digest, from: &Repository) -> bool {
        let Some(bytes) = self.stores.blob_bytes(from, digest) else {
            return false;
        };
        let mut state = self.stores.state();
        state
            .content(&self.repository)
            .blobs
            .insert(digest.clone(), bytes);
        true
    }
    async fn fetch(&self, target: &Target) -> Result<Manifest, Error> {
        self.begin_call("manifest", target).await?;
        self.find(target)
            .ok_or_else(|| self.error(ErrorKind::NotFound, "there is no such manifest"))
    }
    async fn look_up(&self, blob: &Descriptor) -> Result<Presence, Error> {
        self.enter_blob("head-blob", blob).await?;
        let bytes = self.stores.blob_bytes(&self.repository, &blob.digest);
        let length = bytes.map(|bytes| bytes.len() as u64);
        Ok(match length {
            Some(length) if blob.size.is_some_and(|size| size != length) => {
                Presence::WrongSize(length)
            }
            None if !self.says_it_has(&blob.digest) => Presence::Absent,
            _ => Presence::Present,
        })
    }
    async fn start(
        &self,
        blob: &Descriptor,
        start: UploadStart<'_>,
    ) -> Result<StartedUpload, Error> {
        let target = Target::Digest(blob.digest.clone());
        let (verb, suffix) = match start {
            UploadStart::Mount(from) => ("mount", format!(" from {from}")),
            UploadStart::UnlessPresent => ("open-upload", String::new()),
            UploadStart::Unchecked => {
                self.enter_blob("open-session", blob).await?;
                return Ok(self.session(blob, false));
            }
        };
        let call = self.stores.state().words(verb, &self.repository, &target);
        self.stores.begin_call(call + &suffix).await?;
        let script = self.stores.state().scripts.next_open(&self.repository);
        match script {
            Some(OpenScript::Fail(kind)) => {
                return Err(error(kind, &self.repository.endpoint().to_string()));
            }
            Some(OpenScript::Hold(gate)) => gate.pass().await,
            Some(OpenScript::Panic) => panic!("a script demands a panic"),
            None => {}
        }
        let reports = self.stores.state().behaviour.tells_present;
        if reports && self.says_it_has(&blob.digest) {
            return Ok(StartedUpload::Present { mounted: false });
        }
        if let UploadStart::Mount(from) = start
            && self.stores.state().scripts.mounts_from(from)
            && self.mount(&blob.digest, from)
        {
            return Ok(StartedUpload::Present { mounted: true });
        }
        Ok(self.session(blob, matches!(start, UploadStart::Mount(_))))
    }
    fn session(&self, blob: &Descriptor, instead_of_mount: bool) -> StartedUpload {
        let session = MemorySession::new(&self.stores, &self.repository, blob, instead_of_mount);
        StartedUpload::Session(Box::new(session))
    }
    /// Returns the referrers that the registry finds itself, and those that were listed explicitly.
    fn listed(&self, subject: &Digest) -> Vec<Descriptor> {
        let state = self.stores.state();
        let Some(content) = state.repositories.get(&self.repository) else {
            return Vec::new();
        };
        let mut listed = content.listed.get(subject).cloned().unwrap_or_default();
        if state.behaviour.lists_referrers {
            let names = |manifest: &&Manifest| {
                let view = manifest.view().unwrap();
                view.subject().is_some_and(|named| named.digest == *subject)
            };
            let found = content.manifests.values().filter(names);
            let found: Vec<Descriptor> = found
                .map(|manifest| manifest.referrer_descriptor().unwrap())
                .filter(|found| !listed.iter().any(|known| known.digest == found.digest))
                .collect();
            listed.extend(found);
        }
        listed.sort_by(|a, b| a.digest.as_str().cmp(b.digest.as_str()));
        listed
    }
    fn push(&self, target: &Target, manifest: &Manifest) -> Result<(), Error> {
        let mut state = self.stores.state();
        let behaviour = state.behaviour;
        let content = state.content(&self.repository);
        let missing = content.missing(manifest);
        if behaviour.validates && !missing.is_empty() {
            let named = if behaviour.names_missing {
                missing
            } else {
                Vec::new()
            };
            let error = self.error(ErrorKind::MissingContent, "something is missing");
            return Err(error.with_missing(named));
        }
        let digest = manifest.digest().clone();
        match target {
            Target::Tag(tag) => drop(content.tags.insert(tag.clone(), digest.clone())),
            Target::Digest(wanted) => assert_eq!(wanted, &digest, "pushed under another digest"),
        }
        content.manifests.insert(digest, manifest.clone());
        Ok(())
    }
}

impl Content {
    fn missing(&self, manifest: &Manifest) -> Vec<Digest> {
        let blobs: Vec<Digest> = match manifest.view().unwrap() {
            ManifestView::Index(index) => {
                let children = index.manifests.into_iter().map(|child| child.digest);
                let missing = children.filter(|child| !self.manifests.contains_key(child));
                return missing
                    .filter(|child| !self.blobs.contains_key(child))
                    .collect();
            }
            ManifestView::Image(image) => {
                let all = image.config.into_iter().chain(image.layers);
                let wanted = all.filter(|blob| !blob.is_foreign());
                wanted.map(|blob| blob.digest).collect()
            }
            ManifestView::Schema1(schema1) => schema1.layers,
        };
        let missing = blobs
            .into_iter()
            .filter(|blob| !self.blobs.contains_key(blob));
        missing.collect()
    }
}

impl Source for MemoryStore {
    fn repository(&self) -> &Repository {
        &self.repository
    }
    fn capabilities(&self) -> SourceCapabilities {
        let registry = self.repository.endpoint().registry();
        SourceCapabilities {
            limits_pulls: registry == Some(&image_syncer_registry::Registry::docker_hub()),
        }
    }
    fn resolve<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, StoreResult<Option<ManifestHead>>> {
        async move {
            self.begin_call("resolve", target).await?;
            Ok(self.head(target))
        }
        .map_err(StoreError::source)
        .boxed()
    }
    fn probe<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Option<ManifestHead>>> {
        Source::resolve(self, target)
    }
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Manifest>> {
        self.fetch(target).map_err(StoreError::source).boxed()
    }
    fn read_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        limit: u64,
    ) -> BoxFuture<'a, StoreResult<Bytes>> {
        async move {
            self.enter_blob("read-blob", blob).await?;
            let bytes = self.blob(blob)?;
            if bytes.len() as u64 > limit {
                return Err(self.error(ErrorKind::Protocol, "the blob is too big"));
            }
            Ok(bytes)
        }
        .map_err(StoreError::source)
        .boxed()
    }
    fn open_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        offset: u64,
    ) -> BoxFuture<'a, StoreResult<BlobStream>> {
        async move {
            let target = Target::Digest(blob.digest.clone());
            let call = self
                .stores
                .state()
                .words("open-blob", &self.repository, &target);
            let position = match offset {
                0 => String::new(),
                offset => format!(" at {offset}"),
            };
            self.stores.begin_call(call + &position).await?;
            let rest = self.blob(blob)?.slice(usize::try_from(offset).unwrap()..);
            let script = self.stores.state().scripts.next_read(&self.repository);
            match &script {
                Some(ReadScript::Fail(kind)) => {
                    return Err(error(*kind, &self.repository.endpoint().to_string()));
                }
                Some(ReadScript::Hold(gate)) => gate.pass().await,
                _ => {}
            }
            let chunks = read(&self.stores, &self.repository, rest, script);
            Ok(BlobStream::new(chunks.fuse()))
        }
        .map_err(StoreError::source)
        .boxed()
    }
    fn blob_size<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, StoreResult<Option<u64>>> {
        async move {
            if blob.size.is_some() {
                return Ok(blob.size);
            }
            self.enter_blob("blob-size", blob).await?;
            let bytes = self.stores.blob_bytes(&self.repository, &blob.digest);
            Ok(bytes.map(|bytes| bytes.len() as u64))
        }
        .map_err(StoreError::source)
        .boxed()
    }
    fn head_blob<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, StoreResult<Presence>> {
        self.look_up(blob).map_err(StoreError::source).boxed()
    }
    fn referrers<'a>(
        &'a self,
        subject: &'a Digest,
        tag: FallbackTag,
    ) -> BoxFuture<'a, StoreResult<Vec<Descriptor>>> {
        async move {
            let lists = self.stores.state().behaviour.lists_referrers;
            if !lists && tag == FallbackTag::Absent {
                return Ok(Vec::new());
            }
            let target = Target::Digest(subject.clone());
            self.begin_call("referrers", &target).await?;
            Ok(self.listed(subject))
        }
        .map_err(StoreError::source)
        .boxed()
    }
    fn lists_digests(&self, may_probe: bool) -> BoxFuture<'_, bool> {
        self.knows_digest_list(may_probe).boxed()
    }
    fn tags(&self, detail: TagDetail) -> Box<dyn Tags> {
        Box::new(MemoryTags::new(self, detail, StoreError::source))
    }
}

impl Destination for MemoryStore {
    fn repository(&self) -> &Repository {
        &self.repository
    }
    fn resolve<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<ManifestPresence>> {
        async move {
            self.begin_call("resolve-for-push", target).await?;
            let head = self.head(target);
            Ok(head.map_or(ManifestPresence::Absent, ManifestPresence::Present))
        }
        .map_err(StoreError::destination)
        .boxed()
    }
    fn manifest<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<Manifest>> {
        self.fetch(target).map_err(StoreError::destination).boxed()
    }
    fn head_blob<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, StoreResult<Presence>> {
        self.look_up(blob).map_err(StoreError::destination).boxed()
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
        async move {
            self.begin_call("put-manifest", target).await?;
            self.push(target, manifest)
        }
        .map_err(StoreError::destination)
        .boxed()
    }
    fn referrers<'a>(&'a self, subject: &'a Digest) -> BoxFuture<'a, StoreResult<Vec<Descriptor>>> {
        async move {
            let target = Target::Digest(subject.clone());
            self.begin_call("referrers-for-push", &target).await?;
            Ok(self.listed(subject))
        }
        .map_err(StoreError::destination)
        .boxed()
    }
    fn update_referrers_index<'a>(
        &'a self,
        subject: &'a Digest,
        referrers: &'a [Descriptor],
    ) -> BoxFuture<'a, StoreResult<IndexedReferrers>> {
        async move {
            let target = Target::Digest(subject.clone());
            self.begin_call("update-index", &target).await?;
            let mut state = self.stores.state();
            let behaviour = state.behaviour;
            let content = state.content(&self.repository);
            let listed = content.listed.entry(subject.clone()).or_default();
            for referrer in referrers {
                assert!(
                    content.manifests.contains_key(&referrer.digest),
                    "indexed before it was pushed"
                );
                if !listed.iter().any(|known| known.digest == referrer.digest) {
                    listed.push(referrer.clone());
                }
            }
            Ok(IndexedReferrers {
                by: IndexedBy::Api,
                contended: behaviour.contended,
            })
        }
        .map_err(StoreError::destination)
        .boxed()
    }
    fn delete<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StoreResult<()>> {
        async move {
            self.begin_call("delete", target).await?;
            let mut state = self.stores.state();
            let content = state.content(&self.repository);
            let existed = match target {
                Target::Tag(tag) => content.tags.remove(tag).is_some(),
                Target::Digest(digest) => {
                    content.tags.retain(|_, tagged| tagged != digest);
                    content.manifests.remove(digest).is_some()
                }
            };
            let missing = || self.error(ErrorKind::NotFound, "there is no such manifest");
            existed.then_some(()).ok_or_else(missing)
        }
        .map_err(StoreError::destination)
        .boxed()
    }
    fn lists_digests(&self, may_probe: bool) -> BoxFuture<'_, bool> {
        self.knows_digest_list(may_probe).boxed()
    }
    fn tags(&self, detail: TagDetail) -> Box<dyn Tags> {
        Box::new(MemoryTags::new(self, detail, StoreError::destination))
    }
}
